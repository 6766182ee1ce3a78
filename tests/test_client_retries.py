"""Calls that are made again: which, how often and after how long; and what is never made twice."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # carries no py.typed
from grpc_status import rpc_status

import relgraph
from relgraph import errors
from relgraph.client import Client, Retries
from relgraph.client.retrying import Attempts
from relgraph.revision import Token
from relgraph.tuples import TupleFilter
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceServicer, add_AuthorizerServiceServicer_to_server
from relgraph_server.settings import Settings
from tests.api_kit import SCHEMA
from tests.awaited import awaited
from tests.serving import in_process, lasting_port
from tests.test_house import error_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Opens = Callable[..., AbstractContextManager[Client]]

FACT = "doc:one#viewer@user:anna"
AT_ONCE = Retries(attempts_max=4, first_pause_s_max=0.001, pause_s_max=0.001)
WITH_IDS = replace(AT_ONCE, own_ids=True)


@pytest.fixture(params=["threads", "tasks"])
def opens(request: pytest.FixtureRequest) -> Opens:
    """Opens either client."""
    return Client if request.param == "threads" else awaited


# --- the rules, without a server ---


class Clock:
    """A clock that stands."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def attempts(retries: Retries, ends: float = math.inf, draw: float = 1.0, **terms: Any) -> tuple[Attempts, Clock]:
    clock = Clock()
    return Attempts(retries, ends, clock, draw=lambda: draw, **terms), clock


def test_pauses_double_and_are_drawn() -> None:
    """The longest pause doubles up to its end, and each pause is drawn from nothing up to that."""
    for draw in (0.0, 0.5, 1.0):
        made, _ = attempts(Retries(7, 1.0, 8.0), draw=draw)
        gone = errors.ServerUnavailable("gone")
        assert [draw * each for each in (1, 2, 4, 8, 8, 8)] == [made.after(gone) for _ in range(6)]
        assert made.after(gone) is gone
    assert 8.0 == Retries(7, 1.0, 8.0).pause(10**9, 1.0)


def test_attempts_end_with_the_deadline() -> None:
    """No attempt begins after the deadline, however many are left, and each has what is left of it."""
    made, clock = attempts(Retries(100, 1.0, 100.0), ends=8.0)
    gone = errors.ServerUnavailable("gone")
    for pause, left in ((1.0, 7.0), (2.0, 5.0), (4.0, 1.0)):
        assert made.after(gone) == pause
        clock.now += pause
        assert made.left == left
    assert made.after(gone) is gone
    clock.now = 9.0
    with pytest.raises(errors.DeadlineExceeded):
        _ = made.left
    assert attempts(Retries())[0].left is None


PASSING = {errors.ServerUnavailable, errors.StoreUnavailable, errors.NotReady, errors.OutcomeUnknown}


@pytest.mark.parametrize("cls", error_classes(), ids=lambda cls: cls.__name__)
def test_only_what_got_no_answer_is_asked_again(cls: type[errors.RelgraphError]) -> None:
    """Of all errors, those of a server or a store that was out of reach are passing, and no refusal is."""
    error = cls("problem")
    made, _ = attempts(Retries())
    assert (made.after(error) is error) is (cls not in PASSING)
    never, _ = attempts(Retries(), repeatable=False)
    assert never.after(error) is error


def test_a_limit_is_asked_again_where_the_server_says_when() -> None:
    """A limit is an answer, unless the server says after how long it will do; the pause is no shorter."""
    made, _ = attempts(Retries(4, 1.0, 8.0))
    assert made.after(errors.LimitExceeded("full", {"retry_after_s": "3.5"})) == 4.5
    assert made.after(errors.ServerUnavailable("gone", {"retry_after_s": "0.5"})) == 2.5
    assert made.after(errors.LimitExceeded("full", {"retry_after_s": "soon"})) == 4.0


