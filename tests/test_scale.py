"""Depth and width: chains, cycles and fans of a hundred thousand, and diamonds of 2^40 paths, answered with yes and no.

*Rule 1*: every question is asked with hardly any of Python's stack left, so that none is answered by recursion.
*Rule 2*: no time is asserted; what each question took of the processor is printed (`pytest -s tests/test_scale.py`).
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import pytest

import relgraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MANY = 100_000
DEEP = MANY if os.environ.get("RELGRAPH_LONG") else 10_000
"""How deep questions go that lead through exclusions, intersections and `.all`: some seconds at the full depth."""

_FRAMES_LEFT = 100
"""What the questions may nest: ten times what the library's own calls do, a thousandth of the chains below."""

SCHEMA = """
    use roles
    definition user {}
    definition group { relation member: user | group#member }
    definition folder {
        relation parent: folder
        relation viewer: user | group#member
        relation banned: user
        relation allowed: user
        permission read = viewer + parent->read
        permission view = (viewer + parent->view) - banned
        permission every = viewer + parent.all(every)
        permission calm = (viewer + parent->calm) & (read + allowed)
        permission won = parent->lost
        permission lost = viewer - won
    }
    definition doc {
        relation parent: doc
        relation owner: user | group#member
        relation viewer: user | group#member
        permission own = owner + parent->own
        permission see = viewer + own + parent->see
        roles own > see
    }
"""


@contextmanager
def little_stack() -> Iterator[None]:
    """Leave so few frames that whatever nests with the data fails."""
    depth, frame = 0, sys._getframe()
    while frame.f_back is not None:
        depth, frame = depth + 1, frame.f_back
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + _FRAMES_LEFT)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


_T = TypeVar("_T")


def timed(what: str, ask: Callable[[], _T]) -> _T:
    """Ask with little stack, and say how long it took."""
    start = time.thread_time()
    with little_stack():
        answer = ask()
    print(f"{time.thread_time() - start:7.3f} s  {what}")  # noqa: T201  # the figures are worth reading with -s
    return answer


@contextmanager
def loaded(*tuples: Iterable[str]) -> Iterator[relgraph.Authorizer]:
    """Open a store in memory with these tuples."""
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.load(chain.from_iterable(tuples))
        yield authorizer


def links(type_: str, relation: str, suffix: str = "", *, length: int = MANY) -> Iterator[str]:
    """Yield the tuples that lead from n0 to n1 and so on to the last, which is n`length`."""
    return (f"{type_}:n{i}#{relation}@{type_}:n{i + 1}{suffix}" for i in range(length))


def ask_both(authorizer: relgraph.Authorizer, *questions: str, no: str = "bob") -> None:
    """Check that anna gets a yes to each question, and the other one a no; both are known to the store."""
    for question in questions:
        assert timed(f"{question}, yes", partial(authorizer.check, f"{question}@user:anna")) is True
        assert timed(f"{question}, no", partial(authorizer.check, f"{question}@user:{no}")) is False


def test_little_stack_is_little() -> None:
    """What nests a hundred deep fails while a question is asked, and at no other time."""

    def nested(depth: int) -> int:
        return nested(depth - 1) + 1 if depth else 0

    with pytest.raises(RecursionError), little_stack():
        nested(_FRAMES_LEFT)
    assert nested(_FRAMES_LEFT) == _FRAMES_LEFT


def test_a_chain_of_groups() -> None:
    """Who is in the last of 100,000 nested groups is in the first, and in what is behind it, by a union or a ban."""
    ends = [f"group:n{MANY}#member@user:anna", "group:aside#member@user:bob", "folder:f#viewer@group:n0#member"]
    with loaded(links("group", "member", "#member"), ends) as authorizer:
        ask_both(authorizer, "group:n0#member", "folder:f#read", "folder:f#view")
        nodes = timed("group:n0#member expanded", lambda: authorizer.expand("group:n0", "member", usersets=True)).nodes
        assert len(nodes) == MANY + 1


