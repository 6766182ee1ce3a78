"""Cycles in data: the engine's against a brute force over random worlds, and the library's and client's on small ones.

The brute force follows every way through the oracle's model, without components and without relgraph.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import example, given, note, settings

import relgraph
from relgraph.answers import CycleClass
from relgraph.engine import find_cycles
from relgraph.errors import LimitExceeded, UnknownDefinition
from tests.engine_worlds import EngineWorld
from tests.oracle import (
    AllArrow,
    Arrow,
    Exclusion,
    Name,
    Object,
    Oracle,
    Schema,
    World,
    define,
    living,
    tuple_of,
)
from tests.worlds import FEATURES_SERVED, world_text, worlds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.answers import Cycle
    from tests.oracle import Expression

WORLDS = 4_000 if os.environ.get("RELGRAPH_LONG") else 300

Found = set[tuple[str, frozenset[str], frozenset[str], frozenset[str]]]
"""Class, names, tuples and subjects of each cycle."""


# --- brute force ------------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """A name of an object leads to another: by name, or by a tuple of a relation or of an arrow's tupleset."""

    source: str
    target: str
    why: str
    tuple: str
    negative: bool


def steps(world: World, objects: Iterable[Object]) -> Iterator[Step]:
    """Yield every single step between names of the objects."""
    tuples = living(world, world.revision, world.now)
    for object_ in objects:
        definition = world.schema.definitions[object_.type]
        own = [each for each in tuples if each.resource in (object_, Object(object_.type, "*"))]
        for relation in definition.relations:
            for each in own:
                if each.relation == relation and each.subject.relation:
                    yield Step(f"{object_}#{relation}", str(each.subject), "userset", each.text, False)
        for permission, expression in definition.permissions.items():
            for leaf, negative in leaves(expression, False):
                if isinstance(leaf, Name):
                    yield Step(f"{object_}#{permission}", f"{object_}#{leaf.name}", "name", "", negative)
                elif isinstance(leaf, Arrow | AllArrow):
                    for each in own:
                        target = each.subject.object
                        if each.relation == leaf.tupleset and world.schema.has(target.type, leaf.name):
                            far = f"{target}#{leaf.name}"
                            yield Step(f"{object_}#{permission}", far, "arrow", each.text, negative)


def leaves(expression: Expression, negative: bool) -> Iterator[tuple[Expression, bool]]:
    """Yield the leaves of an expression, and whether each is somewhere in an excluded side."""
    if isinstance(expression, Exclusion):
        yield from leaves(expression.base, negative)
        yield from leaves(expression.subtracted, True)
    elif hasattr(expression, "operands"):
        for operand in expression.operands:
            yield from leaves(operand, negative)
    else:
        yield expression, negative


def circles(some: list[Step]) -> Iterator[list[Step]]:
    """Yield the steps between names that lead to each other, together for all that do."""
    onward: dict[str, set[str]] = {}
    for step in some:
        onward.setdefault(step.source, set()).add(step.target)
    for start in sorted(onward):
        reached = beyond(start, onward)
        together = {name for name in reached if start in beyond(name, onward)}
        if start in together and start == min(together):
            yield [step for step in some if step.source in together and step.target in together]


def beyond(start: str, onward: dict[str, set[str]]) -> set[str]:
    """Return everything that one name leads to."""
    seen: set[str] = set()
    agenda = [start]
    while agenda:
        for name in onward.get(agenda.pop(), ()):
            if name not in seen:
                seen.add(name)
                agenda.append(name)
    return seen


def brute(world: World, oracle: Oracle) -> Found:
    """Return all cycles of a world, the undefined ones by asking about everybody."""
    named = {o for each in oracle.tuples for o in (each.resource, each.subject.object)} | set(world.objects)
    objects = sorted(each for each in named if each.id != "*")
    everything = list(steps(world, objects))
    found: Found = set()
    for circle in circles([step for step in everything if step.why != "arrow"]):
        if any(step.why == "userset" for step in circle):
            found.add(("usersets", *told(circle), frozenset()))
    for circle in circles(everything):
        names, tuples = told(circle)
        if any(step.why == "arrow" for step in circle):
            found.add(("tuplesets", names, tuples, frozenset()))
        if any(step.negative for step in circle):
            undecided = {(name, who) for name in names for who in everybody(world, objects) if open_(oracle, name, who)}
            if undecided:
                left, right = (frozenset(side) for side in zip(*undecided, strict=True))
                found.add(("undefined", left, tuples, right))
    return found


