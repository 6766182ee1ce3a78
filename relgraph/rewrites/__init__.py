"""The operators of permission expressions: pure algebra, without subjects, storage or schema.

`OPERATORS` is the one list of them; adding an operator is one file here and one line there.
"""

from __future__ import annotations

from typing import Final

from relgraph.rewrites.arrow import AllArrow, Arrow
from relgraph.rewrites.base import Atom, Edge, Formula, Rewrite, Scope, Span, Term
from relgraph.rewrites.leaf import Name, Nil, SelfObject
from relgraph.rewrites.membership import Member, PermissionMember, RelationMember
from relgraph.rewrites.sets import Exclusion, Intersection, SetOperator, Union
from relgraph.rewrites.verdict import CONDITIONAL, NO, YES, Combine, Value

__all__ = [
    "CONDITIONAL",
    "NO",
    "OPERATORS",
    "YES",
    "AllArrow",
    "Arrow",
    "Atom",
    "Combine",
    "Edge",
    "Exclusion",
    "Formula",
    "Intersection",
    "Member",
    "Name",
    "Nil",
    "PermissionMember",
    "RelationMember",
    "Rewrite",
    "Scope",
    "SelfObject",
    "SetOperator",
    "Span",
    "Term",
    "Union",
    "Value",
]

OPERATORS: Final = (Exclusion, Intersection, Union, AllArrow, Arrow, Name, Nil, SelfObject)
