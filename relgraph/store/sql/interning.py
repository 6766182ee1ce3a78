"""Names and objects become numbers, inside one transaction.

Rule 1: what is learnt here dies with the transaction, or with the savepoint. A rolled-back number is given again to
something else, so nothing outside may remember a number before the commit.
Rule 2: the next number is the highest plus one, read under the write lock. A database's own sequences do not roll back
and would leave gaps that say nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from relgraph.store.base import NO_CAVEAT, NO_RELATION

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.store.sql.link import Link
    from relgraph.tuples import RelationTuple

__all__ = ["PLAIN", "Interner", "Numbers", "Traits"]

_FIND_NAME = "SELECT id FROM names WHERE name = ?"
_ADD_NAME = "INSERT INTO names(id, name) VALUES (?, ?)"
_LAST_NAME = "SELECT coalesce(max(id), 0) FROM names"
_FIND_OBJECT = "SELECT id FROM objects WHERE type = ? AND key = ?"
_LAST_OBJECT = "SELECT coalesce(max(id), 0) FROM objects"


Numbers: TypeAlias = tuple[int, int, int, int]
"""A tuple's key in numbers: (resource, relation, subject, subject_relation), in the order of the primary key."""


class Traits(NamedTuple):
    """What a row says beside its key: when it expires, the number of its caveat's name, and what it gives to that."""

    expires: int | None
    caveat: int
    context: bytes | None


PLAIN: Final = Traits(None, NO_CAVEAT, None)
"""A row that counts for ever, under no caveat."""


class Interner:
    """Finds and gives numbers through the link of a transaction."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._names: dict[str, int] = {"": NO_RELATION}
        self._objects: dict[str, dict[str, int]] = {}
        self._name_max: int | None = None
        self._object_max: int | None = None
        self._empty = False
        self._told = False

    def name(self, name: str) -> int:
        """The number of a name, given now if it has none. The empty name is "no relation"."""
        id_ = self.known_name(name)
        if id_ is None:
            if self._name_max is None:
                self._name_max = self._last(_LAST_NAME)
            id_ = self._name_max = self._name_max + 1
            self._link.run(_ADD_NAME, (id_, name))
            self._names[name] = id_
        return id_

    def known_name(self, name: str) -> int | None:
        """The number of a name, or None when it has none."""
        id_ = self._names.get(name)
        if id_ is None and not self._told:
            row = self._link.one(_FIND_NAME, (name,))
            if row is not None:
                id_ = self._names[name] = int(row[0])
        return id_

    def known_object(self, type_: str, key: str) -> int | None:
        """The number of an object, or None when it has none."""
        known = self._objects.setdefault(type_, {})
        id_ = known.get(key)
        if id_ is None and not self._empty and not self._told:
            type_id = self.known_name(type_)
            row = None if type_id is None else self._link.one(_FIND_OBJECT, (type_id, key))
            if row is not None:
                id_ = known[key] = int(row[0])
        return id_

    @contextmanager
    def told(self, names: Iterable[tuple[str, int]], objects: Iterable[tuple[str, str, int]]) -> Iterator[None]:
        """Ask nothing in the block: of all that it names, these names and objects (type, key) have numbers."""
        self._names.update(names)
        for type_, key, id_ in objects:
            self._objects.setdefault(type_, {})[key] = id_
        self._told = True
        try:
            yield
        finally:
            self._told = False

    def row(self, tuple_: RelationTuple) -> tuple[Numbers, Traits]:
        """The tuple in numbers, giving those that are missing: its key, and the rest."""
        [key], [traits] = self.rows((tuple_,))
        return key, traits

    def known_key(self, tuple_: RelationTuple) -> Numbers | None:
        """The tuple in numbers, or None when it names something that has none: then it cannot be living."""
        resource = self.known_object(tuple_.resource.type, tuple_.resource.id)
        relation = self.known_name(tuple_.relation)
        subject = self.known_object(tuple_.subject.type, tuple_.subject.id)
        subject_relation = self.known_name(tuple_.subject.relation)
        if resource is None or relation is None or subject is None or subject_relation is None:
            return None
        return (resource, relation, subject, subject_relation)

    def rows(self, tuples: Iterable[RelationTuple]) -> tuple[list[Numbers], list[Traits]]:
        """Many tuples in numbers, in their order: keys, and the rest. New objects are added together at the end.

        The dictionaries are looked into here, not through methods: three calls a tuple would double the time.
        """
        names, objects = self._names, self._objects
        fresh: list[tuple[int, int, str]] = []
        found: list[Numbers] = []
        traits: list[Traits] = []
        for tuple_ in tuples:
            resource, relation, subject = tuple_.resource, tuple_.relation, tuple_.subject
            subject_relation = subject.relation
            try:
                resource_id = objects[resource.type][resource.id]
            except KeyError:
                resource_id = self._object(resource.type, resource.id, fresh)
            try:
                subject_id = objects[subject.type][subject.id]
            except KeyError:
                subject_id = self._object(subject.type, subject.id, fresh)
            try:
                found.append((resource_id, names[relation], subject_id, names[subject_relation]))
            except KeyError:
                found.append((resource_id, self.name(relation), subject_id, self.name(subject_relation)))
            if tuple_.expires_at is None and not tuple_.caveat:
                traits.append(PLAIN)
            else:
                caveat = self.name(tuple_.caveat) if tuple_.caveat else NO_CAVEAT
                traits.append(Traits(tuple_.expires, caveat, tuple_.context.as_stored))
        if fresh:
            self._link.add_rows("objects", ("id", "type", "key"), fresh)
        return found, traits

    def _object(self, type_: str, key: str, fresh: list[tuple[int, int, str]]) -> int:
        """The number of an object, given now if it has none; it then stands in `fresh`, to be added by the caller."""
        if self._object_max is None:
            self._object_max = self._last(_LAST_OBJECT)
            # A first load would otherwise ask an empty table for each of its objects.
            self._empty = self._object_max == 0
        id_ = self.known_object(type_, key)
        if id_ is None:
            id_ = self._object_max = self._object_max + 1
            fresh.append((id_, self.name(type_), key))
            self._objects.setdefault(type_, {})[key] = id_
        return id_

    def _last(self, query: str) -> int:
        row = self._link.one(query)
        assert row is not None  # an aggregate has one row
        return int(row[0])
