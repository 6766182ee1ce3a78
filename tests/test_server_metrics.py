"""Metrics over a real server: calls are made, the page is read, and what it counts is what was done."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
import pytest

import relgraph
from relgraph.client import AsyncClient, Client
from relgraph.errors import AlreadyExists, DeadlineExceeded, InvalidSetting, LimitExceeded, RelgraphError
from relgraph.revision import Consistency
from relgraph_server.settings import Settings, load_settings
from tests.keys_kit import add_key, guarded
from tests.metrics_kit import get, scrape
from tests.serving import SCHEMA, TUPLES, program_environment, raw_call, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relgraph_server.app import Running

SETTINGS = guarded(metrics="127.0.0.1:0", watchers_max=2)


@pytest.fixture
def authorizer() -> Iterator[relgraph.Authorizer]:
    with relgraph.open("sqlite://") as made:
        made.write_schema(SCHEMA)
        made.write(touch=TUPLES)
        yield made


@pytest.fixture
def server(authorizer: relgraph.Authorizer) -> Iterator[Running]:
    with running(authorizer, SETTINGS) as made:
        yield made


def test_calls_are_counted_as_they_were_made(server: Running) -> None:
    """Each call stands once under its method, its code, and how new an answer it asked for."""
    with Client(server.address) as client:
        token = client.schema().token
        for consistency in (
            None,
            Consistency.fully_consistent(),
            Consistency.at_least(token),
            Consistency.at_exactly(token),
            Consistency.minimize_latency(),
            Consistency.minimize_latency(),
        ):
            client.check("user:anna", "administer", "report:q3", consistency=consistency)
        client.write(touch=["group:eng#member@user:bob"])
        page = client.read(limit=1)
        client.read(limit=1, cursor=page.cursor)
        for _ in client.dump():
            pass
        with pytest.raises(RelgraphError):
            client.check("user:anna", "nonsense", "report:q3")
    assert grpc.StatusCode.INVALID_ARGUMENT is raw_call(server.address, "Check", b"\xff")[0]
    told = scrape(server.metrics_address)
    assert {
        ("ReadSchema", "OK", "safe"): 1,
        ("Check", "OK", "safe"): 3,
        ("Check", "OK", "exact"): 1,
        ("Check", "OK", "recent"): 2,
        ("Check", "FAILED_PRECONDITION", "safe"): 1,
        ("Check", "INVALID_ARGUMENT", "none"): 1,
        ("Write", "OK", "none"): 1,
        ("Read", "OK", "safe"): 1,
        ("Read", "OK", "exact"): 1,
        ("Export", "OK", "safe"): 1,
    } == told.calls()
    assert 0 == told.value("relgraph_grpc_server_in_progress")
    assert 13 == told.value("relgraph_grpc_server_handling_seconds_bucket", le="+Inf")
    assert SETTINGS.calls_max == told.value("relgraph_grpc_server_in_progress_max")


def test_exports_that_were_read_to_their_end_are_ok(server: Running) -> None:
    """Whoever takes all of an export is not counted as one who left, through either client."""

    async def dump() -> None:
        async with AsyncClient(server.address) as client:
            for _ in range(5):
                assert [each async for each in client.dump()]

    with Client(server.address) as client:
        for _ in range(5):
            assert list(client.dump())
    asyncio.run(dump())
    assert {("Export", "OK", "safe"): 10} == scrape(server.metrics_address).calls()


def test_checks_are_counted_by_their_answer(server: Running) -> None:
    """Each check stands once under what it was answered, those of a bulk too; one that failed is an error."""
    yes, no, loop = "report:q3#administer@user:anna", "report:q3#administer@user:bob", "gate:one#left@user:anna"
    with Client(server.address) as client:
        client.write(touch=["gate:one#keeper@user:anna"])
        client.decide_many([yes, no, no, loop])
        assert client.check(yes)
        assert not client.check(no)
        for wrong in ("report:q3#nonsense@user:anna", "gate:one#left@user:anna"):
            with pytest.raises(RelgraphError):
                client.check(wrong)
        with pytest.raises(RelgraphError):
            client.decide_many([yes, "report:q3#nonsense@user:anna"])
    told = scrape(server.metrics_address)
    results = {
        result: told.value("relgraph_check_total", result=result)
        for result in ("allow", "deny", "conditional", "undecided", "error")
    }
    assert {"allow": 2, "deny": 3, "conditional": 0, "undecided": 2, "error": 2} == results
    assert 6 == told.value("relgraph_check_rows_read_count")


def test_rows_that_a_check_reads_are_counted(server: Running) -> None:
    """A check that reads no tuple is told as such, and one along a chain with each of them."""
    with Client(server.address) as client:
        client.check("user:anna", "administer", "report:none")
        before = scrape(server.metrics_address)
        client.check("user:anna", "observe", "report:q3")
    told = scrape(server.metrics_address)
    assert 1 == before.value("relgraph_check_rows_read_bucket", le="0.0")
    assert 0 == before.value("relgraph_check_rows_read_sum")
    assert 3 <= told.value("relgraph_check_rows_read_sum") <= len(TUPLES)


def test_commits_and_the_head_are_counted(server: Running, authorizer: relgraph.Authorizer) -> None:
    """Revisions that writes made are counted by commits, and the head is the newest of them."""
    first = int(scrape(server.metrics_address).value("relgraph_revision_head"))

    def write(number: int) -> None:
        with Client(server.address) as client:
            client.write(touch=[f"group:g{number}#member@user:bob"])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Client(server.address) as client, pytest.raises(AlreadyExists):
        client.write(create=["group:g0#member@user:bob"])
    told = scrape(server.metrics_address)
    assert 8 == told.value("relgraph_write_group_size_sum")
    assert 1 <= told.value("relgraph_write_group_size_count") <= 8
    assert told.value("relgraph_write_group_size_count") == told.value("relgraph_db_commit_seconds_count")
    assert first + 8 == told.value("relgraph_revision_head") == authorizer.head
    assert {("Write", "OK", "none"): 8, ("Write", "ALREADY_EXISTS", "none"): 1} == told.calls()


def test_questions_are_counted_by_their_pin(server: Running) -> None:
    """Each question waited for its revision once, whichever it was."""
    with Client(server.address) as client:
        client.best("user:anna", "report:q3")
        client.check("user:anna", "administer", "report:q3")
        client.expand("report:q3", "administer")
    assert 3 == scrape(server.metrics_address).value("relgraph_pin_seconds_count")


def test_watches_and_who_is_turned_away_are_counted(server: Running) -> None:
    """Watches in progress are counted, those that were told everything lag behind nothing, one too many is shed."""
    with Client(server.address) as client, client.watch() as one, client.watch() as two:
        next(iter(one))
        next(iter(two))
        with pytest.raises(LimitExceeded), client.watch() as three:
            next(iter(three))
        told = scrape(server.metrics_address)
    assert 2 == told.value("relgraph_watches")
    assert 2 == told.value("relgraph_grpc_server_in_progress", method="Watch")
    assert 0 == told.value("relgraph_watch_lag_revisions")
    assert 1 == told.value("relgraph_shed_total", reason="watchers_max")
    assert 1 == told.value("relgraph_shed_total")


class _Held:
    """An Authorizer whose questions wait until they may go on."""

    head = 0

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.free = threading.Event()

    def observe(self, observer: object) -> None:
        """Tell nobody anything."""

    def schema(self, **_: object) -> None:
        self.entered.set()
        assert self.free.wait(20)
        raise InvalidSetting("held")


def test_work_that_came_too_late_is_shed() -> None:
    """A question whose caller has gone before a thread was free is counted as late, and one in progress is not."""
    held = _Held()
    with (
        running(held, guarded(metrics="127.0.0.1:0", read_threads_max=1)) as server,
        Client(server.address) as first,
        Client(server.address) as second,
    ):
        outcome: list[Exception] = []

        def ask() -> None:
            try:
                first.schema()
            except RelgraphError as error:
                outcome.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        assert held.entered.wait(20)
        with pytest.raises(DeadlineExceeded):
            second.schema(deadline=0.05)
        while scrape(server.metrics_address).value("relgraph_grpc_server_in_progress") > 1:
            pass
        held.free.set()
        thread.join()
        told = scrape(server.metrics_address)
    assert [InvalidSetting] == [type(error) for error in outcome]
    assert 1 == told.value("relgraph_shed_total", reason="late")
    assert 1 == told.value("relgraph_shed_total")
    assert {1} == set(told.calls().values())


def test_probes_agree_with_health(authorizer: relgraph.Authorizer, tmp_path: Path) -> None:
    """A server that can let nobody in is alive and not ready, for probes as for gRPC health, until that is mended."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    keys = tmp_path / "keys"
    add_key(keys, "one", ["check"])
    with (
        running(authorizer, guarded(keys, metrics="127.0.0.1:0")) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(), timeout=60)  # type: ignore[attr-defined]  # the stubs lack it
        good = keys.read_bytes()
        for status, ready, kept in ((1, 200, good), (2, 503, b"nonsense"), (1, 200, good)):
            keys.write_bytes(kept)
            assert status == next(watch).status
            assert ready == get(server.metrics_address, "/readyz")[0]
            assert (200, "alive\n") == get(server.metrics_address, "/livez")[::2]
            assert (ready == 200) == scrape(server.metrics_address).value("relgraph_ready")
        watch.cancel()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/metrics?x=1", 200),
        ("HEAD", "/metrics", 200),
        ("POST", "/metrics", 405),
        ("GET", "/" + "x" * 10_000, 0),
    ],
)
def test_only_the_pages_are_served(server: Running, method: str, path: str, status: int) -> None:
    """What is no page is not found, what is no reading is not allowed, and a long request is cut off."""
    import http.client

    if not status:
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            get(server.metrics_address, path, method)
    else:
        told = get(server.metrics_address, path, method)
        assert status == told[0]
        assert (method == "HEAD") == (not told[2])
    assert 200 == get(server.metrics_address, "/livez")[0]


