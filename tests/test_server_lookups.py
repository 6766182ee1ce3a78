"""Lookups over the wire: whole or an error, in messages of a bounded size, the same from both clients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import grpc
import pytest

from relgraph.answers import Count, Found, Held, Lookup, Permissions, Verdict
from relgraph.api import open_authorizer
from relgraph.client import Client, Retries
from relgraph.client.telling import Gathered
from relgraph.client.terms import Terms
from relgraph.errors import DeadlineExceeded, InvalidInput, LimitExceeded, RelgraphError, ServerUnavailable, Unsupported
from relgraph.revision import Consistency, Token
from relgraph.tuples import Object, Subject
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceServicer, add_AuthorizerServiceServicer_to_server
from relgraph.wire import lookups as messages
from relgraph_server.settings import Settings
from tests.awaited import awaited
from tests.serving import SCHEMA, in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from relgraph.api import Authorizer

TOKEN = str(Token(b"s" * 16, 1, 7, b"n" * 16, 0))
KINDS = (
    Found("i", Verdict.YES, ()),
    Found("i", Verdict.CONDITIONAL, ("hour", "ip")),
    Found("i", Verdict.NO, ()),
    Found("i", Verdict.UNDECIDED, ()),
    Found("i", Verdict.CONDITIONAL, ("ip",)),
)
CLIENTS: dict[str, Callable[..., AbstractContextManager[Client]]] = {"threads": Client, "tasks": awaited}


def lookup(count: int, cursor: str = "") -> Lookup:
    """A lookup with rows of every kind."""
    rows = tuple(Found(f"i{n:05}", kind.verdict, kind.missing) for n in range(count) for kind in [KINDS[n % 5]])
    return Lookup(rows, cursor, 7, TOKEN)


class Answering:
    """An Authorizer that answers lookups with what it was given (raised, if that is an error), and notes them."""

    def __init__(self, authorizer: Authorizer, answer: object) -> None:
        self._authorizer = authorizer
        self.answer = answer
        self.asked: list[tuple[str, tuple[object, ...], dict[str, object]]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._authorizer, name)

    def _answer(self, name: str, *words: object, **options: object) -> object:
        self.asked.append((name, words, options))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def what(self, *words: object, **options: object) -> object:
        return self._answer("what", *words, **options)

    def who(self, *words: object, **options: object) -> object:
        return self._answer("who", *words, **options)

    def count_resources(self, *words: object, **options: object) -> object:
        return self._answer("count_resources", *words, **options)

    def count_subjects(self, *words: object, **options: object) -> object:
        return self._answer("count_subjects", *words, **options)

    def permissions(self, *words: object, **options: object) -> object:
        return self._answer("permissions", *words, **options)


@contextmanager
def answering(answer: object, **settings: int) -> Iterator[tuple[Answering, str]]:
    """Serve an Authorizer that answers so; gives it and the address."""
    wanted = Settings("unused:", listen="127.0.0.1:0", **settings)  # type: ignore[arg-type]  # they are numbers
    with open_authorizer("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        double = Answering(authorizer, answer)
        with in_process(double, wanted) as address:
            yield double, address


@pytest.mark.parametrize("name", CLIENTS)
def test_a_lookup_arrives_whole(name: str) -> None:
    """Rows of every verdict, with what is missing and the cursor, arrive as they were, however many there are."""
    with answering(None) as (double, address), CLIENTS[name](address) as client:
        for count in (0, 1, 999, 1_000, 1_001, 2_500):
            for cursor in ("", "next"):
                double.answer = lookup(count, cursor)
                assert double.answer == client.what("user:anna", "observe", "report")
                assert double.answer == client.who("report:q3", "observe", "user", relation="member")


@pytest.mark.parametrize("name", CLIENTS)
def test_what_is_asked_arrives(name: str) -> None:
    """Each word of a question reaches the library, and its deadline as what is left of it."""
    past = Consistency.at_exactly(TOKEN)
    subject, resource = Subject.parse("group:eng#member"), Object.parse("report:q3")
    with answering(lookup(0)) as (double, address), CLIENTS[name](address) as client:
        client.what(subject, "observe", "report", limit=7, cursor="c", consistency=past, deadline=5)
        client.what(str(subject), "observe", "report")
        client.who(resource, "observe", "user", relation="member", limit=7, cursor="c", consistency=past, deadline=5)
        client.who(str(resource), "observe", "user")
        double.answer = Count(1, 2, 3, 4, Verdict.CONDITIONAL, 7, TOKEN)
        assert double.answer == client.count_resources(subject, "observe", "report", consistency=past, deadline=5)
        assert double.answer == client.count_subjects(resource, "observe", "group", relation="member")
        held = tuple(Held(f"p{n}", each.verdict, each.missing) for n, each in enumerate(KINDS))
        double.answer = Permissions(held, 7, TOKEN)
        assert double.answer == client.permissions(subject, resource, consistency=past, deadline=5)
    longest = Settings("unused:").question_ms_max / 1000
    left = [cast("float", options.pop("deadline")) for _, _, options in double.asked]
    assert [5, longest, 5, longest, 5, longest, 5] == [5 if each < 6 else longest for each in left]
    paged = {"limit": 7, "cursor": "c", "context": {}, "contextual": (), "consistency": past}
    plain: dict[str, object] = {"limit": None, "cursor": "", "context": {}, "contextual": (), "consistency": None}
    assert double.asked == [
        ("what", (subject, "observe", "report"), paged),
        ("what", (subject, "observe", "report"), plain),
        ("who", (resource, "observe", "user"), {"relation": "member", **paged}),
        ("who", (resource, "observe", "user"), {"relation": "", **plain}),
        ("count_resources", (subject, "observe", "report"), {"context": {}, "contextual": (), "consistency": past}),
        (
            "count_subjects",
            (resource, "observe", "group"),
            {"relation": "member", "context": {}, "contextual": (), "consistency": None},
        ),
        ("permissions", (subject, resource), {"context": {}, "contextual": (), "consistency": past}),
    ]


@pytest.mark.parametrize("name", CLIENTS)
def test_an_error_is_never_a_shorter_list(name: str) -> None:
    """A lookup that fails has an error for its end, through either client, and not one row."""
    refused = LimitExceeded("the lookup has more than 3 rows", {"limit": "lookup_rows_max", "value": "3"})
    with answering(refused) as (_, address), CLIENTS[name](address) as client:
        asks: tuple[Callable[[], Lookup], ...] = (
            lambda: client.what("user:anna", "observe", "report"),
            lambda: client.who("report:q3", "observe", "user"),
        )
        for ask in asks:
            with pytest.raises(LimitExceeded) as caught:
                ask()
            assert (refused.message, refused.details) == (caught.value.message, caught.value.details)
        with pytest.raises(DeadlineExceeded):
            client.what("user:anna", "observe", "report", deadline=0)
        for limit in (0, -1, 1 << 32):
            with pytest.raises(InvalidInput, match="rows"):
                client.what("user:anna", "observe", "report", limit=limit)


def test_messages_are_bounded_and_the_last_is_known() -> None:
    """A message has at most 1,000 rows; the last one, and no other, has the total and the cursor."""
    for count, sizes in ((0, [0]), (1, [1]), (1_000, [1_000]), (2_001, [1_000, 1_000, 1])):
        told = list(messages.lookup_messages(lookup(count, "next")))
        assert sizes == [len(each.ids) for each in told]
        assert [False] * (len(told) - 1) + [True] == [each.HasField("rows_total") for each in told]
        assert [""] * (len(told) - 1) + ["next"] == [each.cursor for each in told]
        assert count == told[-1].rows_total


def gathered(told: list[pb.LookupResponse]) -> Lookup:
    one = Gathered(Terms("server:1"))
    for message in told:
        one.take(message)
    return one.whole()


def test_what_was_cut_short_is_not_whole() -> None:
    """Messages that end before the last one, of which one is missing, follow the last, or are of two states, raise."""
    told = list(messages.lookup_messages(lookup(2_500)))
    assert lookup(2_500) == gathered(told)
    other = pb.LookupResponse(revision=8, token=TOKEN, ids=told[1].ids, verdicts=told[1].verdicts)
    other.missing.extend(told[1].missing)
    for wrong in ([], told[:1], told[:2], told[1:], [told[0], told[2]], [*told, told[0]], [told[0], other, told[2]]):
        with pytest.raises(ServerUnavailable, match="not whole"):
            gathered(wrong)


def test_columns_that_do_not_fit_are_an_error() -> None:
    """Too few verdicts, or a name too many or too few, is an error, and so is a verdict that is not known."""
    message = next(messages.lookup_messages(lookup(5)))
    spoils: tuple[Callable[[pb.LookupResponse], object], ...] = (
        lambda one: one.ids.append("more"),
        lambda one: one.verdicts.append(pb.VERDICT_YES),
        lambda one: one.missing.add(),
        lambda one: one.missing.pop(),
    )
    for spoil in spoils:
        spoiled = pb.LookupResponse()
        spoiled.CopyFrom(message)
        spoil(spoiled)
        with pytest.raises(RelgraphError, match="do not fit"):
            gathered([spoiled])
    message.verdicts[0] = pb.VERDICT_UNSPECIFIED
    with pytest.raises(Unsupported):
        gathered([message])


class Halting(AuthorizerServiceServicer):
    """A server that ends its first lookups early, as if all were well, and then gives one as a whole."""

    def __init__(self, halts: int) -> None:
        self.halts = halts
        self.asked = 0

    def LookupResources(  # noqa: N802 - gRPC's name
        self,
        request: pb.LookupResourcesRequest,  # noqa: ARG002
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> Iterator[pb.LookupResponse]:
        self.asked += 1
        told = list(messages.lookup_messages(lookup(2_500)))
        yield from told[:1] if self.asked <= self.halts else told


@pytest.mark.parametrize("name", CLIENTS)
def test_a_lookup_that_was_cut_short_is_asked_again(name: str) -> None:
    """What is not whole is asked for again, as what got no answer is; without retries it is an error."""
    servicer = Halting(2)  # type: ignore[abstract]
    server = grpc.server(ThreadPoolExecutor(4))
    add_AuthorizerServiceServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        quick = Retries(first_pause_s_max=0.01, pause_s_max=0.01)
        with CLIENTS[name](address, retries=quick) as client:
            assert lookup(2_500) == client.what("user:anna", "observe", "report")
        assert servicer.asked == 3
        servicer.asked = 0
        with CLIENTS[name](address, retries=None) as client, pytest.raises(ServerUnavailable, match="not whole"):
            client.what("user:anna", "observe", "report")
        assert servicer.asked == 1
    finally:
        server.stop(None).wait(10)


def test_who_does_not_read_a_lookup_makes_room() -> None:
    """A caller who does not take a message is cut off after a while, and who waits for its turn gets it."""
    rows = tuple(Found(f"{n:05}{'i' * 500}", Verdict.YES, ()) for n in range(40_000))
    with (
        answering(Lookup(rows, "", 7, TOKEN), lookups_max=1, message_ms_max=3_000) as (_, address),
        # Where it seems to help, gRPC lets more and more come before it is read: on a busy machine, all of this.
        grpc.insecure_channel(address, options=[("grpc.http2.bdp_probe", 0)]) as channel,
        Client(address) as client,
    ):
        tells: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            "/relgraph.v1.AuthorizerService/LookupResources"
        )
        asked = pb.LookupResourcesRequest(subject="user:anna", permission="observe", type="report")
        idle = tells(asked.SerializeToString())
        next(idle)
        assert rows == client.what("user:anna", "observe", "report").rows
        with pytest.raises(grpc.RpcError) as caught:
            list(idle)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_lookups_wait_for_each_other() -> None:
    """However many lookups come at once, each is answered: they wait, as questions do, and none is refused."""
    with (
        answering(lookup(3), lookups_max=1, waiting_max=1) as (_, address),
        Client(address) as client,
        ThreadPoolExecutor(20) as pool,
    ):
        found = list(pool.map(lambda _: client.what("user:anna", "observe", "report"), range(40)))
    assert [lookup(3)] * 40 == found
