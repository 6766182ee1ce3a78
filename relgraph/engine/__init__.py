"""The engine: exact answers over one schema at one revision. Synchronous and pure: no I/O, no clock, no wire types.

Only `relgraph.api` opens it. It reads tuples through `Reader`, which it declares itself.
"""

from __future__ import annotations

from relgraph.engine.budget import Budget
from relgraph.engine.check import Access, access, check, valid_until
from relgraph.engine.cycles import find_cycles
from relgraph.engine.expand import ExpandScope, expand
from relgraph.engine.failures import first_failure
from relgraph.engine.grants import END_OF_TIME, Claim, Rights
from relgraph.engine.lookup import Listing, Told, resources, subjects
from relgraph.engine.orphans import find_orphans
from relgraph.engine.overlay import Overlay
from relgraph.engine.program import Program
from relgraph.engine.reader import Reader
from relgraph.engine.scope import SubjectScope, World
from relgraph.engine.traces import TracedCaveat, TraceNode, trace
from relgraph.engine.walk import Walk
from relgraph.engine.ways import find_ways

__all__ = [
    "END_OF_TIME",
    "Access",
    "Budget",
    "Claim",
    "ExpandScope",
    "Listing",
    "Overlay",
    "Program",
    "Reader",
    "Rights",
    "SubjectScope",
    "Told",
    "TraceNode",
    "TracedCaveat",
    "Walk",
    "World",
    "access",
    "check",
    "expand",
    "find_cycles",
    "find_orphans",
    "find_ways",
    "first_failure",
    "resources",
    "subjects",
    "trace",
    "valid_until",
]