@pytest.mark.parametrize("doubt", [errors.ServerUnavailable, errors.OutcomeUnknown])
@pytest.mark.parametrize("cls", error_classes(), ids=lambda cls: cls.__name__)
def test_a_doubt_stays(doubt: type[errors.RelgraphError], cls: type[errors.RelgraphError]) -> None:
    """When nobody answered a write, nothing but its own refusal tells that it was not made; the error names its id."""
    made, _ = attempts(Retries(2), request_id="mine")
    assert isinstance(made.after(doubt("silence")), float)
    last = made.after(cls("later"))
    assert isinstance(last, errors.RelgraphError)
    refused = issubclass(cls, errors.Refused | errors.AlreadyExists) and cls is not errors.RequestExpired
    if refused:
        assert type(last) is cls
    elif cls is doubt or (
        doubt is errors.ServerUnavailable and cls in {errors.DeadlineExceeded, errors.OutcomeUnknown}
    ):
        assert (cls, "mine") == (type(last), last.details["request_id"])
    else:
        assert (errors.OutcomeUnknown, "mine") == (type(last), last.details["request_id"])
        assert "`mine`" in last.message or cls is errors.OutcomeUnknown


@pytest.mark.parametrize(
    "wrong", [{"attempts_max": 0}, {"first_pause_s_max": 0.0}, {"pause_s_max": 0.1}, {"pause_s_max": math.inf}]
)
def test_retries_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """Settings that mean nothing are an error at once."""
    with pytest.raises(errors.InvalidSetting):
        Retries(**wrong)


# --- over the wire ---


# What a client asks for; a server does more than that by itself.
ASKED = {"decide", "delete", "dump", "load", "read", "schema", "watch", "write", "write_schema"}


class Flaky:
    """An Authorizer that fails for a while: `before` an act, or `after` it has happened, and `then` before again."""

    def __init__(self, inner: relgraph.Authorizer) -> None:
        self._inner = inner
        self.before: list[errors.RelgraphError] = []
        self.after: list[errors.RelgraphError] = []
        self.then: list[errors.RelgraphError] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in ASKED:
            return found

        def call(*args: object, **kwargs: Any) -> object:
            self.calls.append((name, kwargs))
            if self.before:
                raise self.before.pop()
            answer = found(*args, **kwargs)
            if self.after:
                self.before, self.then = self.then, []
                raise self.after.pop()
            return answer

        return call

    def made(self, name: str) -> list[dict[str, Any]]:
        """What each call of a method was given."""
        return [kwargs for each, kwargs in self.calls if each == name]


