"""The graph's copy of the store's numbers: names of types and relations, and objects, both ways.

Rule 1: only committed names enter (semantics, part two). Questions look up and never add.
Rule 2: entries are only ever added, so that readers need no lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.tuples import WILDCARD, Object

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Names"]


class Names:
    """Numbers of names and objects, as the store interned them."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._name_numbers: dict[str, int] = {}
        self._objects: dict[int, tuple[int, str]] = {}
        self._object_numbers: dict[int, dict[str, int]] = {}
        self._kinds: dict[tuple[int, int, bool], tuple[int, int, bool]] = {}
        self.name_max = 0
        self.object_max = 0

    def add_names(self, names: Iterable[tuple[int, str]]) -> None:
        """Learn (number, name) pairs of a committed revision."""
        for number, name in names:
            self._names[number] = name
            self._name_numbers[name] = number
            self.name_max = max(self.name_max, number)

    def add_objects(self, objects: Iterable[tuple[int, int, str]]) -> None:
        """Learn (number, type number, key) triples of a committed revision."""
        for number, type_number, key in objects:
            self._objects[number] = (type_number, key)
            self._object_numbers.setdefault(type_number, {})[key] = number
            self.object_max = max(self.object_max, number)

    def name(self, number: int) -> str:
        """Return the name of a number; KeyError for a stranger."""
        return self._names[number]

    def name_number(self, name: str) -> int | None:
        """Return the number of a type or relation name, or None."""
        return self._name_numbers.get(name)

    def object(self, number: int) -> Object:
        """Return the object of a number; KeyError for a stranger."""
        type_number, key = self._objects[number]
        return Object(self._names[type_number], key)

    def object_number(self, type_number: int, key: str) -> int | None:
        """Return the number of an object, or None."""
        keys = self._object_numbers.get(type_number)
        return None if keys is None else keys.get(key)

    def objects(self, type_number: int) -> list[int]:
        """Return the numbers of all objects of a type."""
        return list(self._object_numbers.get(type_number, {}).values())

    def kind_of(self, subject: int, relation: int) -> tuple[int, int, bool]:
        """Return an edge's kind of subject; the same tuple for all of a kind, since there is one for each edge."""
        type_number, key = self._objects[subject]
        kind = (type_number, relation, key == WILDCARD)
        return self._kinds.setdefault(kind, kind)

    def type_of(self, number: int) -> int:
        """Return the type's number of an object; KeyError for a stranger."""
        return self._objects[number][0]
