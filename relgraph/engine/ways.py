"""Ways: the minimal sets of tuples that make an answer hold, whatever else is added back (semantics, "A way").

Two procedures, both exact:

* Where no tuple works both for and against the answer, and nothing excluded contains an exclusion of its own, taking
  excluded tuples away can only help, so ways are the minimal derivations over the proof graph: families of tuple sets,
  joined bottom-up to the least fixed point, supersets absorbed.
* Otherwise sets are judged against all sets that contain them (`sufficient`).

Counting ways is #P-hard: beyond the limits the answer says that there may be more, and what it lists are ways.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from relgraph.answers import Verdict
from relgraph.engine.proofs import NOTHING, Operand, ProofGraph, below, edge_key, possible_levels
from relgraph.engine.steps import way_of
from relgraph.engine.sufficient import Sufficiency
from relgraph.errors import RelgraphError
from relgraph.rewrites.verdict import CONDITIONAL, YES, Combine

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.answers import Way
    from relgraph.engine.proofs import EdgeKey
    from relgraph.engine.walk import Walk
    from relgraph.limits import Limits
    from relgraph.rewrites import Atom, Edge
    from relgraph.tuples import Object

__all__ = ["find_ways"]

_Set = frozenset[int]


def find_ways(
    walk: Walk, resource: Object, name: str, verdict: Verdict, limits: Limits, *, every: bool
) -> tuple[tuple[Way, ...], bool]:
    """Return the ways to `resource#name`, shortest first, and whether there may be more.

    `walk` is exhaustive and `verdict`, YES or CONDITIONAL, is its answer. Without `every`, one way is returned.
    """
    root = walk.scope.member(walk.scope.number(resource), name)
    if root is None:
        return (), False
    walk.value(root)
    level = YES if verdict is Verdict.YES else CONDITIONAL
    atoms = below(walk, root)
    possible = possible_levels(walk, atoms)

    def stands(excluded: Atom) -> bool:
        return YES - possible[excluded] >= level

    if _separable(walk, root, atoms, possible, level):
        graph = ProofGraph(walk, root, level, stands=stands)
        found, more = _derived(graph, limits) if every else ([_one(graph)], False)
        sets = [frozenset(edge_key(graph.edges[edge]) for edge in each) for each in found]
    else:
        sets, more = Sufficiency(walk, root, atoms, level, limits.ways_work_max).minimal_sets(
            limits.ways_max if every else 1
        )
        more = more and (every or not sets)
    edges = {edge_key(edge): edge for edge in _edges(walk, atoms)}
    ways = [
        way_of(walk, _restricted(walk, root, atoms, level, each), name, (walk.scope.tuple(edges[key]) for key in each))
        for each in sets
    ]
    return tuple(sorted(ways, key=lambda way: (len(way.tuples), way.tuples))), more


def _restricted(walk: Walk, root: Atom, atoms: list[Atom], level: int, kept: frozenset[EdgeKey]) -> ProofGraph:
    """Return the proof graph in the world that has only the tuples of `kept`."""
    values = Sufficiency(walk, root, atoms, level, 0).values(kept, unknown=False)
    return ProofGraph(
        walk,
        root,
        level,
        stands=lambda excluded: YES - values[excluded][1] >= level,
        allows=lambda edge: edge_key(edge) in kept,
    )


def _separable(walk: Walk, root: Atom, atoms: list[Atom], possible: dict[Atom, int], level: int) -> bool:
    """Return whether every tuple works either for the answer or against it, and none against what is excluded."""
    exclusions = [atom for atom in atoms if walk.equations[atom].combine is Combine.MINUS]
    excluded = {terms[1].atom for terms in (walk.equations[atom].terms for atom in exclusions) if len(terms) > 1}
    against: set[Atom] = set()
    for side in excluded:
        if side is not None and YES - possible[side] < level:
            against.update(below(walk, side))
    if any(walk.equations[atom].combine is Combine.MINUS for atom in against):
        return False
    opposing = {edge_key(edge) for edge in _edges(walk, against)}
    return not any(edge_key(edge) in opposing for edge in _edges(walk, _bases(walk, root)))


def _bases(walk: Walk, root: Atom) -> list[Atom]:
    """Return the atoms below `root` that are reached without entering an excluded side."""
    seen = {root: None}
    for atom in (agenda := [root]):
        combine, terms = walk.equations[atom]
        for term in terms[:1] if combine is Combine.MINUS else terms:
            if term.atom is not None and term.atom not in seen and term.atom in walk.equations:
                seen[term.atom] = None
                agenda.append(term.atom)
    return list(seen)


def _edges(walk: Walk, atoms: Iterable[Atom]) -> Iterator[Edge]:
    return (term.edge for atom in atoms for term in walk.equations[atom].terms if term.edge is not None)


def _one(graph: ProofGraph) -> _Set:
    """Return one minimal set: that of a shortest derivation, without the tuples it can spare."""
    used = graph.shortest()
    if used is None:
        raise RelgraphError("an answer has no derivation; please report this as a defect of relgraph")
    uses = [operand.edge for operands in used.values() for operand in operands if operand.edge != NOTHING]
    kept = frozenset(uses)
    # A shortest chain that uses no tuple twice has none to spare.
    chain = all(len(operands) == 1 for operands in used.values())
    return kept if chain and len(kept) == len(uses) else _without_spare(graph, kept)


def _without_spare(graph: ProofGraph, edges: _Set) -> _Set:
    for edge in sorted(edges):
        if graph.shortest(edges - {edge}) is not None:
            edges -= {edge}
    return edges


def _derived(graph: ProofGraph, limits: Limits) -> tuple[list[_Set], bool]:
    """Return all minimal sets of tuples that derive node 0, or as many as the limits allow."""
    families: list[list[_Set]] = [[] for _ in graph.operands]
    readers: list[dict[int, None]] = [{} for _ in graph.operands]
    for node, operands in enumerate(graph.operands):
        for operand in operands:
            if operand.node != NOTHING:
                readers[operand.node][node] = None
    # Nodes were numbered from the question downward: begin at the far end.
    agenda = deque(range(len(families) - 1, -1, -1))
    waiting = set(agenda)
    work, truncated = 0, False
    while agenda:
        node = agenda.popleft()
        waiting.discard(node)
        offered, cost = _joined(graph, node, families, limits.ways_max)
        work += cost + 1
        if work > limits.ways_work_max:
            truncated = True
            break
        truncated |= len(offered) > limits.ways_max
        offered = offered[: limits.ways_max]
        if set(offered) != set(families[node]):
            families[node] = offered
            agenda.extend(reader for reader in readers[node] if reader not in waiting)
            waiting.update(readers[node])
    if not truncated:
        return families[0], False
    # Sets found before the end derive the answer, but smaller ones may not have been met yet.
    affordable = sum(map(len, families[0])) * len(families) <= limits.ways_work_max
    found = [_without_spare(graph, each) for each in families[0]] if affordable else []
    return list(dict.fromkeys(found)) or [_one(graph)], True


def _joined(graph: ProofGraph, node: int, families: list[list[_Set]], most: int) -> tuple[list[_Set], int]:
    """Return the minimal sets of one node from its operands' sets, one more than `most` at most, and the work done."""
    per_operand = [_operand_sets(operand, families) for operand in graph.operands[node]]
    if not graph.needs_all[node]:
        union = [each for sets in per_operand for each in sets]
        return _minimal(union, most), sum(len(each) + 1 for each in union)
    product: list[_Set] = [frozenset()] if per_operand else []
    work = 0
    for sets in per_operand:
        product = [left | right for left in product for right in sets]
        work += sum(len(each) + 1 for each in product)
        product = _minimal(product, most)
    return product, work


def _operand_sets(operand: Operand, families: list[list[_Set]]) -> list[_Set]:
    sets = [frozenset[int]()] if operand.node == NOTHING else families[operand.node]
    return sets if operand.edge == NOTHING else [each | {operand.edge} for each in sets]


def _minimal(sets: list[_Set], most: int) -> list[_Set]:
    kept: list[_Set] = []
    for each in sorted(set(sets), key=lambda each: (len(each), sorted(each))):
        if not any(smaller <= each for smaller in kept):
            kept.append(each)
            if len(kept) > most:
                break
    return kept
