"""Both lookups of the engine are those of brute force, on random worlds with everything in them."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from tests.engine_worlds import EngineWorld
from tests.lookup_kit import dense, found_resources, found_subjects, plainly, widened
from tests.oracle import NO, Name, Oracle, Schema, World, conditional, define, tuple_of
from tests.patience import Patience
from tests.worlds import FEATURES_SERVED, NEVER_MENTIONED, world_text, worlds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.oracle import Rows

LONG = bool(os.environ.get("RELGRAPH_LONG"))
WORLDS = 1_000 if LONG else 30
LOOKUPS = 400_000 if LONG else 5_000
PARTS = 2
SERVED = worlds(FEATURES_SERVED)
CONDITIONAL = worlds(FEATURES_SERVED | {"conditions"})

Words = tuple[str, ...]
"""`what` with subject, type and name, or `who` with resource, name, type and relation."""


def _lookups(world: World) -> list[Words]:
    """Both lookups in all the ways there are, of subjects and resources that are named and of one that is not."""
    names = {type_: (*each.relations, *each.permissions) for type_, each in world.schema.definitions.items()}
    objects = [*map(str, world.objects), *(f"{type_}:{NEVER_MENTIONED}" for type_ in names)]
    subjects = [f"{each}{tail}" for each in objects for tail in ("", *(f"#{n}" for n in names[each.split(":")[0]]))]
    found: list[Words] = [("what", who, type_, name) for who in subjects for type_ in names for name in names[type_]]
    kinds = [(type_, relation) for type_, some in names.items() for relation in ("", *some)]
    found += [("who", each, name, *kind) for each in objects for name in names[each.split(":")[0]] for kind in kinds]
    return found


def _expected(oracle: Oracle, words: Words) -> Rows:
    kind, *rest = words
    return plainly(oracle.lookup_resources(*rest) if kind == "what" else oracle.lookup_subjects(*rest))


def _kind(rows: Rows) -> str:
    kinds = {each.kind for each in rows.named.values()}
    if rows.never_named.kind == "no":
        return "none" if not kinds else "conditional" if "conditional" in kinds else "some"
    return "everyone but some" if kinds else "everyone"


def _drawn(world: World, chance: random.Random, most: int) -> list[Words]:
    every = _lookups(world)
    return chance.sample(every, min(most, len(every)))


def _agreed(world: World, chance: random.Random, lookups: list[Words]) -> Iterator[str]:
    """Look up, and yield what was found: all that find something, and few of those that do not."""
    oracle, engine = Oracle(world), EngineWorld(world)
    for words in lookups:
        expected = _expected(oracle, words)
        if _kind(expected) == "none" and chance.random() < 3 / 4:
            continue
        kind, *rest = words
        found = found_resources(engine, *rest) if kind == "what" else found_subjects(engine, *rest)
        assert expected == found, words
        yield _kind(expected)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_lookup_is_the_oracles(part: int) -> None:
    """Five thousand lookups, many more in a long run, find the very rows that asking about everybody finds."""
    asked: Counter[str] = Counter()
    patience = Patience()

    @settings(max_examples=100, phases=set(Phase) - {Phase.explain})
    @given(world=SERVED | CONDITIONAL, seed=st.integers(0, 1_000))
    def agree(world: World, seed: int) -> None:
        note(world_text(world))
        with patience.with_example(f"{seed} {world}"):
            chance = random.Random(seed)
            drawn = widened(world, chance) if seed % 2 else world
            asked.update(_agreed(drawn, chance, _drawn(drawn, chance, 150)))

    while asked.total() < LOOKUPS // PARTS:
        agree()
    print(f"part {part}: {asked.total():,} lookups: {dict(asked)}")  # noqa: T201  # seen with -s
    assert all(asked[each] > 0 for each in ("none", "some", "conditional", "everyone"))


def _likely(world: World) -> list[Words]:
    """What plain users reach of the documents, and who reaches those: by every relation and permission."""
    definition = world.schema.definitions["doc"]
    names = (*definition.relations, *definition.permissions)
    found: list[Words] = [("what", f"user:{id_}", "doc", name) for id_ in "abc" for name in names]
    return [*found, *(("who", f"doc:{id_}", name, "user", "") for id_ in "abc" for name in names)]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_lookup_of_a_dense_world_is_the_oracles(part: int) -> None:
    """Where much holds for everyone and much is taken away again, rows are those that asking about everybody finds."""
    asked: Counter[str] = Counter()
    seed = part
    while asked.total() < LOOKUPS // PARTS:
        chance = random.Random(seed)
        world = dense(chance)
        try:
            asked.update(_agreed(world, chance, _likely(world) + _drawn(world, chance, 20)))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}\n{world_text(world)}") from error
        seed += PARTS
    print(f"part {part}: {asked.total():,} lookups: {dict(asked)}")  # noqa: T201  # seen with -s
    assert all(asked[each] > 50 for each in ("none", "some", "conditional", "everyone", "everyone but some"))


def test_whoever_lacks_something_else_is_asked_alone() -> None:
    """Two subjects of one relation, each under a condition of its own: the rows tell what each of them lacks."""
    schema = Schema({"user": define({}), "doc": define({"viewer": "user"}, {"view": Name("viewer") - Name("viewer")})})
    tuples = (
        tuple_of("doc:a#viewer@user:a", conditional("site")),
        tuple_of("doc:a#viewer@user:b", conditional("limit")),
        tuple_of("doc:a#viewer@user:c", conditional("site")),
        tuple_of("doc:a#viewer@user:d", NO),
    )
    engine = EngineWorld(World(schema, tuples))
    expected = {"a": conditional("site"), "b": conditional("limit"), "c": conditional("site")}
    for name in ("viewer", "view"):
        assert expected == found_subjects(engine, "doc:a", name, "user", "").named
