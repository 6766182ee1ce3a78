"""Relgraph answers what a subject may do with a resource, and why.

    import relgraph

    with relgraph.open("sqlite:///access.db") as authorizer:
        authorizer.check("user:anna", "view", "report:q3")

Here stand the public names of the library, and `sqlite3`, the SQLite module that stores are opened with unless told
otherwise; the server is `relgraph_server`, the client `relgraph.client`.
"""

from __future__ import annotations

from relgraph.answers import Checkpoint, LogEntry, Verdict
from relgraph.api import Authorizer, backup, restore, verify
from relgraph.api import open_authorizer as open  # noqa: A004  # `relgraph.open`, as in `gzip.open`
from relgraph.errors import RelgraphError
from relgraph.limits import Limits
from relgraph.revision import Consistency, Token
from relgraph.store import sqlite3
from relgraph.tuples import (
    Object,
    Precondition,
    Question,
    RelationTuple,
    Subject,
    TupleFilter,
    must_exist,
    must_not_exist,
)

__all__ = [
    "Authorizer",
    "Checkpoint",
    "Consistency",
    "Limits",
    "LogEntry",
    "Object",
    "Precondition",
    "Question",
    "RelationTuple",
    "RelgraphError",
    "Subject",
    "Token",
    "TupleFilter",
    "Verdict",
    "backup",
    "must_exist",
    "must_not_exist",
    "open",
    "restore",
    "sqlite3",
    "verify",
]
