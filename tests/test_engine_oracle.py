"""The engine against the oracle: every answer the engine gives is the oracle's, on random and on tricky worlds."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

import relgraph
from relgraph.engine import Walk, access, check, expand, find_orphans, find_ways
from relgraph.errors import InvalidInput, Undecided
from tests.engine_worlds import EngineWorld
from tests.oracle import (
    FAILED,
    Name,
    Object,
    Oracle,
    Refused,
    Schema,
    Subject,
    Tuple,
    World,
    conditional,
    define,
    tuple_of,
)
from tests.patience import Patience
from tests.worlds import FEATURES_SERVED, Question, all_questions, questions, schema_text, world_text, worlds
from tests.worlds_traits import TRAITS, traits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.answers import Verdict
    from relgraph.tuples import RelationTuple

LONG = bool(os.environ.get("RELGRAPH_LONG"))
QUESTIONS = 1_000_000 if LONG else 100_000
VERDICT_WORLDS = 4_000 if LONG else 400
"""Worlds of which the questions are drawn; more of them where these are small."""
PARTS = 4
"""The hundred thousand are asked in so many tests, for as many processors."""
WORLDS = 8_000 if LONG else 160
SERVED = worlds(FEATURES_SERVED)
CONDITIONAL = worlds(FEATURES_SERVED | {"conditions"})


WAYS_WORLDS = worlds(FEATURES_SERVED, tuples_max=8) | worlds(FEATURES_SERVED | {"conditions"}, tuples_max=8)


def _told(verdict: Verdict, missing: tuple[str, ...]) -> tuple[str, frozenset[str]]:
    return verdict.value, frozenset(missing)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_verdict_is_the_oracles(part: int) -> None:
    """A hundred thousand questions about random worlds, a million in a long run, get the oracle's verdict and missing
    names: whatever was asked before, and with short cuts taken or not.
    """
    asked: Counter[str] = Counter()
    patience = Patience()

    @settings(max_examples=VERDICT_WORLDS // PARTS, phases=set(Phase) - {Phase.explain})
    @given(world=SERVED | CONDITIONAL, seed=st.integers(0, 1_000))
    def agree(world: World, seed: int) -> None:
        note(world_text(world))
        with patience.with_example(f"{seed} {world}"):
            asked.update(_agreed(world, random.Random(seed)))

    while asked.total() < QUESTIONS // PARTS:
        agree()
    print(f"part {part}: {asked.total():,} questions: {dict(asked)}")  # noqa: T201  # seen with -s
    assert asked.keys() == {"no", "yes", "conditional", "undecided"}


def test_the_worlds_drawn_hold_everything() -> None:
    """Of the worlds that engines are compared on, enough hold each trait: what never occurs would prove nothing."""
    drawn: Counter[str] = Counter()

    @settings(max_examples=400, derandomize=True, database=None)
    @given(world=SERVED | CONDITIONAL)
    def count(world: World) -> None:
        drawn.update(traits(world))

    count()
    print(*(f"{share:4} {trait}" for trait, share in drawn.most_common()), sep="\n")  # noqa: T201  # seen with -s
    assert drawn.keys() == TRAITS
    assert {trait: count for trait, count in drawn.items() if count < 10} == {}


def _agreed(world: World, chance: random.Random) -> Iterator[str]:
    """Ask every question about a world, in any order, and yield the verdicts, on which all walks have agreed.

    For each subject there are three walks that have answered questions before: one as everybody's, one that skips
    nothing, one without short cuts; every other question is asked afresh as well.
    """
    oracle, engine = Oracle(world), EngineWorld(world)
    asked = [*questions(world), *chance.sample(all_questions(world), 40)]
    chance.shuffle(asked)
    walks: dict[Subject, tuple[Walk, ...]] = {}
    for question in asked:
        who = question.subject
        if who not in walks:
            walks[who] = (
                engine.walk(str(who)),
                engine.walk(str(who), exhaustive=True),
                engine.walk(str(who), flattens=False, searches=False),
            )
        expected = oracle.verdict(who, question.name, question.resource)
        told = (expected.kind, expected.missing)
        resource = engine.object(question.resource)
        for walk in (*walks[who], *([engine.walk(str(who))] if chance.random() < 1 / 2 else [])):
            assert told == _told(*check(walk, resource, question.name)), question.text
        yield expected.kind


@settings(max_examples=WORLDS // 2)
@given(world=SERVED | CONDITIONAL)
def test_best_access_is_the_oracles(world: World) -> None:
    """Role, held, conditional and undecided rungs are the oracle's, with a ladder and without."""
    note(world_text(world))
    oracle, engine = Oracle(world), EngineWorld(world)
    for question in {(each.subject, each.resource): each for each in questions(world)}.values():
        expected = oracle.best(question.subject, question.resource)
        found = access(engine.walk(str(question.subject)), engine.object(question.resource))
        conditional = {each.role: frozenset(each.missing) for each in found.conditional}
        assert (expected.role, set(expected.held)) == (found.role, set(found.held))
        assert dict(expected.conditional) == conditional
        assert set(expected.undecided) == set(found.undecided)


