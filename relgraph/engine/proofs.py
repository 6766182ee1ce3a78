"""The proof graph of one answer: which operands make it hold, as numbers, and shortest derivations over it.

A `ProofGraph` keeps of a question's ground what can hold at a wanted level (CONDITIONAL or YES): nodes with operands
(tuple, node), where a node needs one operand or all of them.
Excluded sides are not part of it: a gate decides, once, which exclusions stand, and only their base needs a proof.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from relgraph.engine.ground import edge_key
from relgraph.rewrites.verdict import Combine

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from relgraph.engine.ground import EdgeKey, Ground
    from relgraph.engine.solve import Equation
    from relgraph.rewrites import Atom, Edge, Term

__all__ = ["NOTHING", "Operand", "ProofGraph"]

NOTHING = -1
"""No tuple, or no node, in an operand."""

_MORE_THAN_ALL_STEPS = 1 << 40


class Operand(NamedTuple):
    """A tuple's number AND a node's number; NOTHING where there is none."""

    edge: int
    node: int


class ProofGraph:
    """What can hold of `ground` at `level`. Node 0 is its root.

    `stands(excluded)` tells whether an exclusion with that excluded side stands; `allows(edge)` which tuples count.
    """

    def __init__(
        self,
        ground: Ground,
        level: int,
        *,
        stands: Callable[[Atom], bool],
        allows: Callable[[Edge], bool] = lambda _: True,
    ) -> None:
        self._ground = ground
        self.budget = ground.walk.scope.budget
        self._level = level
        self._stands = stands
        self._allows = allows
        self.atoms: list[Atom] = []
        self.edges: list[Edge] = []
        self.operands: list[list[Operand]] = []
        self.needs_all: list[bool] = []
        self._edge_numbers: dict[EdgeKey, int] = {}
        self._collect(ground.root)

    def _collect(self, root: Atom) -> None:
        """Read the equations into numbers. A node whose operands cannot all hold gets none, and never holds."""
        numbers = {root: 0}
        self.atoms.append(root)
        for atom in self.atoms:
            self.budget.tick()
            equation = self._ground.equations[atom]
            operands = []
            for term in self._provable(equation):
                node = NOTHING
                if term.atom is not None:
                    node = numbers.setdefault(term.atom, len(self.atoms))
                    if node == len(self.atoms):
                        self.atoms.append(term.atom)
                operands.append(Operand(NOTHING if term.edge is None else self._number(term.edge), node))
            self.operands.append(operands)
            self.needs_all.append(equation.combine is not Combine.ANY)

    def _provable(self, equation: Equation) -> list[Term]:
        """Return the operands that a proof of the equation may or must use; none where it cannot hold."""
        combine, terms = equation
        if combine is Combine.EACH:
            # A tuple that is not there asks for nothing; each of the others has to hold.
            terms = [term for term in terms if term.edge is None or self._allows(term.edge)]
        counting = [term for term in terms if term.edge is None or self._counts(term.edge)]
        if combine is Combine.ANY:
            return counting
        if len(counting) < len(terms):
            return []
        if combine is Combine.MINUS:
            excluded = terms[1].atom if len(terms) > 1 else None
            return [terms[0]] if excluded is not None and self._stands(excluded) else []
        return counting

    def _counts(self, edge: Edge) -> bool:
        return self._ground.walk.conditions.value(edge)[0] >= self._level and self._allows(edge)

    def _number(self, edge: Edge) -> int:
        number = self._edge_numbers.setdefault(edge_key(edge), len(self.edges))
        if number == len(self.edges):
            self.edges.append(edge)
        return number

    def shortest(
        self, edges: Collection[int] | None = None, *, fewest_tuples: bool = False
    ) -> dict[int, list[Operand]] | None:
        """Return a derivation of node 0 with the fewest steps over `edges` (all without them), or None.

        For each node it needs, the operands it uses (Knuth 1977, a generalisation of Dijkstra's algorithm). With
        `fewest_tuples`, uses of tuples are counted first and steps only break ties.
        """
        tuple_cost = _MORE_THAN_ALL_STEPS if fewest_tuples else 1
        costs: dict[int, int] = {}
        chosen: dict[int, list[Operand]] = {}
        readers: dict[int, list[tuple[int, Operand]]] = {}
        lacking = [len(operands) for operands in self.operands]
        heap: list[tuple[int, int, int]] = []
        offers: list[tuple[int, list[Operand]]] = []

        def offer(cost: int, node: int, operands: list[Operand]) -> None:
            heapq.heappush(heap, (cost, len(offers), node))
            offers.append((node, operands))

        def ready(node: int, operand: Operand) -> None:
            cost = _cost(operand, costs, tuple_cost)
            if not self.needs_all[node]:
                offer(cost + 1, node, [operand])
                return
            lacking[node] -= 1
            if not lacking[node]:
                offer(
                    sum(_cost(each, costs, tuple_cost) for each in self.operands[node]) + 1, node, self.operands[node]
                )

        for node, operands in enumerate(self.operands):
            for operand in operands:
                if operand.edge != NOTHING and edges is not None and operand.edge not in edges:
                    continue
                if operand.node == NOTHING:
                    ready(node, operand)
                else:
                    readers.setdefault(operand.node, []).append((node, operand))
        while heap and 0 not in costs:
            self.budget.tick()
            cost, number, node = heapq.heappop(heap)
            if node in costs:
                continue
            costs[node] = cost
            chosen[node] = offers[number][1]
            for reader, operand in readers.get(node, ()):
                if reader not in costs:
                    ready(reader, operand)
        return self._used(chosen) if 0 in chosen else None

    def _used(self, chosen: dict[int, list[Operand]]) -> dict[int, list[Operand]]:
        used: dict[int, list[Operand]] = {}
        agenda = [0]
        while agenda:
            node = agenda.pop()
            if node not in used:
                used[node] = chosen[node]
                agenda.extend(operand.node for operand in reversed(chosen[node]) if operand.node != NOTHING)
        return used


def _cost(operand: Operand, costs: dict[int, int], tuple_cost: int) -> int:
    return (operand.edge != NOTHING) * tuple_cost + (costs[operand.node] if operand.node != NOTHING else 0)
