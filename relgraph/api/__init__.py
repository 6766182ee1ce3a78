"""The library's public face: `open_authorizer` and `Authorizer`. Only this package opens the engine."""

from __future__ import annotations

from relgraph.api.authorizer import Authorizer, Ways, open_authorizer
from relgraph.api.upkeep import backup, restore, verify

__all__ = ["Authorizer", "Ways", "backup", "open_authorizer", "restore", "verify"]