def _text(fact: RelationTuple) -> str:
    """Return a tuple's text as the oracle writes it: without what it expires at."""
    return str(replace(fact, expires_at=None))


def _interesting(oracle: Oracle, world: World, most: int) -> list[Question]:
    asked = questions(world)
    return [q for q in asked if oracle.verdict(q.subject, q.name, q.resource).kind in ("yes", "conditional")][:most]


@settings(max_examples=WORLDS // 2)
@given(world=WAYS_WORLDS)
def test_ways_are_the_oracles(world: World) -> None:
    """All ways of a YES and a CONDITIONAL are the minimal sets of brute force, and the one way is one of them."""
    note(world_text(world))
    oracle, engine = Oracle(world), EngineWorld(world)
    for question in _interesting(oracle, world, 40):
        try:
            brute = oracle.ways(question.subject, question.name, question.resource, tuples_max=9)
        except Refused:
            continue
        expected = {frozenset(entry.text for entry in way) for way in brute}
        who, resource = str(question.subject), engine.object(question.resource)
        told = {}
        for every in (True, False):
            walk = engine.walk(who)
            exhaustive = Walk(walk.scope, walk.conditions, exhaustive=True)
            check(walk, resource, question.name)
            ways, more = find_ways(walk, exhaustive, resource, question.name, engine.limits, every=every)
            assert not more
            told[every] = {frozenset(map(_text, way.tuples)) for way in ways}
            assert len(told[every]) == len(ways)
        assert expected == told[True], question.text
        assert len(told[False]) == 1
        assert told[False] <= expected


@settings(max_examples=WORLDS // 2)
@given(world=SERVED | CONDITIONAL)
def test_a_way_proves_itself(world: World) -> None:
    """Each step of a way follows from its children, and the tuples in the steps are tuples of the way."""
    oracle, engine = Oracle(world), EngineWorld(world)
    for question in _interesting(oracle, world, 20):
        who, resource = str(question.subject), engine.object(question.resource)
        walk = engine.walk(who)
        exhaustive = Walk(walk.scope, walk.conditions, exhaustive=True)
        check(walk, resource, question.name)
        ways, _ = find_ways(walk, exhaustive, resource, question.name, engine.limits, every=False)
        for way in ways:
            assert way.steps[0].claim == f"{question.resource}#{question.name}"
            assert {step.tuple for step in way.steps if step.tuple} <= set(way.tuples)
            assert all(child < len(way.steps) for step in way.steps for child in step.children)
            reached = {0} | {child for step in way.steps for child in step.children}
            assert reached == set(range(len(way.steps)))


@settings(max_examples=WORLDS // 4)
@given(world=WAYS_WORLDS)
def test_orphans_are_the_oracles(world: World) -> None:
    """The resources nobody can reach, and their classes, are those that asking about everybody finds."""
    note(world_text(world))
    oracle, engine = Oracle(world), EngineWorld(world)
    if any(entry.condition.kind != "yes" for entry in world.tuples):
        return
    expected = {}
    for each in world.objects:
        if oracle.schema.definitions[each.type].rungs:
            expected[str(each)] = oracle.unreachable(each)
    named = {str(o) for entry in world.tuples for o in (entry.resource, entry.subject.object) if o.id != "*"}
    found = find_orphans(
        engine.world(),
        engine.limits,
        map(engine.object, expected),
        lambda type_: [engine.object(each) for each in sorted(named) if each.startswith(f"{type_}:")],
    )
    told = {str(each.resource): each.kind.value for each in found}
    assert {what: kind for what, kind in expected.items() if kind} == told


def _written(entry: Tuple, now: int) -> str:
    """Return a tuple's text, expired long ago or in a distant future as it is in the world."""
    if entry.expires is None:
        return entry.text
    return f"{entry.text}[expiration:{'2001' if entry.expires <= now else '9001'}-01-01T00:00:00Z]"


@settings(max_examples=WORLDS // 4)
@given(world=worlds(FEATURES_SERVED - {"stale"}))
def test_the_library_answers_as_the_oracle(world: World) -> None:
    """Written to SQLite and asked through the public door at an exact revision, the verdict is the oracle's."""
    note(world_text(world))
    oracle = Oracle(world)
    with relgraph.open("sqlite://") as authorizer:
        token = authorizer.write_schema(schema_text(world.schema)).token
        if world.tuples:
            token = authorizer.write(create=[_written(entry, world.now) for entry in world.tuples]).token
            authorizer.write(delete=[entry.text for entry in world.tuples])
        past = relgraph.Consistency.at_exactly(token)
        for question in questions(world)[:60]:
            expected = oracle.verdict(question.subject, question.name, question.resource).kind
            try:
                told = authorizer.decide(question.text, consistency=past).verdict.value
            except Undecided:
                told = "undecided"
            except InvalidInput:
                told = "no"  # surely swapped: refused, where the law's answer is no
            assert expected == told, question.text


@settings(max_examples=WORLDS // 4)
@given(world=worlds(FEATURES_SERVED))
def test_expand_shows_every_subject(world: World) -> None:
    """Without `-`, `&`, `.all` and `self`, the plain subjects in an expansion are those that Check says yes to."""
    oracle, engine = Oracle(world), EngineWorld(world)
    text = schema_text(world.schema)
    if any(operator in text for operator in (" - ", " & ", ".all(", "self")):
        return
    for resource, name in {(each.resource, each.name) for each in questions(world)}:
        nodes = expand(engine.every_subject(), engine.object(resource), name, usersets=True)
        leaves = {fact.subject for node in nodes if node.kind == "relation" for fact in node.tuples}
        for subject in (Object("user", "a"), Object("user", "b"), Object("user", "zed")):
            named = any(
                (leaf.type, leaf.relation) == (subject.type, "") and leaf.id in (subject.id, "*") for leaf in leaves
            )
            assert named == (oracle.verdict(str(subject), name, resource).kind == "yes")


def test_who_is_only_the_resource_itself_reaches_it() -> None:
    """`self` is access: a resource that nobody but itself reaches is no orphan, and one without it is."""
    schema = "use self definition user { permission view = self } definition doc { permission view = nil }"
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(schema)
        assert [str(each.resource) for each in authorizer.orphans(["user:anna", "doc:one"]).orphans] == ["doc:one"]


def test_undecided_is_an_error_of_check() -> None:
    """A question whose answer depends on its own negation raises Undecided, and best access lists the rung."""
    schema = """
        definition user {}
        definition doc {
            relation xxx: user
            permission aaa = xxx - bbb
            permission bbb = xxx - aaa
        }
    """
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(schema)
        authorizer.write(create=["doc:one#xxx@user:anna"])
        with pytest.raises(Undecided):
            authorizer.check("user:anna", "aaa", "doc:one")
        assert authorizer.best("user:anna", "doc:one").undecided == ("aaa", "bbb")
        assert authorizer.check("user:bob", "aaa", "doc:one") is False


def test_the_one_way_is_minimal_though_a_longer_proof_needs_less() -> None:
    """A proof of many steps and no tuple spares the tuple of a proof of one step."""
    schema = """
        use universal
        definition user {
            relation member: user
            relation viewer: user | user#member with universal
            permission view = member
            permission edit = view + member
            permission admin = viewer + edit
        }
    """
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(schema)
        authorizer.write(touch=["user:*#viewer@user:a#member"])
        ways = authorizer.best("user:a#member", "user:a").ways
        assert [("view", ()), ("edit", ()), ("admin", ())] == [(way.role, way.tuples) for way in ways]


def test_a_failing_condition_makes_a_ban_worth_keeping() -> None:
    """Where lifting a ban would leave a CONDITIONAL answer undecided, the ban belongs to its way."""
    doc = Object("doc", "a")
    schema = Schema(
        {
            "user": define({}),
            "doc": define(
                {"viewer": "user", "member": "user", "banned": "user"},
                {"view": Name("viewer") + (Name("member") - Name("banned"))},
            ),
        }
    )
    tuples = (
        tuple_of("doc:a#viewer@user:a", conditional("site")),
        tuple_of("doc:a#member@user:a", FAILED),
        tuple_of("doc:a#banned@user:a"),
    )
    world = World(schema, tuples, objects=(doc, Object("user", "a")))
    oracle, engine = Oracle(world), EngineWorld(world)
    walk = engine.walk("user:a")
    ways, _ = find_ways(
        walk,
        Walk(walk.scope, walk.conditions, exhaustive=True),
        engine.object(doc),
        "view",
        engine.limits,
        every=True,
    )
    expected = {frozenset(entry.text for entry in way) for way in oracle.ways("user:a", "view", "doc:a")}
    assert {frozenset({"doc:a#viewer@user:a", "doc:a#banned@user:a"})} == expected
    assert expected == {frozenset(map(str, way.tuples)) for way in ways}
