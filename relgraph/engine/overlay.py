"""The tuples that a request brings, laid over those of a revision: the same waist, for one request.

Rule 1: they count beside the stored ones, same key included, and nothing is written down anywhere but here: what a
graph or a schema has worked out for everybody never learns of them.
Rule 2: an object that only they name has a number of its own, above every one that a store gives, so that its tuples
are found as any object's are; so has a caveat that no stored tuple carries. Types and relations have theirs: the schema
that admitted the tuples was numbered when it was written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.errors import RelgraphError
from relgraph.tuples import WILDCARD, Object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from relgraph.engine.reader import Reader
    from relgraph.rewrites import Edge
    from relgraph.tuples import RelationTuple

__all__ = ["Overlay"]

_FIRST: Final = 1 << 48
"""Stores number objects one by one from 1; no disk holds so many."""


class _Brought:
    """One tuple that a request brings."""

    __slots__ = (
        "caveat",
        "context",
        "contextual",
        "expires",
        "kind",
        "relation",
        "resource",
        "subject",
        "subject_relation",
    )

    def __init__(
        self,
        place: int,
        key: tuple[int, int, int, int],
        kind: tuple[int, int, bool],
        caveat: int,
        fact: RelationTuple,
    ) -> None:
        self.contextual = place
        self.resource, self.relation, self.subject, self.subject_relation = key
        self.kind = kind
        self.expires = fact.expires
        self.caveat = caveat
        self.context = fact.context

    def says(self, edge: Edge) -> bool:
        """Return whether a tuple of the same key says the very same."""
        return (self.expires, self.caveat, self.context) == (edge.expires, edge.caveat, edge.context)


class Overlay:
    """A reader with more tuples, of which the schema admitted each. One that is stored as it stands adds nothing."""

    def __init__(self, reader: Reader, facts: Iterable[RelationTuple]) -> None:
        self._reader = reader
        self.revision = reader.revision
        self._numbers: dict[tuple[int, str], int] = {}
        self._objects: dict[int, tuple[int, Object]] = {}
        self._caveats: dict[str, int] = {}
        self._edges: dict[tuple[int, int], list[Edge]] = {}
        for place, fact in enumerate(dict.fromkeys(facts), 1):
            edge = self._edge(place, fact)
            key = edge.resource, edge.relation, edge.subject, edge.subject_relation
            if not any(edge.says(stored) for stored in self._stored_to(*key)):
                self._edges.setdefault(key[:2], []).append(edge)

    def _edge(self, place: int, fact: RelationTuple) -> _Brought:
        subject, relation = fact.subject, self._named(fact.subject.relation) if fact.subject.relation else 0
        key = self._number(fact.resource), self._named(fact.relation), self._number(subject.object), relation
        kind = self._named(subject.type), relation, subject.id == WILDCARD
        return _Brought(place, key, kind, self._caveat(fact.caveat) if fact.caveat else 0, fact)

    def _caveat(self, name: str) -> int:
        number = self._reader.name_number(name)
        return self._caveats.setdefault(name, _FIRST + len(self._caveats)) if number is None else number

    def _named(self, name: str) -> int:
        number = self._reader.name_number(name)
        if number is None:
            raise RelgraphError("a name of the schema has no number; please report this as a defect of relgraph")
        return number

    def _number(self, object_: Object) -> int:
        type_number = self._named(object_.type)
        number = self.object_number(type_number, object_.id)
        if number is None:
            number = self._numbers[type_number, object_.id] = _FIRST + len(self._numbers)
            self._objects[number] = type_number, object_
        return number

    def name(self, number: int, /) -> str:
        """Return the name of a type, relation or caveat number."""
        return self._reader.name(number) if number < _FIRST else list(self._caveats)[number - _FIRST]

    def name_number(self, name: str, /) -> int | None:
        """Return the number of a type or relation name, or None where the store never saw it."""
        return self._reader.name_number(name)

    def object(self, number: int, /) -> Object:
        """Return the object of a number."""
        return self._reader.object(number) if number < _FIRST else self._objects[number][1]

    def object_number(self, type_number: int, key: str, /) -> int | None:
        """Return the number of an object, or None where neither the store nor the request's tuples name it."""
        number = self._numbers.get((type_number, key))
        return self._reader.object_number(type_number, key) if number is None else number

    def type_of(self, number: int, /) -> int:
        """Return the type's number of an object."""
        return self._reader.type_of(number) if number < _FIRST else self._objects[number][0]

    def edges_to(self, resource: int, relation: int, subject: int, subject_relation: int, /) -> Sequence[Edge]:
        """Return the tuples of a relation with exactly that subject, expired or not."""
        more = [
            edge
            for edge in self._edges.get((resource, relation), ())
            if edge.subject == subject and edge.subject_relation == subject_relation
        ]
        stored = self._stored_to(resource, relation, subject, subject_relation)
        return [*stored, *more] if more else stored

    def _stored_to(self, resource: int, relation: int, subject: int, subject_relation: int) -> Sequence[Edge]:
        # A store may not even take so great a number.
        if resource >= _FIRST or subject >= _FIRST:
            return ()
        return self._reader.edges_to(resource, relation, subject, subject_relation)

    def usersets(self, resource: int, relation: int, /) -> Sequence[Edge]:
        """Return the tuples of a relation whose subject is a userset; expired ones are among them."""
        more = [edge for edge in self._edges.get((resource, relation), ()) if edge.subject_relation]
        stored = self._reader.usersets(resource, relation) if resource < _FIRST else ()
        return [*stored, *more] if more else stored

    def edges(self, resource: int, relation: int, /) -> Sequence[Edge]:
        """Return all tuples of a relation; expired ones are among them."""
        more = self._edges.get((resource, relation), ())
        stored = self._reader.edges(resource, relation) if resource < _FIRST else ()
        return [*stored, *more] if more else stored

    def holders(self, subject: int, subject_relation: int, /) -> Sequence[Edge]:
        """Return all tuples that name exactly this subject, expired ones too."""
        more = [
            edge
            for edges in self._edges.values()
            for edge in edges
            if edge.subject == subject and edge.subject_relation == subject_relation
        ]
        stored = self._reader.holders(subject, subject_relation) if subject < _FIRST else ()
        return [*stored, *more] if more else stored

    def objects(self, type_number: int, /) -> Sequence[int]:
        """Return the numbers of a type's objects that a tuple may name, perhaps others; `*` too."""
        more = [number for number, (type_, _) in self._objects.items() if type_ == type_number]
        return [*self._reader.objects(type_number), *more]
