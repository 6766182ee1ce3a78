"""What lies below some atoms: which plain subjects the tuples name or cover there, whoever asks.

Whoever is not among them is in none of these atoms, since without a tuple, a wildcard or `self` that is about a subject
every equation comes out NO.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.tuples import WILDCARD, Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import networkx

    from relgraph.engine.scope import EverySubjectScope
    from relgraph.rewrites import Atom

__all__ = ["Below"]

_FEW_MAX = 32
"""Subjects noted for each node; where there are more, they are searched for when they are wanted."""


class Below:
    """The digraph of everything below some atoms. `plain_objects(type)` lists the named objects of a type."""

    def __init__(self, scope: EverySubjectScope, plain_objects: Callable[[str], Iterable[Object]]) -> None:
        import networkx  # noqa: PLC0415  # 100 ms that only these questions pay for

        self._networkx = networkx
        self._budget = scope.budget
        self._plain_objects = plain_objects
        self._scope = scope
        self._graph: networkx.DiGraph[Atom | Object] = networkx.DiGraph()
        self._few: dict[Atom | Object, frozenset[Object] | None] = {}

    def grow(self, groups: Iterable[Iterable[Atom]]) -> None:
        """Add everything below some groups of atoms: atoms lead to atoms, and to the objects that tuples name.

        So does `self`, to its object. Each group may spend what one question may.
        """
        agenda: list[Atom] = []
        ties: list[tuple[Atom, Atom | Object]] = []
        for group in groups:
            self._budget.renew()
            agenda.extend(group)
            while agenda:
                atom = agenda.pop()
                if atom in self._graph:
                    continue
                self._budget.node()
                self._graph.add_node(atom)
                for term in atom.formula.terms(self._scope, atom.object):
                    if term.atom is not None:
                        agenda.append(term.atom)
                        ties.append((atom, term.atom))
                    else:
                        named = atom.object if term.edge is None else term.edge.subject
                        ties.append((atom, self._scope.object(named)))
        # Only now: an edge would have added its far node, as if that had been read.
        self._graph.add_edges_from(ties)
        self._collect()

    def _collect(self) -> None:
        """Note the objects below each node where they are few, component by component, from the far end."""
        self._budget.tick()
        components = self._networkx.condensation(self._graph)
        for number in reversed(list(self._networkx.topological_sort(components))):
            self._budget.tick()
            members = components.nodes[number]["members"]
            found: set[Object] | None = {member for member in members if isinstance(member, Object)}
            for below in components.successors(number):
                few = self._few[next(iter(components.nodes[below]["members"]))]
                found = None if found is None or few is None else found | few
                if found is not None and len(found) > _FEW_MAX:
                    found = None
            kept = None if found is None else frozenset(found)
            self._few.update(dict.fromkeys(members, kept))

    def subjects(self, roots: Iterable[Atom]) -> Iterator[Object]:
        """Yield the plain subjects that tuples below the roots name or cover; near ones first if many."""
        seen: set[Object] = set()
        for root in roots:
            few = self._few[root]
            for named in self._far(root) if few is None else sorted(few):
                for subject in self._covered(named.type) if named.id == WILDCARD else (named,):
                    if subject not in seen:
                        seen.add(subject)
                        yield subject

    def _far(self, root: Atom) -> Iterator[Object]:
        for _, node in self._networkx.bfs_edges(self._graph, root):
            self._budget.tick()
            if isinstance(node, Object):
                yield node

    def _covered(self, type_: str) -> Iterator[Object]:
        """Yield the subjects that a wildcard of the type stands for: a never-named one, then every named one."""
        named = set(self._plain_objects(type_))
        stranger = Object(type_, "=")
        while stranger in named:
            stranger = Object(type_, stranger.id + "=")
        yield stranger
        yield from sorted(named)
