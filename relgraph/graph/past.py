"""An older revision, read from the store's rows: the same waist as the graph's view, slower, for `at_exactly`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from relgraph.graph.edges import TupleEdge, refuse_unserved
from relgraph.tuples import WILDCARD, Object

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from relgraph.store.base import NumberedRow, Snapshot

__all__ = ["PastView"]


class PastView:
    """The engine's reader over a store's snapshot at `revision`. A context manager; leaving it closes the snapshot."""

    def __init__(self, snapshot: Snapshot, revision: int) -> None:
        self._snapshot = snapshot
        self.revision = revision
        self._objects: dict[int, tuple[int, str]] = {}

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

    def name(self, number: int) -> str:
        """Return the name of a type or relation number."""
        return self._snapshot.name(number)

    def name_number(self, name: str) -> int | None:
        """Return the number of a type or relation name, or None."""
        return self._snapshot.name_id(name)

    def _object(self, number: int) -> tuple[int, str]:
        known = self._objects.get(number)
        if known is None:
            known = self._objects[number] = self._snapshot.object(number)
        return known

    def object(self, number: int) -> Object:
        """Return the object of a number."""
        type_number, key = self._object(number)
        return Object(self._snapshot.name(type_number), key)

    def object_number(self, type_number: int, key: str) -> int | None:
        """Return the number of an object, or None where no committed write mentioned it."""
        return self._snapshot.object_id(type_number, key)

    def type_of(self, number: int) -> int:
        """Return the type's number of an object."""
        return self._object(number)[0]

    def edge(self, resource: int, relation: int, subject: int, subject_relation: int) -> TupleEdge | None:
        """Return exactly that tuple, if it lived then."""
        row = self._snapshot.tuple(resource, relation, subject, subject_relation, self.revision)
        if row is None:
            return None
        return self._edge(row)

    def usersets(self, resource: int, relation: int) -> Sequence[TupleEdge]:
        """Return the tuples of that relation that lived then and whose subject is a userset."""
        return self._edges(resource, relation, usersets=True)

    def edges(self, resource: int, relation: int) -> Sequence[TupleEdge]:
        """Return all tuples of that relation that lived then."""
        return self._edges(resource, relation, usersets=False)

    def _edges(self, resource: int, relation: int, *, usersets: bool) -> list[TupleEdge]:
        # The rows are taken at once: what an edge names is read through the same snapshot.
        rows = list(self._snapshot.tuples(resource, relation, self.revision, usersets=usersets))
        return [self._edge(row) for row in rows]

    def _edge(self, row: NumberedRow) -> TupleEdge:
        refuse_unserved(row)
        type_number, key = self._object(row.subject)
        return TupleEdge(row, (type_number, row.subject_relation, key == WILDCARD))
