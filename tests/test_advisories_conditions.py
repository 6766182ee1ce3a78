"""Faults of others about conditions, contexts, and tuples that a question brings.

Every test has its vulnerable twin: the protection switched off, and the answer wrong.
"""

from __future__ import annotations

import itertools
import json
import os
import random
from typing import TYPE_CHECKING, Final

import pytest

from relgraph import contexts
from relgraph.client import Client
from relgraph.contexts import Context
from relgraph.engine import conditions
from relgraph.engine.conditions import Caveats
from relgraph.engine.program import Program
from relgraph.engine.walk import _Frame
from relgraph.errors import CaveatFailed, InvalidContext, TupleNotAllowed
from relgraph.rewrites import Combine
from relgraph.rewrites.verdict import REFUSED
from tests.advisories_kit import CAVEATS, asked, opened, stale, switched_off
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    import relgraph
    from relgraph.rewrites import Edge, Term, Value

SHAPES: Final = 1_000_000 if os.environ.get("RELGRAPH_LONG") else 30_000
"""So many, each compared with all others: equal keys meet."""

# --- a condition is part of what a relation takes ---------------------------------------------------------------------

LOOSE = CAVEATS + "definition doc { relation viewer: user:* | user | user:* with open\n permission view = viewer }"
STRICT = CAVEATS + "definition doc { relation viewer: user:* with open | user\n permission view = viewer }"


def test_a_wildcard_without_its_condition_does_not_count() -> None:
    """Where a wildcard is taken with a caveat only, one without is not written, and one that stands is not read."""
    question = "doc:a#view@user:anna"
    with opened(STRICT, ["doc:b#viewer@user:eve"]) as authorizer:
        with pytest.raises(TupleNotAllowed):
            authorizer.write(touch=["doc:a#viewer@user:*"])
        with pytest.raises(TupleNotAllowed):
            asked(authorizer, question, contextual=["doc:a#viewer@user:*"])
        authorizer.write(touch=["doc:a#viewer@user:*[open]"])
        found = [asked(authorizer, question, context=context)[0] for context in (None, {"flag": False}, {"flag": True})]
        assert ["conditional", "no", "yes"] == found
    scenario = LOOSE, ["doc:a#viewer@user:*"], STRICT
    with stale(*scenario) as authorizer:
        assert ["no"] == asked(authorizer, question)
    # A kind with a caveat, taken as if it were the one without.
    with switched_off(Program, "_marks", lambda *_: 1), stale(*scenario) as authorizer:
        assert ["yes"] == asked(authorizer, question)


# --- a context and nothing else ---------------------------------------------------------------------------------------

PAIRS: Final[tuple[tuple[object, object], ...]] = (
    (["a,b"], ["a", "b"]),
    ([["a"], "b"], ["a", ["b"]]),
    ([["a", "b"]], [["a"], ["b"]]),
    (["a", "b"], "a,b"),
    (1, "1"),
    (1, True),
    (0, False),
    (0, ""),
    ("true", True),
    (None, "null"),
    ({}, []),
    ({"a": "x,'b:'y"}, {"a": "x", "b": "y"}),
    ({"a": 1, "b": 2}, {"a": {"b": 2}}),
    ("a\tb", "a\\tb"),
    ("a\nb", "a\\nb"),
    ("é", "e\u0301"),
    (1.5, "1.5"),
    ([], [[]]),
)


