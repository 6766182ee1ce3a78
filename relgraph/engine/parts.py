"""The strongly connected parts of a directed graph over small integers, without recursion (Tarjan 1972)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["parts"]


def parts(onward: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Yield the parts, each after those that it leads to; `onward[n]` are the nodes that node n leads to."""
    closed = len(onward) + 1
    # From 1 on in the order of being met, `closed` once the node's part is known; 0 is not met yet.
    indexes = [0] * len(onward)
    lows = [0] * len(onward)
    met = 0
    stack: list[int] = []
    for root in range(len(onward)):
        path = [] if indexes[root] else [(root, iter(onward[root]))]
        while path:
            node, below = path[-1]
            if not indexes[node]:
                met += 1
                indexes[node] = lows[node] = met
                stack.append(node)
            deeper = next(below, None)
            if deeper is None:
                path.pop()
                if lows[node] == indexes[node]:
                    part: list[int] = []
                    while not part or part[-1] != node:
                        part.append(stack.pop())
                        indexes[part[-1]] = closed
                    yield part
                elif path:
                    above = path[-1][0]
                    lows[above] = min(lows[above], lows[node])
            elif not indexes[deeper]:
                path.append((deeper, iter(onward[deeper])))
            else:
                lows[node] = min(lows[node], indexes[deeper])
