"""The public types, as programs meet them: each answer is what it is said to be, and wrong uses are refused.

Read by the type checker only (`make check`), which fails where an answer's type is another one, or a use that is marked
as wrong is not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, assert_type

import relgraph
from relgraph import (
    Authorizer,
    Checkpoint,
    Consistency,
    LogEntry,
    Object,
    RelationTuple,
    Subject,
    Token,
    TupleFilter,
    Verdict,
    must_exist,
    must_not_exist,
)
from relgraph.answers import (
    Best,
    Collected,
    Count,
    Cycles,
    Decision,
    Deleted,
    Expansion,
    Imported,
    Log,
    Lookup,
    Orphans,
    Page,
    Permissions,
    SchemaDiff,
    SchemaText,
    Status,
    Way,
    Written,
)
from relgraph.api import Observer, Trace, Watch
from relgraph.client import Access, AsyncClient, Client, Retries

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Iterable, Sequence

SOON = datetime(2027, 1, 31, tzinfo=UTC)
ANNA, REPORT = Subject("user", "anna"), Object("report", "q3")
FACT = RelationTuple.parse("report:q3#viewer@user:anna")

# --- the nouns ---


def nouns(token: str) -> None:
    """Nouns are read from texts, and written as texts."""
    assert_type(Object.parse("report:q3"), Object)
    assert_type(Subject.parse("group:eng#member"), Subject)
    assert_type(FACT.resource, Object)
    assert_type(FACT.subject, Subject)
    assert_type(FACT.expires_at, datetime | None)
    assert_type(str(FACT), str)
    assert_type(Token.parse(token).revision, int)
    assert_type(Consistency.at_least(token), Consistency)
    assert_type(Consistency.at_time(SOON), Consistency)
    REPORT.id = "q4"  # type: ignore[misc]  # nouns are frozen
    FACT.relation = "manager"  # type: ignore[misc]
    Consistency.at_time(1_800_000_000)  # type: ignore[arg-type]


# --- the library ---


def asking(door: Authorizer | Client) -> None:
    """The library and the client for threads answer the same."""
    assert_type(door.check("user:anna", "view", "report:q3"), bool)
    assert_type(door.check("report:q3#view@user:anna", on_conditional="deny", deadline=1), bool)
    assert_type(door.check(ANNA, "view", REPORT, consistency=Consistency.minimize_latency()), bool)
    decision = door.decide(ANNA, "view", REPORT)
    assert_type(decision, Decision)
    assert_type(decision.verdict, Verdict)
    assert_type(decision.allowed, bool)
    assert_type(decision.missing, tuple[str, ...])
    assert_type(decision.token, str)
    assert_type(decision.valid_until, datetime | None)
    assert_type(door.decide_many(["report:q3#view@user:anna", ("user:anna", "view", REPORT)]), list[Decision])
    best = door.best("user:anna", REPORT, ways="all")
    assert_type(best, Best)
    assert_type(best.role, str | None)
    assert_type(best.held, tuple[str, ...])
    assert_type(best.ways, tuple[Way, ...])
    assert_type(door.best_many(ANNA, [REPORT, "report:q4"]), list[Best])
    assert_type(door.best_subjects(["user:anna", ANNA], "report:q3"), list[Best])
    assert_type(door.expand("report:q3", "view", usersets=True), Expansion)
    found = door.what("user:anna", "view", "report", limit=10, cursor="")
    assert_type(found, Lookup)
    assert_type([(row.id, row.verdict, row.missing) for row in found.rows], list[tuple[str, Verdict, tuple[str, ...]]])
    assert_type(door.who(REPORT, "view", "group", relation="member").cursor, str)
    assert_type(door.count_resources(ANNA, "view", "report"), Count)
    assert_type(door.count_subjects("report:q3", "view", "user", relation="").everyone, Verdict)
    assert_type(door.permissions(ANNA, REPORT), Permissions)
    assert_type(door.orphans(["report:q9"], types=("report",)), Orphans)
    assert_type(door.cycles(["report:q9"]), Cycles)
    assert_type(door.status(), Status)
    page = door.read(TupleFilter("report"), limit=10, cursor="")
    assert_type(page, Page)
    assert_type(page.tuples, tuple[RelationTuple, ...])
    assert_type(door.schema(), SchemaText)
    assert_type(door.diff_schema("definition user {}"), SchemaDiff)


def writing(door: Authorizer | Client, facts: Iterable[RelationTuple]) -> None:
    """Writes take texts and tuples, in any sequence."""
    found = TupleFilter("report", relation="viewer")
    written = door.write(touch=["report:q3#viewer@user:anna", FACT], preconditions=[must_exist(found)])
    assert_type(written, Written)
    assert_type(written.revision, int)
    assert_type(written.token, str)
    assert_type(
        door.write(create=(FACT,), delete=[FACT], actor="user:anna", reason="asked", request_id="r", not_after=SOON),
        Written,
    )
    assert_type(door.delete(found, limit=10, partial=True, preconditions=[must_not_exist(found)]), Deleted)
    assert_type(door.load(facts, on_duplicate="skip", allow_wildcards=True), Imported)
    assert_type(door.load(str(each) for each in facts), Imported)
    assert_type(door.write_schema("definition user {}", actor=None), Written)


def streaming(door: Authorizer | Client) -> None:
    """Streams are iterated, and closed by their blocks."""
    with door.dump(TupleFilter("report")) as dump:
        assert_type(dump.schema, str)
        for fact in dump:
            assert_type(fact, RelationTuple)
    with door.watch(dump.token, types=["report"], heartbeat=1) as watch:
        for event in watch:
            assert_type(event, LogEntry | Checkpoint)
            if isinstance(event, LogEntry):
                assert_type(event.created, tuple[RelationTuple, ...])
                assert_type(event.schema, str | None)
        assert_type(watch.token, str)


class _Idle:
    """Whoever has its methods observes an Authorizer."""

    def pinned(self, seconds: float) -> None: ...
    def answered(self, seconds: float) -> None: ...
    def checked(self, verdict: Verdict, tuples: int) -> None: ...
    def committed(self, revisions: int, seconds: float) -> None: ...


def opening() -> None:
    """An Authorizer looks after its store as well."""
    with relgraph.open("sqlite://", sqlite=relgraph.sqlite3) as authorizer:
        assert_type(authorizer, Authorizer)
        assert_type(authorizer.by("nightly"), Authorizer)
        assert_type(authorizer.noting("{}"), Authorizer)
        assert_type(authorizer.follow(1.0), bool)
        assert_type(authorizer.log(limit=10), Log)
        assert_type(authorizer.collect(timedelta(days=30)), Collected)
        assert_type(authorizer.watch(), Watch)
        assert_type(authorizer.head, int)
        assert_type(authorizer.trace(["report:q3#view@user:anna"]), list[Trace])
        observer: Observer = _Idle()
        authorizer.observe(observer)
        authorizer.observe(None)
        authorizer.observe("nobody")  # type: ignore[arg-type]
        # A connection is the application's own, so it has no type of relgraph's.
        connection: Any = None
        assert_type(authorizer.write(touch=[FACT], conn=connection), Written)


# --- the clients ---


def dialing() -> None:
    """A client is opened with an address, and what it is to do."""
    access = Access("rg_key", tls_ca="ca.pem")
    with Client("127.0.0.1:50051", timeout=5, access=access, retries=None, read_your_writes=True) as client:
        assert_type(client, Client)
    client.close()
    Client("127.0.0.1:50051", retries=Retries(attempts_max=10, first_pause_s_max=0.5, pause_s_max=10, own_ids=True))
    with client.watch(resume=True) as watch:
        assert_type(next(watch), LogEntry | Checkpoint)


async def tasks(client: AsyncClient, facts: Iterable[str], more: AsyncIterable[RelationTuple]) -> None:
    """The client for tasks answers what the one for threads does, once it is awaited."""
    async with client as opened:
        assert_type(opened, AsyncClient)
    assert_type(await client.check("user:anna", "view", "report:q3", on_conditional="raise"), bool)
    assert_type(await client.decide("report:q3#view@user:anna"), Decision)
    assert_type(await client.decide_many([(ANNA, "view", "report:q3")]), list[Decision])
    assert_type(await client.best(ANNA, "report:q3", ways="none"), Best)
    assert_type(await client.best_many(ANNA, [REPORT]), list[Best])
    assert_type(await client.best_subjects([ANNA], REPORT), list[Best])
    assert_type(await client.expand(REPORT, "view"), Expansion)
    assert_type(await client.what("user:anna", "view", "report", limit=None), Lookup)
    assert_type(await client.who(REPORT, "view", "user"), Lookup)
    assert_type(await client.count_resources(ANNA, "view", "report"), Count)
    assert_type(await client.count_subjects(REPORT, "view", "user"), Count)
    assert_type(await client.permissions("user:anna", REPORT), Permissions)
    assert_type(await client.orphans(), Orphans)
    assert_type(await client.cycles(types=["group"]), Cycles)
    assert_type(await client.status(), Status)
    assert_type(await client.read(), Page)
    assert_type(await client.schema(consistency=Consistency.fully_consistent()), SchemaText)
    assert_type(await client.diff_schema(""), SchemaDiff)
    assert_type(await client.write(touch=[FACT]), Written)
    assert_type(await client.delete(TupleFilter("report")), Deleted)
    assert_type(await client.load(facts), Imported)
    assert_type(await client.load(more), Imported)
    assert_type(await client.write_schema("definition user {}"), Written)
    async with client.dump() as dump:
        assert_type(dump.revision, int)
        async for fact in dump:
            assert_type(fact, RelationTuple)
    async with client.watch(resume=True) as watch:
        async for event in watch:
            assert_type(event, LogEntry | Checkpoint)


# --- what is refused ---


def wrong_of_threads(door: Authorizer | Client, words: Sequence[str], number: int) -> None:
    """What the library and the client refuse when they run is refused before."""
    door.check(number, "view", "report:q3")  # type: ignore[arg-type]
    door.check("user:anna", "view", "report:q3", on_conditional="allow")  # type: ignore[arg-type]
    door.check("user:anna", "view", "report:q3", Consistency())  # type: ignore[arg-type, call-arg]
    door.check("user:anna", "view", "report:q3", at="yesterday")  # type: ignore[call-arg]
    door.decide(FACT)  # type: ignore[arg-type]
    door.best("user:anna", "report:q3", ways="some")  # type: ignore[arg-type]
    door.best_many("user:anna", number)  # type: ignore[arg-type]
    door.write(words)  # type: ignore[call-arg]
    door.write(touch=FACT)  # type: ignore[arg-type]
    door.write(touch=[REPORT])  # type: ignore[list-item]
    door.write(touch=words, preconditions=[TupleFilter("report")])  # type: ignore[list-item]
    door.write(touch=words, not_after="tomorrow")  # type: ignore[arg-type]
    door.delete("report:q3")  # type: ignore[arg-type]
    door.load(words, on_duplicate="maybe")  # type: ignore[arg-type]
    door.read("report")  # type: ignore[arg-type]
    door.expand("report:q3")  # type: ignore[call-arg]
    door.grant("user:anna")  # type: ignore[union-attr]
    verdict: bool = door.decide("report:q3#view@user:anna")  # type: ignore[assignment]
    del verdict


def wrong_of_clients(client: Client, authorizer: Authorizer) -> None:
    """What does not travel is not there."""
    client.write(touch=[FACT], conn=None)  # type: ignore[call-arg]
    client.collect(timedelta(0))  # type: ignore[attr-defined]
    authorizer.watch(resume=True)  # type: ignore[call-arg]
    Client("127.0.0.1:50051", 5)  # type: ignore[call-arg]
    Client("127.0.0.1:50051", access="rg_key")  # type: ignore[arg-type]
    Client("127.0.0.1:50051", retries=3)  # type: ignore[arg-type]


async def wrong_of_tasks(client: AsyncClient, authorizer: Authorizer, more: AsyncIterable[str]) -> None:
    """What is not awaited is no answer, and what is for tasks is not for threads."""
    allowed: bool = client.check("report:q3#view@user:anna")  # type: ignore[assignment]
    if client.check("report:q3#view@user:anna"):  # type: ignore[truthy-bool]
        del allowed
    client.write(touch=[FACT])  # type: ignore[unused-coroutine]
    with client:  # type: ignore[attr-defined]
        pass
    for event in client.watch():  # type: ignore[attr-defined]
        del event
    authorizer.load(more)  # type: ignore[arg-type]
    await authorizer.check("report:q3#view@user:anna")  # type: ignore[misc]
    await client.write(touch=FACT)  # type: ignore[arg-type]