def told(circle: list[Step]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names and the tuples of a circle."""
    return frozenset(step.source for step in circle), frozenset(step.tuple for step in circle if step.tuple)


def everybody(world: World, objects: list[Object]) -> Iterator[str]:
    """Yield all plain subjects, and one of each type that nobody names."""
    yield from map(str, objects)
    yield from (f"{type_}:=" for type_ in world.schema.definitions)


def open_(oracle: Oracle, name: str, who: str) -> bool:
    """Return whether somebody's membership in a name is UNDECIDED."""
    resource, _, relation = name.partition("#")
    return oracle.verdict(who, relation, resource).kind == "undecided"


def shape(cycles: Iterable[Cycle]) -> Found:
    """Return the engine's cycles in the shape of the brute force's."""
    return {
        (
            each.kind.value,
            frozenset(map(str, each.names)),
            frozenset(f"{fact.resource}#{fact.relation}@{fact.subject}" for fact in each.tuples),
            frozenset(map(str, each.subjects)),
        )
        for each in cycles
    }


RING = World(
    Schema({
        "user": define({}),
        "doc": define(
            {"parent": "doc", "viewer": "user | doc#viewer", "banned": "user | user:*"},
            {
                "aaa": Name("banned") - Name("bbb"),
                "bbb": Name("viewer") - Name("aaa"),
                "ccc": Name("banned") + (Name("viewer") - Arrow("parent", "ccc")),
            },
        ),
    }),
    tuple(map(tuple_of, (
        "doc:a#parent@doc:b", "doc:b#parent@doc:a", "doc:a#viewer@user:ann", "doc:b#viewer@doc:a#viewer",
        "doc:b#viewer@doc:b#viewer", "doc:c#parent@doc:c", "doc:c#banned@user:*", "doc:c#viewer@user:eve",
    ))),
    objects=tuple(Object("doc", id_) for id_ in "abc"),
)  # fmt: skip


@settings(max_examples=WORLDS)
@example(world=RING)
@given(world=worlds(FEATURES_SERVED))
def test_cycles_are_those_that_following_everything_finds(world: World) -> None:
    """The cycles of random worlds, their names, tuples and undecided subjects, are those of the brute force."""
    note(world_text(world))
    oracle, engine = Oracle(world), EngineWorld(world)
    named: set[Object] = {o for each in world.tuples for o in (each.resource, each.subject.object) if o.id != "*"}
    asked = {str(each) for each in (*named, *world.objects) if each.type in world.schema.definitions}
    plain = [engine.object(each) for each in sorted(asked)]
    found = list(find_cycles(engine.world(), plain, lambda type_: [each for each in plain if each.type == type_]))
    assert brute(world, oracle) == shape(found)
    assert found == sorted(found, key=lambda each: (list(CycleClass).index(each.kind), each.names))


# --- through the library ----------------------------------------------------------------------------------------------

SCHEMA = """
use universal
definition user {}
definition group {
    relation member: user | group#member | group#all
    relation extra: user
    permission all = member + extra
}
definition folder {
    relation parent: folder | folder with universal
    relation child: folder
    relation banned: user
    permission view = banned + parent->view
    permission below = child->view
    permission left = banned - right
    permission right = banned - left
}
"""


def texts(cycles: Iterable[Cycle]) -> list[str]:
    """Return each cycle in a line: its class, and its names."""
    return [f"{each.kind.value}: {' '.join(map(str, each.names))}" for each in cycles]


def test_cycles_through_the_library() -> None:
    """Each class is told with its names, tuples and subjects, at a revision; what only points both ways is no cycle."""
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        straight = ["group:a#member@group:b#all", "folder:a#parent@folder:b", "folder:b#child@folder:a"]
        before = authorizer.write(touch=straight)
        assert () == authorizer.cycles().cycles
        back = ["group:b#member@group:a#member", "folder:*#parent@folder:root", "folder:a#banned@user:eve"]
        authorizer.write(touch=back)
        found = authorizer.cycles()
        assert found.revision == 3
        assert texts(found.cycles) == [
            "usersets: group:a#member group:b#all group:b#member",
            "tuplesets: folder:root#view",
            "undefined: folder:a#left folder:a#right",
        ]
        assert [[str(each) for each in one.tuples] for one in found.cycles] == [
            ["group:a#member@group:b#all", "group:b#member@group:a#member"],
            ["folder:*#parent@folder:root"],
            [],
        ]
        assert [[str(each) for each in one.subjects] for one in found.cycles] == [[], [], ["user:eve"]]
        exact = relgraph.Consistency.at_exactly(before.token)
        assert () == authorizer.cycles(consistency=exact).cycles


def test_cycles_of_types_and_candidates() -> None:
    """Only cycles that an object asked about is in are told, and an object that no tuple names may be asked about."""
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA.replace("relation banned: user", "relation banned: user with universal"))
        authorizer.write(touch=["group:a#member@group:a#member", "folder:*#banned@user:eve"])
        assert texts(authorizer.cycles().cycles) == ["usersets: group:a#member"]
        assert () == authorizer.cycles(types=["folder"]).cycles
        found = authorizer.cycles(["folder:new"], types=["folder"]).cycles
        assert texts(found) == ["undefined: folder:new#left folder:new#right"]
        with pytest.raises(UnknownDefinition, match="did you mean `folder`"):
            authorizer.cycles(types=["foldr"])


def test_cycles_have_no_depth() -> None:
    """A ring of ten thousand groups is one cycle; more work than the limits allow is an error, not a shorter list."""
    size = 10_000
    ring = [f"group:g{n}#member@group:g{(n + 1) % size}#member" for n in range(size)]
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.load(ring)
        [cycle] = authorizer.cycles().cycles
        assert (CycleClass.USERSETS, size, size) == (cycle.kind, len(cycle.names), len(cycle.tuples))
    with relgraph.open("sqlite://", limits=relgraph.Limits(nodes_max=10)) as small:
        small.write_schema(SCHEMA)
        small.load(ring[:100])
        with pytest.raises(LimitExceeded, match="nodes_max"):
            small.cycles()
