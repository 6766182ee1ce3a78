"""Caveats in answers: what a request's context decides, what is missing, and what comes of one that fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from relgraph import errors
from relgraph.answers import Verdict
from relgraph.api import Authorizer, open_authorizer
from relgraph.caveats import Caveat
from relgraph.cli import main
from relgraph.client import Client
from relgraph.contexts import Context
from relgraph.engine import Budget, Program, SubjectScope, Walk, World, check
from relgraph.graph import Graph
from relgraph.limits import Limits
from relgraph.schema import parse
from relgraph.store.base import EMPTY, Image, NumberedRow
from relgraph.tuples import Object, Subject
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.contexts import context_message
from relgraph_server.guard import refuse_unserved
from tests.awaited import awaited
from tests.cli_doors import DOORS, behind
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relgraph.caveats import Bound, Outcome

Door = Authorizer | Client

SCHEMA = """
use grants
caveat within(amount int, limit int) { amount <= limit }
caveat office(site string) { site == 'here' }
caveat split(parts int) { 10 / parts == 10 }
caveat label(amount string) { amount == 'much' }
definition user {}
definition team { relation member: user | user with office }
definition bill {
    grant payer by manage
    relation payer: user | user with within | user with split
    relation viewer: user | user:* with office | team#member | team#member with within
    relation manager: user | user with office | user with within
    relation banned: user with office | user with split
    relation other: user with label
    permission pay = payer - banned
    permission view = viewer + payer
    permission manage = manager
    permission labelled = other
}
"""
TUPLES = (
    'bill:a#payer@user:anna[within:{"limit":100}]',
    "bill:a#payer@user:bob[within]",
    "bill:a#payer@user:kim",
    'bill:a#banned@user:kim[split:{"parts":0}]',
    "bill:a#viewer@user:*[office]",
    "bill:a#viewer@user:carl",
    'bill:a#viewer@team:t#member[within:{"limit":5}]',
    "team:t#member@user:dora[office]",
    "bill:a#other@user:anna[label]",
    'bill:a#payer@user:fail[split:{"parts":0}]',
)


@pytest.fixture(scope="module")
def authorizer() -> Iterator[Authorizer]:
    with open_authorizer("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        yield opened


@pytest.fixture(scope="module", params=["library", "threads", "tasks"])
def door(request: pytest.FixtureRequest, authorizer: Authorizer) -> Iterator[Door]:
    if request.param == "library":
        yield authorizer
        return
    opens = Client if request.param == "threads" else awaited
    with in_process(authorizer) as address, opens(address) as opened:
        yield opened


@pytest.mark.parametrize(
    ("question", "context", "verdict", "missing"),
    [
        ("bill:a#pay@user:anna", {"amount": 100}, "yes", ()),
        ("bill:a#pay@user:anna", {"amount": 101}, "no", ()),
        ("bill:a#pay@user:anna", {"amount": 101, "limit": 1_000}, "no", ()),  # the stored limit wins
        ("bill:a#pay@user:anna", {"amount": "99"}, "yes", ()),  # a numeric text is a number
        ("bill:a#pay@user:anna", {}, "conditional", ("amount",)),
        ("bill:a#pay@user:bob", None, "conditional", ("amount", "limit")),
        ("bill:a#pay@user:bob", {"amount": 1, "strange": [None]}, "conditional", ("limit",)),
        ("bill:a#view@user:zoe", {"site": "here"}, "yes", ()),
        ("bill:a#view@user:zoe", {"site": "there"}, "no", ()),
        ("bill:a#view@user:carl", {"site": "there"}, "yes", ()),
        ("bill:a#view@user:dora", None, "conditional", ("amount", "site")),
        ("bill:a#view@user:dora", {"site": "there"}, "no", ()),
    ],
)
def test_context_decides(
    door: Door, question: str, context: dict[str, object] | None, verdict: str, missing: tuple[str, ...]
) -> None:
    """A caveat is judged by what its tuple stores and then by what the request says; else its names are missing."""
    decision = door.decide(question, context=context)
    assert (verdict, missing) == (decision.verdict.value, decision.missing)
    (row,) = door.decide_many([question], context=context)
    assert (verdict, missing) == (row.verdict.value, row.missing)


def test_a_conditional_check_says_what_is_missing(door: Door) -> None:
    """A check without the context is an error that names it, or a no where the caller says so."""
    with pytest.raises(errors.Conditional, match="`amount`, `limit`") as caught:
        door.check("bill:a#pay@user:bob")
    assert caught.value.details["missing"] == "amount, limit"
    assert door.check("bill:a#pay@user:bob", on_conditional="deny") is False
    assert door.check("bill:a#pay@user:bob", context={"amount": 1, "limit": 1}) is True


def test_best_access_and_permissions_know_conditions(door: Door) -> None:
    """Best access lists what the context would decide, and tells the way under its caveat; so do all permissions."""
    best = door.best("user:anna", "bill:a", ways="all")
    assert {("pay", ("amount",)), ("labelled", ("amount",))} < {(each.role, each.missing) for each in best.conditional}
    assert TUPLES[0] in {str(fact) for way in best.ways for fact in way.tuples}
    held = {each.name: each.verdict for each in door.permissions("user:anna", "bill:a", context={"site": "here"}).rows}
    assert (Verdict.CONDITIONAL, Verdict.YES) == (held["pay"], held["view"])


def test_lookups_know_conditions(door: Door) -> None:
    """What and who find what the context decides, and say what is missing; counts agree."""
    assert [("bill:a", "yes")] == [
        (f"bill:{row.id}", row.verdict.value)
        for row in door.what("user:anna", "pay", "bill", context={"amount": 1}).rows
    ]
    assert [("amount",)] == [row.missing for row in door.what("user:anna", "pay", "bill").rows]
    told = {row.id: row.verdict.value for row in door.who("bill:a", "pay", "user", context={"amount": 1}).rows}
    assert {"anna": "yes", "bob": "conditional", "fail": "undecided", "kim": "undecided"} == told
    count = door.count_subjects("bill:a", "pay", "user", context={"amount": 1})
    assert (1, 1, 2) == (count.yes, count.conditional, count.undecided)
    assert 1 == door.count_resources("user:anna", "pay", "bill", context={"amount": 1}).yes
    # Of a relation that takes nobody without a caveat.
    assert ["a"] == [row.id for row in door.what("user:anna", "labelled", "bill", context={"amount": "much"}).rows]


def test_a_contextual_tuple_may_carry_a_caveat(door: Door) -> None:
    """One under a caveat that no stored tuple carries counts as the request's context decides."""
    fact = 'bill:new#manager@user:eve[within:{"limit":7}]'
    asked = [door.decide("bill:new#manage@user:eve", contextual=[fact], context={"amount": n}) for n in (7, 8)]
    assert [Verdict.YES, Verdict.NO] == [each.verdict for each in asked]
    with pytest.raises(errors.InvalidContext, match="`limit`") as caught:
        door.check("bill:new#manage@user:eve", contextual=['bill:new#manager@user:eve[within:{"limit":"SECRET"}]'])
    assert "SECRET" not in caught.value.message


