"""Ways: the minimal sets of tuples that make an answer hold, whatever else is added back (semantics, "A way").

Two procedures, both exact:

* Where no tuple works both for and against the answer, and nothing excluded contains an exclusion of its own, taking
  excluded tuples away can only help, so ways are the minimal derivations over the proof graph (`families`). A `.all`
  over several tuples is not of this kind: each of them may be the one that it needs and the one that it fails on.
* Otherwise sets are judged against all sets that contain them (`sufficient`).

Counting ways is #P-hard: beyond the limits the answer says that there may be more, and what it lists are ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.engine.families import all_sets, one_set
from relgraph.engine.ground import Ground, edge_key, entangles
from relgraph.engine.proofs import ProofGraph
from relgraph.engine.steps import way_of
from relgraph.engine.sufficient import Sufficiency, values_of
from relgraph.engine.walk import Walk
from relgraph.rewrites.verdict import CONDITIONAL, REFUSED, YES, Combine

if TYPE_CHECKING:
    from relgraph.answers import Way
    from relgraph.engine.conditions import Conditions
    from relgraph.engine.ground import EdgeKey
    from relgraph.limits import Limits
    from relgraph.rewrites import Atom, Edge, Value
    from relgraph.tuples import Object

__all__ = ["find_ways"]

_Keys = frozenset["EdgeKey"]


def find_ways(
    walk: Walk, exhaustive: Walk, resource: Object, name: str, limits: Limits, *, every: bool
) -> tuple[tuple[Way, ...], bool]:
    """Return the ways to `resource#name`, shortest first, and whether there may be more.

    `walk` has answered it with YES or CONDITIONAL; `exhaustive` is over the same scope and skips no operand. Without
    `every`, one way is returned, and none with True where not even that could be found within the limits.
    """
    root = walk.scope.member(walk.scope.number(resource), name)
    if root is None:
        return (), False
    verdict = _level_of(walk, root)
    if not every:
        quick = _quick(walk, root, verdict, limits)
        if quick is not None:
            return (_told(*quick, verdict, name),), False
    exhaustive.value(root)
    ground = Ground(exhaustive, root)
    if _separable(ground, verdict):
        graph = _graph(ground, verdict)
        found, more = all_sets(graph, limits) if every else _one(graph, limits)
        sets = [frozenset(edge_key(graph.edges[edge]) for edge in each) for each in found]
    else:
        sufficiency = Sufficiency(ground, verdict, limits.ways_work_max)
        sets, more = sufficiency.minimal_sets(limits.ways_max if every else 1)
        more = more and (every or not sets)
    ways = [_told(ground, each, verdict, name) for each in sets]
    return tuple(sorted(ways, key=lambda way: (len(way.tuples), way.tuples))), more


def _one(graph: ProofGraph, limits: Limits) -> tuple[list[frozenset[int]], bool]:
    found = one_set(graph, limits)
    return ([], True) if found is None else ([found], False)


def _level_of(walk: Walk, root: Atom) -> int:
    return YES if walk.value(root)[0] == YES else CONDITIONAL


def _graph(ground: Ground, level: int) -> ProofGraph:
    return ProofGraph(ground, level, stands=lambda excluded: YES - ground.possible[excluded] >= level)


class _Only:
    """Conditions in the world that has only some of the tuples."""

    def __init__(self, conditions: Conditions, kept: _Keys) -> None:
        self._conditions = conditions
        self._kept = kept

    def presence(self, edge: Edge, /) -> Value:
        """Return whether the tuple is kept."""
        return self._conditions.presence(edge) if edge_key(edge) in self._kept else REFUSED

    def value(self, edge: Edge, /) -> Value:
        """Return the condition's value, (NO, NO) for a tuple that is not kept."""
        return self._conditions.value(edge) if edge_key(edge) in self._kept else REFUSED

    def missing(self, edge: Edge, /) -> frozenset[str]:
        """Return the names that the condition lacks."""
        return self._conditions.missing(edge)


def _quick(walk: Walk, root: Atom, level: int, limits: Limits) -> tuple[Ground, _Keys] | None:
    """Return one way from what the walk has read already, with its ground; None where an exclusion has a say.

    Exact nevertheless: in the world of the found tuples alone everything is read, and without exclusions there, a
    smaller set suffices if and only if it derives the answer in that world.
    """
    walk.tell(root)
    read = Ground(walk, root)
    if read.entangled:
        return None
    graph = _graph(read, level)
    used = graph.shortest()
    if used is None:
        return None
    edges = (operand.edge for operands in used.values() for operand in operands)
    kept = frozenset(edge_key(graph.edges[edge]) for edge in edges if edge >= 0)
    alone = Walk(walk.scope, _Only(walk.conditions, kept), exhaustive=True)
    alone.value(root)
    ground = Ground(alone, root)
    if any(entangles(equation) for equation in alone.equations.values()):
        return None
    graph = _graph(ground, level)
    found = one_set(graph, limits)
    return None if found is None else (ground, frozenset(edge_key(graph.edges[edge]) for edge in found))


def _told(ground: Ground, kept: _Keys, level: int, name: str) -> Way:
    """Return the way of `kept`, told in the world that has only its tuples."""
    values = values_of(ground, kept)
    graph = ProofGraph(
        ground,
        level,
        stands=lambda excluded: YES - values[excluded][1] >= level,
        allows=lambda edge: edge_key(edge) in kept,
    )
    facts = {edge_key(edge): edge for edge in ground.edges(ground.equations) if edge_key(edge) in kept}
    return way_of(ground.walk, graph, name, map(ground.walk.scope.tuple, facts.values()))


def _separable(ground: Ground, level: int) -> bool:
    """Return whether every tuple works either for the answer or against it, and none against what is excluded.

    Then taking excluded tuples away can only help. It cannot where UNDECIDED, the weakest, may come of a condition that
    is neither: a CONDITIONAL answer is then judged the other way.
    """
    conditions = ground.walk.conditions
    if any(equation.combine is Combine.EACH and entangles(equation) for equation in ground.equations.values()):
        return False
    if level < YES and any(len(set(conditions.value(edge))) > 1 for edge in ground.edges(ground.equations)):
        return False
    excluded = [terms[1].atom for combine, terms in ground.equations.values() if combine is Combine.MINUS and terms[1:]]
    against = ground.below(*(each for each in excluded if each is not None and YES - ground.possible[each] < level))
    if any(ground.equations[atom].combine is Combine.MINUS for atom in against):
        return False
    opposing = set(map(edge_key, ground.edges(against)))
    return not any(edge_key(edge) in opposing for edge in ground.edges(ground.below(ground.root, excluded_too=False)))