@pytest.fixture
def flaky() -> Iterator[Flaky]:
    with relgraph.open("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        yield Flaky(authorizer)


@pytest.fixture
def address(flaky: Flaky) -> Iterator[str]:
    with in_process(flaky) as served:
        yield served


def passing() -> list[errors.RelgraphError]:
    return [errors.StoreUnavailable("away"), errors.ServerUnavailable("gone"), errors.NotReady("soon")]


def test_questions_are_asked_again(flaky: Flaky, address: str, opens: Opens) -> None:
    """A question whose server is out of reach three times is answered the fourth time; and once, without retries."""
    with opens(address, retries=AT_ONCE) as client:
        flaky.before = passing()
        assert not client.check(FACT)
        assert 4 == len(flaky.made("decide"))
        flaky.before = passing()
        assert client.schema().text == SCHEMA
        flaky.before = passing()
        with client.dump() as dump:
            assert (SCHEMA, []) == (dump.schema, list(dump))
        flaky.before = [errors.StoreUnavailable("away"), *passing()]
        with pytest.raises(errors.StoreUnavailable, match="away"):
            client.read()
    with opens(address, retries=None) as client:
        flaky.before, flaky.calls = passing(), []
        with pytest.raises(errors.NotReady):
            client.check(FACT)
        assert 1 == len(flaky.made("decide"))


def test_a_watch_begins_again(flaky: Flaky, address: str, opens: Opens) -> None:
    """A watch whose server is out of reach at first is begun again, resumed or not."""
    flaky.before = passing()
    with opens(address, retries=AT_ONCE) as client, client.watch(heartbeat=0.5) as watch:
        assert 1 == watch.revision == next(iter(watch)).revision


def test_a_watch_goes_on(flaky: Flaky, opens: Opens) -> None:
    """A watch that is to be resumed goes on when its server stops and another one begins, and ends with a refusal."""
    address = f"127.0.0.1:{lasting_port()}"
    settings = Settings("unused:", listen=address)
    patient = Retries(first_pause_s_max=0.05, pause_s_max=0.05)
    with opens(address, retries=patient, timeout=60) as client:
        with in_process(flaky, settings):
            watch = client.watch(heartbeat=3_600, resume=True)
            plain = client.watch(heartbeat=3_600)
            assert 1 == next(iter(watch)).revision == next(iter(plain)).revision
            flaky._inner.write(touch=[FACT])
            assert 2 == next(iter(watch)).revision == next(iter(plain)).revision
        flaky._inner.write(delete=[FACT])
        with in_process(flaky, settings):
            assert 3 == next(iter(watch)).revision
            for _ in range(2):
                with pytest.raises(errors.ServerUnavailable):
                    next(iter(plain))
        with relgraph.open("sqlite://") as other:
            other.write_schema(SCHEMA)
            with in_process(other, settings):
                for _ in range(2):
                    with pytest.raises(errors.RevisionUnavailable):
                        next(iter(watch))
        watch.close()
        with pytest.raises(StopIteration):
            next(iter(watch))


def test_a_watch_is_given_up(flaky: Flaky, opens: Opens) -> None:
    """A watch whose server does not come back ends with an error once the client's timeout is over."""
    with ExitStack() as stack:
        with in_process(flaky) as address:
            client = stack.enter_context(opens(address, timeout=1, retries=None))
            watch = client.watch(heartbeat=3_600, resume=True)
            assert 1 == next(iter(watch)).revision
        with pytest.raises(errors.ServerUnavailable):
            next(iter(watch))
        with pytest.raises(errors.InvalidSetting):
            stack.enter_context(opens(address, timeout=math.nan))


def test_a_write_is_made_once(flaky: Flaky, address: str, opens: Opens) -> None:
    """A write is sent again under one id of the client's if it gives any, and made once, though answers were lost."""
    with opens(address, retries=WITH_IDS) as client:
        flaky.after = [errors.OutcomeUnknown("lost"), errors.ServerUnavailable("lost")]
        flaky.before = [errors.StoreUnavailable("away")]
        assert 2 == client.write(create=[FACT]).revision
        ids = {each["request_id"] for each in flaky.made("write")}
        assert (1, 4) == (len(ids), len(flaky.made("write")))
        assert ids == {flaky._inner.log().entries[-1].request_id}
        flaky.after = [errors.OutcomeUnknown("lost")]
        assert (1, 3) == ((gone := client.delete(TupleFilter("doc"))).count, gone.revision)
        flaky.after = [errors.OutcomeUnknown("lost")]
        assert 4 == client.load([FACT]).revision
        flaky.after = [errors.OutcomeUnknown("lost")]
        assert 5 == client.write(delete=[FACT], request_id="mine").revision
        assert ["mine"] * 2 == [each["request_id"] for each in flaky.made("write")[-2:]]


def test_a_write_in_doubt_names_its_id(flaky: Flaky, address: str, opens: Opens) -> None:
    """When asking again does not help, the error says under which id to ask; then the first result comes back."""
    with opens(address, retries=WITH_IDS) as client:
        flaky.after = [errors.OutcomeUnknown("lost")]
        flaky.then = [errors.NotReady("keys")] * 3
        with pytest.raises(errors.OutcomeUnknown) as caught:
            client.write(create=[FACT])
        assert 4 == len(flaky.made("write"))
        again = client.write(create=[FACT], request_id=caught.value.details["request_id"])
        assert 2 == again.revision
        with pytest.raises(errors.AlreadyExists):
            client.write(create=[FACT])


@pytest.mark.parametrize("retries", [AT_ONCE, None])
def test_nothing_is_added_to_a_write(retries: Retries | None, flaky: Flaky, address: str, opens: Opens) -> None:
    """A write without an id is sent without one, and once, unless the client is to give it an id of its own."""
    with opens(address, retries=retries) as client:
        flaky.after = [errors.OutcomeUnknown("lost")]
        with pytest.raises(errors.OutcomeUnknown):
            client.write(create=[FACT])
        client.load(["doc:two#viewer@user:anna"])
        assert [""] * 2 == [flaky.made(name)[0]["request_id"] for name in ("write", "load")]
        assert 1 == len(flaky.made("write"))
        assert client.write(touch=[FACT]).revision == client.write(delete=["doc:none#viewer@user:anna"]).revision


def test_an_answer_is_never_asked_for_again(flaky: Flaky, address: str, opens: Opens) -> None:
    """Refusals are answers; a schema and an import that was read once are sent once."""
    with opens(address, retries=WITH_IDS) as client:
        for cls in (errors.AlreadyExists, errors.PreconditionFailed, errors.LimitExceeded, errors.KeyRefused):
            flaky.before, flaky.calls = [cls("no")], []
            with pytest.raises(cls):
                client.write(create=[FACT])
            assert 1 == len(flaky.made("write"))
        flaky.before = [errors.ServerUnavailable("gone")]
        with pytest.raises(errors.ServerUnavailable):
            client.write_schema(SCHEMA)
        flaky.before = [errors.ServerUnavailable("gone")]
        with pytest.raises(errors.ServerUnavailable) as caught:
            client.load(iter([FACT]))
        assert (1, 1) == (len(flaky.made("write_schema")), len(flaky.made("load")))
        assert caught.value.details["request_id"] == flaky.made("load")[0]["request_id"] != ""
        assert () == client.read().tuples


def test_the_deadline_is_for_all_attempts(flaky: Flaky, address: str, opens: Opens) -> None:
    """A server that never comes back is given up within the deadline, however many attempts are left."""
    flaky.before = [errors.ServerUnavailable("gone") for _ in range(100_000)]
    with opens(address, retries=Retries(1_000_000, 0.01, 0.01)) as client:
        with pytest.raises((errors.ServerUnavailable, errors.DeadlineExceeded)):
            client.check(FACT, deadline=2)
        assert len(flaky.made("decide")) > 1
        flaky.before, flaky.calls = [], []
        with pytest.raises(errors.InvalidInput, match="not a number"):
            client.check(FACT, deadline=math.nan)
        with pytest.raises(errors.DeadlineExceeded):
            client.check(FACT, deadline=-1)
        assert [] == flaky.calls
        assert not client.check(FACT, deadline=math.inf)


def test_many_threads_use_one_client(address: str) -> None:
    """Many threads write and ask at once through one client; each sees its own write, and all are made."""
    with Client(address, read_your_writes=True) as client, ThreadPoolExecutor(20) as pool:

        def one(number: int) -> int:
            fact = f"doc:d{number}#viewer@user:anna"
            revision = client.write(create=[fact]).revision
            assert client.check(fact)
            return revision

        assert 200 == len(set(pool.map(one, range(200))))
        assert 200 == len(client.read().tuples)


def test_closing_ends_the_waiting(flaky: Flaky, address: str) -> None:
    """A client that is closed while it waits for the next attempt fails at once, and says that it was closed."""
    flaky.before = [errors.ServerUnavailable("gone")] * 2
    client = Client(address, retries=Retries(3, 1_000.0, 1_000.0), timeout=10_000.0)
    begun = threading.Event()
    wait = client._pause

    def pause(seconds: float) -> object:
        begun.set()
        return wait(seconds)

    client._pause = pause
    found: list[BaseException] = []

    def ask() -> None:
        try:
            client.check(FACT)
        except errors.RelgraphError as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert begun.wait(30)
    client.close()
    thread.join(30)
    assert not thread.is_alive()
    assert [errors.ServerUnavailable] == [type(each) for each in found]
    assert "is closed" in str(found[0])


class Busy(AuthorizerServiceServicer):
    """A server that is busy, and says for how long."""

    asked = 0

    def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:  # noqa: N802
        del request
        self.asked += 1
        if self.asked < 3:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(2)
            box = any_pb2.Any()
            box.Pack(retry)
            code = grpc.StatusCode.RESOURCE_EXHAUSTED if self.asked == 1 else grpc.StatusCode.ABORTED
            status = status_pb2.Status(code=code.value[0], message="busy", details=[box])
            context.abort_with_status(rpc_status.to_status(status))
        return pb.CheckResponse(revision=1, token=str(Token(b"s" * 16, 1, 1, b"n" * 16, 1)), verdict=pb.VERDICT_YES)


def test_a_busy_server_is_asked_when_it_says(opens: Opens) -> None:
    """RESOURCE_EXHAUSTED with RetryInfo, and ABORTED, are asked again; without RetryInfo it is a limit."""
    server = grpc.server(ThreadPoolExecutor(1))
    busy = Busy()  # type: ignore[abstract]
    add_AuthorizerServiceServicer_to_server(busy, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with opens(f"127.0.0.1:{port}", retries=AT_ONCE) as client:
            assert client.check(FACT)
            assert busy.asked == 3
            busy.asked = 0
            with opens(f"127.0.0.1:{port}", retries=None) as once, pytest.raises(errors.LimitExceeded) as caught:
                once.check(FACT)
            assert {"retry_after_s": "0.002"} == caught.value.details
    finally:
        server.stop(None)