def test_a_caveat_that_fails_is_an_error_where_the_answer_hangs_on_it(door: Door) -> None:
    """It is that error of a check, naming the tuple that comes first; elsewhere the row is undecided."""
    for question, key in (
        ("bill:a#pay@user:kim", "bill:a#banned@user:kim"),
        ("bill:a#pay@user:fail", "bill:a#payer@user:fail"),
    ):
        with pytest.raises(errors.CaveatFailed, match="`split`") as caught:
            door.check(question)
        assert ("split", key) == (caught.value.details["caveat"], caught.value.details["tuple"])
        assert [Verdict.UNDECIDED] == [each.verdict for each in door.decide_many([question])]
    assert door.best("user:kim", "bill:a").undecided == ("pay",)
    # Nobody is asked to mend what makes no difference.
    assert door.check("bill:a#view@user:fail", contextual=["bill:a#viewer@user:fail"])


def test_a_value_of_another_type_is_an_error_where_an_answer_hangs_on_it(door: Door) -> None:
    """It is one error of the whole request, which names the parameter and never the value; elsewhere it is no matter,
    whatever a walk looks at first.
    """
    context = {"amount": "SECRET"}
    for ask in (
        lambda: door.check("bill:a#pay@user:anna", context=context),
        lambda: door.decide_many(["bill:a#view@user:carl", "bill:a#pay@user:anna"], context=context),
        lambda: door.best("user:anna", "bill:a", context=context),
        lambda: door.permissions("user:anna", "bill:a", context=context),
        lambda: door.who("bill:a", "pay", "user", context=context),
        lambda: door.what("user:anna", "pay", "bill", context=context),
    ):
        with pytest.raises(errors.InvalidContext, match="`amount`") as caught:
            ask()
        assert "SECRET" not in str(caught.value.details) + caught.value.message
        assert caught.value.details["parameter"] == "amount"
    assert door.check("bill:a#view@user:carl", context=context)
    # For another caveat's parameter of this name it is a good one.
    assert door.check("bill:a#labelled@user:anna", context={"amount": "much"})


