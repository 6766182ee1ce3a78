"""A revision read from the store's rows: the same waist as the graph's view, slower.

For `at_exactly`, and for what is judged inside a write, which no graph knows yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from relgraph.graph.edges import edge_of
from relgraph.tuples import WILDCARD, Object

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from relgraph.graph.edges import TupleEdge
    from relgraph.store.base import NumberedRow, Reads, Snapshot

__all__ = ["PastView", "RowsView"]


class RowsView:
    """The engine's reader over a store's rows at `revision`: those of a snapshot, or of a write in the making."""

    def __init__(self, rows: Reads, revision: int) -> None:
        self._rows = rows
        self.revision = revision
        self._objects: dict[int, tuple[int, str]] = {}

    def name(self, number: int) -> str:
        """Return the name of a type or relation number."""
        return self._rows.name(number)

    def name_number(self, name: str) -> int | None:
        """Return the number of a type or relation name, or None."""
        return self._rows.name_id(name)

    def _object(self, number: int) -> tuple[int, str]:
        known = self._objects.get(number)
        if known is None:
            known = self._objects[number] = self._rows.object(number)
        return known

    def object(self, number: int) -> Object:
        """Return the object of a number."""
        type_number, key = self._object(number)
        return Object(self._rows.name(type_number), key)

    def object_number(self, type_number: int, key: str) -> int | None:
        """Return the number of an object, or None where no committed write mentioned it."""
        return self._rows.object_id(type_number, key)

    def type_of(self, number: int) -> int:
        """Return the type's number of an object."""
        return self._object(number)[0]

    def edges_to(self, resource: int, relation: int, subject: int, subject_relation: int) -> Sequence[TupleEdge]:
        """Return exactly that tuple, if it lived then."""
        row = self._rows.tuple(resource, relation, subject, subject_relation, self.revision)
        return () if row is None else (self._edge(row),)

    def usersets(self, resource: int, relation: int) -> Sequence[TupleEdge]:
        """Return the tuples of that relation that lived then and whose subject is a userset."""
        return self._edges(resource, relation, usersets=True)

    def edges(self, resource: int, relation: int) -> Sequence[TupleEdge]:
        """Return all tuples of that relation that lived then."""
        return self._edges(resource, relation, usersets=False)

    def holders(self, subject: int, subject_relation: int) -> Sequence[TupleEdge]:
        """Return all tuples that named exactly this subject and lived then."""
        rows = list(self._rows.holders(subject, subject_relation, self.revision))
        return [self._edge(row) for row in rows]

    def objects(self, type_number: int) -> Sequence[int]:
        """Return the numbers of all objects of a type, `*` and those that later writes named among them."""
        return list(self._rows.objects(type_number))

    def _edges(self, resource: int, relation: int, *, usersets: bool) -> list[TupleEdge]:
        # The rows are taken at once: what an edge names is read through the same snapshot.
        rows = list(self._rows.tuples(resource, relation, self.revision, usersets=usersets))
        return [self._edge(row) for row in rows]

    def _edge(self, row: NumberedRow) -> TupleEdge:
        type_number, key = self._object(row.subject)
        return edge_of(row, (type_number, row.subject_relation, key == WILDCARD))


class PastView(RowsView):
    """The rows of a snapshot. A context manager; leaving it closes the snapshot."""

    def __init__(self, snapshot: Snapshot, revision: int) -> None:
        super().__init__(snapshot, revision)
        self._snapshot = snapshot

    @property
    def snapshot(self) -> Snapshot:
        """What is read from; it is closed with this view."""
        return self._snapshot

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._snapshot.close()
