"""Servers for tests: one in this process over any Authorizer, one as a program of its own over a store."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import grpc
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed
from grpc_status import rpc_status

from relgraph_server.app import start
from relgraph_server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from relgraph.api import Authorizer
    from relgraph_server.app import Running

__all__ = [
    "PATIENCE_S",
    "SCHEMA",
    "STREAMED",
    "TUPLES",
    "in_process",
    "lasting_port",
    "program",
    "program_environment",
    "raw_call",
    "running",
]

PATIENCE_S = 60
"""How long a test waits, in seconds, for what comes at once where the machine is not busy."""

SCHEMA = """use roles
caveat near(site string, limit int) {
  site == 'north' && limit > 1
}
definition user {}
definition group { relation member: user | group#member }
definition report {
  roles administer > manage > observe
  relation administrator: user | group#member
  relation manager: user
  relation viewer: user | user:* | user with near
  permission administer = administrator
  permission manage = administer + manager
  permission observe = manage + viewer
}
definition gate {
  relation keeper: user
  relation other: gate
  permission left = keeper - right
  permission right = keeper - left
}
"""
TUPLES = (
    "group:board#member@user:anna",
    "group:eng#member@group:board#member",
    "report:q3#administrator@group:board#member",
    "report:q3#administrator@group:eng#member",
    "report:q4#viewer@user:*",
    "gate:one#keeper@user:anna",
)

STREAMED = {"Export", "LookupResources", "LookupSubjects", "Watch"}
"""The methods that are answered in many messages."""

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def in_process(authorizer: object, settings: Settings | None = None) -> Iterator[str]:
    """Serve `authorizer` on a free port of loopback from a thread of this process; gives the address."""
    with running(authorizer, settings) as server:
        yield server.address


@contextmanager
def running(authorizer: object, settings: Settings | None = None) -> Iterator[Running]:
    """Serve `authorizer` as `in_process` does; gives the server."""
    wanted = settings or Settings("unused:", listen="127.0.0.1:0")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="test-server")
    thread.start()
    try:
        server = asyncio.run_coroutine_threadsafe(start(cast("Authorizer", authorizer), wanted), loop).result(
            PATIENCE_S
        )
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(100), loop).result(PATIENCE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()


def lasting_port() -> int:
    """A port that stays free while nobody listens there: below those that connections to elsewhere begin at."""
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", random.randrange(20_000, 30_000))) as taken:
            return int(taken.getsockname()[1])


def raw_call(address: str, method: str, data: bytes) -> tuple[grpc.StatusCode, str]:
    """Send bytes as one request to a method of the service; gives the status and the reason in its details.

    Of an answer in many messages the first one is awaited.
    """
    path = f"/relgraph.v1.AuthorizerService/{method}"
    with grpc.insecure_channel(address) as channel:
        try:
            if method in STREAMED:
                stream: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
                next(stream(data, timeout=10))
            else:
                call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
                call(data, timeout=10)
        except grpc.RpcError as problem:
            status = rpc_status.from_call(cast("grpc.Call", problem))
            info = error_details_pb2.ErrorInfo()
            if status is not None:
                status.details[0].Unpack(info)
            return problem.code(), info.reason
    return grpc.StatusCode.OK, ""


def program_environment() -> dict[str, str]:
    """The environment of a child: this one's, without settings of relgraph, able to import this checkout."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RELGRAPH_")}
    environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "server")])
    return environ


@contextmanager
def program(
    store: str,
    listen: str = "127.0.0.1:0",
    *,
    flags: Mapping[str, str] | None = None,
    log: IO[str] | None = None,
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Serve a store from a process of its own; gives its address and the process, which is ended by its own id.

    `flags` are further settings; `log` takes what the server says, this process's own stderr where there is none.
    """
    code = (
        "import json, sys\n"
        "from relgraph_server.app import run\n"
        "from relgraph_server.settings import load_settings\n"
        "run(load_settings({'store': sys.argv[1], 'listen': sys.argv[2], **json.loads(sys.argv[3])}, {}))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, store, listen, json.dumps(dict(flags or {}))],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=program_environment(),
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, "the server ended before it was ready"
        yield json.loads(line)["grpc"], process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()
