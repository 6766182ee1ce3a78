"""Reading the past, at a token and at a time, through the library, over gRPC and in the terminal."""

from __future__ import annotations

import json
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import grpc
import pytest

from relgraph import Authorizer, Consistency, Token, TupleFilter
from relgraph.cli import main
from relgraph.client import Client
from relgraph.errors import (
    CannotUpdatePermission,
    InvalidCursor,
    InvalidInput,
    NoSchema,
    RevisionUnavailable,
    UnknownDefinition,
    UnknownRelation,
)
from relgraph.instants import instant_text, moment
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceStub
from relgraph.wire.failures import error_from
from tests.api_kit import clocked, lent
from tests.serving import in_process
from tests.store_kit import MICROSECOND, NOW, FakeClock, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.timestamp_pb2 import Timestamp

    from relgraph.answers import Expansion, Written

Door: TypeAlias = "Authorizer | Client"
Screen = pytest.CaptureFixture[str]

FIRST = """
use expiration
use roles
definition user {}
definition group { relation member: user | user with expiration | group#member }
definition doc {
    relation owner: user
    relation viewer: user | user with expiration | group#member
    permission edit = owner
    permission view = edit + viewer
    roles edit > view
}
"""
# `edit` now takes viewers as well, `owner` is gone, and there are folders.
SECOND = """
use expiration
definition user {}
definition group { relation member: user | user with expiration | group#member }
definition folder { relation keeper: user }
definition doc {
    relation viewer: user | user with expiration | group#member
    permission edit = viewer
}
"""
HOUR = 3_600 * MICROSECOND
TEMPORARY = until("doc:one#viewer@user:carl", NOW + 5 * HOUR)


class Told(NamedTuple):
    """What a store said of one moment, when that was now."""

    instant: int
    written: Written
    answers: dict[str, object]


def at(instant: int) -> Consistency:
    return Consistency.at_time(moment(instant))


def told_nodes(expansion: Expansion) -> object:
    """The nodes of an expansion, in an order of their own."""
    return sorted((node.kind, str(node.object), node.text, sorted(map(str, node.tuples))) for node in expansion.nodes)


READS: dict[str, Callable[[Door, Consistency | None], object]] = {
    "check": lambda door, when: [
        door.check(f"user:{name}", "edit", "doc:one", consistency=when) for name in ("anna", "bob", "carl")
    ],
    "decide": lambda door, when: door.decide("user:anna", "edit", "doc:one", consistency=when).verdict,
    "best": lambda door, when: [
        (best.role, best.held, best.ways)
        for best in (door.best(f"user:{name}", "doc:one", ways="all", consistency=when) for name in ("bob", "carl"))
    ],
    "best of many": lambda door, when: [
        (best.role, best.held) for best in door.best_many("user:anna", ["doc:one", "doc:two"], consistency=when)
    ],
    "expand": lambda door, when: told_nodes(door.expand("doc:one", "edit", consistency=when)),
    "orphans": lambda door, when: door.orphans(["doc:three"], consistency=when).orphans,
    "read": lambda door, when: door.read(consistency=when).tuples,
    "read by subject": lambda door, when: (
        door.read(TupleFilter(subject_type="user", subject_id="carl"), consistency=when).tuples
    ),
    "schema": lambda door, when: door.schema(consistency=when).text,
}
"""Each way of reading, with what it says beside revision and token."""


def history(authorizer: Authorizer, clock: FakeClock) -> list[Told]:
    """Make a past of three writes and two schemas, an hour apart, and note at each step what every read says."""
    steps: list[Callable[[], Written]] = [
        lambda: authorizer.write_schema(FIRST),
        lambda: authorizer.write(touch=["doc:one#owner@user:anna", TEMPORARY, "group:eng#member@user:bob"]),
        lambda: authorizer.write(
            touch=["doc:one#viewer@group:eng#member", "doc:two#viewer@user:anna"], delete=["doc:one#owner@user:anna"]
        ),
        lambda: authorizer.write_schema(SECOND),
        lambda: authorizer.write(touch=["folder:f#keeper@user:anna"], delete=["group:eng#member@user:bob"]),
    ]
    past = []
    for step in steps:
        written = step()
        clock.now += HOUR // 2
        answers = {name: read(authorizer, None) for name, read in READS.items()}
        past.append(Told(clock.now, written, answers))
        clock.now += HOUR // 2
    return past


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def authorizer(clock: FakeClock, request: pytest.FixtureRequest) -> Iterator[Authorizer]:
    with lent(request.getfixturevalue("postgres"), clock) if request.param == "PostgreSQL" else clocked(clock) as made:
        yield made


