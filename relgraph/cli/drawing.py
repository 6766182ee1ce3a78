"""Graphs in the spellings of other programs, line by line: what every drawing has in common.

Nodes are texts, and so are all attributes: GraphML knows no other kind that all readers share.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

import networkx as nx

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Graph", "dot_lines", "dot_quoted", "graphml_lines", "json_lines", "label_of"]

Graph: TypeAlias = "nx.MultiDiGraph[str]"


def dot_quoted(text: str) -> str:
    """Return a text as Graphviz reads it: in quotes, with its own quotes and backslashes escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def label_of(attributes: dict[str, str]) -> str:
    """Return what a person reads on an edge."""
    return attributes.get("label") or (attributes["relation"] if attributes["kind"] == "tuple" else "")


def dot_lines(graph: Graph) -> Iterator[str]:
    """Yield the lines of Graphviz: boxes for objects, dashed lines for what follows from no tuple."""
    yield "digraph relgraph {"
    yield "  rankdir=LR;"
    for node, attributes in graph.nodes(data=True):
        shape = "box" if attributes["kind"] == "object" else "ellipse"
        yield f"  {dot_quoted(node)} [shape={shape}];"
    for source, target, attributes in graph.edges(data=True):
        drawn = [f"label={dot_quoted(label)}"] if (label := label_of(attributes)) else []
        drawn += ["style=dashed"] if attributes["kind"] != "tuple" else []
        # A userset is its object's, in neither direction.
        drawn += ["arrowhead=none"] if attributes["kind"] == "userset" else []
        yield f"  {dot_quoted(source)} -> {dot_quoted(target)} [{', '.join(drawn)}];"
    yield "}"


def graphml_lines(graph: Graph) -> Iterator[str]:
    """Yield the lines of GraphML."""
    yield from nx.generate_graphml(graph)


def json_lines(graph: Graph) -> Iterator[str]:
    """Yield one line: all nodes with their `name`, and all edges with `source` and `target`, and their attributes.

    It is what `networkx.node_link_graph(data, name="name", edges="edges")` reads.
    """
    nodes = [{"name": node, **attributes} for node, attributes in graph.nodes(data=True)]
    edges = [
        {"source": source, "target": target, "key": key, **attributes}
        for source, target, key, attributes in graph.edges(keys=True, data=True)
    ]
    yield json.dumps({"directed": True, "multigraph": True, "graph": {}, "nodes": nodes, "edges": edges})