def test_a_chain_of_folders() -> None:
    """What the last of 100,000 folders gives, the first has."""
    ends = [f"folder:n{MANY}#viewer@user:anna", "folder:aside#viewer@user:bob"]
    with loaded(links("folder", "parent"), ends) as authorizer:
        ask_both(authorizer, "folder:n0#read")


def test_a_chain_of_folders_with_more_than_unions() -> None:
    """What the last of many folders gives, the first has: with a ban at each, by `.all`, with `&`.

    Who is banned half way has nothing below that.
    """
    ends = [f"folder:n{DEEP}#viewer@user:{name}" for name in ("anna", "carl")]
    ends += ["folder:aside#viewer@user:bob", f"folder:n{DEEP // 2}#banned@user:carl"]
    with loaded(links("folder", "parent", length=DEEP), ends) as authorizer:
        ask_both(authorizer, "folder:n0#view", "folder:n0#every", "folder:n0#calm")
        ask_both(authorizer, "folder:n0#view", no="carl")
        assert authorizer.check(f"folder:n{DEEP // 2 + 1}#view@user:carl") is True


def test_won_and_lost_along_a_chain() -> None:
    """Exclusions below one another alternate, from the last position, which is lost, to the first."""
    ends = (f"folder:n{i}#viewer@user:anna" for i in range(DEEP + 1))
    with loaded(links("folder", "parent", length=DEEP), ends) as authorizer:
        assert timed("folder:n1#won", lambda: authorizer.check("folder:n1#won@user:anna")) is True
        assert timed("folder:n0#won", lambda: authorizer.check("folder:n0#won@user:anna")) is False
        assert authorizer.check("folder:n0#lost@user:anna") is True


def test_a_group_of_many_members() -> None:
    """In a group of 100,000 each is a member, and nobody else; nor does the group's size matter behind it."""
    members = (f"group:g#member@user:u{i}" for i in range(MANY))
    ends = ["group:g#member@user:anna", "group:aside#member@user:bob", "folder:f#viewer@group:g#member"]
    with loaded(members, ends) as authorizer:
        ask_both(authorizer, "group:g#member", "folder:f#read", "folder:f#view")
        nodes = timed("folder:f#view expanded", lambda: authorizer.expand("folder:f", "view", usersets=True)).nodes
        assert max(len(node.tuples) for node in nodes) == MANY + 1


def test_a_fan_of_usersets() -> None:
    """Of 100,000 groups that may view a folder, the one that anna is in is found, and for bob none."""
    fan = (f"folder:f#viewer@group:n{i}#member" for i in range(MANY))
    members = [f"group:n{MANY - 1}#member@user:anna", "group:aside#member@user:bob"]
    with loaded(fan, members) as authorizer:
        ask_both(authorizer, "folder:f#read", "folder:f#view", "folder:f#calm")


def test_a_cycle_of_groups() -> None:
    """Round a ring of 100,000 groups all have the same members."""
    ends = [f"group:n{MANY}#member@group:n0#member", f"group:n{MANY // 2}#member@user:anna"]
    ends += ["group:aside#member@user:bob", "folder:f#viewer@group:n9#member"]
    with loaded(links("group", "member", "#member"), ends) as authorizer:
        ask_both(authorizer, "group:n0#member", f"group:n{MANY // 2 + 1}#member", "folder:f#view")


def test_a_cycle_of_folders_with_bans() -> None:
    """Round a ring of many folders that may ban, who may view one may view all, up to where they are banned."""
    ends = [f"folder:n{DEEP}#parent@folder:n0"]
    ends += [f"folder:n{DEEP // 2}#viewer@user:{name}" for name in ("anna", "carl")]
    ends += ["folder:aside#viewer@user:bob", f"folder:n{DEEP // 4}#banned@user:carl"]
    with loaded(links("folder", "parent", length=DEEP), ends) as authorizer:
        ask_both(authorizer, "folder:n0#view", f"folder:n{DEEP // 2 + 1}#view", "folder:n0#every")
        ask_both(authorizer, "folder:n0#view", no="carl")
        assert authorizer.check(f"folder:n{DEEP // 4 + 1}#view@user:carl") is True