@pytest.fixture(params=["library", "gRPC"])
def doors(request: pytest.FixtureRequest, authorizer: Authorizer) -> Iterator[Door]:
    with ExitStack() as stack:
        if request.param == "library":
            yield authorizer
        else:
            address = stack.enter_context(in_process(authorizer))
            yield stack.enter_context(Client(address))


def test_every_read_of_a_time_is_what_was_told_then(authorizer: Authorizer, doors: Door, clock: FakeClock) -> None:
    """Each read, at each time, answers what it answered then: tuples, schema and expirations of that time."""
    past = history(authorizer, clock)
    clock.now += 100 * HOUR
    for told in past:
        assert told.answers == {name: read(doors, at(told.instant)) for name, read in READS.items()}
    for before, after in pairwise(past):
        assert before.answers["read"] != after.answers["read"] or before.answers["schema"] != after.answers["schema"]


def test_every_read_at_a_token_is_of_its_revision(authorizer: Authorizer, doors: Door, clock: FakeClock) -> None:
    """Each read, at each write's token, answers as right after that write, but for what has expired since."""
    past = history(authorizer, clock)
    clock.now = NOW + 5 * HOUR - 1
    for told in past:
        exactly = Consistency.at_exactly(told.written.token)
        if told.instant < clock.now:
            assert told.answers == {name: read(doors, exactly) for name, read in READS.items()}
    clock.now += 1
    exactly = Consistency.at_exactly(past[1].written.token)
    assert [True, False, False] == READS["check"](doors, exactly)
    assert (None, (), ()) == READS["best"](doors, exactly)[1]  # type: ignore[index]  # a list of two
    assert TEMPORARY not in map(str, doors.read(consistency=exactly).tuples)
    assert TEMPORARY in map(str, doors.read(consistency=at(past[1].instant)).tuples)


def test_an_answer_names_the_revision_of_its_time(authorizer: Authorizer, doors: Door, clock: FakeClock) -> None:
    """Every answer carries the revision that stood then, from its stamp on and until the next one's."""
    past = history(authorizer, clock)
    for told, next_ in pairwise(past):
        start = told.instant - HOUR // 2
        for instant in (start, told.instant, start + HOUR - 1):
            for answer in (
                doors.decide("user:anna", "edit", "doc:one", consistency=at(instant)),
                doors.best("user:anna", "doc:one", consistency=at(instant)),
                doors.expand("doc:one", "edit", consistency=at(instant)),
                doors.orphans(consistency=at(instant)),
                doors.read(consistency=at(instant)),
                doors.schema(consistency=at(instant)),
            ):
                assert told.written.revision == answer.revision
                assert instant == Token.parse(answer.token).instant
        assert next_.written.revision == doors.read(consistency=at(start + HOUR)).revision


def test_names_are_judged_by_the_schema_of_that_time(authorizer: Authorizer, doors: Door, clock: FakeClock) -> None:
    """What only an older schema had can be asked of its time, and what only a newer one has cannot."""
    past = history(authorizer, clock)
    old, new = at(past[1].instant), None
    assert doors.check("user:anna", "owner", "doc:one", consistency=old) is True
    assert len(doors.read(TupleFilter("doc", relation="owner"), consistency=old).tuples) == 1
    assert doors.expand("doc:one", "view", consistency=old).nodes
    assert doors.orphans(types=["folder"], consistency=new).orphans == ()
    for error, ask in (
        (UnknownRelation, lambda: doors.check("user:anna", "owner", "doc:one")),
        (UnknownRelation, lambda: doors.read(TupleFilter("doc", relation="owner"))),
        (UnknownRelation, lambda: doors.expand("doc:one", "view")),
        (UnknownDefinition, lambda: doors.best("user:anna", "folder:f", consistency=old)),
        (UnknownDefinition, lambda: doors.orphans(types=["folder"], consistency=old)),
        (UnknownDefinition, lambda: doors.orphans(["folder:f"], consistency=old)),
        (UnknownDefinition, lambda: doors.read(TupleFilter("folder"), consistency=old)),
        (CannotUpdatePermission, lambda: doors.read(TupleFilter("doc", relation="view"), consistency=old)),
    ):
        with pytest.raises(error):
            ask()


