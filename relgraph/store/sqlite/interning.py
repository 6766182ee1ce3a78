"""Names and objects become numbers, inside one transaction.

Rule 1: what is learnt here dies with the transaction. A rolled-back number is given again to something else, so
nothing outside may remember a number before the commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from relgraph.store.base import NO_RELATION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relgraph.store.sqlite.link import Link
    from relgraph.tuples import RelationTuple

__all__ = ["Interner", "Numbers"]

_FIND_NAME = "SELECT id FROM names WHERE name = ?"
_ADD_NAME = "INSERT INTO names(name) VALUES (?)"
_FIND_OBJECT = "SELECT id FROM objects WHERE type = ? AND key = ?"
_ADD_OBJECT = "INSERT INTO objects(type, key) VALUES (?, ?)"
_ADD_OBJECTS = "INSERT INTO objects(id, type, key) VALUES (?, ?, ?)"
_LAST_OBJECT = "SELECT coalesce(max(id), 0) FROM objects"


Numbers: TypeAlias = tuple[int, int, int, int]
"""A tuple's key in numbers: (resource, relation, subject, subject_relation), in the order of the primary key."""


class Interner:
    """Finds and gives numbers through the link of a transaction."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._names: dict[str, int] = {"": NO_RELATION}
        self._objects: dict[str, dict[str, int]] = {}

    def name(self, name: str) -> int:
        """The number of a name, given now if it has none. The empty name is "no relation"."""
        id_ = self._known_name(name)
        if id_ is None:
            id_ = self._names[name] = self._link.run(_ADD_NAME, (name,))
        return id_

    def key(self, tuple_: RelationTuple) -> Numbers:
        """The tuple in numbers, giving those that are missing."""
        resource, subject = tuple_.resource, tuple_.subject
        return (
            self._object(resource.type, resource.id),
            self.name(tuple_.relation),
            self._object(subject.type, subject.id),
            self.name(subject.relation),
        )

    def known_key(self, tuple_: RelationTuple) -> Numbers | None:
        """The tuple in numbers, or None when it names something that has none: then it cannot be living."""
        resource = self.known_object(tuple_.resource.type, tuple_.resource.id)
        relation = self._known_name(tuple_.relation)
        subject = self.known_object(tuple_.subject.type, tuple_.subject.id)
        subject_relation = self._known_name(tuple_.subject.relation)
        if resource is None or relation is None or subject is None or subject_relation is None:
            return None
        return (resource, relation, subject, subject_relation)

    def keys(self, tuples: Iterable[RelationTuple]) -> tuple[list[Numbers], list[int | None]]:
        """Many tuples in numbers, in their order, and when each expires; new objects are added together at the end.

        The dictionaries are looked into here, not through methods: three calls a tuple would double the time.
        """
        names, objects, fresh = self._names, self._objects, _Fresh(self, self._link)
        found: list[Numbers] = []
        expirations: list[int | None] = []
        for tuple_ in tuples:
            resource, relation, subject = tuple_.resource, tuple_.relation, tuple_.subject
            subject_relation = subject.relation
            try:
                resource_id = objects[resource.type][resource.id]
            except KeyError:
                resource_id = fresh.object(resource.type, resource.id)
            try:
                subject_id = objects[subject.type][subject.id]
            except KeyError:
                subject_id = fresh.object(subject.type, subject.id)
            try:
                found.append((resource_id, names[relation], subject_id, names[subject_relation]))
            except KeyError:
                found.append((resource_id, self.name(relation), subject_id, self.name(subject_relation)))
            expirations.append(None if tuple_.expires_at is None else tuple_.expires)
        self._link.run_many(_ADD_OBJECTS, fresh.rows)
        return found, expirations

    def _known_name(self, name: str) -> int | None:
        id_ = self._names.get(name)
        if id_ is None:
            row = self._link.one(_FIND_NAME, (name,))
            if row is not None:
                id_ = self._names[name] = int(row[0])
        return id_

    def _object(self, type_: str, key: str) -> int:
        id_ = self.known_object(type_, key)
        if id_ is None:
            id_ = self._link.run(_ADD_OBJECT, (self.name(type_), key))
            self._objects.setdefault(type_, {})[key] = id_
        return id_

    def known_object(self, type_: str, key: str) -> int | None:
        """The number of an object, or None when it has none."""
        known = self._objects.setdefault(type_, {})
        id_ = known.get(key)
        if id_ is None:
            type_id = self._known_name(type_)
            row = None if type_id is None else self._link.one(_FIND_OBJECT, (type_id, key))
            if row is not None:
                id_ = known[key] = int(row[0])
        return id_

    def learn(self, type_: str, key: str, id_: int) -> None:
        """Remember the number that an object got elsewhere in this transaction."""
        self._objects.setdefault(type_, {})[key] = id_


class _Fresh:
    """New objects of a bulk load: numbered here instead of one by one in SQLite, and added by the caller."""

    def __init__(self, interner: Interner, link: Link) -> None:
        self._interner = interner
        row = link.one(_LAST_OBJECT)
        self._before = self._last = int(row[0]) if row else 0
        self.rows: list[tuple[int, int, str]] = []

    def object(self, type_: str, key: str) -> int:
        """The number of an object that was not met before in this transaction."""
        known = self._interner.known_object(type_, key) if self._before else None
        if known is not None:
            return known
        self._last += 1
        self.rows.append((self._last, self._interner.name(type_), key))
        self._interner.learn(type_, key, self._last)
        return self._last