def test_a_context_is_bounded(door: Door) -> None:
    """A context over the limit is refused, and the limit is named."""
    with pytest.raises(errors.InvalidContext, match=str(Limits().context_size_max)):
        door.check("bill:a#view@user:carl", context={"site": "x" * Limits().context_size_max})
    with pytest.raises(errors.InvalidContext):
        door.check("bill:a#view@user:carl", context={"site": float("nan")})


def test_what_expands_takes_no_context(authorizer: Authorizer) -> None:
    """An expansion is nobody's, so a context would decide nothing in it: it shows each tuple with its caveat."""
    nodes = authorizer.expand("bill:a", "payer").nodes
    assert TUPLES[1] in {str(fact) for node in nodes for fact in node.tuples}
    request = pb.ExpandRequest(
        resource="bill:a", permission="payer", context=context_message(Context.of({"amount": 1}))
    )
    with pytest.raises(errors.Unsupported, match="an expansion is nobody's"):
        refuse_unserved(request)


@pytest.mark.parametrize("condition", ["[office]", '[within:{"limit":9}]', '[office:{"site":"there"}]'])
def test_an_actors_right_is_never_conditional(authorizer: Authorizer, condition: str) -> None:
    """Who manages only if the context allows it grants nothing; who does by what is stored does."""
    authorizer.write(touch=[f"bill:granted#manager@user:boss{condition}"])
    with pytest.raises(errors.NotPermitted):
        authorizer.write(touch=["bill:granted#payer@user:anna"], actor="user:boss")
    authorizer.write(touch=['bill:granted#manager@user:boss[office:{"site":"here"}]'])
    authorizer.write(touch=["bill:granted#payer@user:anna"], actor="user:boss")
    authorizer.write(delete=["bill:granted#payer@user:anna", "bill:granted#manager@user:boss"])


def test_who_reaches_only_conditionally_is_told_apart() -> None:
    """A resource that somebody reaches if the context allows it is out of reach `only-conditional`ly."""
    with open_authorizer("sqlite://") as authorizer:
        authorizer.write_schema(
            "caveat office(site string) { site == 'here' } definition user {}"
            " definition doc { relation viewer: user with office; permission view = viewer }"
        )
        authorizer.write(
            touch=[
                "doc:a#viewer@user:u[office]",
                'doc:b#viewer@user:u[office:{"site":"here"}]',
                'doc:c#viewer@user:u[office:{"site":"there"}]',
            ]
        )
        found = {str(each.resource): each.kind.value for each in authorizer.orphans().orphans}
        assert {"doc:a": "only-conditional", "doc:c": "nobody"} == found


def test_who_reaches_through_universal_tuples_unless_the_context_allows_it_is_told_apart() -> None:
    """A tuple whose caveat is open is no way by which a resource is reached without universal ones."""
    with open_authorizer("sqlite://") as authorizer:
        authorizer.write_schema(
            "use universal; caveat office(site string) { site == 'here' } definition user {}"
            " definition doc { relation viewer: user with office | user with universal; permission view = viewer }"
        )
        authorizer.write(
            touch=["doc:*#viewer@user:u", "doc:a#viewer@user:u[office]", 'doc:b#viewer@user:u[office:{"site":"here"}]']
        )
        found = {str(each.resource): each.kind.value for each in authorizer.orphans().orphans}
        assert {"doc:a": "only-universal"} == found


