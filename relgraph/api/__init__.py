"""The library's public face: `open_authorizer` and `Authorizer`. Only this package opens the engine."""

from __future__ import annotations

from relgraph.api.authorizer import Authorizer, Ways, open_authorizer

__all__ = ["Authorizer", "Ways", "open_authorizer"]
