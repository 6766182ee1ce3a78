"""A schema's dependencies as a graph, and its spellings for other programs.

Nodes are relations (boxes) and permissions (ellipses); an edge leads from a name to what it leans on. What stands in
the excluded side of a `-` is red, and what only reads the tuples of a tupleset is dotted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx

from relgraph.cli.drawing import dot_quoted, graphml_lines, json_lines
from relgraph.schema.dependencies import graph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.cli.drawing import Graph
    from relgraph.schema import Schema

__all__ = ["SCHEMA_SPELLINGS", "schema_drawing"]


def schema_drawing(schema: Schema) -> Graph:
    """Return the dependencies of a schema, each node named `type#name`."""
    named: Graph = nx.relabel_nodes(graph(schema), "#".join)
    return named


def _dot(drawing: Graph) -> Iterator[str]:
    yield "digraph schema {"
    yield "  rankdir=LR;"
    types: dict[str, list[str]] = {}
    for node, attributes in drawing.nodes(data=True):
        types.setdefault(attributes["type"], []).append(node)
    for number, (type_, nodes) in enumerate(types.items()):
        # Graphviz frames a subgraph only where its name begins with `cluster`.
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={dot_quoted(type_)};"
        for node in nodes:
            attributes = drawing.nodes[node]
            shape = "box" if attributes["kind"] == "relation" else "ellipse"
            yield f"    {dot_quoted(node)} [label={dot_quoted(attributes['member'])}, shape={shape}];"
        yield "  }"
    for source, target, attributes in drawing.edges(data=True):
        yield f"  {dot_quoted(source)} -> {dot_quoted(target)} [{_edge(attributes)}];"
    yield "}"


def _edge(attributes: dict[str, str]) -> str:
    """Return the attributes of an edge: its label names the way, except where the nodes say it all."""
    labels = {"arrow": f"{attributes['via']}->", "all": f"{attributes['via']}.all", "userset": "userset"}
    shown = [f"label={dot_quoted(labels.get(attributes['why'], ''))}"]
    if attributes["why"] == "tupleset":
        shown.append("style=dotted")
    if attributes["negative"] == "true":
        shown.append("color=red, arrowhead=tee")
    return ", ".join(shown)


SCHEMA_SPELLINGS = {"dot": _dot, "graphml": graphml_lines, "json": json_lines}
"""How the drawing is written down, line by line, by the name of the format."""
