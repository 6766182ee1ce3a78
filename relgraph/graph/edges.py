"""One version of one tuple, as the graph holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.contexts import EMPTY, Context
from relgraph.errors import StoreFormat

if TYPE_CHECKING:
    from relgraph.store.base import NumberedRow

__all__ = ["CaveatedEdge", "TupleEdge", "edge_of"]


class TupleEdge:
    """One version of one tuple, in the store's numbers.

    `deleted` is None while living; it is the only field that ever changes, and only once. `expires` is an instant in
    microseconds, None for never; whether it has come is the engine's question. `older` is the version
    of the same tuple that lived before this one.
    """

    # Without a caveat these take no room: there may be millions of such edges.
    caveat: int = 0
    context: Context = EMPTY
    # It is stored: no request brought it.
    contextual: int = 0

    __slots__ = (
        "created",
        "deleted",
        "expires",
        "kind",
        "older",
        "relation",
        "resource",
        "subject",
        "subject_relation",
    )

    def __init__(self, row: NumberedRow, kind: tuple[int, int, bool], older: TupleEdge | None = None) -> None:
        self.resource = row.resource
        self.relation = row.relation
        self.subject = row.subject
        self.subject_relation = row.subject_relation
        self.kind = kind
        self.created = row.created
        self.deleted = row.deleted
        self.expires = row.expires
        self.older = older

    def lives_at(self, revision: int) -> bool:
        """Return whether this version counts at `revision`."""
        return self.created <= revision and (self.deleted is None or self.deleted > revision)


class CaveatedEdge(TupleEdge):
    """One version of a tuple that counts under a caveat, given what the tuple itself says."""

    __slots__ = ("caveat", "context")

    def __init__(self, row: NumberedRow, kind: tuple[int, int, bool], older: TupleEdge | None = None) -> None:
        super().__init__(row, kind, older)
        self.caveat = row.caveat
        self.context = Context.stored(row.context)


def edge_of(row: NumberedRow, kind: tuple[int, int, bool], older: TupleEdge | None = None) -> TupleEdge:
    """Return the edge of a row, with a caveat or without.

    Raises StoreFormat for a context without the caveat it belongs to: such a tuple would count whatever it said.
    """
    if row.caveat:
        return CaveatedEdge(row, kind, older)
    if row.context is not None:
        raise StoreFormat(
            "the store is damaged: a tuple has a context and no caveat; verify it, and restore it from a backup"
        )
    return TupleEdge(row, kind, older)
