"""Circles, many and crossing: recursion through exclusions, `.all` and conditions on small dense graphs of folders.

Random worlds seldom hold circles that settle piece by piece; these hold hardly anything else.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import given, note, settings
from hypothesis import strategies as st

from relgraph.engine import check, valid_until
from tests.engine_worlds import EngineWorld
from tests.oracle import (
    FAILED,
    YES,
    AllArrow,
    Arrow,
    Name,
    Object,
    Oracle,
    Schema,
    Subject,
    Tuple,
    World,
    conditional,
    define,
)
from tests.patience import Patience
from tests.worlds import world_text

if TYPE_CHECKING:
    from tests.oracle import Verdict

CIRCLES = 10_000 if os.environ.get("RELGRAPH_LONG") else 250
FOLDERS = [Object("folder", f"f{i}") for i in range(7)]
WHO = Subject("user", "a")
ENDS = (10, 20, 30, 40)

_V, _B = Name("viewer"), Name("banned")
_SCHEMA = Schema(
    {
        "user": define({}),
        "folder": define(
            {
                "parent": "folder | folder with expiration",
                "second": "folder | folder with expiration",
                "viewer": "user | user with expiration",
                "banned": "user | user with expiration",
            },
            {
                # Unions all the way down, which are searched.
                "read": _V + Arrow("parent", "read") + Arrow("second", "read"),
                # Won by a move to what is lost; and the same with an operand that may settle it otherwise.
                "won": Arrow("parent", "lost"),
                "lost": _V - Name("won"),
                "even": (_V - Arrow("parent", "odd")) + (Arrow("second", "even") & _B),
                "odd": (Arrow("parent", "even") + _B) - AllArrow("second", "odd"),
                # Circles without an exclusion, through every operator, a condition among them.
                "view": AllArrow("parent", "view") + (_V & (_B + Arrow("second", "view"))),
                "edit": (Arrow("parent", "edit") + _V) & (AllArrow("second", "edit") + _B),
                # An exclusion above a circle, and a circle above an exclusion.
                "calm": (Arrow("parent", "calm") + _V) - (_B & (Name("calm") + Name("won"))),
            },
        ),
    }
)
_NAMES = tuple(_SCHEMA.definitions["folder"].permissions)
_CONDITIONS = [YES] * 5 + [conditional("site"), conditional("limit"), FAILED]


@st.composite
def circles(draw: st.DrawFn, *, expiring: bool) -> World:
    """Draw a dense graph: a ring of some folders, more tuples across, viewers on most, bans on few."""
    ring = draw(st.integers(2, len(FOLDERS)))
    plain = draw(st.booleans())
    values = st.just(YES) if plain else st.sampled_from(_CONDITIONS)
    expirations = st.sampled_from((None, *ENDS)) if expiring else st.none()
    tuples: list[Tuple] = []

    def add(resource: Object, relation: str, subject: Subject) -> None:
        value: Verdict = draw(values)
        tuples.append(Tuple(resource, relation, subject, value, expires=draw(expirations)))

    def folder(each: Object) -> Subject:
        return Subject(each.type, each.id)

    for at, each in enumerate(FOLDERS[:ring]):
        add(each, "parent", folder(FOLDERS[(at + 1) % ring]))
    ends = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(["parent", "second"]), st.sampled_from(FOLDERS))
    for resource, relation, subject in draw(st.lists(ends, max_size=9)):
        add(resource, relation, folder(subject))
    for relation, most in (("viewer", 7), ("banned", 3)):
        for each in draw(st.lists(st.sampled_from(FOLDERS), max_size=most, min_size=most // 3)):
            add(each, relation, WHO)
    entries = {entry.key: entry for entry in tuples}
    return World(_SCHEMA, tuple(entries.values()), objects=(*FOLDERS, Object("user", "a")))


def test_circles_are_the_oracles() -> None:
    """Every name of every folder gets the oracle's verdict and missing names, in either order, with what is settled
    settled piece by piece.
    """
    patience = Patience()
    asked: Counter[str] = Counter()

    @settings(max_examples=CIRCLES)
    @given(world=circles(expiring=False))
    def agree(world: World) -> None:
        note(world_text(world))
        with patience.with_example(repr(world)):
            oracle, engine = Oracle(world), EngineWorld(world)
            questions = [(name, each) for name in _NAMES for each in FOLDERS]
            walks = [engine.walk(str(WHO)), engine.walk(str(WHO)), engine.walk(str(WHO), flattens=False)]
            for walk, order in zip(walks, (questions, questions[::-1], questions[::3]), strict=True):
                for name, each in order:
                    expected = oracle.verdict(WHO, name, each)
                    verdict, missing = check(walk, engine.object(each), name)
                    assert (expected.kind, expected.missing) == (verdict.value, frozenset(missing)), f"{each}#{name}"
                    asked[expected.kind] += 1

    agree()
    assert min(asked[kind] for kind in ("no", "yes", "conditional", "undecided")) > asked.total() // 50


def test_circles_stay_until_they_say() -> None:
    """Before `valid_until` every answer is still the oracle's at each instant at which something expires, whatever was
    asked before.
    """
    patience = Patience()
    lasting: Counter[bool] = Counter()

    @settings(max_examples=CIRCLES)
    @given(world=circles(expiring=True))
    def stay(world: World) -> None:
        note(world_text(world))
        with patience.with_example(repr(world)):
            engine = EngineWorld(world)
            oracles = {at: Oracle(world, now=at) for at in (0, *ENDS)}
            questions = [(name, each) for name in _NAMES for each in FOLDERS]
            for order in (questions, questions[::-1]):
                walk = engine.walk(str(WHO))
                for name, each in order:
                    resource = engine.object(each)
                    verdict, missing = check(walk, resource, name)
                    until = valid_until(walk, resource, name)
                    for at, oracle in oracles.items():
                        if until is None or at < until:
                            then = oracle.verdict(WHO, name, each)
                            told = (verdict.value, frozenset(missing))
                            assert (then.kind, then.missing) == told, f"{each}#{name} at {at}, valid until {until}"
                    lasting[until is None] += 1

    stay()
    assert min(lasting.values()) > lasting.total() // 50
