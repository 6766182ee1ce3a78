"""Resources out of everybody's reach, decided as Check decides (semantics, "Nobody can reach").

networkx narrows, the walk decides: a digraph of everything below the candidates' roles (`below`) shows which plain
subjects could reach each of them at all; these few are then asked about one by one.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import chain, islice
from typing import TYPE_CHECKING

from relgraph.answers import Orphan, OrphanClass, Verdict
from relgraph.engine.below import Below
from relgraph.engine.check import check
from relgraph.engine.conditions import Unconditional
from relgraph.engine.ground import Ground, edge_key
from relgraph.engine.scope import EverySubjectScope, SubjectScope
from relgraph.engine.sufficient import Sufficiency
from relgraph.engine.walk import Walk
from relgraph.rewrites.verdict import OPEN, REFUSED, YES, weaker
from relgraph.tuples import WILDCARD, Object, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from relgraph.engine.program import Program
    from relgraph.engine.scope import World
    from relgraph.limits import Limits
    from relgraph.rewrites import Atom, Edge, Value

__all__ = ["find_orphans"]

_ASKERS_MAX = 64
"""Subjects whose walks are kept at once."""

_AT_ONCE_MAX = 1_000
"""Candidates whose digraph is held at once."""

_ORDER = (OrphanClass.NOBODY, OrphanClass.ONLY_CONDITIONAL, OrphanClass.ONLY_UNIVERSAL)
"""From the least to the most that anybody has."""


class _Universal:
    """A world in which every universal tuple is there to the same degree."""

    def __init__(self, scope: SubjectScope, there: Value) -> None:
        self._reader = scope.reader
        self._conditions = scope.conditions or Unconditional()
        self._there = there

    def presence(self, edge: Edge, /) -> Value:
        """Return the degree given for universal tuples, (YES, YES) for others."""
        return self._there if self._reader.object(edge.resource).id == WILDCARD else (YES, YES)

    def value(self, edge: Edge, /) -> Value:
        """Return presence AND the condition's value."""
        return weaker(self.presence(edge), self._conditions.value(edge))

    def missing(self, edge: Edge, /) -> frozenset[str]:
        """Return the names that the condition lacks."""
        return self._conditions.missing(edge)


def find_orphans(
    world: World,
    limits: Limits,
    candidates: Iterable[Object],
    plain_objects: Callable[[str], Iterable[Object]],
) -> Iterator[Orphan]:
    """Yield the candidates that nobody can reach, or only conditionally, or only through universal tuples.

    `plain_objects(type)` lists the named objects of a type. Candidates of types without roles and permissions are
    passed over: there is nothing to reach on them.
    """
    askers = _Askers(world)
    ordered = iter(sorted(set(candidates)))
    # A digraph of everything would not fit: one for some candidates at a time does.
    while some := list(islice(ordered, _AT_ONCE_MAX)):
        scope = EverySubjectScope(world)
        roots = {resource: _roots(scope, resource) for resource in some}
        below = Below(scope, plain_objects)
        below.grow(roots.values())
        for resource in some:
            world.budget.renew()
            kind = askers.kind_of(resource, below.subjects(roots[resource]), limits)
            if kind is not None:
                yield Orphan(resource, kind)


class _Asker:
    """One subject's walks, kept for the next candidates: with all universal tuples, with none, with any of them."""

    def __init__(self, scope: Callable[[], SubjectScope]) -> None:
        self._scope = scope
        self.walk = Walk(scope())
        self.without = self._with_universal(REFUSED)
        self.whichever = self._with_universal(OPEN)

    def _with_universal(self, there: Value) -> Walk:
        scope = self._scope()
        return Walk(scope, _Universal(scope, there))

    def exhaustive(self) -> Walk:
        """Return a fresh walk that reads everything."""
        return Walk(self._scope(), exhaustive=True)


class _Askers:
    """Decides, by asking subjects one by one; keeps the walks of those asked last.

    Whoever reaches one resource often reaches the next: the last one who did is asked first.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._askers: OrderedDict[Object, _Asker] = OrderedDict()
        self._witness: Object | None = None

    def kind_of(self, resource: Object, subjects: Iterable[Object], limits: Limits) -> OrphanClass | None:
        """Return how the resource is out of the subjects' reach; None when one of them reaches it."""
        names = _names(self._world.program, resource)
        if not names:
            return None
        kind = OrphanClass.NOBODY
        first = () if self._witness is None else (self._witness,)
        for subject in chain(first, subjects):
            self._world.budget.tick()
            found = self._reaches(subject, resource, names, limits)
            if found is None:
                self._witness = subject
                return None
            kind = max(kind, found, key=_ORDER.index)
        return kind

    def _reaches(self, subject: Object, resource: Object, names: tuple[str, ...], limits: Limits) -> OrphanClass | None:
        """Return None if the subject reaches the resource, else how it does not."""
        asker = self._asker(subject)
        kind = OrphanClass.NOBODY
        for name in names:
            verdict = check(asker.walk, resource, name)[0]
            if verdict is Verdict.YES:
                if self._holds_without_universal(asker, resource, name, limits):
                    return None
                kind = OrphanClass.ONLY_UNIVERSAL
            elif verdict is not Verdict.NO:
                kind = max(kind, OrphanClass.ONLY_CONDITIONAL, key=_ORDER.index)
        return kind

    def _asker(self, subject: Object) -> _Asker:
        asker = self._askers.pop(subject, None)
        if asker is None:
            who = Subject(subject.type, subject.id)
            asker = _Asker(lambda: SubjectScope(self._world, who))
        self._askers[subject] = asker
        if len(self._askers) > _ASKERS_MAX:
            self._askers.popitem(last=False)
        return asker

    def _holds_without_universal(self, asker: _Asker, resource: Object, name: str, limits: Limits) -> bool:
        """Return whether a way without universal tuples exists: the others suffice, whichever universal ones stay."""
        if check(asker.without, resource, name)[0] is not Verdict.YES:
            return False
        if check(asker.whichever, resource, name)[0] is Verdict.YES:
            return True
        walk = asker.exhaustive()
        root = walk.scope.member(walk.scope.number(resource), name)
        if root is None:
            return False
        walk.value(root)
        ground = Ground(walk, root)
        edges = ground.edges(ground.equations)
        reader = self._world.reader
        plain = frozenset(edge_key(edge) for edge in edges if reader.object(edge.resource).id != WILDCARD)
        return Sufficiency(ground, YES, limits.ways_work_max).sufficient(plain)


def _roots(scope: EverySubjectScope, resource: Object) -> list[Atom]:
    number = scope.number(resource)
    found = (scope.member(number, name) for name in _names(scope.program, resource))
    return [root for root in found if root is not None]


def _names(program: Program, resource: Object) -> tuple[str, ...]:
    """Return the names to ask about: the weakest rung, since who reaches a stronger one reaches it too, or all."""
    definition = program.schema.definition(resource.type)
    return definition.roles[-1:] or definition.rungs