def test_a_time_to_come_is_refused(authorizer: Authorizer, doors: Door, clock: FakeClock) -> None:
    """A time after now is refused, naming both; now itself is not. Now is never before the newest stamp."""
    history(authorizer, clock)
    for step in (0, -HOUR, -2 * HOUR):
        clock.now += step
        newest = max(clock.now, NOW + 4 * HOUR)
        assert doors.read(consistency=at(newest)).revision == 5
        for read in READS.values():
            with pytest.raises(InvalidInput, match="has not come yet") as caught:
                read(doors, at(newest + 1))
            assert instant_text(moment(newest + 1)) in caught.value.message
            assert instant_text(moment(newest)) in caught.value.message


def test_a_time_before_the_first_write(authorizer: Authorizer, doors: Door, clock: FakeClock) -> None:
    """Before the first write there is no schema, and nothing to read; before all revisions there is nothing at all."""
    history(authorizer, clock)
    for name, read in READS.items():
        if name == "read":
            assert read(doors, at(NOW - 1)) == ()
        elif name != "read by subject":
            with pytest.raises(NoSchema):
                read(doors, at(NOW - 1))
        with pytest.raises(RevisionUnavailable, match=r"no revision as old as `1969-12-31T23:59:59\.999999Z`"):
            read(doors, at(-1))


def test_the_last_of_several_revisions_of_one_instant(authorizer: Authorizer, clock: FakeClock) -> None:
    """Where several writes were stamped at one instant, that time is after all of them."""
    authorizer.write_schema(FIRST)
    authorizer.write(touch=["doc:one#owner@user:anna"])
    last = authorizer.write(delete=["doc:one#owner@user:anna"])
    clock.now += HOUR
    authorizer.write(touch=["doc:one#owner@user:bob"])
    page = authorizer.read(consistency=at(NOW))
    assert (last.revision, ()) == (page.revision, page.tuples)


def test_the_token_of_a_past_answer_does_not_hold_time_back(authorizer: Authorizer, clock: FakeClock) -> None:
    """A token that a read of the past returned reads its revision with today's instant, and at least it is today."""
    past = history(authorizer, clock)
    token = authorizer.decide("user:carl", "view", "doc:one", consistency=at(past[1].instant)).token
    clock.now = NOW + 5 * HOUR
    assert authorizer.check("user:carl", "view", "doc:one", consistency=at(past[1].instant)) is True
    assert authorizer.check("user:carl", "view", "doc:one", consistency=Consistency.at_exactly(token)) is False
    newest = authorizer.read(consistency=Consistency.at_least(token))
    assert (5, clock.now) == (newest.revision, Token.parse(newest.token).instant)


def test_an_instant_never_goes_back_behind_a_token(authorizer: Authorizer, clock: FakeClock) -> None:
    """Whoever holds a token of a later instant is never told again what had expired by then."""
    past = history(authorizer, clock)
    asked = "doc:one#view@user:carl"
    old = Token.parse(past[1].written.token)
    ahead = Token(old.store, old.epoch, old.revision, old.nonce, NOW + 5 * HOUR)
    clock.now = NOW + 4 * HOUR
    assert authorizer.check(asked, consistency=Consistency.at_exactly(old)) is True
    assert authorizer.check(asked, consistency=Consistency.at_exactly(ahead)) is False
    told = authorizer.read(consistency=Consistency.at_least(ahead))
    assert TEMPORARY not in map(str, told.tuples)
    assert Token.parse(told.token).instant == NOW + 5 * HOUR


