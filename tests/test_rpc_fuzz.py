"""Every method under hostile bytes: clear errors and nothing else, and a server that answers right afterwards."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # carries no py.typed
from grpc_health.v1 import health_pb2, health_pb2_grpc

import relgraph
from relgraph.api import verify
from relgraph.client import Client
from relgraph.dialing import Access
from relgraph.tuples import RelationTuple
from relgraph.wire.failures import DOMAIN
from tests.fuzzing import METHODS, SERVICE, requests
from tests.keys_kit import add_key
from tests.serving import SCHEMA, TUPLES, program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LONG = bool(os.environ.get("RELGRAPH_LONG"))
SEED = int(os.environ.get("RELGRAPH_SEED", "0")) or Random().randrange(1, 10**9)
CALLS = 100_000 if LONG else 1_400
AT_ONCE = 32
GROWTH_KIB_MAX = 200 << 10

# What a server answers to bytes that are wrong, or well formed and asking for what is not there or not allowed.
CLEAR = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
}


@contextmanager
def served(folder: Path, **flags: str) -> Iterator[tuple[str, str, Path, int]]:
    """Serve a store with something in it from a process; gives the address, the store, its log and its process id."""
    store = f"sqlite:///{folder / 'store.db'}"
    with relgraph.open(store) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=TUPLES)
    log = folder / "log"
    with log.open("w") as stream, program(store, flags=flags, log=stream) as (address, process):
        yield address, store, log, process.pid


def memory_kib(pid: int) -> int:
    """How much memory a process has used at the most."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():  # no Linux: everything else is still shown
        return 0
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:"))


def send(channel: grpc.Channel, path: str, sent: Sequence[bytes], shown: tuple[tuple[str, str], ...]) -> None:
    """Make a call of many messages."""
    sends: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(path)
    sends(iter(sent), timeout=30, metadata=shown)


async def call(
    channel: grpc.aio.Channel, plain: grpc.Channel, method: str, sent: Sequence[bytes], secret: str
) -> grpc.RpcError | None:
    """Make a call, to its first answer at least; gives what it failed with."""
    kind, path = METHODS[method], f"/{SERVICE.full_name}/{method}"
    shown = (("authorization", f"Bearer {secret}"),) if secret else ()
    try:
        if kind.client_streaming:
            # Where a server refuses a stream early, gRPC's asynchronous client may take its own trouble for the answer.
            await asyncio.to_thread(send, plain, path, sent, shown)
        elif kind.server_streaming:
            tells: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
            stream = tells(sent[0], timeout=30, metadata=shown)
            try:
                await anext(aiter(stream), None)
            finally:
                stream.cancel()
        else:
            asks: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
            await asks(sent[0], timeout=30, metadata=shown)
    except grpc.RpcError as problem:
        return problem
    return None


def has_reason(problem: grpc.RpcError) -> bool:
    """Whether relgraph itself said why: every error of its own carries an ErrorInfo."""
    info = error_details_pb2.ErrorInfo()
    pairs = cast("Iterable[tuple[str, str | bytes]]", problem.trailing_metadata() or ())
    for name, value in pairs:
        if name == "grpc-status-details-bin" and isinstance(value, bytes):
            return any(
                box.Unpack(info) and info.domain == DOMAIN for box in status_pb2.Status.FromString(value).details
            )
    return False


def complaint(problem: grpc.RpcError | None) -> str:
    """What is wrong with how a call was answered; empty where nothing is."""
    if problem is None:
        return ""
    if problem.code() not in CLEAR:
        return f"{problem.code()}: {problem.details()}"
    text = problem.details() or ""
    if not has_reason(problem):
        return f"a status without a reason: {problem.code()}: {text}"
    if not text.replace("\n", "").replace("\t", "").isprintable() or text != text.strip() or text.endswith("."):
        return f"a text that is not fit to be shown: {text!r}"
    return ""


async def storm(
    address: str, secrets: Sequence[str], calls: int, seed: int, methods: Sequence[str] = tuple(sorted(METHODS))
) -> tuple[Counter[str], list[str]]:
    """Make so many calls with hostile bytes; gives how many of each method were answered OK, and what was wrong."""
    fine: Counter[str] = Counter()
    wrong: list[str] = []
    numbers = iter(range(calls))

    async def work(plain: grpc.Channel) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            for number in numbers:
                random = Random(seed * 1_000_003 + number)
                method = methods[number % len(methods)]
                sent, secret = requests(random, method), random.choice(secrets)
                problem = await call(channel, plain, method, sent, secret)
                fine[method] += problem is None
                if found := complaint(problem):
                    wrong.append(f"{method} {[each.hex() for each in sent]}: {found}")

    with grpc.insecure_channel(address) as plain:
        await asyncio.gather(*(work(plain) for _ in range(AT_ONCE)))
    return fine, wrong


def check_health(address: str, store: str, log: Path, secret: str) -> None:
    """See that the server says it is well, answers as the store itself does, writes, and has logged no failure."""
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=30)  # type: ignore[attr-defined]
        assert health_pb2.HealthCheckResponse.SERVING == health.status
    assert verify(store).findings == ()
    with Client(address, access=Access(token=secret)) as client, relgraph.open(store) as fresh:
        while left := client.read().tuples:
            client.write(delete=[RelationTuple(*each.key) for each in left])
        client.write_schema(SCHEMA)
        client.write(touch=TUPLES)
        for subject in ("user:anna", "user:bob"):
            for resource in ("report:q3", "report:q4"):
                assert fresh.best(subject, resource).held == client.best(subject, resource).held
        assert client.check("user:anna", "administer", "report:q3")
        assert not client.check("user:bob", "administer", "report:q3")
    said = log.read_text()
    assert "Traceback" not in said
    assert "incident" not in said
    assert "ERROR" not in said


@pytest.mark.parametrize("keyed", [False, True], ids=["open", "keys"])
def test_hostile_bytes_meet_clear_errors(tmp_path: Path, *, keyed: bool) -> None:
    """Every method answers damaged and odd requests clearly, or as asked; the server stays well, and small."""
    secrets, flags = [""], {}
    if keyed:
        keys = tmp_path / "keys.json"
        some = [("admin", "admin", "optional"), ("reader", "check", "optional"), ("deputy", "write", "required")]
        secrets = [add_key(keys, name, [scope], actor) for name, scope, actor in some]
        secrets += [secrets[0], secrets[0], "", "rg_x"]
        flags = {"keys": str(keys), "audit": str(tmp_path / "audit.log")}
    with served(tmp_path, **flags) as (address, store, log, pid):
        asyncio.run(storm(address, secrets, 200, SEED + 1))
        before = memory_kib(pid)
        fine, wrong = asyncio.run(storm(address, secrets, CALLS // 2, SEED))
        if missing := [method for method in METHODS if not fine[method]]:
            more, more_wrong = asyncio.run(storm(address, secrets, 200 * len(missing), SEED + 2, missing))
            fine += more
            wrong += more_wrong
        assert wrong[:5] == [], f"RELGRAPH_SEED={SEED}"
        assert memory_kib(pid) - before < GROWTH_KIB_MAX
        check_health(address, store, log, secrets[0])
    # A storm in which nothing is ever served would only try the door.
    assert {method for method in METHODS if not fine[method]} == set(), f"RELGRAPH_SEED={SEED}"
