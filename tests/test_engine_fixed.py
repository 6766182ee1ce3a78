"""What comparing verdicts cannot tell: how much work an answer takes, what is charged, and how an expansion looks."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from relgraph.engine import Budget, SubjectScope, Walk, check, find_ways
from relgraph.errors import LimitExceeded
from relgraph.limits import Limits
from relgraph.tuples import Subject
from tests.engine_worlds import EngineWorld
from tests.oracle import (
    NO,
    AllArrow,
    Arrow,
    Intersection,
    Name,
    Nil,
    Object,
    Schema,
    Self,
    World,
    conditional,
    define,
    tuple_of,
)

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
        "third": Intersection((Name("viewer"), Name("banned"), Name("deep"))),
        "every": AllArrow("second", "deep"),
        "agreed": AllArrow("second", "viewer"),
        "read": Name("viewer") + Arrow("parent", "read"),
        "view": (Name("viewer") + Arrow("parent", "view")) - Name("banned"),
        "both": Name("read") & Name("seen"),
        "calm": (Name("viewer") + Arrow("second", "calm") + Arrow("parent", "calm")) & Name("read"),
        # Three names of one folder on one path, where it is its own parent.
        "first": Arrow("parent", "next"),
        "next": Arrow("parent", "last"),
        "last": Arrow("parent", "viewer"),
        "won": Arrow("parent", "lost"),
        "lost": Name("viewer") - Name("won"),
        "part": (Name("viewer") + (Self() + Nil())) & (AllArrow("parent", "read") - Name("banned")),
    },
)


_SCHEMA = Schema({"user": define({}), "folder": _FOLDER})


def _world(*tuples: str) -> EngineWorld:
    return EngineWorld(World(_SCHEMA, tuple(map(tuple_of, tuples)), objects=(Object("user", "a"),)))


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


def test_only_what_can_be_met_keeps_from_searching() -> None:
    """An exclusion of the same name on another type, or an arrow to a name that no type has, is not met on the way."""
    other = define({"viewer": "user", "banned": "user"}, {"read": Name("viewer") - Name("banned")})
    read = Name("viewer") + Arrow("parent", "read") + Arrow("parent", "unknown")
    folder = define({"parent": "folder", "viewer": "user"}, {"read": read})
    facts = (*_links(), f"folder:n{LENGTH}#viewer@user:a")
    engine = EngineWorld(
        World(Schema({"user": define({}), "other": other, "folder": folder}), tuple(map(tuple_of, facts)))
    )
    assert _fits(engine, "folder:n0#read", Limits(nodes_max=LENGTH + 2))


def test_names_that_meet_are_asked_once() -> None:
    """Forty levels of two names, each a union of both below it, are one search at one object."""
    levels = range(40)
    names = {f"{side}{n}": Name(f"left{n + 1}") + Name(f"right{n + 1}") for n in levels for side in ("left", "right")}
    doc = define({"left40": "user", "right40": "user"}, names)
    engine = EngineWorld(World(Schema({"user": define({}), "doc": doc}), (tuple_of("doc:d#right40@user:a"),)))
    for searches in (True, False):
        assert check(engine.walk("user:a", searches=searches), engine.object("doc:d"), "left0")[0].value == "yes"


def test_a_walk_opens_a_few_at_each_folder() -> None:
    """A chain that is walked takes a sub-question for each exclusion and union, and for each name searched there."""
    assert not _fits(_chain(), "folder:n0#view", Limits(nodes_max=3 * LENGTH))
    assert _fits(_chain(), "folder:n0#view", Limits(nodes_max=4 * LENGTH + 8))


@pytest.mark.parametrize("name", ["either", "neither", "without", "third", "every"])
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
        ("both", [], LENGTH + 1),
        ("calm", ["folder:n1#second@folder:n1"], LENGTH + 1),
        ("first", ["folder:n0#parent@folder:n0", "folder:n0#viewer@user:a"], 2),
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


def test_a_way_is_told_by_its_names() -> None:
    """Each step claims a name of an object, and says by which operator it holds: an intersection by both its sides."""
    engine = _world("folder:a#parent@folder:b", "folder:b#viewer@user:a")
    walk = engine.walk("user:a")
    exhaustive = Walk(walk.scope, walk.conditions, exhaustive=True)
    resource = engine.object("folder:a")
    check(walk, resource, "both")
    (way,), _ = find_ways(walk, exhaustive, resource, "both", engine.limits, every=False)
    assert [(step.claim, step.rule, step.children, step.tuple and str(step.tuple)) for step in way.steps] == [
        ("folder:a#both", "intersection", (1, 2), None),
        ("folder:a#read", "arrow", (3,), "folder:a#parent@folder:b"),
        ("folder:a#seen", "permission", (1,), None),
        ("folder:b#read", "permission", (4,), None),
        ("folder:b#viewer", "tuple", (), "folder:b#viewer@user:a"),
    ]


def test_one_way_ends_in_identity_or_beside_a_condition_that_fails() -> None:
    """It is told where nothing is behind its last step, and where the walk left alone what a tuple leads to."""
    facts = [
        tuple_of("folder:a#second@folder:b", NO),
        *map(tuple_of, ("folder:a#parent@folder:b", "folder:b#viewer@user:a")),
    ]
    engine = EngineWorld(World(_SCHEMA, (*facts, tuple_of("folder:a#second@folder:c", NO))))
    for who, name, tuples in (("user:a", "calm", 2), ("folder:b#read", "read", 1)):
        walk = engine.walk(who)
        exhaustive = Walk(walk.scope, walk.conditions, exhaustive=True)
        resource = engine.object("folder:a")
        assert check(walk, resource, name)[0].value == "yes"
        (way,), truncated = find_ways(walk, exhaustive, resource, name, engine.limits, every=False)
        assert (len(way.tuples), truncated, len(exhaustive.equations)) == (tuples, False, 0)


def test_a_way_through_all_needs_one_of_its_tuples() -> None:
    """Which of them does not matter, for the others may go; what each of them asks for may not."""
    links = ["folder:a#second@folder:b", "folder:a#second@folder:c"]
    viewers = ["folder:b#viewer@user:a", "folder:c#viewer@user:a"]
    engine = _world(*links, *viewers)
    walk = engine.walk("user:a")
    exhaustive = Walk(walk.scope, walk.conditions, exhaustive=True)
    ways, more = find_ways(walk, exhaustive, engine.object("folder:a"), "agreed", engine.limits, every=True)
    assert [[str(fact) for fact in way.tuples] for way in ways] == [[link, *viewers] for link in links]
    assert not more


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


def test_what_is_refuted_is_not_searched_again() -> None:
    """Above folders that were each found to give nothing, one more is found to give nothing without opening them."""
    engine = _world(*(f"folder:top#parent@folder:n{i}" for i in range(LENGTH)), "folder:aside#viewer@user:a")
    walk = engine.walk("user:a")
    answers = [check(walk, engine.object(f"folder:n{i}"), "read") for i in range(LENGTH)]
    walk.scope.budget = Budget(Limits(nodes_max=3), time.monotonic)
    answers.append(check(walk, engine.object("folder:top"), "read"))
    assert {verdict.value for verdict, _ in answers} == {"no"}


def test_a_condition_ends_searches_once() -> None:
    """Where a condition is met, a chain is searched as without; where one is open, each folder is still opened once."""
    facts = [*map(tuple_of, _links()), tuple_of(f"folder:n{LENGTH}#viewer@user:a")]
    aside = tuple_of("folder:aside#viewer@user:a", conditional("site"))
    met = EngineWorld(World(_SCHEMA, (*facts, aside)))
    assert _fits(met, "folder:n0#read", Limits(nodes_max=LENGTH + 2))
    engine = EngineWorld(World(_SCHEMA, (*facts[:-1], replace(facts[-1], condition=conditional("site")))))
    engine.limits = Limits(nodes_max=6 * LENGTH)
    verdict, missing = check(engine.walk("user:a"), engine.object("folder:n0"), "read")
    assert (verdict.value, missing) == ("conditional", ("site",))


def test_a_userset_that_is_named_is_found_at_once() -> None:
    """Whether a userset is among many that view a document is read from its own tuple, not from those of the others."""
    schema = Schema(
        {"user": define({}), "group": define({"member": "user"}), "doc": define({"viewer": "group#member"})}
    )
    engine = EngineWorld(World(schema, tuple(tuple_of(f"doc:d#viewer@group:g{i}#member") for i in range(LENGTH))))
    engine.limits = Limits(tuples_max=3)
    assert check(engine.walk(f"group:g{LENGTH - 1}#member"), engine.object("doc:d"), "viewer")[0].value == "yes"


def test_a_walk_searches_flattens_and_skips_unless_told_otherwise() -> None:
    """A walk made as the library makes it opens no more than it must."""
    engine = _chain()
    for name, nodes in (("read", LENGTH + 2), ("view", 4 * LENGTH + 8)):
        engine.limits = Limits(nodes_max=nodes)
        walk = Walk(SubjectScope(engine.world(), Subject.parse("user:a")))
        assert check(walk, engine.object("folder:n0"), name)[0].value == "yes"
    engine = _world(*_links(), "folder:n0#viewer@user:a")
    engine.limits = Limits(nodes_max=12)
    walk = Walk(SubjectScope(engine.world(), Subject.parse("user:a")))
    assert check(walk, engine.object("folder:n0"), "either")[0].value == "yes"


_FORMS = {"user": "user:a", "user:*": "user:*", "group": "group:g", "group#member": "group:g#member"}
_MARKS = ["", " with expiration", " with universal", " with expiration and universal"]


@pytest.mark.parametrize("searches", [True, False])
@pytest.mark.parametrize("taken", [form + marks for form in _FORMS for marks in _MARKS])
def test_a_tuple_counts_only_as_the_schema_takes_it(taken: str, searches: bool) -> None:
    """One that an older schema let in, with another kind of subject or other marks, gives nothing: not by itself, nor
    by what it points at.
    """
    # No arrow starts at a wildcard.
    behind = Nil() if "*" in taken else Arrow("has", "member")
    doc = define({"has": taken}, {"here": Name("has"), "behind": behind})
    schema = Schema({"user": define({}), "group": define({"member": "user"}), "doc": doc})
    for form, subject in _FORMS.items():
        for marks in _MARKS:
            resource = "doc:*" if "universal" in marks else "doc:d"
            fact = tuple_of(f"{resource}#has@{subject}", expires=200 if "expiration" in marks else None)
            engine = EngineWorld(World(schema, (fact, tuple_of("group:g#member@user:a")), now=100))
            walk = engine.walk("user:a", searches=searches)
            counts = form + marks == taken
            verdicts = [check(walk, engine.object("doc:d"), name)[0].value == "yes" for name in ("here", "behind")]
            assert verdicts == [counts and form != "group", counts and form.startswith("group")], fact


def test_a_wildcard_covers_no_stranger_of_another_type() -> None:
    """Someone of a type that the store never saw is not everyone of another, and in nothing but what is theirs."""
    schema = Schema({"user": define({"friend": "user:*"}), "doc": define({"viewer": "user:*"})})
    engine = EngineWorld(World(schema, (tuple_of("doc:d#viewer@user:*"), tuple_of("user:a#friend@user:*"))))
    for resource, name in (("doc:d", "viewer"), ("user:a", "friend")):
        for searches in (True, False):
            told = [
                check(engine.walk(who, searches=searches), engine.object(resource), name)[0].value
                for who in ("ghost:a", "user:b")
            ]
            assert told == ["no", "yes"]


def test_an_expansion_of_all_says_where_nobody_is() -> None:
    """An object whose type has no such name is a node of an expansion all the same: nobody is in it there."""
    schema = Schema(
        {
            "user": define({}),
            "team": define({}),
            "doc": define({"parent": "team | doc", "viewer": "user"}, {"view": AllArrow("parent", "viewer")}),
        }
    )
    engine = EngineWorld(World(schema, (tuple_of("doc:d#parent@team:t"), tuple_of("doc:d#parent@doc:e"))))
    nodes = engine.expanded("doc:d", "view")
    told = [(node.kind, str(node.object), node.children) for node in nodes]
    assert told == [
        ("permission", "doc:d", (1,)),
        ("all", "doc:d", (2, 3)),
        ("nil", "team:t", ()),
        ("relation", "doc:e", ()),
    ]


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