def test_openmetrics_is_served_to_who_asks(server: Running) -> None:
    """A reader that accepts OpenMetrics gets it, all others the plain text."""
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    assert get(server.metrics_address, "/metrics", headers=accept)[2].endswith("# EOF\n")
    assert get(server.metrics_address, "/metrics")[1].startswith("text/plain")


def test_nothing_is_listened_to_unless_asked(authorizer: relgraph.Authorizer) -> None:
    """A server without metrics has no listener for them, and its Authorizer tells nobody anything."""
    with running(authorizer) as server:
        assert ("", None) == (server.metrics_address, server.metrics)
        assert authorizer._following.observer is None


def test_metrics_on_a_public_address_need_to_be_spelled_out() -> None:
    """Metrics are served beyond loopback only where that was spelled out."""
    flags = {"store": "sqlite:///x.db", "metrics": "0.0.0.0:9090"}
    with pytest.raises(InvalidSetting, match=r"`0.0.0.0:9090` is a public address, and metrics"):
        load_settings(flags, {})
    assert "0.0.0.0:9090" == load_settings({**flags, "insecure": True}, {}).metrics
    with pytest.raises(InvalidSetting, match="`9090` is not an address") as refused:
        load_settings({**flags, "metrics": "9090"}, {})
    assert {"setting": "metrics"} == refused.value.details


