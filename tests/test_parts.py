"""Strongly connected parts: right on every small graph, against reachability, and in order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relgraph.engine.parts import parts


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    """Draw a graph of up to eight nodes, with loops and doubled edges."""
    size = draw(st.integers(1, 8))
    return draw(st.lists(st.lists(st.integers(0, size - 1), max_size=3), min_size=size, max_size=size))


def _reached(onward: list[list[int]], node: int) -> set[int]:
    seen = {node}
    for each in (agenda := [node]):
        agenda.extend(fresh := [deeper for deeper in dict.fromkeys(onward[each]) if deeper not in seen])
        seen.update(fresh)
    return seen


@given(graphs())
def test_parts_are_those_who_reach_each_other(onward: list[list[int]]) -> None:
    """Two nodes are in one part if and only if each leads to the other; every node is in one."""
    found = [set(part) for part in parts(onward)]
    reached = [_reached(onward, node) for node in range(len(onward))]
    for node in range(len(onward)):
        (part,) = [part for part in found if node in part]
        assert part == {other for other in reached[node] if node in reached[other]}


@given(graphs())
def test_a_part_comes_after_what_it_leads_to(onward: list[list[int]]) -> None:
    """Whatever a part leads to is in it, or was there before it."""
    before: set[int] = set()
    for part in parts(onward):
        before.update(part)
        assert {deeper for node in part for deeper in onward[node]} <= before


def test_a_long_ring_is_one_part() -> None:
    """A ring of 100,000 nodes is one part, a chain of as many is 100,000, without recursion."""
    ring = [[(node + 1) % 100_000] for node in range(100_000)]
    assert [len(part) for part in parts(ring)] == [100_000]
    assert sum(1 for _ in parts([*ring[:-1], []])) == 100_000
