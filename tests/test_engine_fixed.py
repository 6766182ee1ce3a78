"""What comparing verdicts cannot tell: how much work an answer takes, what is charged, and how an expansion looks."""

from __future__ import annotations

import time

import pytest

from relgraph.engine import Budget, Walk, check, find_ways
from relgraph.errors import LimitExceeded
from relgraph.limits import Limits
from tests.engine_worlds import EngineWorld
from tests.oracle import AllArrow, Arrow, Name, Nil, Object, Schema, Self, World, define, tuple_of

LENGTH = 50
_FOLDER = define(
    {
        "parent": "folder | folder with universal",
        "second": "folder",
        "viewer": "user | user with universal",
        "banned": "user",
    },
    {
        "seen": Name("banned") + (Name("read") + Name("viewer")),
        # Of these, the operand that comes last is deep.
        "deep": Arrow("parent", "deep") - Name("banned"),
        "either": (Name("viewer") - Name("banned")) + Name("deep"),
        "neither": (Name("banned") - Name("viewer")) & Name("deep"),
        "without": (Name("banned") & Name("viewer")) - Name("deep"),
        "every": AllArrow("second", "deep"),
        "read": Name("viewer") + Arrow("parent", "read"),
        "view": (Name("viewer") + Arrow("parent", "view")) - Name("banned"),
        "won": Arrow("parent", "lost"),
        "lost": Name("viewer") - Name("won"),
        "part": (Name("viewer") + (Self() + Nil())) & (AllArrow("parent", "read") - Name("banned")),
    },
)


def _world(*tuples: str) -> EngineWorld:
    schema = Schema({"user": define({}), "folder": _FOLDER})
    return EngineWorld(World(schema, tuple(map(tuple_of, tuples)), objects=(Object("user", "a"),)))


def _links() -> list[str]:
    return [f"folder:n{i}#parent@folder:n{i + 1}" for i in range(LENGTH)]


def _chain() -> EngineWorld:
    return _world(*_links(), f"folder:n{LENGTH}#viewer@user:a")


def _fits(engine: EngineWorld, question: str, limits: Limits) -> bool:
    """Return whether the limits allow to answer about `user:a`; an answer is always a yes."""
    engine.limits = limits
    resource, _, name = question.partition("#")
    try:
        return check(engine.walk("user:a"), engine.object(resource), name)[0].value == "yes"
    except LimitExceeded:
        return False


def test_a_search_visits_each_folder_once() -> None:
    """A chain that is searched takes a sub-question a folder, and one more for the first."""
    assert not _fits(_chain(), "folder:n0#read", Limits(nodes_max=LENGTH))
    assert _fits(_chain(), "folder:n0#read", Limits(nodes_max=LENGTH + 2))


def test_a_walk_opens_a_few_at_each_folder() -> None:
    """A chain that is walked takes a sub-question for each exclusion and union, and for each name searched there."""
    assert not _fits(_chain(), "folder:n0#view", Limits(nodes_max=3 * LENGTH))
    assert _fits(_chain(), "folder:n0#view", Limits(nodes_max=4 * LENGTH + 8))


@pytest.mark.parametrize("name", ["either", "neither", "without", "every"])
def test_what_cannot_matter_is_not_read(name: str) -> None:
    """Once an operand settles the answer, those behind it are left alone, however deep they are."""
    engine = _world(*_links(), "folder:n0#viewer@user:a", "folder:n0#second@folder:none", "folder:n0#second@folder:n1")
    engine.limits = Limits(nodes_max=12)
    verdict = check(engine.walk("user:a"), engine.object("folder:n0"), name)[0].value
    assert verdict == ("yes" if name == "either" else "no")
    with pytest.raises(LimitExceeded):
        check(engine.walk("user:a", exhaustive=True), engine.object("folder:n0"), name)


@pytest.mark.parametrize("name", ["read", "view"])
def test_tuples_are_charged(name: str) -> None:
    """A chain takes a tuple a folder, and not many more."""
    assert not _fits(_chain(), f"folder:n0#{name}", Limits(tuples_max=LENGTH))
    assert _fits(_chain(), f"folder:n0#{name}", Limits(tuples_max=2 * LENGTH + 2))