def test_each_caveat_is_evaluated_once_for_each_stored_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand tuples under one caveat and one context cost one evaluation in a request."""
    calls = []
    evaluate = Caveat.evaluate

    def counted(self: Caveat, stored: Bound, request: Bound) -> Outcome:
        calls.append(self.name)
        return evaluate(self, stored, request)

    monkeypatch.setattr(Caveat, "evaluate", counted)
    with open_authorizer("sqlite://") as authorizer:
        authorizer.write_schema(
            "caveat office(site string) { site == 'here' } definition user {}"
            " definition doc { relation parent: doc with office; relation viewer: user;"
            " permission view = viewer + parent->view }"
        )
        authorizer.write(touch=[f"doc:d{n}#parent@doc:d{n + 1}[office]" for n in range(900)])
        authorizer.write(touch=["doc:d900#viewer@user:u"])
        assert authorizer.check("user:u", "view", "doc:d0", context={"site": "here"})
    assert calls == ["office"]


@pytest.mark.parametrize("place", DOORS)
def test_the_terminal_brings_both(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every question takes values as JSON, here or in a file, and contextual tuples."""
    values = tmp_path / "values.json"
    values.write_text('{"amount": 5, "limit": 5}')
    contextual = ("--contextual", "bill:a#viewer@team:new#member", "--contextual", "team:new#member@user:eve")
    with behind(place, tmp_path, SCHEMA, TUPLES) as where:

        def told(*arguments: str) -> list[dict[str, object]]:
            assert main([*arguments, "--json", *where]) in (0, 3)
            return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

        assert told("check", "bill:a#pay@user:anna", "--context", '{"amount": 1}')[0]["verdict"] == "yes"
        assert told("check", "bill:a#pay@user:bob", "--context-file", str(values))[0]["verdict"] == "yes"
        assert told("best", "user:bob", "bill:a", "--context-file", str(values))[0]["held"] == ["pay", "view"]
        assert told("check", "bill:a#view@user:eve", *contextual)[0]["verdict"] == "yes"
        assert any("team:new" in str(line) for line in told("expand", "bill:a#view", *contextual[:2]))
        assert "bill:a" in str(told("what", "user:eve", "view", "bill", *contextual))
        assert "eve" in str(told("who", "bill:a", "view", "user", *contextual))
        assert "view" in str(told("permissions", "user:eve", "bill:a", *contextual))
        assert main(["check", "bill:a#pay@user:bob", "--context", "{}", "--context-file", str(values), *where]) == 2
        assert main(["check", "bill:a#pay@user:bob", "--context", '{"a":1,"a":2}', *where]) == 2
        assert "keep one" in capsys.readouterr().err


# A store that an older schema has filled: `user:*` without a caveat, one under another caveat, one under a stranger's.
_NAMES = ("user", "doc", "viewer", "view", "office", "strange", "spare")
_ADMITTED = "user:* with office"


def _stale(caveat: int, *, vulnerable: bool = False) -> Verdict:
    """Return what a check says where `doc:a#viewer@user:*` carries that caveat's number."""
    schema = parse(
        "caveat office(site string) { site == 'here' } caveat spare(n int) { n > 0 } definition user {}"
        f" definition doc {{ relation viewer: {_ADMITTED}{' | user:*' if vulnerable else ''};"
        " relation unused: user with spare; permission view = viewer }"
    )
    numbers = {name: place for place, name in enumerate((*_NAMES, "unused"), 1)}
    row = NumberedRow(2, numbers["viewer"], 1, 0, 0, None, caveat, None)
    objects = ((1, numbers["user"], "*"), (2, numbers["doc"], "a"))
    image = Image(EMPTY, [(number, name) for name, number in numbers.items()], iter(objects), iter((row,)), ())
    view = Graph(image).view()
    assert view is not None
    world = World(Program(schema, numbers.get), view, Budget(Limits(), lambda: 0.0), 1)
    walk = Walk(SubjectScope(world, Subject("user", "anna")))
    return check(walk, Object("doc", "a"), "view")[0]


def test_an_unconditional_tuple_does_not_pass_for_a_conditional_one() -> None:
    """CVE-2025-64751: where only `user:* with office` is taken, `user:*` counts no more, nor does one under a caveat
    that is not taken there, or that the schema does not declare. Nothing said to this walk how to judge caveats, and
    it judges the one that is taken, without a context.
    """
    assert Verdict.CONDITIONAL is _stale(_NAMES.index("office") + 1)
    assert [Verdict.NO] * 3 == [_stale(0), _stale(_NAMES.index("spare") + 1), _stale(_NAMES.index("strange") + 1)]
    assert Verdict.YES is _stale(0, vulnerable=True)
