"""The one composition root: opens the store, puts the server together, binds, says so, serves, drains, closes."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from relgraph.api import open_authorizer
from relgraph.errors import InvalidSetting, NotReady, RelgraphError, quoted
from relgraph.store.urls import without_password
from relgraph.v1.authorizer_pb2_grpc import add_AuthorizerServiceServicer_to_server
from relgraph_server.asking import Asking
from relgraph_server.dialects import AUTHZED_SERVICES, RELGRAPH, SERVICE_NAME
from relgraph_server.edge import Edge
from relgraph_server.gate import open_gate
from relgraph_server.logs import configure
from relgraph_server.lookout import open_lookout
from relgraph_server.readiness import Health
from relgraph_server.service import AuthorizerService
from relgraph_server.settings import Settings, is_loopback, parse_address
from relgraph_server.tls import server_credentials
from relgraph_server.watchers import Watchers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from relgraph.answers import Collected
    from relgraph.api import Authorizer
    from relgraph_server.dialects import Dialect
    from relgraph_server.gate import Gate
    from relgraph_server.lookout import Lookout
    from relgraph_server.metrics import Metrics

    _AddServices = Callable[[grpc.aio.Server, Asking, Watchers], None]

__all__ = ["Follower", "Running", "keep_history", "run", "serve", "start"]

_log: Final = logging.getLogger(__name__)

METADATA_BYTES_MAX: Final = 16 << 10
HANDSHAKE_MS_MAX: Final = 10_000
PING_INTERVAL_MS_MIN: Final = 10_000
_UNSERVED: Final = (
    "this server does not speak authzed.api.v1; run `pip install 'relgraph[authzed]'` where it runs, and leave the "
    "dialect in its setting `dialects`"
)
_HISTORY_S_MAX: Final = timedelta.max // timedelta(seconds=1)
# Whoever watches health takes the place of a call: a tenth of them at most.
_HEALTH_PART: Final = 10
FOLLOW_S: Final = 0.5
KEEPALIVE_MS: Final = 60_000
KEEPALIVE_REPLY_MS_MAX: Final = 20_000


def _options(settings: Settings) -> Sequence[tuple[str, int]]:
    """Return gRPC's channel options: every bound is spelled out, none is left to a default that may change."""
    return (
        ("grpc.max_receive_message_length", settings.request_bytes_max),
        # the edge refuses larger answers by name before this cuts the connection
        ("grpc.max_send_message_length", settings.answer_bytes_max),
        ("grpc.max_concurrent_streams", settings.streams_max),
        ("grpc.max_allowed_incoming_connections", settings.connections_max),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS_MAX),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_INTERVAL_MS_MIN),
        ("grpc.max_connection_idle_ms", settings.connection_idle_ms_max),
        ("grpc.max_connection_age_ms", settings.connection_age_ms_max),
        ("grpc.max_connection_age_grace_ms", settings.connection_grace_ms_max),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_REPLY_MS_MAX),
        # two servers on one port would share its connections without a word
        ("grpc.so_reuseport", 0),
    )


class Running:
    """A server that answers on `address` (HOST:PORT, with the port it really has)."""

    def __init__(
        self,
        server: grpc.aio.Server,
        asking: Asking,
        watchers: Watchers,
        health: Health,
        gate: Gate,
        lookout: Lookout,
        address: str,
    ) -> None:
        self._server = server
        self._asking = asking
        self._watchers = watchers
        self._health = health
        self._gate = gate
        self._lookout = lookout
        self.address = address

    @property
    def metrics_address(self) -> str:
        """HOST:PORT of the HTTP listener; empty without one."""
        return self._lookout.address

    @property
    def metrics(self) -> Metrics | None:
        """What is counted, if anything is."""
        return self._lookout.metrics

    def announce_stop(self) -> None:
        """Say that the server is about to stop, and end what has no end of its own; calls are still answered."""
        self._health.stop()
        self._watchers.stop()

    async def stop(self, drain_ms_max: int) -> None:
        """Take no new calls, give those in progress so many milliseconds, and end the threads and the audit log."""
        self.announce_stop()
        await self._server.stop(drain_ms_max / 1000)
        await asyncio.to_thread(_end_threads, self._asking, self._watchers)
        await self._gate.close()
        await self._lookout.close()


def _look(authorizer: Authorizer, gate: Gate) -> None:
    """Raise what keeps the server from answering. It waits for the store: for a thread."""
    if not gate.ready:
        raise NotReady("calls cannot be let in, or writes not be recorded; mend the file of keys or the audit log")
    authorizer.follow(0)


def _end_threads(asking: Asking, watchers: Watchers) -> None:
    asking.close()
    watchers.close()


def _add_our_services(server: grpc.aio.Server, asking: Asking, watchers: Watchers) -> None:
    add_AuthorizerServiceServicer_to_server(AuthorizerService(asking, watchers), server)


def _dialects(settings: Settings) -> list[tuple[Dialect, _AddServices]]:
    """Return the dialects that are served, and how each adds its services. Raises InvalidSetting.

    SpiceDB's needs the package `authzed`: where that is not installed, it is served to nobody, and refused by name.
    """
    wanted = settings.dialect_names
    served: list[tuple[Dialect, _AddServices]] = [(RELGRAPH, _add_our_services)] if "relgraph.v1" in wanted else []
    if "authzed.api.v1" not in wanted:
        return served
    try:
        from relgraph_server.authzed.dialect import AUTHZED, add_services  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("relgraph"):
            raise
        if settings.dialects != "all":
            raise InvalidSetting(
                f"`dialects` names `authzed.api.v1`, which needs {quoted(error.name)}, and that is not installed; run "
                "`pip install 'relgraph[authzed]'`, or leave the dialect out",
                {"setting": "dialects"},
            ) from error
        _log.info("authzed.api.v1 is not served: %s is not installed (pip install 'relgraph[authzed]')", error.name)
        return served
    return [*served, (AUTHZED, add_services)]


