"""Questions about all the objects there are: which of them nobody can reach, and which lead back to themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.answers import Cycles, Orphans
from relgraph.engine import find_cycles, find_orphans
from relgraph.tuples import Object

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relgraph.api.following import Pinned
    from relgraph.engine import World
    from relgraph.limits import Limits
    from relgraph.store.base import Snapshot

__all__ = ["Survey"]


class Survey:
    """The objects of the kept history up to a revision, and the candidates that were named besides.

    Raises UnknownDefinition for a type that the schema lacks.
    """

    def __init__(
        self,
        pinned: Pinned,
        snapshot: Snapshot,
        world: World,
        candidates: Iterable[str | Object],
        types: Iterable[str],
    ) -> None:
        self._pinned = pinned
        self._world = world
        schema = pinned.rules.schema
        self._types = set(types)
        for type_ in self._types:
            schema.definition(type_)
        self._named: dict[str, set[Object]] = {}
        for type_number, key in snapshot.objects_in_history(pinned.revision.number):
            world.budget.tick()
            type_ = snapshot.name(type_number)
            self._named.setdefault(type_, set()).add(Object(type_, key))
        self._asked = {Object.of(each) for each in candidates}
        for each in self._asked:
            schema.definition(each.type)
            self._named.setdefault(each.type, set()).add(each)
        for type_ in schema.definitions:
            if type_ in self._types or not self._types:
                self._asked |= self._named.get(type_, set())

    def _plain_objects(self, type_: str) -> Iterable[Object]:
        return self._named.get(type_, ())

    def orphans(self, limits: Limits) -> Orphans:
        """Return those that nobody can reach, or only conditionally, or only through universal tuples."""
        found = find_orphans(self._world, limits, self._asked, self._plain_objects)
        return Orphans(tuple(found), self._pinned.revision.number, self._pinned.token)

    def cycles(self) -> Cycles:
        """Return the cycles that one of them is in."""
        found = find_cycles(self._world, self._asked, self._plain_objects)
        wanted = tuple(each for each in found if any(name.object in self._asked for name in each.names))
        return Cycles(wanted, self._pinned.revision.number, self._pinned.token)
