"""The engine against the oracle, exhaustively in the small: every set of up to four tuples, every question.

What goes wrong goes wrong small, most of it: where random worlds may miss a corner, nothing here is left to chance.
"""

from __future__ import annotations

from itertools import combinations

import pytest

from relgraph.engine import check
from tests.engine_worlds import EngineWorld
from tests.oracle import Oracle, World
from tests.small_scopes import SCOPES
from tests.worlds import world_text

SIZE_MAX = 4
NOW = 100


@pytest.mark.parametrize("name", SCOPES)
def test_every_small_world_is_the_oracles(name: str) -> None:
    """All sets of up to four of a scope's tuples give the oracle's verdicts, with short cuts or without."""
    scope = SCOPES[name]
    definitions = scope.schema.definitions
    asked = [
        (o, each) for o in scope.objects for each in (*definitions[o.type].relations, *definitions[o.type].permissions)
    ]
    worlds, verdicts = 0, set()
    for size in range(SIZE_MAX + 1):
        for tuples in combinations(scope.tuples, size):
            world = World(scope.schema, tuples, now=NOW, objects=scope.objects)
            oracle, engine = Oracle(world), EngineWorld(world)
            worlds += 1
            for who in scope.subjects:
                plain = engine.walk(str(who), flattens=False, searches=False)
                quick = engine.walk(str(who))
                for resource, member in asked:
                    expected = oracle.verdict(who, member, resource).kind
                    told = [check(walk, engine.object(resource), member)[0].value for walk in (quick, plain)]
                    assert [expected] * 2 == told, f"{resource}#{member}@{who}\n{world_text(world)}"
                    verdicts.add(expected)
    questions = worlds * len(scope.subjects) * len(asked)
    print(f"{name}: {worlds} worlds, {questions:,} questions")  # noqa: T201  # seen with -s
    assert {"yes", "no"} <= verdicts
