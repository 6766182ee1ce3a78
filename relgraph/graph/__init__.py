"""Tuples as adjacency, at a revision: what the engine walks.

`Graph` is the living state in memory, kept up with the store; `PastView` reads an older revision from the store's
rows, `RowsView` the one that a write builds on. All are views of integers; neither knows what a schema or a rewrite is.
"""

from __future__ import annotations

from relgraph.graph.edges import TupleEdge
from relgraph.graph.memory import Graph, GraphView
from relgraph.graph.past import PastView, RowsView

__all__ = ["Graph", "GraphView", "PastView", "RowsView", "TupleEdge"]
