"""Callers who flood, stall or leave: they are bounded, leave nothing behind, and do not keep the others waiting."""

from __future__ import annotations

import logging
import os
import queue
import socket
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

import grpc
import pytest

import relgraph
from relgraph.client import Client
from relgraph.errors import DeadlineExceeded, InvalidInput, LimitExceeded
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.failures import error_from
from relgraph_server.places import Places
from relgraph_server.settings import Settings
from tests.fuzzing import GOOD, METHODS, SERVICE
from tests.keys_kit import call
from tests.serving import SCHEMA, TUPLES, in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONG = bool(os.environ.get("RELGRAPH_LONG"))
REFUSED = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


@pytest.fixture
def authorizer(tmp_path: Path) -> Iterator[relgraph.Authorizer]:
    with relgraph.open(f"sqlite:///{tmp_path / 'store.db'}") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        yield opened


def bounded(**changed: int) -> Settings:
    return Settings("unused:", listen="127.0.0.1:0", **changed)  # type: ignore[arg-type]  # every one of them is a number


@pytest.mark.parametrize("method", sorted(name for name, kind in METHODS.items() if kind.server_streaming))
def test_who_leaves_a_stream_leaves_no_incident(
    authorizer: relgraph.Authorizer, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream whose caller goes at any moment ends without a word in the log."""
    authorizer.load([f"report:r{n}#viewer@user:u{n}" for n in range(3_000)])
    with in_process(authorizer) as address, grpc.insecure_channel(address) as channel:
        stream: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(f"/{SERVICE.full_name}/{method}")
        data = GOOD[method][0][0].SerializeToString()
        for taken in range(60):
            going = stream(data, timeout=30)
            if taken % 3:
                next(going)
            authorizer.write(touch=[f"report:w{taken}#manager@user:anna"])
            going.cancel()
        assert call(channel, "Check", GOOD["Check"][0][0])[0] is grpc.StatusCode.OK
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_flood_of_items_is_refused_by_name(authorizer: relgraph.Authorizer) -> None:
    """A request with too many items is RESOURCE_EXHAUSTED and names the setting, whatever the items are."""
    with in_process(authorizer, bounded(request_items_max=5)) as address, grpc.insecure_channel(address) as channel:
        for method, message in (
            ("Write", pb.WriteRequest(updates=[pb.Update()] * 6)),
            ("CheckBulk", pb.CheckBulkRequest(columns=pb.QuestionColumns(subject=[7] * 6))),
            ("BestAccess", pb.BestAccessRequest(resources=["#"] * 3, subjects=["#"] * 3)),
            ("Import", pb.ImportRequest(tuples=[pb.RelationTuple()] * 6)),
            ("Watch", pb.WatchRequest(types=["#"] * 6)),
        ):
            code, error = call(channel, method, message)
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED, method
            assert error is not None
            assert error.details == {"limit": "request_items_max", "value": "5"}
        with Client(address) as client:
            assert client.check("user:anna", "administer", "report:q3")


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> dict[str, Places]:
    """The places of the servers that are started from now on, by kind."""
    made: dict[str, Places] = {}
    begin = Places.__init__

    def noted(self: Places, kind: str, count: int, settings: Settings) -> None:
        begin(self, kind, count, settings)
        made[kind] = self

    monkeypatch.setattr(Places, "__init__", noted)
    return made


def slow_imports(
    address: str, channel: grpc.Channel, count: int, wait: Callable[[], bool]
) -> list[tuple[queue.Queue[bytes | None], grpc.Future[bytes]]]:
    """Begin imports that send one message and then only what is put into their queues; gives them once `wait` is so."""
    made: list[tuple[queue.Queue[bytes | None], grpc.Future[bytes]]] = []
    sends: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(f"/{SERVICE.full_name}/Import")
    for number in range(count):
        ahead: queue.Queue[bytes | None] = queue.Queue()
        fact = pb.RelationTuple(resource=f"report:slow{number}", relation="viewer", subject="user:anna")
        ahead.put(pb.ImportRequest(tuples=[fact]).SerializeToString())
        made.append((ahead, sends.future(iter(ahead.get, None))))
    with Client(address) as client:
        while not wait():
            client.check("user:anna", "administer", "report:q3")
    return made


@pytest.mark.parametrize("name", ["message_ms_max", "crowded_ms_max", "stream_ms_max"])
def test_imports_that_stall_make_room(authorizer: relgraph.Authorizer, places: dict[str, Places], name: str) -> None:
    """Imports that send nothing more hold up no other one for long, are told why, and change nothing."""
    settings = bounded(imports_max=2, **{name: 300})
    with in_process(authorizer, settings) as address, grpc.insecure_channel(address) as channel:
        stalled = slow_imports(address, channel, 5, lambda: places["import"].waiting > 0)
        with Client(address) as client:
            assert 1 == client.load(["report:honest#viewer@user:anna"]).changed
        told = []
        for ahead, going in stalled:
            ahead.put(None)
            told.append(error_from(cast("grpc.RpcError", going.exception()), "test"))
    assert {type(error) for error in told} <= {DeadlineExceeded, InvalidInput}
    assert name in {error.details.get("limit") for error in told}
    assert authorizer.read(relgraph.TupleFilter("report", "honest")).tuples
    for number in range(5):
        assert not authorizer.read(relgraph.TupleFilter("report", f"slow{number}")).tuples


def test_a_slow_import_goes_on_while_nobody_waits(authorizer: relgraph.Authorizer) -> None:
    """An import that takes longer than it might in a crowd is carried through where nobody waits."""
    settings = bounded(imports_max=1, crowded_ms_max=1, stream_ms_max=1)
    with in_process(authorizer, settings) as address, Client(address) as client:
        assert 3_000 == client.load(f"report:s{n}#viewer@user:anna" for n in range(3_000)).changed


def test_only_so_many_wait(authorizer: relgraph.Authorizer, places: dict[str, Places]) -> None:
    """Who comes when enough wait for their place is refused at once, and told by which limit."""
    settings = bounded(imports_max=1, waiting_max=2, crowded_ms_max=10**9, message_ms_max=10**9)
    with in_process(authorizer, settings) as address, grpc.insecure_channel(address) as channel:
        stalled = slow_imports(address, channel, 3, lambda: places["import"].waiting == 2)
        with Client(address) as client, pytest.raises(LimitExceeded, match="wait for their turn") as caught:
            client.load(["report:honest#viewer@user:anna"])
        assert caught.value.details == {"limit": "waiting_max", "value": "2"}
        for ahead, going in stalled:
            going.cancel()
            ahead.put(None)
        with Client(address) as client:
            assert 1 == client.load(["report:honest#viewer@user:anna"]).changed


def test_a_hundred_who_read_nothing_do_not_slow_an_export(authorizer: relgraph.Authorizer) -> None:
    """A hundred exports and a hundred watches that nobody reads, and a hundred idle connections: others go on."""
    authorizer.load([f"report:{'r' * 500}{n:04}#viewer@user:{'u' * 500}" for n in range(3_000)])
    with in_process(authorizer, bounded(crowded_ms_max=100)) as address, ExitStack() as stack:
        for method in ("Export", "Watch"):
            channel = stack.enter_context(grpc.insecure_channel(address))
            stream: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(f"/{SERVICE.full_name}/{method}")
            data = GOOD[method][0][0].SerializeToString()
            for _ in range(100):
                stack.callback(stream(data).cancel)
        host, _, port = address.rpartition(":")
        for _ in range(100):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
        with Client(address) as client:
            for number in range(50):
                client.write(touch=[f"report:n{number}#manager@user:bob"])
                assert client.check("user:bob", "manage", f"report:n{number}")
            assert 3_000 + len(TUPLES) + 50 == len(list(client.dump()))


def test_ten_thousand_calls_at_once_are_answered_or_refused(authorizer: relgraph.Authorizer) -> None:
    """Of far more calls than are let in each is answered right or RESOURCE_EXHAUSTED, and afterwards all is well.

    Those beyond what one connection may have at once (`streams_max`), of which only a long run has any, may be refused
    by gRPC before relgraph hears of them: what ends by HTTP/2's REFUSED_STREAM (7) was not begun.
    """
    good = GOOD["Check"][0][0].SerializeToString()
    with in_process(authorizer, bounded(calls_max=200)) as address, grpc.insecure_channel(address) as channel:
        asks: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE.full_name}/Check")
        going = [asks.future(good, timeout=60) for _ in range(10_000 if LONG else 1_000)]
        ended = Counter((each.code(), each.details()) for each in cast("list[grpc.Call]", going))
        unheard = {each for each in ended if LONG and "RST_STREAM with error code 7" in (each[1] or "")}
        codes = {code for code, _ in ended.keys() - unheard}
        assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}, ended
        assert grpc.StatusCode.OK in codes
        yes = [pb.CheckResponse.FromString(each.result()).verdict for each in going if not each.exception()]
        assert {pb.VERDICT_YES} == set(yes)
        assert call(channel, "Check", good)[0] is grpc.StatusCode.OK


@pytest.mark.parametrize("size", [8_000, 15_000, 64_000, 1_000_000])
def test_metadata_without_end_is_refused(authorizer: relgraph.Authorizer, size: int) -> None:
    """Headers beyond what is taken end their call, not the server, and those below are no trouble."""
    good = GOOD["Check"][0][0]
    with in_process(authorizer) as address, grpc.insecure_channel(address) as channel:
        for metadata in ((("x-a", "a" * size),), tuple((f"x-{n}", "a" * 10) for n in range(size // 60))):
            code, _ = call(channel, "Check", good, metadata)
            taken = {grpc.StatusCode.OK} if size < 10_000 else {grpc.StatusCode.OK, *REFUSED}
            assert code in (taken if size < 20_000 else REFUSED), (size, code)
        assert call(channel, "Check", good)[0] is grpc.StatusCode.OK
