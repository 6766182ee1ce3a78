"""Relgraph answers what a subject may do with a resource, and why.

    import relgraph

    with relgraph.open("sqlite:///access.db") as authorizer:
        authorizer.check("user:anna", "view", "report:q3")

Here stand the public names of the library, and `sqlite3`, the SQLite module that stores are opened with unless told
otherwise; the server is `relgraph_server`, the client `relgraph.client`.

Rule 1: a name is imported when it is first asked for, so that `import relgraph` alone costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
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

_HOMES: Final = {
    "answers": ("Checkpoint", "LogEntry", "Verdict"),
    "api": ("Authorizer", "backup", "restore", "verify"),
    "errors": ("RelgraphError",),
    "limits": ("Limits",),
    "revision": ("Consistency", "Token"),
    "store": ("sqlite3",),
    "tuples": (
        "Object",
        "Precondition",
        "Question",
        "RelationTuple",
        "Subject",
        "TupleFilter",
        "must_exist",
        "must_not_exist",
    ),
}
"""Each module that is part of `relgraph`, with the public names that it lends."""

_PLACES: Final = {
    **{home: (f"relgraph.{home}", "") for home in _HOMES},
    **{name: (f"relgraph.{home}", name) for home, names in _HOMES.items() for name in names},
    "open": ("relgraph.api", "open_authorizer"),
}

if not TYPE_CHECKING:  # what type checkers know is exact: they must not take every name for one that is there

    def __getattr__(name: str) -> object:
        """Return a public name or a module that lends some, importing it now."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        place, inner = _PLACES[name]
        module = import_module(place)
        found = globals()[name] = getattr(module, inner) if inner else module
        return found

    def __dir__() -> list[str]:
        """Return the names that are there or will be when they are asked for."""
        return sorted({*globals(), *_PLACES})
