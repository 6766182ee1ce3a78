"""Lookups: what of a type a subject has a name on, and who of a type has a name on a resource.

An answer is the verdict for everything that nothing names, and each named id whose verdict, or whose missing names,
are others (semantics, "Names").

Rule 1: candidates are found by walking toward the answer (`above`, `crowd`), and may be too many but never too few.
Every one of them is then decided by the walk that decides checks, so a lookup cannot say anything else than Check.
Rule 2: what cannot be told in full is an error. A limit that is hit ends the lookup; nothing is left out.
Rule 3: finding candidates may spend what one question may, and so may deciding each of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from relgraph.answers import Verdict
from relgraph.engine.above import above
from relgraph.engine.check import check
from relgraph.engine.crowd import Crowd
from relgraph.engine.scope import SubjectScope
from relgraph.engine.walk import Walk
from relgraph.tuples import Object, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.engine.budget import Budget
    from relgraph.engine.conditions import Conditions
    from relgraph.engine.crowd import Alike
    from relgraph.engine.scope import World

__all__ = ["Listing", "Row", "Told", "resources", "subjects"]

_STRANGER = "?"
"""No id is spelled so: nothing names it, in tuples or questions."""

Told = tuple[Verdict, tuple[str, ...]]
"""A verdict, and what it lacks if it is CONDITIONAL."""


class Row(NamedTuple):
    """An id and what is told of it."""

    id: str
    told: Told


class Listing(ABC):
    """A lookup whose candidates are found; each is decided when it is listed.

    `everyone` is told of whatever nothing names.
    """

    def __init__(self, budget: Budget, everyone: Told, ids: list[str]) -> None:
        self._budget = budget
        self._ids = ids
        self.everyone = everyone

    def rows(self, after: str = "") -> Iterator[Row]:
        """Yield the named ids of which something else is told than of everyone, in order, those behind `after`."""
        return (row for row in self.named(after) if row.told != self.everyone)

    def named(self, after: str = "") -> Iterator[Row]:
        """Yield every candidate, whatever is told of it, in order, those behind `after`."""
        for place in range(bisect_right(self._ids, after), len(self._ids)):
            self._budget.renew()
            id_ = self._ids[place]
            yield Row(id_, self._told(id_))

    @abstractmethod
    def _told(self, id_: str) -> Told:
        """Decide one candidate."""


class _Resources(Listing):
    """Resources, decided by one walk."""

    def __init__(self, walk: Walk, type_: str, name: str) -> None:
        self._walk, self._type, self._name = walk, type_, name
        scope = walk.scope
        everyone = check(walk, Object(type_, _STRANGER), name)
        found = above(scope, type_, name)
        super().__init__(scope.budget, everyone, sorted(scope.object(number).id for number in found))

    def _told(self, id_: str) -> Told:
        return check(self._walk, Object(self._type, id_), self._name)


class _Subjects(Listing):
    """Subjects, decided by a walk for each kind of them that is alike."""

    def __init__(
        self, world: World, conditions: Conditions | None, resource: Object, name: str, kind: tuple[str, str]
    ) -> None:
        self._world, self._conditions = world, conditions
        self._resource, self._name, self._kind = resource, name, kind
        self._decided: dict[Alike, Told] = {}
        self._crowd = Crowd(world, conditions, *kind)
        self._crowd.read(resource, name)
        self._alike = {self._crowd.object(number).id: alike for number, alike in self._crowd.members.items()}
        super().__init__(world.budget, self._asked(_STRANGER, ()), sorted(self._alike))

    def _told(self, id_: str) -> Told:
        alike = self._alike[id_]
        told = self._decided.get(alike)
        if told is None:
            told = self._decided[alike] = self._asked(id_, alike)
        return told

    def _asked(self, id_: str, alike: Alike) -> Told:
        type_, relation = self._kind
        scope = SubjectScope(self._world, Subject(type_, id_, relation))
        return check(Walk(scope, self._conditions, known=self._crowd.known(alike)), self._resource, self._name)


def resources(walk: Walk, type_: str, name: str) -> Listing:
    """Return what of a type the walk's subject has `name` on. The names were checked before."""
    return _Resources(walk, type_, name)


def subjects(
    world: World, conditions: Conditions | None, resource: Object, name: str, type_: str, relation: str = ""
) -> Listing:
    """Return who has `resource#name`: objects of a type, or `relation` of each. The names were checked before."""
    return _Subjects(world, conditions, resource, name, (type_, relation))
