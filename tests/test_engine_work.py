"""The work behind an answer: it grows with what is read, and whatever grows faster is counted and ends in a limit."""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING

from relgraph.engine import SubjectScope, Walk, check, find_ways
from relgraph.engine.conditions import Unconditional
from relgraph.limits import Limits
from relgraph.tuples import Object, Subject
from tests.engine_worlds import EngineWorld
from tests.oracle import AllArrow, Name, Schema, World, define, tuple_of

if TYPE_CHECKING:
    from types import FrameType

    from relgraph.answers import Way
    from relgraph.rewrites import Edge, Value

DOC = Object("doc", "d")
SCHEMA = Schema(
    {
        "user": define({}),
        "group": define({"member": "user | group#member"}),
        "doc": define(
            {"parent": "doc", "viewer": "user | group#member"},
            {
                "view": Name("viewer") + AllArrow("parent", "view"),
                "late": AllArrow("parent", "late") + Name("viewer"),
                "read": Name("viewer"),
            },
        ),
    }
)


def _fan(count: int) -> list[str]:
    """A document that many groups view, the user in each."""
    groups = range(count)
    return [f"doc:d#viewer@group:{n}#member" for n in groups] + [f"group:{n}#member@user:u" for n in groups]


def _engine(texts: list[str]) -> EngineWorld:
    return EngineWorld(World(SCHEMA, tuple(map(tuple_of, texts))))


class _Calls:
    """Counts calls of functions, as a profile: of those with these names, or of all."""

    def __init__(self, *names: str) -> None:
        self.count = 0
        self._names = names

    def __call__(self, frame: FrameType, event: str, arg: object, /) -> None:  # noqa: ARG002  # as a profile is called
        """Count one."""
        self.count += event == "call" and (not self._names or frame.f_code.co_name in self._names)


class _Counting(Unconditional):
    """Counts how often a tuple's condition is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def value(self, edge: Edge, /) -> Value:
        """Return (YES, YES), counted."""
        self.asked += 1
        return super().value(edge)


def _ways(engine: EngineWorld, name: str, limits: Limits, conditions: Unconditional) -> tuple[tuple[Way, ...], bool]:
    scope = SubjectScope(engine.world(), Subject.parse("user:u"))
    walk = Walk(scope, conditions)
    check(walk, DOC, name)
    return find_ways(walk, Walk(scope, conditions, exhaustive=True), DOC, name, limits, every=True)


def test_the_ground_of_a_wide_union_is_read_once() -> None:
    """A way through four times as many groups asks four times as often for conditions, not sixteen times."""
    asked = []
    for count in (50, 200):
        conditions = _Counting()
        ways, more = _ways(_engine(_fan(count)), "read", Limits(ways_max=1), conditions)
        assert (len(ways), more) == (1, True)
        asked.append(conditions.asked)
    assert asked[1] <= 5 * asked[0]


def test_looking_for_ways_keeps_no_choices() -> None:
    """Nine ways beside a `.all` make 2^9 choices of what to leave out; they are gone through, not held."""
    engine = _engine([*_fan(9), "doc:d#parent@doc:p", "doc:d#parent@doc:q", "doc:p#viewer@user:u"])
    tracemalloc.start()
    try:
        ways, more = _ways(engine, "view", Limits(), Unconditional())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(ways), more) == (9, False)
    assert peak < 250_000


def test_a_limit_on_ways_leaves_those_that_were_found() -> None:
    """Twenty ways beside a `.all` are all told, though that there are no more takes too long to tell."""
    engine = _engine([*_fan(20), "doc:d#parent@doc:p", "doc:d#parent@doc:q", "doc:p#viewer@user:u"])
    ways, more = _ways(engine, "view", Limits(ways_work_max=100_000), Unconditional())
    assert (len(ways), more) == (20, True)


def test_a_walk_goes_by_one_set_of_plans() -> None:
    """Another thread that made plans of its own for the same schema does not change what a walk's numbers mean."""
    engine = _engine(["doc:d#viewer@group:g#member", "group:g#member@user:u"])
    walk = engine.walk("user:u")
    mine = vars(engine.program).pop("plans")
    other = engine.program.plans
    assert other is not mine
    # The other thread asks in another order, so that its numbers differ.
    for name in ("member", "viewer", "read"):
        for type_number in range(1, 10):
            member = engine.program.member(type_number, name)
            assert member is None or other.of(member) is not None
    assert check(walk, DOC, "read")[0].value == "yes"
    assert check(walk, DOC, "parent")[0].value == "no"


def test_a_wide_conjunction_is_read_once_a_level() -> None:
    """A `.all` over four times as many parents, in a circle with each, takes four times the calls, not sixteen."""
    work = []
    for count in (50, 200):
        parents = [f"doc:d#parent@doc:{n}" for n in range(count)] + [f"doc:{n}#parent@doc:d" for n in range(count)]
        walk = _engine([*parents, "doc:d#viewer@user:u"]).walk("user:u")
        calls = _Calls()
        sys.setprofile(calls)
        try:
            verdict = check(walk, DOC, "late")[0]
        finally:
            sys.setprofile(None)
        assert verdict.value == "yes"
        work.append(calls.count)
    assert work[1] <= 5 * work[0]


def test_what_one_search_has_read_the_next_does_not_read() -> None:
    """A search reads each group once, and one for a group that it met on its way without deciding it reads nothing."""
    middle = [f"group:all#member@group:m{n}#member" for n in range(10)]
    below = [f"group:m{n}#member@group:n{n}#member" for n in range(10)]
    walk = _engine([*middle, *below, "group:n9#member@user:u"]).walk("user:u")
    reads = []
    for groups, expected in ((["all"], "yes"), ([f"m{n}" for n in range(9)], "no")):
        calls = _Calls("usersets")
        sys.setprofile(calls)
        try:
            verdicts = {check(walk, Object("group", each), "member")[0].value for each in groups}
        finally:
            sys.setprofile(None)
        assert verdicts == {expected}
        reads.append(calls.count)
    # All but the last, where the user was found among the members.
    assert reads == [20, 0]