def test_solving_anew_is_charged() -> None:
    """Round a ring of exclusions, what is solved a second time costs sub-questions a second time."""
    size = 20
    links = (f"folder:n{i}#parent@folder:n{(i + 1) % size}" for i in range(size))
    viewers = (f"folder:n{i}#viewer@user:a" for i in range(size))
    engine = _world(*links, *viewers, "folder:n0#parent@folder:out", "folder:out#viewer@user:a")
    walk = engine.walk("user:a")
    assert check(walk, engine.object("folder:n0"), "won")[0].value == "yes"
    opened = len(walk.equations)
    assert not _fits(engine, "folder:n0#won", Limits(nodes_max=opened + size))
    assert _fits(engine, "folder:n0#won", Limits(nodes_max=8 * opened))


_ABOVE = "folder:*#parent@folder:above"


@pytest.mark.parametrize(
    ("name", "more", "tuples"),
    [
        ("read", [], LENGTH + 1),
        ("seen", [], LENGTH + 1),
        # Each folder is below one that is above them all: two tuples tell it.
        ("seen", [_ABOVE, "folder:above#viewer@user:a"], 2),
        ("read", ["folder:*#viewer@user:a"], 1),
    ],
)
def test_one_way_reads_nothing_more(name: str, more: list[str], tuples: int) -> None:
    """The one way of an answer found by a search is told from what was read for the answer."""
    engine = _world(*_links(), f"folder:n{LENGTH}#viewer@user:a", *more)
    walk = engine.walk("user:a")
    exhaustive = Walk(walk.scope, walk.conditions, exhaustive=True)
    resource = engine.object("folder:n0")
    assert check(walk, resource, name)[0].value == "yes"
    (way,), truncated = find_ways(walk, exhaustive, resource, name, engine.limits, every=False)
    assert len(way.tuples) == tuples
    assert not truncated
    assert not exhaustive.equations
    every, _ = find_ways(engine.walk("user:a"), exhaustive, resource, name, engine.limits, every=True)
    assert way in every


def test_what_was_found_serves_the_next() -> None:
    """Asking again, or about what lies on the way, opens nothing and reads nothing."""
    engine = _chain()
    for name in ("read", "view"):
        for who in ("user:a", "user:b"):
            walk = engine.walk(who)
            answers = [check(walk, engine.object("folder:n0"), name)]
            walk.scope.budget = Budget(Limits(nodes_max=0, tuples_max=0), time.monotonic)
            answers += [check(walk, engine.object(f"folder:n{i}"), name) for i in (0, 1, LENGTH // 2)]
            assert len(set(answers)) == 1


def test_an_expansion_keeps_the_shape() -> None:
    """An expansion has a node for each operator as it was written, unions in unions too, and each tuple stands once."""
    engine = _world("folder:a#viewer@user:a", "folder:a#parent@folder:b", "folder:*#parent@folder:c")
    nodes = engine.expanded("folder:a", "part")
    told = [(node.kind, str(node.object), node.text, [str(fact) for fact in node.tuples]) for node in nodes]
    above = ["folder:*#parent@folder:c"]
    read = "read = viewer + parent->read"
    assert told == [
        ("permission", "folder:a", "part = (viewer + (self + nil)) & (parent.all(read) - banned)", []),
        ("intersection", "folder:a", "(viewer + (self + nil)) & (parent.all(read) - banned)", []),
        ("union", "folder:a", "viewer + (self + nil)", []),
        ("relation", "folder:a", "viewer", ["folder:a#viewer@user:a"]),
        ("union", "folder:a", "self + nil", []),
        ("self", "folder:a", "self", []),
        ("nil", "folder:a", "nil", []),
        ("exclusion", "folder:a", "parent.all(read) - banned", []),
        ("all", "folder:a", "parent.all(read)", ["folder:a#parent@folder:b", *above]),
        ("permission", "folder:b", read, []),
        ("union", "folder:b", "viewer + parent->read", []),
        ("relation", "folder:b", "viewer", []),
        ("arrow", "folder:b", "parent->read", above),
        ("permission", "folder:c", read, []),
        ("union", "folder:c", "viewer + parent->read", []),
        ("relation", "folder:c", "viewer", []),
        ("arrow", "folder:c", "parent->read", above),
        ("relation", "folder:a", "banned", []),
    ]
    assert [node.children for node in nodes[:9]] == [(1,), (2, 7), (3, 4), (), (5, 6), (), (), (8, 17), (9, 13)]
    assert [str(node.object) for node in nodes if node.cycle] == ["folder:c"]
