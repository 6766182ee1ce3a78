"""How graphs of tuples and of proofs are written down, by the name of the format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.cli.drawing import dot_lines, graphml_lines, json_lines
from relgraph.cli.svg import svg_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from relgraph.cli.drawing import Graph

__all__ = ["SPELLINGS"]

SPELLINGS: Mapping[str, Callable[[Graph], Iterator[str]]] = {
    "dot": dot_lines,
    "graphml": graphml_lines,
    "json": json_lines,
    "svg": svg_lines,
}
