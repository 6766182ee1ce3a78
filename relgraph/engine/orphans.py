"""Resources out of everybody's reach, decided as Check decides (semantics, "Nobody can reach").

networkx narrows, the walk decides: a digraph of everything below the candidates' roles shows which plain subjects
could reach each of them at all; these few are then asked about one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.answers import Orphan, OrphanClass, Verdict
from relgraph.engine.check import check
from relgraph.engine.conditions import Unconditional
from relgraph.engine.proofs import below, edge_key
from relgraph.engine.scope import EverySubjectScope, SubjectScope
from relgraph.engine.sufficient import Sufficiency
from relgraph.engine.walk import Walk
from relgraph.rewrites.verdict import OPEN, YES
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


class _WithoutUniversal(Unconditional):
    """A world in which universal tuples may or may not be there."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def value(self, edge: Edge, /) -> Value:
        """Return (NO, YES) for a universal tuple."""
        return OPEN if self._reader.object(edge.resource).id == WILDCARD else (YES, YES)


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


class _Search:
    """One search: the digraph grows with the candidates, and one walk is kept for each subject met."""

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
        self._walks: dict[Object, Walk] = {}

    def kind_of(self, resource: Object) -> OrphanClass | None:
        """Return how the resource is out of reach; None when somebody reaches it."""
        self._budget.renew()
        definition = self._program.schema.definition(resource.type)
        names = definition.roles or tuple(definition.permissions)
        if not names:
            return None
        kind = OrphanClass.NOBODY
        for subject in self._subjects(resource, names):
            for name in names:
                verdict = check(self._walk(subject), resource, name)[0]
                if verdict is Verdict.YES:
                    if self._holds_without_universal(subject, resource, name):
                        return None
                    kind = OrphanClass.ONLY_UNIVERSAL
                elif verdict is not Verdict.NO and kind is OrphanClass.NOBODY:
                    kind = OrphanClass.ONLY_CONDITIONAL
        return kind

    def _walk(self, subject: Object) -> Walk:
        if subject not in self._walks:
            self._walks[subject] = Walk(self._subject_scope(subject))
        return self._walks[subject]

    def _subject_scope(self, subject: Object) -> SubjectScope:
        return SubjectScope(self._program, self._reader, self._budget, Subject(subject.type, subject.id))

    def _subjects(self, resource: Object, names: tuple[str, ...]) -> list[Object]:
        """Return the plain subjects that a tuple below the names mentions or covers, nearest first."""
        roots = [self._scope.member(self._scope.number(resource), name) for name in names]
        found: dict[Object, None] = {}
        for root in roots:
            if root is None:
                continue
            self._grow(root)
            for node in self._networkx.bfs_tree(self._graph, root):
                if not isinstance(node, Object):
                    continue
                found.update(dict.fromkeys(self._covered(node.type) if node.id == WILDCARD else (node,)))
        return list(found)

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

    def _holds_without_universal(self, subject: Object, resource: Object, name: str) -> bool:
        """Return whether a way without universal tuples exists: the others suffice, whichever universal ones stay."""
        walk = Walk(self._subject_scope(subject), _WithoutUniversal(self._reader), exhaustive=True)
        root = walk.scope.member(walk.scope.number(resource), name)
        if root is None:
            return False
        value = walk.value(root)
        if value[0] == value[1]:
            return value[0] == YES
        plain = Walk(self._subject_scope(subject), exhaustive=True)
        plain.value(root := plain.scope.member(plain.scope.number(resource), name) or root)
        sufficiency = Sufficiency(plain, root, below(plain, root), YES, self._limits.ways_work_max)
        return sufficiency.sufficient(
            frozenset(
                edge_key(term.edge)
                for atom in below(plain, root)
                for term in plain.equations[atom].terms
                if term.edge is not None and self._reader.object(term.edge.resource).id != WILDCARD
            )
        )
