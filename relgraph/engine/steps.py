"""A way told in steps: from the tuples it needs to the role it gives, as a flat list, and in a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.answers import Step, Way
from relgraph.engine.proofs import NOTHING, Operand
from relgraph.errors import RelgraphError
from relgraph.tuples import WILDCARD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relgraph.engine.proofs import ProofGraph
    from relgraph.engine.walk import Walk
    from relgraph.rewrites import Edge
    from relgraph.tuples import RelationTuple

__all__ = ["way_of"]


def way_of(walk: Walk, graph: ProofGraph, role: str, tuples: Iterable[RelationTuple]) -> Way:
    """Return the way of `tuples`, told by the shortest derivation over `graph`, which has only those tuples.

    Tuples that merely keep an excluded side from holding belong to the way but to no step.
    """
    used = graph.shortest()
    if used is None:
        raise RelgraphError("a way has no derivation; please report this as a defect of relgraph")
    teller = _Teller(walk, graph, used)
    teller.tell()
    return Way(role, tuple(sorted(tuples)), tuple(teller.steps), teller.via())


class _Teller:
    """Turns a derivation into steps: one for each named atom, and for each operator that needs several operands."""

    def __init__(self, walk: Walk, graph: ProofGraph, used: dict[int, list[Operand]]) -> None:
        self._walk = walk
        self._graph = graph
        self._used = used
        self.steps: list[Step] = []
        self._inherited: list[str] = []
        self._through: list[str] = []
        self._universal = False
        self._wildcard = False
        self._identity = False

    def tell(self) -> None:
        """Fill `steps`, the conclusion first; a node that is used twice stands once."""
        numbers = {0: 0}
        for node in (agenda := [0]):
            last, operands = self._collapsed(node)
            children = []
            for operand in operands:
                if operand.node == NOTHING:
                    continue
                if operand.node not in numbers:
                    numbers[operand.node] = len(agenda)
                    agenda.append(operand.node)
                children.append(numbers[operand.node])
            edge = next((self._graph.edges[each.edge] for each in operands if each.edge != NOTHING), None)
            fact = None if edge is None else self._walk.scope.tuple(edge)
            self.steps.append(Step(self._claim(node), self._rule(last, edge, operands), tuple(children), fact))

    def _collapsed(self, node: int) -> tuple[int, list[Operand]]:
        """Follow single operands without a tuple down to where something is said: a tuple, a name, or several."""
        while True:
            operands = self._used[node]
            if len(operands) != 1 or operands[0].edge != NOTHING or operands[0].node == NOTHING:
                return node, operands
            below = operands[0].node
            if self._graph.atoms[below].formula.label in ("relation", "permission"):
                return node, operands
            node = below

    def _claim(self, node: int) -> str:
        atom = self._graph.atoms[node]
        object_ = self._walk.scope.object(atom.object)
        if atom.formula.label in ("relation", "permission"):
            # The text of a permission goes on with its expression; the claim is its name.
            return f"{object_}#{atom.formula.text().partition(' ')[0]}"
        return f"{object_}: {atom.formula.text()}"

    def _rule(self, node: int, edge: Edge | None, operands: list[Operand]) -> str:
        label = self._graph.atoms[node].formula.label
        if edge is None:
            if not operands or operands[0] == Operand(NOTHING, NOTHING):
                self._identity = True
                return "identity"
            return label
        scope = self._walk.scope
        fact = scope.tuple(edge)
        self._universal |= fact.universal
        if label != "relation":
            # Only relations and arrows read tuples, and an arrow within a union may stand in the union's place.
            self._inherited.append(str(fact.subject.object))
            return "arrow"
        if fact.subject.id == WILDCARD:
            self._wildcard = True
            return "wildcard"
        if operands[0].node != NOTHING:
            self._through.append(str(fact.subject))
            return "userset"
        return "tuple"

    def via(self) -> str:
        """Return the way in a few words; `directly` when one tuple on the resource says it all."""
        parts = []
        if self._inherited:
            parts.append(f"inherited from {self._inherited[-1]}")
        if self._through:
            parts.append(f"through {self._through[0]}")
        if self._wildcard:
            parts.append("open to everyone")
        if self._universal:
            parts.append("on every object")
        if self._identity:
            parts.append("by identity")
        return ", ".join(parts) or "directly"
