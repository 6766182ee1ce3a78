"""The schema language: text to rules, rules to text, and whether a tuple or a question fits them.

Only what is listed here is meant for the rest of relgraph; how permissions are evaluated is none of it.
"""

from __future__ import annotations

from relgraph.schema.model import Definition, Grant, Permission, Relation, Schema, SubjectKind
from relgraph.schema.printer import print_schema
from relgraph.schema.reader import parse

__all__ = ["Definition", "Grant", "Permission", "Relation", "Schema", "SubjectKind", "parse", "print_schema"]
