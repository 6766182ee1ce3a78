"""An oracle's world put into the engine below the API: stale tuples, conditions and all.

`EngineWorld` numbers the names itself, as a store would, and gives the engine a graph of them.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING

from relgraph import engine
from relgraph.graph import Graph
from relgraph.limits import Limits
from relgraph.rewrites import CONDITIONAL, NO, YES
from relgraph.schema import parse
from relgraph.store.base import EMPTY, Image, NumberedRow
from relgraph.tuples import Object, Subject
from tests.worlds import schema_text

if TYPE_CHECKING:
    from relgraph.answers import ExpandNode
    from relgraph.rewrites import Edge, Value
    from tests.oracle import Verdict, World

__all__ = ["EngineWorld", "WorldConditions"]

_LEVELS = {"no": (NO, NO), "yes": (YES, YES), "conditional": (CONDITIONAL, CONDITIONAL), "failed": (NO, YES)}


class WorldConditions:
    """The tuples' conditions as the world gives them."""

    def __init__(self, verdicts: dict[tuple[int, int, int, int], Verdict]) -> None:
        self._verdicts = verdicts

    def presence(self, edge: Edge, /) -> Value:  # noqa: ARG002  # the world as it is
        """Return (YES, YES)."""
        return YES, YES

    def value(self, edge: Edge, /) -> Value:
        """Return the condition's value."""
        return _LEVELS[self._verdicts[_key(edge)].kind]

    def missing(self, edge: Edge, /) -> frozenset[str]:
        """Return what the condition lacks."""
        return self._verdicts[_key(edge)].missing


class EngineWorld:
    """The engine over one world."""

    def __init__(self, world: World) -> None:
        self.limits = Limits()
        self._now = world.now
        self._objects: dict[tuple[int, str], int] = {}
        # Names of stale tuples get numbers of their own, behind those of the schema.
        self.program, numbers = _compiled(schema_text(world.schema))
        self._names = dict(numbers)
        verdicts = {}
        rows = []
        for entry in world.tuples:
            row = NumberedRow(
                self._object(entry.resource.type, entry.resource.id),
                self._name(entry.relation),
                self._object(entry.subject.type, entry.subject.id),
                self._name(entry.subject.relation) if entry.subject.relation else 0,
                *(1, None, 0, entry.expires),
            )
            rows.append(row)
            verdicts[_key(row)] = entry.condition
        objects = [(number, type_, key) for (type_, key), number in self._objects.items()]
        names = [(number, name) for name, number in self._names.items()]
        self.graph = Graph(Image(EMPTY, names, iter(objects), iter(r._replace(created=0) for r in rows), ()))
        # As in a store without caveats, where the walk does not ask.
        conditional = any(verdict.kind != "yes" for verdict in verdicts.values())
        self.conditions = WorldConditions(verdicts) if conditional else None

    def _name(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names) + 1)

    def _object(self, type_: str, key: str) -> int:
        return self._objects.setdefault((self._name(type_), key), len(self._objects) + 1)

    def world(self) -> engine.World:
        """Return what a request is answered from, with a fresh allowance."""
        view = self.graph.view()
        assert view is not None
        return engine.World(self.program, view, engine.Budget(self.limits, time.monotonic), self._now)

    def walk(
        self, subject: str, *, exhaustive: bool = False, flattens: bool = True, searches: bool = True
    ) -> engine.Walk:
        """Return a fresh walk for one subject."""
        scope = engine.SubjectScope(self.world(), Subject.parse(subject), flattens=flattens)
        return engine.Walk(scope, self.conditions, exhaustive=exhaustive, searches=searches)

    def expanded(self, resource: object, name: str) -> tuple[ExpandNode, ...]:
        """Return the expansion of a name, its usersets opened."""
        return engine.expand(self.every_subject(), self.object(resource), name, usersets=True)

    def every_subject(self) -> engine.ExpandScope:
        """Return a scope for expanding."""
        return engine.ExpandScope(self.world())

    @staticmethod
    def object(text: object) -> Object:
        """Return the engine's object for the oracle's."""
        return Object.parse(str(text))


@lru_cache(maxsize=64)
def _compiled(text: str) -> tuple[engine.Program, dict[str, int]]:
    """Return a schema's program, and the numbers of its names, once for many worlds."""
    schema = parse(text)
    numbers: dict[str, int] = {}
    for definition in schema.definitions.values():
        for name in (definition.name, *definition.names()):
            numbers.setdefault(name, len(numbers) + 1)
    return engine.Program(schema, numbers.get), numbers


def _key(edge: Edge | NumberedRow) -> tuple[int, int, int, int]:
    return edge.resource, edge.relation, edge.subject, edge.subject_relation
