"""How long things last at a server: connections, streams nobody reads, health, and the server's own end."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import relgraph
from relgraph.client import Client
from relgraph.errors import DeadlineExceeded, RelgraphError, ServerUnavailable, StoreUnavailable
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceStub
from relgraph.wire.failures import error_from
from relgraph_server.app import Follower, start
from relgraph_server.dialects import SERVICE_NAME
from relgraph_server.readiness import LIVENESS
from relgraph_server.settings import Settings
from tests.serving import PATIENCE_S, SCHEMA, TUPLES, in_process, lasting_port, program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relgraph.api import Authorizer
    from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceAsyncStub

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def authorizer() -> Iterator[relgraph.Authorizer]:
    with relgraph.open("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        yield opened


def settings(**changed: int) -> Settings:
    return Settings("unused:", listen="127.0.0.1:0", **changed)  # type: ignore[arg-type]  # every one of them is a number


class Store:
    """Stands for an Authorizer whose store may be out of reach."""

    def __init__(self) -> None:
        self.problem: str = ""
        self.stuck = threading.Event()
        self.freed = threading.Event()

    def follow(self, timeout: float) -> bool:
        assert timeout == 0
        if self.problem == "stuck":
            self.stuck.set()
            self.freed.wait(PATIENCE_S)
        elif self.problem:
            raise StoreUnavailable(self.problem)
        return False


def health_of(channel: grpc.Channel, service: str) -> int:
    stub = health_pb2_grpc.HealthStub(channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=PATIENCE_S)  # type: ignore[attr-defined]
    return int(answer.status)


def test_readiness_is_not_liveness() -> None:
    """A store that fails, or does not answer, makes the service not ready, not the process dead; and it heals."""
    store = Store()
    wanted = settings(ready_every_ms=10, ready_ms_max=1_000)
    with in_process(store, wanted) as address, grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        changes = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE_NAME), timeout=PATIENCE_S)  # type: ignore[attr-defined]
        assert next(changes).status == SERVING
        for problem in ("the disk is gone", "stuck"):
            store.problem = problem
            assert next(changes).status == NOT_SERVING
            assert (NOT_SERVING, SERVING) == (health_of(channel, ""), health_of(channel, LIVENESS))
            store.problem = ""
            if problem == "stuck":
                store.freed.set()
            assert next(changes).status == SERVING
        assert store.stuck.is_set()
        changes.cancel()


def test_watching_health_does_not_hold_up_the_end(authorizer: relgraph.Authorizer) -> None:
    """Who watches the health of a server that stops is told so, and its stream ends instead of using up the drain."""

    async def run() -> list[int]:
        running = await start(authorizer, settings())
        async with grpc.aio.insecure_channel(running.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            changes = stub.Watch(health_pb2.HealthCheckRequest(service=LIVENESS))  # type: ignore[attr-defined]
            first = await changes.read()
            await asyncio.wait_for(running.stop(3_600_000), PATIENCE_S)
            rest = []
            while (each := await changes.read()) is not grpc.aio.EOF:
                rest.append(each.status)
            return [first.status, *rest]

    found = asyncio.run(run())
    assert (SERVING, {NOT_SERVING}) == (found[0], set(found[1:]))


def test_a_connection_without_calls_is_closed(authorizer: relgraph.Authorizer) -> None:
    """After a while a connection that nobody uses is closed by the server, and opened again when it is needed."""

    async def use(address: str) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            stub: AuthorizerServiceAsyncStub = AuthorizerServiceStub(channel)  # type: ignore[assignment]
            await stub.ReadSchema(pb.ReadSchemaRequest(), timeout=PATIENCE_S)
            while (state := channel.get_state()) is not grpc.ChannelConnectivity.IDLE:
                await asyncio.wait_for(channel.wait_for_state_change(state), PATIENCE_S)
            await stub.ReadSchema(pb.ReadSchemaRequest(), timeout=PATIENCE_S)

    with in_process(authorizer, settings(connection_idle_ms_max=100)) as address:
        asyncio.run(use(address))


def test_a_connection_that_is_old_is_closed(authorizer: relgraph.Authorizer) -> None:
    """An old connection ends with what goes on on it, by name; the client's next call has another one."""
    wanted = settings(connection_age_ms_max=200, connection_grace_ms_max=100)
    with in_process(authorizer, wanted) as address, Client(address) as client:
        watch = client.watch()
        with pytest.raises(ServerUnavailable):
            list(watch)
        assert client.check("user:anna", "administer", "report:q3")
        with client.watch(watch.token) as again:
            assert watch.revision == next(again).revision


