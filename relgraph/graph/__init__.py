"""Tuples as adjacency, at a revision: what the engine walks.

`Graph` is the living state in memory, kept up with the store; `PastView` reads an older revision from the store's
rows. Both are views of integers; neither knows what a schema or a rewrite is.
"""

from __future__ import annotations

from relgraph.graph.edges import TupleEdge
from relgraph.graph.memory import Graph, GraphView
from relgraph.graph.past import PastView

__all__ = ["Graph", "GraphView", "PastView", "TupleEdge"]
