"""The proof of an access as a graph: from what holds to what it follows from, down to the subject.

Nodes are claims (`report:q3#manage`) and, at the far end, subjects; an edge is a step of one way or of several, with
its rule, and with the tuple that it uses if it uses one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relgraph.answers import Step, Way
    from relgraph.cli.drawing import Graph

__all__ = ["proof"]


def proof(ways: Sequence[Way]) -> Graph:
    """Return the steps of some ways; `ways` of an edge are the numbers of those that it is a step of, from 1."""
    graph: Graph = nx.MultiDiGraph()
    for number, way in enumerate(ways, start=1):
        for index, step in enumerate(way.steps):
            graph.add_node(step.claim, kind="claim")
            if not index:
                graph.nodes[step.claim]["center"] = "true"
            for target in _targets(way, step):
                _add(graph, step, target, number)
    return graph


def _targets(way: Way, step: Step) -> list[str]:
    if step.children:
        return [way.steps[child].claim for child in step.children]
    return [] if step.tuple is None else [str(step.tuple.subject)]


def _add(graph: Graph, step: Step, target: str, number: int) -> None:
    if target not in graph:
        graph.add_node(target, kind="object" if "#" not in target else "claim")
    tuple_ = "" if step.tuple is None else str(step.tuple)
    key = f"{step.rule} {tuple_}"
    if graph.has_edge(step.claim, target, key):
        known = graph.edges[step.claim, target, key]
        if str(number) not in known["ways"].split():
            known["ways"] += f" {number}"
        return
    label = step.rule if step.tuple is None or step.rule != "arrow" else f"{step.tuple.relation} arrow"
    kind = "tuple" if tuple_ else "schema"
    graph.add_edge(step.claim, target, key=key, kind=kind, rule=step.rule, tuple=tuple_, label=label, ways=str(number))
