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
from tests.lookup_kit import found_resources, found_subjects, plainly, widened
from tests.oracle import Oracle
from tests.patience import Patience
from tests.worlds import FEATURES_SERVED, NEVER_MENTIONED, world_text, worlds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.oracle import Rows, World

LONG = bool(os.environ.get("RELGRAPH_LONG"))
LOOKUPS = 200_000 if LONG else 20_000
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


def _agreed(world: World, chance: random.Random) -> Iterator[str]:
    """Look up, in any order: most of the lookups that find something and are drawn, and few of those that do not."""
    oracle, engine = Oracle(world), EngineWorld(world)
    every = _lookups(world)
    for words in chance.sample(every, min(150, len(every))):
        expected = _expected(oracle, words)
        if _kind(expected) == "none" and chance.random() < 3 / 4:
            continue
        kind, *rest = words
        found = found_resources(engine, *rest) if kind == "what" else found_subjects(engine, *rest)
        assert expected == found, words
        yield _kind(expected)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_lookup_is_the_oracles(part: int) -> None:
    """Twenty thousand lookups, many more in a long run, find the very rows that asking about everybody finds."""
    asked: Counter[str] = Counter()
    patience = Patience()

    @settings(max_examples=100, phases=set(Phase) - {Phase.explain})
    @given(world=SERVED | CONDITIONAL, seed=st.integers(0, 1_000))
    def agree(world: World, seed: int) -> None:
        note(world_text(world))
        with patience.with_example(f"{seed} {world}"):
            chance = random.Random(seed)
            asked.update(_agreed(widened(world, chance) if seed % 2 else world, chance))

    while asked.total() < LOOKUPS // PARTS:
        agree()
    print(f"part {part}: {asked.total():,} lookups: {dict(asked)}")  # noqa: T201  # seen with -s
    assert all(asked[each] > 20 for each in ("none", "some", "conditional", "everyone", "everyone but some"))
