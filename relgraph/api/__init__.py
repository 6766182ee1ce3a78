"""The library's public face: `open_authorizer` and `Authorizer`. Only this package opens the engine."""

from __future__ import annotations

from relgraph.api.authorizer import Authorizer, open_authorizer
from relgraph.api.bests import Ways
from relgraph.api.dumping import Dump
from relgraph.api.establishing import establish, require_empty
from relgraph.api.observing import Observer
from relgraph.api.traces import Trace
from relgraph.api.upkeep import backup, restore, verify
from relgraph.api.watching import Selection, Watch
from relgraph.engine import TracedCaveat, TraceNode

__all__ = [
    "Authorizer",
    "Dump",
    "Observer",
    "Selection",
    "Trace",
    "TraceNode",
    "TracedCaveat",
    "Watch",
    "Ways",
    "backup",
    "establish",
    "open_authorizer",
    "require_empty",
    "restore",
    "verify",
]