def _reflect(names: Sequence[str], server: grpc.aio.Server, *, told: bool) -> None:
    if told:
        health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        reflection.enable_server_reflection((*names, health_name, reflection.SERVICE_NAME), server)


async def start(authorizer: Authorizer, settings: Settings) -> Running:
    """Start a server over an open Authorizer, which stays the caller's. Raises InvalidSetting if it cannot bind."""
    credentials = server_credentials(settings)
    dialects = _dialects(settings)
    gate = open_gate(settings)
    asking, watchers = Asking(authorizer, settings), Watchers(authorizer, settings)
    names = [name for dialect, _ in dialects for name in dialect.services]
    health = Health(
        names,
        lambda: _look(authorizer, gate),
        every_ms=settings.ready_every_ms,
        look_ms_max=settings.ready_ms_max,
        watches_max=max(1, settings.calls_max // _HEALTH_PART),
    )
    try:
        lookout = await open_lookout(authorizer, watchers, settings, SERVICE_NAME, health)
    except BaseException:
        _end_threads(asking, watchers)
        await gate.close()
        raise
    server = grpc.aio.server(
        interceptors=[
            Edge(
                [dialect for dialect, _ in dialects],
                gate,
                lookout.sights,
                request_items_max=settings.request_items_max,
                answer_bytes_max=settings.answer_bytes_max,
                unserved={name: _UNSERVED for name in AUTHZED_SERVICES if name not in names},
            )
        ],
        options=_options(settings),
        maximum_concurrent_rpcs=settings.calls_max,
    )
    for _, add_services in dialects:
        add_services(server, asking, watchers)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    host, _ = parse_address(settings.listen)
    _reflect(names, server, told=settings.reflection or is_loopback(host))
    try:
        port = (
            server.add_insecure_port(settings.listen)
            if credentials is None
            else server.add_secure_port(settings.listen, credentials)
        )
    except RuntimeError:
        port = 0
    if port == 0:
        _end_threads(asking, watchers)
        await gate.close()
        await lookout.close()
        raise InvalidSetting(
            f"cannot listen on {quoted(settings.listen)}; is the port taken, or the address another machine's? "
            "port 0 takes a free one",
            {"setting": "listen"},
        )
    await server.start()
    health.start()
    shown = f"[{host}]" if ":" in host else host
    return Running(server, asking, watchers, health, gate, lookout, f"{shown}:{port}")


class Follower:
    """A thread that keeps the graph up with what other processes write, so that no question has to wait for that."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="relgraph-follower", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End following, before the store is closed."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _follow(self) -> None:
        told = ""
        while not self._ended.is_set():
            try:
                self._authorizer.follow(FOLLOW_S)
                told = ""
            except RelgraphError as problem:
                # Questions say so themselves; once in the log is enough.
                if problem.message != told:
                    told = problem.message
                    _log.warning("cannot follow the store: %s", told)
                self._ended.wait(FOLLOW_S)
            except Exception as problem:  # noqa: BLE001 - whatever it is, later changes have to be followed
                if repr(problem) != told:
                    told = repr(problem)
                    _log.exception("cannot follow the store")
                self._ended.wait(FOLLOW_S)


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Once ready, print one JSON line, `{"grpc": "127.0.0.1:50051"}`, on stdout."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    authorizer = await asyncio.to_thread(open_authorizer, settings.store, limits=settings.limits)
    follower = Follower(authorizer)
    try:
        running = await start(authorizer, settings)
        follower.start()
        every_s = settings.collect_every_s
        count = _uncounted if running.metrics is None else running.metrics.collected
        keeping = loop.create_task(keep_history(authorizer, settings.history_s, every_s, told, count))
        ready = {"grpc": running.address}
        if running.metrics_address:
            ready["metrics"] = running.metrics_address
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        _log.info("serving %s on %s", without_password(settings.store), running.address)
        await told.wait()
        _log.info("stopping: calls in progress get %d ms", settings.drain_ms_max)
        running.announce_stop()
        # Calls that were on their way when the signal came arrive in this time, and are answered as any other.
        await asyncio.sleep(settings.notice_ms / 1000)
        await running.stop(settings.drain_ms_max)
    finally:
        # A collection in progress ends with the store, at its next step.
        told.set()
        await asyncio.to_thread(follower.stop)
        await asyncio.to_thread(authorizer.close)
    await keeping


def _uncounted(collected: Collected | None) -> None:
    del collected


async def keep_history(
    authorizer: Authorizer,
    history_s: int,
    every_s: float,
    told: asyncio.Event,
    count: Callable[[Collected | None], None] = _uncounted,
) -> None:
    """Collect what is older than the history that is kept, now and then, until told to stop; no failure ends it.

    `count` is told what went each time, None for a failure.
    """
    span = timedelta(seconds=min(history_s, _HISTORY_S_MAX))
    while not told.is_set():
        try:
            collected = await asyncio.to_thread(authorizer.collect, span)
        except RelgraphError as error:
            if not told.is_set():
                count(None)
                _log.warning("history was not collected: %s", error.message)
        except Exception:  # noqa: BLE001 - whatever it is, the next collection may go well
            count(None)
            _log.exception("history was not collected")
        else:
            count(collected)
            if collected.tuples or collected.revisions:
                _log.info("collected %d tuples, %d revisions", collected.tuples, collected.revisions)
        with suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), every_s)


def run(settings: Settings) -> None:
    """Serve from a program of its own: logs go to stderr. Raises what opening the store or binding raises."""
    configure(settings)
    asyncio.run(serve(settings))
