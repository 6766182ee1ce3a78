"""An expansion as a tree for people, drawn by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from relgraph.cli.output import print_lines, printable

if TYPE_CHECKING:
    from relgraph.answers import ExpandNode, Expansion

__all__ = ["DEPTH_MAX", "print_expansion"]

# A chain of 100,000 folders is answered, but no terminal is that wide: below this depth a new tree begins.
DEPTH_MAX = 32
# Without a terminal there is no width: lines are not broken, so that a reader of the output can rely on them.
_WIDTH_UNBOUNDED = 1_000_000
# What has a name of its own; anything else is an operator, and shown as it is written.
_NAMED = ("permission", "relation", "name")


def print_expansion(expansion: Expansion) -> None:
    """Print the expansion as trees: each node is unfolded once, what lies deep continues in a tree of its own."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH_UNBOUNDED
    unfolded: set[int] = set()
    roots = [0] if expansion.nodes else []
    for root in roots:
        # `roots` grows while it is walked: each tree hands on what it had no room for.
        if root not in unfolded:
            console.print(_tree(expansion.nodes, root, unfolded, roots))
    print_lines([f"revision {expansion.revision}"])


def _tree(nodes: tuple[ExpandNode, ...], root: int, unfolded: set[int], deeper: list[int]) -> Tree:
    top = Tree(_label(nodes[root], ""))
    unfolded.add(root)
    open_ = [(root, top, 1)]
    while open_:
        index, tree, depth = open_.pop()
        for tuple_ in nodes[index].tuples:
            tree.add(Text(printable(str(tuple_))))
        branches: list[tuple[int, Tree, int]] = []
        for child in nodes[index].children:
            node = nodes[child]
            if child in unfolded:
                # A node with nothing below it needs no pointer to where it was shown.
                tree.add(_label(node, "shown elsewhere" if node.children or node.tuples else ""))
            elif depth >= DEPTH_MAX and (node.children or node.tuples):
                tree.add(_label(node, "continued below"))
                deeper.append(child)
            else:
                unfolded.add(child)
                branches.append((child, tree.add(_label(node, "")), depth + 1))
        open_.extend(reversed(branches))
    return top


def _label(node: ExpandNode, remark: str) -> Text:
    named = node.kind in _NAMED
    remarks = [
        node.kind if named else f"{node.kind} at {node.object}",
        *(["cycle"] if node.cycle else []),
        *([remark] if remark else []),
    ]
    head = f"{node.object}#{node.text}" if named else node.text
    return Text(printable(f"{head}  ({', '.join(remarks)})"))