def careless(value: object) -> str:
    """A text that people can read."""
    if isinstance(value, dict):
        return ",".join(f"{name}:{careless(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ",".join(map(careless, value))
    return str(int(value) if isinstance(value, bool) else value)


class Careless:
    """What stands for the encoder of canonical texts."""

    encode = staticmethod(careless)


def test_contexts_that_differ_are_told_apart() -> None:
    """What reads alike is not the same: a list with a comma, nested lists, a number and its text, true and one."""
    for one, other in PAIRS:
        assert Context.of({"one": one}) != Context.of({"one": other})
        assert str(Context.of({"one": one})) != str(Context.of({"one": other}))
    assert Context.of({"one": None}) != Context.of({})
    assert Context.of({"a": 1, "b": 1.0}) == Context.of({"b": 1, "a": 1})
    text = CAVEATS + "definition doc { relation viewer: user with same\n permission view = viewer }"
    for one, other in PAIRS:
        tuples = [
            f"doc:{name}#viewer@user:u[same:{json.dumps({'one': each})}]" for name, each in (("a", one), ("b", other))
        ]
        with opened(text, tuples) as authorizer:
            found = asked(authorizer, "doc:a#view@user:u", "doc:b#view@user:u", context={"other": one})
            assert ["yes", "no"] == found, (one, other)
    with switched_off(contexts, "_CANONICAL", Careless):
        one, other = (Context.of({"one": each}) for each in PAIRS[0])
        assert one == other


def test_contexts_are_told_apart_over_the_wire() -> None:
    """The same at the server's door, in bulk, with tuples that are brought along: nothing is confused on the way."""
    text = CAVEATS + "definition doc { relation viewer: user with same\n permission view = viewer }"
    questions = ["doc:a#view@user:u", "doc:b#view@user:u"]
    with (
        opened(text, ["doc:z#viewer@user:u[same]"]) as authorizer,
        in_process(authorizer) as address,
        Client(address) as client,
    ):

        def found(one: object, other: object, context: object) -> list[str]:
            both = (("a", one), ("b", other))
            brought = [f"doc:{name}#viewer@user:u[same:{json.dumps({'one': each})}]" for name, each in both]
            return asked(client, *questions, context={"other": context}, contextual=brought)

        for one, other in PAIRS:
            assert ["yes", "no"] == found(one, other, one)
            assert ["no", "yes"] == found(one, other, other)
        with switched_off(Caveats, "_found", by_caveat):
            assert ["no", "no"] == found(*PAIRS[0], PAIRS[0][1])


NAMED = CAVEATS + "definition doc { relation viewer: user with among\n permission view = viewer }"


def test_conditions_of_two_tuples_are_told_apart() -> None:
    """What one stored context came to is not the answer for another one that reads alike."""
    tuples = ['doc:a#viewer@user:u[among:{"names":["a,b"]}]', 'doc:b#viewer@user:u[among:{"names":["a","b"]}]']
    questions = ["doc:a#view@user:u", "doc:b#view@user:u"]
    with opened(NAMED, tuples) as authorizer:
        for order in itertools.permutations(questions):
            right = ["yes" if question == questions[1] else "no" for question in order]
            assert right == asked(authorizer, *order, context={"who": "a"})
        with switched_off(Caveats, "_found", by_caveat):
            assert ["no", "no"] == asked(authorizer, *questions, context={"who": "a"})
            assert ["yes", "yes"] == asked(authorizer, *reversed(questions), context={"who": "a"})


def by_caveat(self: Caveats, edge: Edge) -> object:
    """What is remembered of a caveat, whatever is stored with it."""
    key = edge.caveat, contexts.EMPTY
    if key not in self._judged:
        self._judged[key] = self._judge(edge)
    return self._judged[key]


def shapes(source: random.Random, depth: int = 0) -> object:
    """Values that look like one another."""
    kind = source.randrange(8 if depth < 3 else 6)
    if kind < 4:
        return source.choice(("a", "b", "a,b", "a:b", "", "1", "true", "null", '"', "[]", "\\", "\n"))
    if kind < 6:
        return source.choice((1, 0, 1.0, 1.5, -1, True, False, None))
    if kind == 6:
        return [shapes(source, depth + 1) for _ in range(source.randrange(3))]
    return {source.choice(("a", "b", "a:b", "a,b")): shapes(source, depth + 1) for _ in range(source.randrange(3))}


def plain(value: object) -> object:
    """The value in a form that is equal for what is the same only."""
    if isinstance(value, dict):
        return "object", frozenset((name, plain(each)) for name, each in value.items())
    if isinstance(value, list):
        return "list", tuple(map(plain, value))
    return ("number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__), value


def shared(count: int) -> Iterator[tuple[object, object]]:
    """Yield pairs of different contexts with one text, among so many random ones."""
    source = random.Random(6)
    known: dict[str, object] = {}
    for _ in range(count):
        value = {name: shapes(source) for name in source.sample(("a", "b", "a,b"), source.randrange(3))}
        other = known.setdefault(str(Context.of(value)), plain(value))
        if other != plain(value):
            yield other, value


def test_no_two_contexts_share_a_text() -> None:
    """Of a great many contexts that look like each other, no two different ones have the same text."""
    assert next(shared(SHAPES), None) is None
    with switched_off(contexts, "_CANONICAL", Careless):
        assert next(shared(SHAPES), None) is not None


# --- nothing is kept of a request -------------------------------------------------------------------------------------

KEPT = (
    CAVEATS
    + """definition doc {
  relation viewer: user with within | user
  relation barred: user with open
  permission view = viewer - barred
}
"""
)
KEPT_TUPLES = ['doc:a#viewer@user:anna[within:{"limit":10}]', "doc:b#viewer@user:anna", "doc:b#barred@user:anna[open]"]


def test_a_context_is_gone_with_its_request() -> None:
    """Questions with and without values, and lookups between them, in any order: each has the answer of its own."""
    given: list[tuple[dict[str, object] | None, list[str]]] = [
        (None, ["conditional", "conditional"]),
        ({"amount": 5, "flag": False}, ["yes", "yes"]),
        ({"amount": 50, "flag": True}, ["no", "no"]),
        ({"amount": 5}, ["yes", "conditional"]),
        ({"flag": False}, ["conditional", "yes"]),
        # The stored value wins: nobody raises his own limit.
        ({"amount": 50, "limit": 100, "flag": False}, ["no", "yes"]),
    ]
    questions = ["doc:a#view@user:anna", "doc:b#view@user:anna"]

    def wrong(authorizer: relgraph.Authorizer, rounds: int) -> int:
        source, found = random.Random(3), 0
        for _ in range(rounds):
            context, right = source.choice(given)
            if source.random() < 0.5:
                rows = {
                    row.id: row.verdict.value
                    for row in authorizer.what("user:anna", "view", "doc", context=context).rows
                }
                found += [rows.get(name, "no") for name in "ab"] != right
            else:
                found += asked(authorizer, *questions, context=context) != right
        return found

    with opened(KEPT, KEPT_TUPLES) as authorizer:
        assert 0 == wrong(authorizer, SHAPES // 10 if SHAPES > 100_000 else 300)
        known: dict[tuple[int, Context], object] = {}

        def remembering(self: Caveats, *arguments: object) -> None:
            caveats_made(self, *arguments)  # type: ignore[arg-type]
            self._judged = known  # type: ignore[assignment]

        caveats_made = Caveats.__init__
        with switched_off(Caveats, "__init__", remembering):
            assert wrong(authorizer, 20) > 0


# --- several conditions on the way ------------------------------------------------------------------------------------

BRANCHES = (
    CAVEATS
    + """definition group { relation member: user | user with open | user with shut }
definition folder {
  relation viewer: user with open | user with shut | user
  relation barred: user
  permission view = viewer - barred
}
definition doc {
  relation parent: folder | folder with open | folder with shut
  relation viewer: group#member with open | group#member with shut
  permission view = parent->view + viewer
  permission strict = parent.all(view)
}
"""
)
WAYS: Final = (
    ("doc:one#parent@folder:a[open]", "folder:a#viewer@user:anna"),
    ("doc:one#parent@folder:b[shut]", "folder:b#viewer@user:anna"),
    ("doc:one#parent@folder:c", "folder:c#viewer@user:anna[shut]"),
    ("doc:one#viewer@group:g#member[open]", "group:g#member@user:anna[shut]"),
    ("doc:one#parent@folder:d[open]", "folder:d#viewer@user:anna", "folder:d#barred@user:anna"),
)


def last_wins(self: _Frame, term: Term, value: Value) -> bool:
    """Of several ways, what was read last is the answer."""
    if self.combine is Combine.ANY and term.edge is not None:
        self.terms.append(term)
        self.value = value
        return False
    return take(self, term, value)


take = _Frame.take


def test_of_several_conditional_ways_none_hides_another() -> None:
    """Over each choice of ways, in both orders: conditional while one way is, with all that is missing."""
    lacks: tuple[set[str], ...] = ({"flag"}, {"lock"}, {"lock"}, {"flag", "lock"}, set())
    answers = set()
    for chosen in itertools.product((False, True), repeat=len(WAYS)):
        ways = [way for way, wanted in zip(WAYS, chosen, strict=True) if wanted]
        wanted = set().union(*(names for names, each in zip(lacks, chosen, strict=True) if each))
        for order in (ways, ways[::-1]):
            with opened(BRANCHES, ["folder:z#viewer@user:eve", *itertools.chain(*order)]) as authorizer:
                question = "doc:one#view@user:anna"
                decision = authorizer.decide_many([question])[0]
                assert sorted(wanted) == sorted(decision.missing)
                assert decision.verdict.value == ("conditional" if wanted else "no")
                both = {"flag": True, "lock": True}
                assert asked(authorizer, question, context=both) == ["yes" if wanted else "no"]
                assert asked(authorizer, question, context={"flag": False, "lock": False}) == ["no"]
                rows = authorizer.what("user:anna", "view", "doc").rows
                assert [(row.id, row.missing) for row in rows] == ([("one", tuple(sorted(wanted)))] if wanted else [])
    tuples = ["folder:z#viewer@user:eve", *itertools.chain(WAYS[0], WAYS[4])]
    with opened(BRANCHES, tuples) as authorizer, switched_off(_Frame, "take", last_wins):
        answers = {asked(authorizer, "doc:one#view@user:anna")[0]}
    assert {"no"} == answers


FAILING = (
    CAVEATS.replace("amount <= limit", "amount / limit > 0")
    + """definition doc {
  relation viewer: user
  relation barred: user with within
  permission view = viewer - barred
}
"""
)


def test_a_condition_that_fails_in_an_exclusion_grants_nothing() -> None:
    """Where it cannot be told whether somebody is barred, the answer is the error, never yes; lookups mark the row."""
    tuples = ["doc:a#viewer@user:anna", 'doc:a#barred@user:anna[within:{"limit":0}]', "doc:b#viewer@user:anna"]
    question, context = "doc:a#view@user:anna", {"amount": 1}
    with opened(FAILING, tuples) as authorizer:
        with pytest.raises(CaveatFailed):
            authorizer.check(question, context=context)
        assert ["undecided", "yes"] == asked(authorizer, question, "doc:b#view@user:anna", context=context)
        rows = {row.id: row.verdict.value for row in authorizer.what("user:anna", "view", "doc", context=context).rows}
        assert {"a": "undecided", "b": "yes"} == rows
        with pytest.raises(InvalidContext):
            authorizer.check(question, context={"amount": "one"})
        with switched_off(conditions, "OPEN", REFUSED):
            assert authorizer.check(question, context=context)
            rows = {
                row.id: row.verdict.value for row in authorizer.what("user:anna", "view", "doc", context=context).rows
            }
            assert {"a": "yes", "b": "yes"} == rows
