"""The library's public face: `open_authorizer` and `Authorizer`. Only this package opens the engine."""

from __future__ import annotations

from relgraph.api.authorizer import Authorizer, open_authorizer
from relgraph.api.bests import Ways
from relgraph.api.dumping import Dump
from relgraph.api.establishing import establish, require_empty
from relgraph.api.observing import Observer
from relgraph.api.upkeep import backup, restore, verify
from relgraph.api.watching import Selection, Watch

__all__ = [
    "Authorizer",
    "Dump",
    "Observer",
    "Selection",
    "Watch",
    "Ways",
    "backup",
    "establish",
    "open_authorizer",
    "require_empty",
    "restore",
    "verify",
]
