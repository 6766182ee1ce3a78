"""Expand: how a permission or relation comes about, whoever asks, as a flat list of nodes.

Every node stands once, however many nodes lead to it, so a diamond of 2^40 paths is a short list; a node that is
reached again from below itself is marked as a cycle. No operand and no tuple is left out: one that an arrow follows to
where there is no such name leads to `nil`. A userset is a tuple like any other, and is opened, as a node of its own, on
request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.answers import ExpandNode
from relgraph.engine.scope import EverySubjectScope

if TYPE_CHECKING:
    from relgraph.rewrites import Atom, Edge
    from relgraph.tuples import Object

__all__ = ["ExpandScope", "expand"]


class ExpandScope(EverySubjectScope):
    """The world as an expansion tells it: where there is no such name, there is nobody."""

    def member(self, object_: int, name: str) -> Atom:
        """Return the atom of membership in `object#name`, or that of nobody."""
        return super().member(object_, name) or self.nobody(object_)


class _Node:
    """A node being filled: its tuples and the atoms below it."""

    __slots__ = ("below", "cycle", "edges", "number", "open")

    def __init__(self, number: int, edges: list[Edge], below: list[Atom]) -> None:
        self.number = number
        self.edges = edges
        self.below = below
        self.open = True
        self.cycle = False


def expand(scope: ExpandScope, resource: Object, name: str, *, usersets: bool) -> tuple[ExpandNode, ...]:
    """Return the nodes of `resource#name`, node 0 first; with `usersets`, those of every userset in it as well.

    The name was checked before.
    """
    root = scope.member(scope.number(resource), name)
    nodes = {root: _node(scope, root, 0, usersets=usersets)}
    path = [(nodes[root], iter(nodes[root].below))]
    while path:
        node, below = path[-1]
        atom = next(below, None)
        if atom is None:
            node.open = False
            path.pop()
        elif atom in nodes:
            nodes[atom].cycle |= nodes[atom].open
        else:
            nodes[atom] = _node(scope, atom, len(nodes), usersets=usersets)
            path.append((nodes[atom], iter(nodes[atom].below)))
    return tuple(
        ExpandNode(
            kind=atom.formula.label,
            object=scope.object(atom.object),
            text=atom.formula.text(),
            tuples=tuple(scope.tuple(edge) for edge in node.edges),
            children=tuple(nodes[child].number for child in node.below),
            cycle=node.cycle,
        )
        for atom, node in nodes.items()
    )


def _node(scope: ExpandScope, atom: Atom, number: int, *, usersets: bool) -> _Node:
    scope.budget.node()
    closed = atom.formula.label == "relation" and not usersets
    edges: list[Edge] = []
    below: list[Atom] = []
    for term in atom.formula.terms(scope, atom.object):
        if term.edge is not None:
            edges.append(term.edge)
        if term.atom is not None and not closed:
            below.append(term.atom)
    return _Node(number, edges, below)
