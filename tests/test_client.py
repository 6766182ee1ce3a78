"""The clients are the Authorizer's twins: same methods, same answers, same errors, over a real channel."""

from __future__ import annotations

import inspect
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import grpc
import pytest

from relgraph import errors
from relgraph.answers import (
    Best,
    Count,
    Cycles,
    Decision,
    Expansion,
    Lookup,
    Orphans,
    Page,
    Permissions,
    SchemaDiff,
    SchemaText,
    Verdict,
)
from relgraph.api import Authorizer, open_authorizer
from relgraph.client import AsyncClient, Client
from relgraph.revision import Consistency, Token
from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter, must_exist, must_not_exist
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceServicer, add_AuthorizerServiceServicer_to_server
from relgraph_server.settings import Settings
from tests import house
from tests.awaited import awaited
from tests.serving import SCHEMA, TUPLES, in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

Door = Authorizer | Client
OTHER_STORE = Consistency.at_least(Token(b"another store...", 1, 1, b"n" * 16, 1))


@pytest.fixture(scope="module")
def authorizer() -> Iterator[Authorizer]:
    with open_authorizer("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        yield opened


@pytest.fixture(scope="module", params=["threads", "tasks"])
def client(request: pytest.FixtureRequest, authorizer: Authorizer) -> Iterator[Client]:
    opens: Callable[[str], AbstractContextManager[Client]] = Client if request.param == "threads" else awaited
    with in_process(authorizer) as address, opens(address) as opened:
        yield opened


# A connection of the application's own does not travel, and what does not travel cannot break off.
UNLIKE = {("write", "conn"), ("watch", "resume")}
# Looking after a store is done where the store is, and a server knows by the key who writes, and by the dialect what.
# Traces are told to clients of another dialect: its own are told ways.
UPKEEP = {"by", "collect", "follow", "log", "noting", "observe", "trace"}
METHODS = [
    name
    for name, _ in inspect.getmembers(Authorizer, inspect.isfunction)
    if not name.startswith("_") and name not in UPKEEP
]


def shape(owner: type, name: str) -> list[tuple[str, object, object]]:
    """The parameters of a method."""
    parameters = inspect.signature(getattr(owner, name)).parameters.values()
    return [(one.name, one.kind, one.default) for one in parameters]


@pytest.mark.parametrize("name", METHODS)
def test_the_twins_have_the_same_methods(name: str) -> None:
    """Every public method of the Authorizer is the client's too, with the same parameters, but what cannot travel."""
    here, there = (
        [one for one in shape(owner, name) if (name, one[0]) not in UNLIKE] for owner in (Authorizer, Client)
    )
    assert here == there


@pytest.mark.parametrize("name", [*METHODS, "__init__"])
def test_the_clients_are_told_the_same(name: str) -> None:
    """Both clients have the same parameters of the same types, and answer the same; only the streams are others."""
    here, there = (inspect.get_annotations(getattr(owner, name)) for owner in (Client, AsyncClient))
    assert shape(Client, name) == shape(AsyncClient, name)
    if name in {"dump", "watch"}:
        assert f"Async{here.pop('return')}" == there.pop("return")
    if name == "load":
        facts = here.pop("tuples")
        assert f"{facts} | Async{facts}" == there.pop("tuples")
    assert here == there


def test_the_types_of_all_methods_are_checked() -> None:
    """The file of typical uses, which the type checker reads, calls every method of the library and of each client."""
    text = (house.ROOT / "typing" / "api.py").read_text(encoding="utf-8")
    for name in METHODS:
        assert f"door.{name}(" in text or name == "close"
        assert f" client.{name}(" in text
    assert all(f"authorizer.{name}(" in text for name in UPKEEP)


def test_the_clients_have_no_methods_of_their_own() -> None:
    """What the clients can do, the library can do."""
    for owner in (Client, AsyncClient):
        assert METHODS == [
            name for name, _ in inspect.getmembers(owner, inspect.isfunction) if not name.startswith("_")
        ]


QUESTIONS: dict[str, Callable[[Door], object]] = {
    "yes": lambda door: door.check("user:anna", "observe", "report:q3"),
    "no": lambda door: door.check("user:bob", "observe", "report:q3"),
    "one text": lambda door: door.check("report:q4#observe@user:bob"),
    "nouns": lambda door: door.decide(Subject("group", "board", "member"), "manage", Object("report", "q3")),
    "decision": lambda door: door.decide("user:bob", "administer", "report:q4"),
    "best": lambda door: door.best("user:anna", "report:q3"),
    "best, all ways": lambda door: door.best("user:anna", "report:q3", ways="all"),
    "best, no ladder": lambda door: door.best("user:anna", "group:eng", ways="all"),
    "best of many": lambda door: door.best_many("user:bob", ["report:q4", Object("report", "q3"), "report:q4"]),
    "undecided beside": lambda door: door.best("user:anna", "gate:one"),
    "expand": lambda door: door.expand("report:q3", "observe"),
    "read": lambda door: door.read(),
    "read some": lambda door: door.read(TupleFilter(resource_type="report", subject_type="user", subject_id="*")),
    "schema": lambda door: door.schema(),
    "no difference": lambda door: door.diff_schema(SCHEMA),
    "differences": lambda door: door.diff_schema("definition user {}"),
    "what": lambda door: door.what("user:anna", "observe", "report"),
    "what, for a userset": lambda door: door.what(Subject("group", "board", "member"), "manage", "report"),
    "what, a page": lambda door: door.what("user:anna", "observe", "report", limit=1),
    "what, undecided": lambda door: door.what("user:anna", "left", "gate"),
    "who": lambda door: door.who("report:q3", "observe", "user"),
    "who, everyone": lambda door: door.who(Object("report", "q4"), "observe", "user"),
    "who, usersets": lambda door: door.who("report:q3", "observe", "group", relation="member"),
    "count of resources": lambda door: door.count_resources("user:anna", "observe", "report"),
    "count of subjects": lambda door: door.count_subjects("report:q4", "observe", "user"),
    "count of usersets": lambda door: door.count_subjects("report:q3", "observe", "group", relation="member"),
    "permissions": lambda door: door.permissions("user:anna", "report:q3"),
    "permissions, undecided": lambda door: door.permissions("user:anna", "gate:one"),
    "orphans": lambda door: door.orphans(["report:q9"], types=["report"]),
    "cycles": lambda door: door.cycles(["gate:two"]),
    "cycles of a type": lambda door: door.cycles(types=["group"]),
    "least latency": lambda door: door.decide(
        "user:anna", "observe", "report:q3", consistency=Consistency.minimize_latency()
    ),
}


DATED = (Best, Count, Cycles, Decision, Expansion, Lookup, Orphans, Page, Permissions, SchemaDiff, SchemaText)


def _plain(answer: object) -> object:
    """An answer without its token, which carries the instant of the question."""
    if isinstance(answer, list):
        return [_plain(one) for one in answer]
    if isinstance(answer, DATED):
        assert Token.parse(answer.token).revision == answer.revision
        if isinstance(answer, Lookup):
            # A cursor carries the token too.
            return replace(answer, token="", cursor="more" if answer.cursor else "")
        return replace(answer, token="")
    return answer


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_the_twins_answer_the_same(name: str, authorizer: Authorizer, client: Client) -> None:
    """Each question has the same answer through the client as from the library, to the last field."""
    ask = QUESTIONS[name]
    assert _plain(ask(authorizer)) == _plain(ask(client))


REFUSED: dict[str, Callable[[Door], object]] = {
    "unknown type": lambda door: door.check("user:anna", "observe", "repot:q3"),
    "unknown permission": lambda door: door.check("user:anna", "obsrve", "report:q3"),
    "swapped": lambda door: door.check("report:q3", "observe", "user:anna"),
    "bad permission": lambda door: door.check("user:anna", "Observe!", "report:q3"),
    "bad id": lambda door: door.check("user:a\x1bb", "observe", "report:q3"),
    "surrogate": lambda door: door.check("user:a\ud800", "observe", "report:q3"),
    "wildcard": lambda door: door.check("report:*#observe@user:anna"),
    "half a question": lambda door: door.check("user:anna", "observe"),
    "no such choice": lambda door: door.check("user:anna", "observe", "report:q3", on_conditional="yes"),  # type: ignore[arg-type]
    "undecided": lambda door: door.check("user:anna", "left", "gate:one"),
    "other store": lambda door: door.check("user:anna", "observe", "report:q3", consistency=OTHER_STORE),
    "unknown type in best": lambda door: door.best("user:anna", "repot:q3"),
    "unknown type in orphans": lambda door: door.orphans(types=["repot"]),
    "unknown type in cycles": lambda door: door.cycles(types=["repot"]),
    "unknown candidate of cycles": lambda door: door.cycles(["repot:q3"]),
    "expand unknown": lambda door: door.expand("report:q3", "obsrve"),
    "unknown type of a lookup": lambda door: door.what("user:anna", "observe", "repot"),
    "unknown type of subjects": lambda door: door.who("report:q3", "observe", "usr"),
    "unknown relation of subjects": lambda door: door.who("report:q3", "observe", "group", relation="membr"),
    "unknown permission of a lookup": lambda door: door.what("user:anna", "obsrve", "report"),
    "unknown permission of a count": lambda door: door.count_subjects("report:q3", "obsrve", "user"),
    "wildcard of a lookup": lambda door: door.what("user:*", "observe", "report"),
    "permissions on a wildcard": lambda door: door.permissions("user:anna", "report:*"),
    "cursor of a lookup": lambda door: door.what("user:anna", "observe", "report", cursor="abc"),
    "cursor": lambda door: door.read(cursor="abc"),
    "page too large": lambda door: door.read(limit=1_001),
    "delete everything": lambda door: door.delete(TupleFilter()),
    "delete too many": lambda door: door.delete(TupleFilter("report"), limit=1),
    "delete of an unknown type": lambda door: door.delete(TupleFilter("repot")),
    "precondition": lambda door: door.write(touch=TUPLES[:1], preconditions=[must_exist(TupleFilter("user"))]),
    "last moment": lambda door: door.write(touch=TUPLES[:1], not_after=datetime(2020, 1, 1, tzinfo=UTC)),
    "not allowed": lambda door: door.write(touch=["report:q3#viewer@group:board#member"]),
    "not a tuple": lambda door: door.write(touch=["report:q3"]),
    "permission written": lambda door: door.write(touch=["report:q3#observe@user:anna"]),
    "twice": lambda door: door.write(touch=["report:q3#viewer@user:anna"], delete=["report:q3#viewer@user:anna"]),
    "nothing to write": lambda door: door.write(),
    "already there": lambda door: door.write(create=[TUPLES[0]]),
    "too many": lambda door: door.write(touch=[f"report:r{n}#viewer@user:anna" for n in range(1_001)]),
    "reason too long": lambda door: door.write(touch=[TUPLES[0]], reason="x" * 5_000),
    "schema syntax": lambda door: door.write_schema("definition user {\n  relation x user\n}"),
    "diff syntax": lambda door: door.diff_schema("definition user {\n  relation x user\n}"),
    "diff elsewhere": lambda door: door.diff_schema(SCHEMA, consistency=OTHER_STORE),
    "schema orphans": lambda door: door.write_schema("definition user {}"),
    "import of wildcards": lambda door: door.load(["report:q5#viewer@user:anna", "report:q5#viewer@user:*"]),
    "import of a stranger": lambda door: door.load(["report:q5#viewer@user:anna", "repot:q5#viewer@user:anna"]),
    "import of what is there": lambda door: door.load(["report:q5#viewer@user:anna", TUPLES[0]]),
    "import how": lambda door: door.load([], on_duplicate="maybe"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_the_twins_refuse_the_same(name: str, authorizer: Authorizer, client: Client) -> None:
    """Each refusal has the same class and text through the client as from the library, and changes nothing."""
    act = REFUSED[name]
    before = _plain(authorizer.read())
    with pytest.raises(errors.RelgraphError) as here:
        act(authorizer)
    with pytest.raises(errors.RelgraphError) as there:
        act(client)
    assert type(here.value) is type(there.value)
    assert (here.value.message, here.value.details) == (there.value.message, there.value.details)
    assert before == _plain(authorizer.read())


def test_writes_come_back_with_a_token_that_is_understood() -> None:
    """What a client wrote is seen by a read at its token, exactly, and not by one at the token before."""
    with open_authorizer("sqlite://") as authorizer, in_process(authorizer) as address, Client(address) as client:
        first = client.write_schema(SCHEMA, reason="the beginning")
        second = client.write(touch=["report:q3#viewer@user:anna"], request_id="once")
        again = client.write(touch=["report:q3#viewer@user:anna"], request_id="once")
        assert (1, 2, 2) == (first.revision, second.revision, again.revision)
        for written, expected in ((first, Verdict.NO), (second, Verdict.YES)):
            at = Consistency.at_exactly(written.token)
            assert client.decide("user:anna", "observe", "report:q3", consistency=at).verdict is expected
        client.write(delete=["report:q3#viewer@user:anna"])
        assert not client.check("user:anna", "observe", "report:q3", consistency=Consistency.at_least(second.token))


def test_preconditions_and_deletes_over_the_wire() -> None:
    """A write under preconditions, a delete by filter and an import under a request id do what the library's do."""
    viewer = TupleFilter("report", relation="viewer")
    with open_authorizer("sqlite://") as authorizer, in_process(authorizer) as address, Client(address) as client:
        client.write_schema(SCHEMA)
        texts = [f"report:q{number}#viewer@user:anna" for number in range(5)]
        soon = datetime.now(UTC) + timedelta(hours=1)
        first, again = (client.load(texts, request_id="import", not_after=soon) for _ in range(2))
        assert (5, 5, 2) == (first.read, first.changed, first.revision) == (again.read, again.changed, again.revision)
        with pytest.raises(errors.PreconditionFailed):
            client.write(touch=["report:q9#viewer@user:bob"], preconditions=[must_not_exist(viewer)])
        client.write(touch=["report:q9#viewer@user:bob"], preconditions=[must_exist(viewer)])
        with pytest.raises(errors.TooManyMatches):
            client.delete(viewer, limit=2)
        parts = [
            client.delete(viewer, limit=2, partial=True, request_id="part", not_after=soon, reason=reason)
            for reason in ("tidy", "once more")
        ]
        assert [(2, False, 4)] * 2 == [(each.count, each.complete, each.revision) for each in parts]
        with pytest.raises(errors.PreconditionFailed):
            client.delete(viewer, preconditions=[must_exist(TupleFilter("group"))])
        rest = client.delete(viewer)
        assert (4, True, ()) == (rest.count, rest.complete, client.read().tuples)
        past = datetime.now(UTC) - timedelta(hours=1)
        with pytest.raises(errors.RequestExpired):
            client.write(touch=texts, request_id="late", not_after=past)
        assert () == client.read().tuples


def test_an_import_is_read_in_the_callers_thread() -> None:
    """An import of many batches is one revision, read lazily in the thread that called, and then paged back."""
    threads = set()

    def facts() -> Iterator[str | RelationTuple]:
        for number in range(2_500):
            threads.add(threading.get_ident())
            yield f"report:r{number:04}#viewer@user:anna"

    with open_authorizer("sqlite://") as authorizer, in_process(authorizer) as address, Client(address) as client:
        client.write_schema(SCHEMA)
        imported = client.load(facts(), reason="the first load")
        assert (2_500, 2_500, 2) == (imported.read, imported.changed, imported.revision)
        assert {threading.get_ident()} == threads
        pages = [client.read(limit=1_000)]
        while pages[-1].cursor:
            pages.append(client.read(limit=1_000, cursor=pages[-1].cursor))
        assert [1_000, 1_000, 500] == [len(page.tuples) for page in pages]
        assert (2_500, 0) == (
            (again := client.load(facts(), on_duplicate="skip")).read,
            again.changed,
        )


def test_an_import_whose_source_fails_changes_nothing(authorizer: Authorizer, client: Client) -> None:
    """When the caller's own tuples cannot be read to the end, the error is the caller's and nothing is loaded."""
    before = _plain(authorizer.read())

    def facts() -> Iterator[str]:
        for number in range(3_000):
            yield f"report:r{number}#viewer@user:anna"
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        client.load(facts())
    assert before == _plain(authorizer.read())


def test_an_endless_import_stops_when_the_server_refuses() -> None:
    """A server that refuses an import early ends the reading of its source, and its error is the one raised."""
    facts = (f"report:{'x' * 1_000}{number}#viewer@user:anna" for number in count())
    settings = Settings("unused:", listen="127.0.0.1:0", import_bytes_max=3 << 20)
    with open_authorizer("sqlite://") as authorizer, in_process(authorizer, settings) as address:
        authorizer.write_schema(SCHEMA)
        with Client(address) as client, pytest.raises(errors.LimitExceeded, match="import_bytes_max"):
            client.load(facts)


@pytest.fixture
def nobody() -> str:
    """An address at which nobody listens."""
    with in_process(object()) as address:
        return address


@pytest.mark.parametrize("act", [lambda one: one.schema(), lambda one: one.load([])], ids=["ask", "import"])
def test_nobody_at_the_address_is_an_error_of_its_own(nobody: str, act: Callable[[Client], object]) -> None:
    """A server that cannot be reached is ServerUnavailable, whichever method asks."""
    with Client(nobody) as client, pytest.raises(errors.ServerUnavailable, match=nobody):
        act(client)


def test_a_closed_client_says_so(nobody: str) -> None:
    """A client that was closed refuses to ask."""
    client = Client(nobody)
    client.close()
    with pytest.raises(errors.ServerUnavailable, match="is closed"):
        client.schema()
    with pytest.raises(errors.ServerUnavailable, match="is closed"):
        client.load([])


@pytest.mark.parametrize("target", ["", "localhost", ":50051", "localhost:http", "http://localhost"])
def test_an_address_that_is_none_is_refused_at_once(target: str) -> None:
    """A target that is not HOST:PORT is an error before anything is asked."""
    with pytest.raises(errors.InvalidSetting, match="HOST:PORT"):
        Client(target)


def test_a_deadline_that_passes_is_deadline_exceeded() -> None:
    """An answer that does not come in time is DeadlineExceeded, and not a no."""
    release = threading.Event()

    class Slow:
        def decide(self, *_: object, **__: object) -> None:
            release.wait(10)

    with in_process(Slow()) as address, Client(address) as client:
        with pytest.raises(errors.DeadlineExceeded):
            client.check("user:anna", "observe", "report:q3", deadline=0.05)
        with pytest.raises(errors.DeadlineExceeded):
            client.check("user:anna", "observe", "report:q3", deadline=-1)
        release.set()


def test_a_child_must_open_its_own(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client used in a forked child says that it must be opened again there."""
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(errors.Forked):
        client.schema()


class _Strange(AuthorizerServiceServicer):
    """A server of another version: it answers what this client does not know."""

    def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:  # noqa: N802
        del request, context
        return pb.CheckResponse(revision=1, verdict=7)  # type: ignore[arg-type]

    def BestAccess(self, request: pb.BestAccessRequest, context: grpc.ServicerContext) -> pb.BestAccessResponse:  # noqa: N802
        del request, context
        return pb.BestAccessResponse(revision=1, subject="user:anna")

    def ReadSchema(self, request: pb.ReadSchemaRequest, context: grpc.ServicerContext) -> pb.ReadSchemaResponse:  # noqa: N802
        del request
        context.abort(grpc.StatusCode.DATA_LOSS, "gone")


def test_what_a_strange_server_says_is_never_a_no() -> None:
    """Unknown verdicts, missing answers, unknown statuses and missing methods are errors."""
    server = grpc.server(ThreadPoolExecutor(1))
    add_AuthorizerServiceServicer_to_server(_Strange(), server)  # type: ignore[abstract]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Client(f"127.0.0.1:{port}") as client:
            with pytest.raises(errors.Unsupported, match="`verdict` has the value `7`"):
                client.check("user:anna", "observe", "report:q3")
            with pytest.raises(errors.RelgraphError, match="other resources"):
                client.best("user:anna", "report:q3")
            with pytest.raises(errors.RelgraphError, match="DATA_LOSS"):
                client.schema()
            with pytest.raises(errors.Unsupported, match="Method not"):
                client.expand("report:q3", "observe")
    finally:
        server.stop(None)
