"""Resources out of everybody's reach, decided as Check decides (semantics, "Nobody can reach").

networkx narrows, the walk decides: a digraph of everything below the candidates' roles shows which plain subjects
could reach each of them at all; these few are then asked about one by one.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from relgraph.answers import Orphan, OrphanClass, Verdict
from relgraph.engine.check import check
from relgraph.engine.conditions import Unconditional
from relgraph.engine.ground import Ground, edge_key
from relgraph.engine.scope import EverySubjectScope, SubjectScope
from relgraph.engine.sufficient import Sufficiency
from relgraph.engine.walk import Walk
from relgraph.rewrites.verdict import OPEN, REFUSED, YES
from relgraph.tuples import WILDCARD, Object, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import networkx

    from relgraph.engine.budget import Budget
    from relgraph.engine.program import Program
    from relgraph.engine.reader import Reader
    from relgraph.limits import Limits
    from relgraph.rewrites import Atom, Edge, Value

__all__ = ["find_orphans"]

_ASKERS_MAX = 64
"""Subjects whose walks are kept at once."""

_ORDER = (OrphanClass.NOBODY, OrphanClass.ONLY_CONDITIONAL, OrphanClass.ONLY_UNIVERSAL)
"""From the least to the most that anybody has."""


class _Universal(Unconditional):
    """A world in which every universal tuple has the same value, whatever it says."""

    def __init__(self, reader: Reader, value: Value) -> None:
        self._reader = reader
        self._value = value

    def value(self, edge: Edge, /) -> Value:
        """Return the value given for universal tuples, (YES, YES) for others."""
        return self._value if self._reader.object(edge.resource).id == WILDCARD else (YES, YES)


def find_orphans(
    program: Program,
    reader: Reader,
    budget: Budget,
    limits: Limits,
    candidates: Iterable[Object],
    plain_objects: Callable[[str], Iterable[Object]],
) -> Iterator[Orphan]:
    """Yield the candidates that nobody can reach, or only conditionally, or only through universal tuples.

    `plain_objects(type)` lists the named objects of a type. Candidates of types without roles and permissions are
    passed over: there is nothing to reach on them.
    """
    search = _Search(program, reader, budget, limits, plain_objects)
    for resource in sorted(set(candidates)):
        kind = search.kind_of(resource)
        if kind is not None:
            yield Orphan(resource, kind)


class _Asker:
    """One subject's walks, kept for the next candidates: with all universal tuples, with none, with any of them."""

    def __init__(self, scope: Callable[[], SubjectScope], reader: Reader) -> None:
        self._scope = scope
        self.walk = Walk(scope())
        self.without = Walk(scope(), _Universal(reader, REFUSED))
        self.whichever = Walk(scope(), _Universal(reader, OPEN))

    def exhaustive(self) -> Walk:
        """Return a fresh walk that reads everything."""
        return Walk(self._scope(), exhaustive=True)


class _Search:
    """One search: the digraph grows with the candidates, and walks are kept for the subjects met last.

    Whoever reaches one resource often reaches the next: the last one who did is asked first, before the digraph is.
    """

    def __init__(
        self,
        program: Program,
        reader: Reader,
        budget: Budget,
        limits: Limits,
        plain_objects: Callable[[str], Iterable[Object]],
    ) -> None:
        import networkx  # noqa: PLC0415  # 100 ms that only this question pays for

        self._networkx = networkx
        self._program = program
        self._reader = reader
        self._budget = budget
        self._limits = limits
        self._plain_objects = plain_objects
        self._scope = EverySubjectScope(program, reader, budget)
        self._graph: networkx.DiGraph[Atom | Object] = networkx.DiGraph()
        self._askers: OrderedDict[Object, _Asker] = OrderedDict()
        self._witness: Object | None = None

    def kind_of(self, resource: Object) -> OrphanClass | None:
        """Return how the resource is out of reach; None when somebody reaches it."""
        self._budget.renew()
        self._budget.tick()
        definition = self._program.schema.definition(resource.type)
        # Every stronger rung is an operand of the weakest: whoever reaches any of them reaches that one as well.
        names = definition.roles[-1:] or definition.rungs
        if not names:
            return None
        if self._witness is not None and self._reaches(self._witness, resource, names) is None:
            return None
        kind = OrphanClass.NOBODY
        for subject in self._subjects(resource, names):
            found = self._reaches(subject, resource, names)
            if found is None:
                self._witness = subject
                return None
            kind = max(kind, found, key=_ORDER.index)
        return kind

    def _reaches(self, subject: Object, resource: Object, names: tuple[str, ...]) -> OrphanClass | None:
        """Return None if the subject reaches the resource, else how it does not."""
        asker = self._asker(subject)
        kind = OrphanClass.NOBODY
        for name in names:
            verdict = check(asker.walk, resource, name)[0]
            if verdict is Verdict.YES:
                if self._holds_without_universal(asker, resource, name):
                    return None
                kind = OrphanClass.ONLY_UNIVERSAL
            elif verdict is not Verdict.NO:
                kind = max(kind, OrphanClass.ONLY_CONDITIONAL, key=_ORDER.index)
        return kind

    def _asker(self, subject: Object) -> _Asker:
        asker = self._askers.pop(subject, None)
        if asker is None:
            who = Subject(subject.type, subject.id)
            asker = _Asker(lambda: SubjectScope(self._program, self._reader, self._budget, who), self._reader)
        self._askers[subject] = asker
        if len(self._askers) > _ASKERS_MAX:
            self._askers.popitem(last=False)
        return asker

    def _subjects(self, resource: Object, names: tuple[str, ...]) -> Iterator[Object]:
        """Yield the plain subjects that a tuple below the names mentions or covers, nearest first."""
        seen: set[Object] = set()
        for name in names:
            root = self._scope.member(self._scope.number(resource), name)
            if root is None:
                continue
            self._grow(root)
            for _, node in self._networkx.bfs_edges(self._graph, root):
                self._budget.tick()
                if not isinstance(node, Object) or node in seen:
                    continue
                seen.add(node)
                if node.id != WILDCARD:
                    yield node
                    continue
                for covered in self._covered(node.type):
                    if covered not in seen:
                        seen.add(covered)
                        yield covered

    def _grow(self, root: Atom) -> None:
        """Add everything below `root` to the digraph: atoms lead to atoms and to the objects that tuples name."""
        if root in self._graph:
            return
        self._graph.add_node(root)
        agenda = [root]
        while agenda:
            atom = agenda.pop()
            self._budget.node()
            for term in atom.formula.terms(self._scope, atom.object):
                if term.atom is None and term.edge is not None:
                    self._graph.add_edge(atom, self._scope.object(term.edge.subject))
                elif term.atom is not None:
                    if term.atom not in self._graph:
                        agenda.append(term.atom)
                    self._graph.add_edge(atom, term.atom)

    def _covered(self, type_: str) -> Iterator[Object]:
        """Yield the subjects that a wildcard of the type stands for: a never-named one, then every named one."""
        named = set(self._plain_objects(type_))
        stranger = Object(type_, "=")
        while stranger in named:
            stranger = Object(type_, stranger.id + "=")
        yield stranger
        yield from sorted(named)

    def _holds_without_universal(self, asker: _Asker, resource: Object, name: str) -> bool:
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
        plain = frozenset(edge_key(edge) for edge in edges if self._reader.object(edge.resource).id != WILDCARD)
        return Sufficiency(ground, YES, self._limits.ways_work_max).sufficient(plain)