# --- pages


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_pages_have_one_instant(authorizer: Authorizer, doors: Door, clock: FakeClock, size: int) -> None:
    """What expires, or is written, between two pages changes none of them: they neither gap nor repeat."""
    authorizer.write_schema(FIRST)
    tuples = sorted(until(f"doc:d{n:02}#viewer@user:anna", NOW + (n % 4 + 1) * HOUR) for n in range(12))
    authorizer.write(touch=tuples)
    page = doors.read(limit=size)
    found = list(map(str, page.tuples))
    while page.cursor:
        clock.now += HOUR
        authorizer.write(touch=["doc:d05x#owner@user:anna"], delete=["doc:d07#viewer@user:anna"])
        page = doors.read(limit=size, cursor=page.cursor)
        found += map(str, page.tuples)
        assert NOW == Token.parse(page.token).instant
        assert page.revision == 2
    assert tuples == found
    assert len(doors.read().tuples) < 12


def test_pages_of_a_time_stay_at_that_time(authorizer: Authorizer, doors: Door, clock: FakeClock) -> None:
    """The pages of a read at a time are all of that time."""
    past = history(authorizer, clock)
    clock.now += 100 * HOUR
    page = doors.read(limit=1, consistency=at(past[1].instant))
    found = list(page.tuples)
    while page.cursor:
        page = doors.read(limit=1, cursor=page.cursor)
        found += page.tuples
        assert (2, past[1].instant) == (page.revision, Token.parse(page.token).instant)
    assert past[1].answers["read"] == tuple(found)
    assert TEMPORARY in map(str, found)


def test_a_cursor_takes_no_time(authorizer: Authorizer, doors: Door, clock: FakeClock) -> None:
    """A cursor beside a time is refused, and so is one that another store made."""
    history(authorizer, clock)
    cursor = doors.read(limit=1).cursor
    with pytest.raises(InvalidCursor, match="its own revision and instant"):
        doors.read(cursor=cursor, consistency=at(NOW))
    with clocked(clock) as other:
        other.write_schema(FIRST)
        with pytest.raises(RevisionUnavailable, match="another store"):
            other.read(cursor=cursor)


# --- what is said of a time


def test_a_time_needs_a_zone() -> None:
    """Text and moments are taken with a zone only, and a mode without its time is refused."""
    assert Consistency.at_time("1970-01-01T01:00:00.000001+01:00").instant == 1
    with pytest.raises(InvalidInput, match="not a point in time"):
        Consistency.at_time("yesterday")
    with pytest.raises(InvalidInput, match="no time zone"):
        Consistency.at_time(moment(0).replace(tzinfo=None))
    with pytest.raises(InvalidInput, match="needs a time"):
        Consistency("at_time")
    with pytest.raises(InvalidInput, match="takes no time"):
        Consistency("minimize_latency", instant=1)


def test_on_the_wire_a_time_stands_alone(authorizer: Authorizer, clock: FakeClock) -> None:
    """Every question of the service takes a time, and refuses it beside a consistency."""
    past = history(authorizer, clock)
    both = pb.Consistency(fully_consistent=True)
    with in_process(authorizer) as address, grpc.insecure_channel(address) as channel:
        stub = AuthorizerServiceStub(channel)
        asked: list[Callable[[Timestamp, pb.Consistency | None], object]] = [
            lambda at, c: stub.Check(
                pb.CheckRequest(subject="user:anna", permission="edit", resource="doc:one", at=at, consistency=c)
            ),
            lambda at, c: stub.BestAccess(
                pb.BestAccessRequest(subject="user:anna", resources=["doc:one"], at=at, consistency=c)
            ),
            lambda at, c: stub.Expand(pb.ExpandRequest(resource="doc:one", permission="edit", at=at, consistency=c)),
            lambda at, c: stub.ListOrphans(pb.ListOrphansRequest(at=at, consistency=c)),
            lambda at, c: stub.Read(pb.ReadRequest(at=at, consistency=c)),
            lambda at, c: stub.ReadSchema(pb.ReadSchemaRequest(at=at, consistency=c)),
        ]
        for ask in asked:
            at = pb.CheckRequest().at
            at.FromMicroseconds(past[1].instant)
            assert ask(at, None).revision == 2  # type: ignore[attr-defined]  # every answer has one
            with pytest.raises(grpc.RpcError) as caught:
                ask(at, both)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "set only one" in error_from(caught.value, "test").message
            at.nanos = -1
            with pytest.raises(grpc.RpcError) as caught:
                ask(at, None)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