def test_a_port_that_is_taken_is_told(authorizer: relgraph.Authorizer, server: Running) -> None:
    """A server whose metrics cannot be served does not start, and leaves nothing behind."""
    settings = Settings("unused:", listen="127.0.0.1:0", metrics=server.metrics_address)
    with pytest.raises(InvalidSetting, match="for metrics; is the port taken"), running(authorizer, settings):
        pass


def test_who_says_nothing_holds_nobody_up(server: Running) -> None:
    """Connections that ask for nothing leave room for those that do; more than may be are cut off."""
    host, _, port = server.metrics_address.rpartition(":")
    with ExitStack() as stack:
        for _ in range(20):
            idle = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            idle.sendall(b"GET /livez HTTP/1.1\r\n")
        assert 200 == get(server.metrics_address, "/livez")[0]
        crowd = [stack.enter_context(socket.create_connection((host, int(port)), timeout=20)) for _ in range(80)]
        gone = 0
        for each in crowd:
            try:
                gone += each.recv(1) == b""
            except ConnectionError:
                gone += 1
        assert 80 == gone
    assert 200 == get(server.metrics_address, "/livez")[0]


@pytest.mark.parametrize(
    ("setting", "module", "package", "extra"),
    [
        ("metrics", "metrics", "prometheus_client", "server"),
        ("traces", "tracing", "opentelemetry.sdk.trace", "otel"),
    ],
)
def test_a_package_that_is_missing_is_named(
    setting: str,
    module: str,
    package: str,
    extra: str,
    authorizer: relgraph.Authorizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where what is asked for needs a package that is not there, the server says which, and how to get it."""
    monkeypatch.delitem(sys.modules, f"relgraph_server.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    wanted = guarded(metrics="127.0.0.1:0") if setting == "metrics" else guarded(traces=True)
    with pytest.raises(InvalidSetting) as refused, running(authorizer, wanted):
        pass
    assert f"`{setting}` needs `{package}`" in refused.value.message
    assert f"relgraph[{extra}]" in refused.value.message


def test_what_is_not_asked_for_is_not_loaded() -> None:
    """A server that is not looked at imports neither Prometheus's client nor OpenTelemetry."""
    code = "import sys, relgraph_server.app; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=program_environment()
    )
    loaded = set(done.stdout.split())
    assert "relgraph_server.lookout" in loaded
    assert set() == {name for name in loaded if name.startswith(("prometheus_client", "opentelemetry"))}
