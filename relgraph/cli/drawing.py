"""Graphs in the spellings of other programs, line by line: what every drawing has in common.

Nodes are texts, and so are all attributes: GraphML knows no other kind that all readers share.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

import networkx as nx

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Graph", "dot_quoted", "graphml_lines", "json_lines"]

Graph: TypeAlias = "nx.MultiDiGraph[str]"


def dot_quoted(text: str) -> str:
    """Return a text as Graphviz reads it: in quotes, with its own quotes and backslashes escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def graphml_lines(graph: Graph) -> Iterator[str]:
    """Yield the lines of GraphML."""
    yield from nx.generate_graphml(graph)


def json_lines(graph: Graph) -> Iterator[str]:
    """Yield one line: all nodes with their `name`, and all edges with `source` and `target`, and their attributes."""
    nodes = [{"name": node, **attributes} for node, attributes in graph.nodes(data=True)]
    edges = [
        {"source": source, "target": target, **attributes} for source, target, attributes in graph.edges(data=True)
    ]
    yield json.dumps({"nodes": nodes, "edges": edges})
