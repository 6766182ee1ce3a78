"""Minimal derivations over a proof graph: one of them, or the family of all.

A family is the set of minimal tuple sets that derive a node. Families are joined bottom-up to the least fixed point,
supersets absorbed. Their number can be exponential, so every set built and every two compared is counted as work.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from relgraph.engine.proofs import NOTHING, Operand, ProofGraph
from relgraph.errors import RelgraphError

if TYPE_CHECKING:
    from relgraph.limits import Limits

__all__ = ["all_sets", "one_set"]

_Set = frozenset[int]


class _OutOfWork(Exception):
    """The limit on work was reached: a signal within this file, not an error."""


def one_set(graph: ProofGraph, limits: Limits) -> _Set | None:
    """Return one minimal set: that of a derivation with the fewest tuples, without those it can spare.

    None where telling which can be spared takes more work than the limits allow.
    """
    used = graph.shortest(fewest_tuples=True)
    if used is None:
        raise RelgraphError("an answer has no derivation; please report this as a defect of relgraph")
    kept = frozenset(operand.edge for operands in used.values() for operand in operands if operand.edge != NOTHING)
    if _is_chains(graph):
        return kept
    return _without_spare(graph, kept) if _affordable(graph, [kept], limits) else None


def _is_chains(graph: ProofGraph) -> bool:
    """Return whether every derivation is a chain in which no tuple can stand twice.

    A chain over some of a set's tuples then uses fewer of them than a chain over all: the fewest have none to spare.
    """
    if any(all_ and len(operands) > 1 for all_, operands in zip(graph.needs_all, graph.operands, strict=True)):
        return False
    return sum(operand.edge != NOTHING for operands in graph.operands for operand in operands) == len(graph.edges)


def all_sets(graph: ProofGraph, limits: Limits) -> tuple[list[_Set], bool]:
    """Return the minimal sets of tuples that derive node 0, and whether there may be more than the limits allow."""
    families = _Families(graph, limits)
    if families.complete():
        return families.of(0), False
    # Sets found before the end derive the answer, but smaller ones may not have been met yet.
    met = families.of(0)
    found = [_without_spare(graph, each) for each in met] if _affordable(graph, met, limits) else []
    one = None if found else one_set(graph, limits)
    return list(dict.fromkeys(found)) or ([] if one is None else [one]), True


def _affordable(graph: ProofGraph, sets: list[_Set], limits: Limits) -> bool:
    """Return whether the limits allow to look for spare tuples in `sets`: the graph is searched once for each tuple."""
    return sum(map(len, sets)) * len(graph.operands) <= limits.ways_work_max


def _without_spare(graph: ProofGraph, edges: _Set) -> _Set:
    for edge in sorted(edges):
        if graph.shortest(edges - {edge}) is not None:
            edges -= {edge}
    return edges


class _Families:
    """The families of all nodes in the making."""

    def __init__(self, graph: ProofGraph, limits: Limits) -> None:
        self._graph = graph
        self._most = limits.ways_max
        self._work = limits.ways_work_max
        self._families: list[list[_Set]] = [[] for _ in graph.operands]
        self._cut_short = False

    def of(self, node: int) -> list[_Set]:
        """Return the sets found for a node."""
        return self._families[node]

    def complete(self) -> bool:
        """Join families until nothing changes; return whether neither limit was reached."""
        readers: list[dict[int, None]] = [{} for _ in self._families]
        for node, operands in enumerate(self._graph.operands):
            for operand in operands:
                if operand.node != NOTHING:
                    readers[operand.node][node] = None
        # Nodes were numbered from the question downward: begin at the far end.
        agenda = deque(range(len(self._families) - 1, -1, -1))
        waiting = set(agenda)
        try:
            while agenda:
                node = agenda.popleft()
                waiting.discard(node)
                joined = self._joined(node)
                if set(joined) != set(self._families[node]):
                    self._families[node] = joined
                    agenda.extend(reader for reader in readers[node] if reader not in waiting)
                    waiting.update(readers[node])
        except _OutOfWork:
            return False
        return not self._cut_short

    def _spend(self, work: int) -> None:
        self._graph.budget.tick()
        self._work -= work + 1
        if self._work < 0:
            raise _OutOfWork

    def _joined(self, node: int) -> list[_Set]:
        per_operand = [self._operand_sets(operand) for operand in self._graph.operands[node]]
        if not self._graph.needs_all[node]:
            return self._minimal([each for sets in per_operand for each in sets])
        product: list[_Set] = [frozenset()] if per_operand else []
        for sets in per_operand:
            # Before they are built: a product of a thousand and a thousand sets fills the memory first.
            self._spend(len(product) * sum(map(len, sets)) + len(sets) * sum(map(len, product)))
            product = self._minimal([left | right for left in product for right in sets])
        return product

    def _operand_sets(self, operand: Operand) -> list[_Set]:
        sets = [frozenset[int]()] if operand.node == NOTHING else self._families[operand.node]
        if operand.edge == NOTHING:
            return sets
        self._spend(sum(map(len, sets)))
        return [each | {operand.edge} for each in sets]

    def _minimal(self, sets: list[_Set]) -> list[_Set]:
        kept: list[_Set] = []
        for each in sorted(set(sets), key=lambda each: (len(each), sorted(each))):
            self._spend(len(kept))
            if any(smaller <= each for smaller in kept):
                continue
            if len(kept) == self._most:
                self._cut_short = True
                break
            kept.append(each)
        return kept
