"""The schema language: text and files to rules, rules to text, and whether a tuple or a question fits them.

Only what is listed here is meant for the rest of relgraph; how permissions are evaluated is none of it.
"""

from __future__ import annotations

from relgraph.schema.changes import check_change
from relgraph.schema.compose import Composed, compose
from relgraph.schema.model import DeclaredCaveat, Definition, Grant, Permission, Relation, Schema, SubjectKind
from relgraph.schema.printer import print_schema
from relgraph.schema.reader import parse

__all__ = [
    "Composed",
    "DeclaredCaveat",
    "Definition",
    "Grant",
    "Permission",
    "Relation",
    "Schema",
    "SubjectKind",
    "check_change",
    "compose",
    "parse",
    "print_schema",
]