def test_won_and_lost_round_a_ring() -> None:
    """Round a ring of positions with one way out, each is settled by the one after it, however far from the exit."""
    length = 10_000
    ends = [f"folder:n{length}#parent@folder:n0", f"folder:n{length}#parent@folder:out"]
    ends += [f"folder:n{i}#viewer@user:anna" for i in range(length + 1)] + ["folder:out#viewer@user:anna"]
    with loaded(links("folder", "parent", length=length), ends) as authorizer:
        assert timed("a ring, won", lambda: authorizer.check(f"folder:n{length}#won@user:anna")) is True
        assert timed("a ring, lost", lambda: authorizer.check("folder:n1#won@user:anna")) is False
        assert timed("a ring, won far off", lambda: authorizer.check("folder:n0#won@user:anna")) is True


def test_a_diamond() -> None:
    """Over 2^40 paths through 41 levels every operator answers at once, and a way is found among them."""
    levels = 41
    sides = [
        f"{type_}:{here}{i}#parent@{type_}:{there}{i + 1}"
        for type_ in ("folder", "doc")
        for i in range(levels - 1)
        for here in "lr"
        for there in "lr"
    ]
    ends = [f"folder:{side}{levels - 1}#viewer@user:anna" for side in "lr"]
    ends += [f"doc:{side}{levels - 1}#owner@user:anna" for side in "lr"]
    ends += ["folder:aside#viewer@user:bob", "doc:aside#owner@user:bob"]
    with loaded(sides, ends) as authorizer:
        ask_both(authorizer, *(f"folder:l0#{name}" for name in ("read", "view", "every", "calm")))
        best = timed("a diamond, one way", lambda: authorizer.best("user:anna", "doc:l0"))
        assert (best.role, len(best.ways), len(best.ways[0].tuples)) == ("own", 1, levels)
        nodes = timed("a diamond expanded", lambda: authorizer.expand("folder:l0", "view")).nodes
        assert len({(node.object, node.text) for node in nodes}) == len(nodes) < 20 * levels


def test_all_of_many_parents() -> None:
    """Of 10,000 parents each one has to agree: anna's do, and one of bob's does not."""
    parents = 10_000
    tuples = (f"folder:f#parent@folder:n{i}" for i in range(parents))
    views = (f"folder:n{i}#viewer@user:{name}" for i in range(parents) for name in ("anna", "bob"))
    with loaded(tuples, views) as authorizer:
        authorizer.write(delete=[f"folder:n{parents // 2}#viewer@user:bob"])
        ask_both(authorizer, "folder:f#every")


def test_best_access_down_a_chain() -> None:
    """Best access at the near end of a chain is what the far end gives; near the far end, with the one way there."""
    ends = [f"doc:n{MANY}#owner@group:n0#member", f"group:n{DEEP}#member@user:anna", "doc:aside#owner@user:bob"]
    groups = links("group", "member", "#member", length=DEEP)
    with loaded(links("doc", "parent"), groups, ends) as authorizer:
        best = timed("doc:n0, role", lambda: authorizer.best("user:anna", "doc:n0", ways="none"))
        assert (best.role, best.held) == ("own", ("own", "see"))
        nothing = timed("doc:n0, no role", lambda: authorizer.best("user:bob", "doc:n0", ways="one"))
        assert (nothing.role, nothing.held, nothing.ways) == (None, (), ())
        deep = f"doc:n{MANY - DEEP}"
        (way,) = timed(f"{deep}, one way", lambda: authorizer.best("user:anna", deep)).ways
        assert len(way.tuples) == 2 * DEEP + 2
