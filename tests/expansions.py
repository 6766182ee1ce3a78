"""What an expansion means, worked out from its nodes alone: the well-founded model, by brute force.

*Rule 1*: nothing is looked up but the nodes, so that whatever Expand leaves out is missed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relgraph.answers import ExpandNode

__all__ = ["members"]


def members(nodes: Sequence[ExpandNode], subject: str) -> str:
    """Return `yes`, `no` or `undecided` for a subject in node 0, of an expansion with its usersets opened."""
    low = [False] * len(nodes)
    while True:
        high = _gamma(nodes, subject, low)
        again = _gamma(nodes, subject, high)
        if again == low:
            return "yes" if low[0] else "undecided" if high[0] else "no"
        low = again


def _gamma(nodes: Sequence[ExpandNode], subject: str, read: list[bool]) -> list[bool]:
    """Return the least fixed point of all nodes with what is excluded read from `read`."""
    value = [False] * len(nodes)
    while True:
        new = [_holds(node, subject, value, read) for node in nodes]
        if new == value:
            return value
        value = new


def _holds(node: ExpandNode, subject: str, value: list[bool], read: list[bool]) -> bool:
    below = [value[child] for child in node.children]
    match node.kind:
        case "relation":
            return subject == f"{node.object}#{node.text}" or _named(node, subject) or any(below)
        case "permission":
            return subject == f"{node.object}#{node.text.partition(' ')[0]}" or any(below)
        case "self":
            return subject == str(node.object)
        case "exclusion":
            return below[0] and not read[node.children[1]]
        case "intersection":
            return all(below)
        case "all":
            return bool(below) and all(below)
    assert node.kind in ("union", "arrow", "name", "nil"), node.kind
    return any(below)


def _named(node: ExpandNode, subject: str) -> bool:
    """Return whether a tuple names the subject, or covers it as a plain object."""
    everybody = f"{subject.partition(':')[0]}:*" if "#" not in subject else ""
    return any(str(fact.subject) in (subject, everybody) for fact in node.tuples)