# --- in the terminal


def test_the_terminal_reads_at_a_time(
    authorizer: Authorizer, clock: FakeClock, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command that reads takes --at, and answers as of then."""
    past = history(authorizer, clock)
    clock.now += 100 * HOUR
    when = ["--at", instant_text(moment(past[1].instant))]

    def run(*words: str) -> str:
        assert main([*words, *when]) == 0
        return capsys.readouterr().out

    with in_process(authorizer) as address:
        monkeypatch.setenv("RELGRAPH_SERVER", address)
        monkeypatch.delenv("RELGRAPH_STORE", raising=False)
        assert (
            run("check", "user:carl", "view", "doc:one")
            == f"yes (revision 2, valid until {instant_text(moment(NOW + 5 * HOUR))})\n"
        )
        assert run("best", "user:carl", "doc:one").splitlines() == [
            "doc:one  view", "  view directly", f"    {TEMPORARY}", "revision 2",
        ]  # fmt: skip
        assert TEMPORARY in run("expand", "doc:one#view")
        rows = [json.loads(line) for line in run("read", "--resource", "doc", "--json").splitlines()]
        assert {"resource": "doc:one", "relation": "owner", "subject": "user:anna"} in rows
        expiring = {"resource": "doc:one", "relation": "viewer", "subject": "user:carl"}
        assert {**expiring, "expires_at": instant_text(moment(NOW + 5 * HOUR))} in rows
        assert run("schema", "read") == FIRST
        assert run("graph", "--orphans") == "every resource is within somebody's reach (revision 2)\n"
        assert '"doc:one" -> "user:carl"' in run("graph", "doc:one")
        assert '"doc:one" -> "user:carl"' not in (main(["graph", "doc:one"]), capsys.readouterr().out)[1]


def test_the_terminal_refuses_two_times(
    authorizer: Authorizer, clock: FakeClock, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--at beside a token or --minimize-latency, a time that is none or is to come, and --at with a cursor: exit 2."""
    past = history(authorizer, clock)
    time = ["--at", instant_text(moment(past[1].instant))]
    token = past[1].written.token
    cursor = authorizer.read(limit=1).cursor
    with in_process(authorizer) as address:
        monkeypatch.setenv("RELGRAPH_SERVER", address)
        monkeypatch.delenv("RELGRAPH_STORE", raising=False)
        for words, says in (
            ([*time, "--at-exactly", token], "--at-exactly and --at contradict each other"),
            ([*time, "--at-least", token], "--at-least and --at contradict each other"),
            ([*time, "--minimize-latency"], "--at and --minimize-latency contradict each other"),
            (["--at", "2027-01-31"], "`2027-01-31` is not a point in time"),
            (["--at", "9000-01-31T12:00:00Z"], "`9000-01-31T12:00:00Z` has not come yet"),
            ([*time, "--cursor", cursor], "its own revision and instant"),
            (["--at-exactly", token, "--cursor", cursor], "its own revision and instant"),
        ):
            assert main(["read", *words]) == 2
            screen = capsys.readouterr()
            assert screen.out == ""
            assert says in screen.err


def test_the_terminal_writes_expirations(
    authorizer: Authorizer, clock: FakeClock, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write takes a tuple with its expiration, read prints it in the form that write and import take."""
    authorizer.write_schema(FIRST)
    with in_process(authorizer) as address:
        monkeypatch.setenv("RELGRAPH_SERVER", address)
        monkeypatch.delenv("RELGRAPH_STORE", raising=False)
        assert main(["write", "--touch", TEMPORARY]) == 0
        capsys.readouterr()
        assert main(["read"]) == 0
        assert capsys.readouterr().out == f"{TEMPORARY}\n"
        assert main(["write", "--delete", TEMPORARY]) == 2
        assert (
            "with an expiration; a delete names the tuple alone, whatever it says beside: leave the brackets out"
            in capsys.readouterr().err
        )
        clock.now = NOW + 5 * HOUR
        assert main(["read"]) == 0
        assert capsys.readouterr().out == ""