def test_idle_and_lazy_connections_hold_nobody_up(authorizer: relgraph.Authorizer) -> None:
    """Beside 100 silent connections and 100 that never read what they asked for, all calls of others succeed."""
    count = 100
    authorizer.load([f"report:{'r' * 900}{n}#viewer@user:{'u' * 900}" for n in range(3_000)])
    wanted = settings(watch_backlog_revisions_max=50, exports_max=count)
    with ExitStack() as stack:
        address = stack.enter_context(in_process(authorizer, wanted))
        host, port = address.split(":")
        for number in range(count):
            silent = stack.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE_S))
            if number % 2:
                silent.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        for number in range(count):
            # Each has a connection of its own, or they would share one.
            channel = stack.enter_context(
                grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
            )
            stub = AuthorizerServiceStub(channel)
            lazy = stub.Watch(pb.WatchRequest()) if number % 2 else stub.Export(pb.ExportRequest())
            next(lazy)
            stack.callback(lazy.cancel)
        client = stack.enter_context(Client(address))
        watch = stack.enter_context(client.watch(heartbeat=3_600))
        for number in range(100):
            written = client.write(touch=[f"report:{'q' * 900}{number}x{n}#viewer@user:anna" for n in range(100)])
            assert client.check("user:anna", "observe", f"report:{'q' * 900}{number}x0")
            while watch.revision < written.revision:
                next(watch)


def test_a_server_that_stops_fails_no_call_begun_before(tmp_path: Path) -> None:
    """Beside callers who never pause it stops and starts again: all that was begun before the signal succeeds."""
    store = f"sqlite:///{tmp_path / 'access.db'}"
    calls: list[tuple[float, str]] = []
    over, again = threading.Event(), threading.Event()

    def ask(client: Client) -> None:
        while not over.is_set():
            begun, said = time.monotonic(), ""
            try:
                client.check("user:anna", "administer", "report:q3")
            except RelgraphError as error:
                said = type(error).__name__
            calls.append((begun, said))
            if not said and restarted.is_set():
                again.set()

    restarted = threading.Event()
    with ExitStack() as stack:
        address, process = stack.enter_context(program(store, f"127.0.0.1:{lasting_port()}"))
        clients = [stack.enter_context(Client(address)) for _ in range(3)]
        clients[0].write_schema(SCHEMA)
        clients[0].write(touch=TUPLES)
        threads = [threading.Thread(target=ask, args=(each,)) for each in clients]
        for each in threads:
            each.start()
        try:
            while len(calls) < 200:
                clients[0].write(touch=TUPLES[:1])
            told = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
            stack.enter_context(program(store, address))
            restarted.set()
            assert again.wait(PATIENCE_S)
        finally:
            over.set()
            for each in threads:
                each.join()
    before = [said for begun, said in calls if begun < told]
    assert len(before) >= 200
    assert {""} == set(before)
    assert {said for _, said in calls} <= {"", "ServerUnavailable"}


def test_who_does_not_go_on_with_an_import_makes_room() -> None:
    """A caller who sends nothing more is cut off after a while, with nothing changed, and who waits gets its turn."""
    settings = Settings("unused:", listen="127.0.0.1:0", imports_max=1, message_ms_max=2_000)
    ended, begun = threading.Event(), threading.Event()

    def halting() -> Iterator[pb.ImportRequest]:
        yield pb.ImportRequest(tuples=[pb.RelationTuple(resource="report:q9", relation="manager", subject="user:a")])
        begun.set()
        ended.wait(PATIENCE_S)

    with relgraph.open("sqlite://") as authorizer, in_process(authorizer, settings) as address:
        authorizer.write_schema(SCHEMA)
        with grpc.insecure_channel(address) as channel, Client(address) as client:
            idle = AuthorizerServiceStub(channel).Import.future(halting(), timeout=PATIENCE_S)
            assert begun.wait(PATIENCE_S)
            assert 1 == client.load(["report:q8#manager@user:anna"]).changed
            with pytest.raises(grpc.RpcError) as caught:
                idle.result()
            ended.set()
        error = error_from(caught.value, address)
        assert isinstance(error, DeadlineExceeded)
        assert "message_ms_max" == error.details["limit"]
        assert ["report:q8#manager@user:anna"] == [str(each) for each in authorizer.read().tuples]


@pytest.mark.parametrize("problem", [StoreUnavailable("gone; try again"), RuntimeError()])
def test_following_goes_on_after_a_failure(problem: Exception) -> None:
    """A look at the store that fails, as foreseen or not, is not the last one."""
    again = threading.Event()

    class Failing:
        looks = 0

        def follow(self, timeout: float) -> bool:  # noqa: ARG002 - nothing is waited for
            self.looks += 1
            if self.looks == 1:
                raise problem
            again.set()
            return False

    follower = Follower(cast("Authorizer", Failing()))
    follower.start()
    assert again.wait(PATIENCE_S)
    follower.stop()
