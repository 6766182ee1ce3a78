"""The audit log of a running server: each write has its one entry, and no write is acknowledged without."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from relgraph.api import open_authorizer
from relgraph.client import Access, Client
from relgraph.errors import (
    DeadlineExceeded,
    InvalidSetting,
    KeyRefused,
    NotPermitted,
    NotReady,
    OutcomeUnknown,
    RelgraphError,
    TupleNotAllowed,
    Unauthenticated,
)
from relgraph.tuples import TupleFilter
from relgraph.v1 import authorizer_pb2 as pb
from relgraph_server.audit import AuditLog
from relgraph_server.auditing import entry_of, verify_audit
from relgraph_server.calls import Call
from relgraph_server.gate import Gate
from relgraph_server.keyring import Keyring
from relgraph_server.summaries import summary_of
from tests.keys_kit import METHODS, add_key, call, guarded, shown
from tests.serving import SCHEMA, TUPLES, in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relgraph.api import Authorizer

FACT = "report:q9#manager@user:anna"


@pytest.fixture
def authorizer() -> Iterator[Authorizer]:
    with open_authorizer("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def entries(path: Path, event: str = "call") -> list[dict[str, object]]:
    """The entries of one kind, after making sure that the whole log is sound."""
    assert [] == verify_audit(path).findings
    lines = map(entry_of, path.read_bytes().splitlines())
    return [entry for entry in lines if entry is not None and entry["event"] == event]


def told(entry: dict[str, object]) -> dict[str, object]:
    """An entry without what differs from run to run."""
    return {
        name: value
        for name, value in entry.items()
        if name not in ("number", "time", "previous", "hash", "event", "peer")
    }


def test_every_write_is_told(authorizer: Authorizer, path: Path, tmp_path: Path) -> None:
    """Each kind of write has one entry: whose key, what, why, under which request id, and the revision it made."""
    secret = add_key(tmp_path / "keys", "billing", ["admin"])
    with (
        in_process(authorizer, guarded(tmp_path / "keys", path)) as address,
        Client(address, access=Access(secret), retries=None) as client,
    ):
        written = client.write(touch=[FACT], delete=[TUPLES[3]], reason="why not", request_id="r1")
        deleted = client.delete(TupleFilter("report", "q9"), reason="enough")
        loaded = client.load([FACT], request_id="r2")
        schema = client.write_schema(SCHEMA + "// more\n", reason="more")
        client.check("user:anna", "observe", "report:q3")
    found = entries(path)
    assert all(str(entry["peer"]).startswith("ipv4:127.0.0.1:") for entry in found)
    write, delete, load, rules = map(told, found)
    base = {"principal": "billing", "outcome": "OK"}
    updates = [["touch", FACT], ["delete", TUPLES[3]]]
    assert write == base | {
        "method": "Write",
        "reason": "why not",
        "request_id": "r1",
        "updates": updates,
        "updates_total": 2,
        "revision": written.revision,
    }
    assert delete == base | {
        "method": "Delete",
        "reason": "enough",
        "filter": {"resource_type": "report", "resource_id": "q9"},
        "revision": deleted.revision,
        "count": 1,
    }
    assert load == base | {"method": "Import", "request_id": "r2", "revision": loaded.revision, "read": 1, "changed": 1}
    assert rules["revision"] == schema.revision
    assert {"schema_size", "schema_sha256", "reason", *base, "method", "revision"} == set(rules)
    assert 1 == len(entries(path, "started")) == len(entries(path, "stopped"))


def test_refusals_and_failures_are_told(authorizer: Authorizer, path: Path, tmp_path: Path) -> None:
    """A write that failed, and any call of a stranger or beyond a key's scopes, has one entry with its reason."""
    secret = add_key(tmp_path / "keys", "reader", ["read"])
    writer = add_key(tmp_path / "keys", "writer", ["write"])
    with in_process(authorizer, guarded(tmp_path / "keys", path)) as address, grpc.insecure_channel(address) as channel:
        for method in METHODS:
            call(channel, method, b"")
        call(channel, "Write", b"", shown(secret))
        call(channel, "Check", b"", shown(secret))
        call(channel, "Check", b"\xff", shown(secret))
        call(channel, "ReadSchema", b"", shown(secret))
        call(channel, "Write", b"", shown(writer))
        call(channel, "Write", b"\xff\xff", shown(writer))
        with Client(address, access=Access(writer), retries=None) as client, pytest.raises(TupleNotAllowed):
            client.write(touch=["report:q3#manager@group:board#member"])
        with Client(address, access=Access(writer), retries=None) as client, pytest.raises(TupleNotAllowed):
            client.load(["report:q3#manager@group:board#member"])
    outcomes = [(entry["principal"], entry["method"], entry["outcome"]) for entry in entries(path)]
    assert [("", method, "UNAUTHENTICATED") for method in METHODS] == outcomes[: len(METHODS)]
    assert outcomes[len(METHODS) :] == [
        ("reader", "Write", "KEY_REFUSED"),
        ("reader", "Check", "KEY_REFUSED"),
        ("writer", "Write", "INVALID_INPUT"),
        ("writer", "Write", "INVALID_INPUT"),
        ("writer", "Write", "TUPLE_NOT_ALLOWED"),
        ("writer", "Import", "TUPLE_NOT_ALLOWED"),
    ]


def test_in_whose_name_is_told(authorizer: Authorizer, path: Path, tmp_path: Path) -> None:
    """A write on behalf of an actor names both in its entry, the refused one as well."""
    secret = add_key(tmp_path / "keys", "app", ["write"], "required")
    with (
        in_process(authorizer, guarded(tmp_path / "keys", path)) as address,
        Client(address, access=Access(secret), retries=None) as client,
    ):
        with pytest.raises(NotPermitted):
            client.write(touch=[FACT], actor="user:anna", reason="mine")
        with pytest.raises(KeyRefused):
            client.write(touch=[FACT])
    assert [("app", "user:anna", "NOT_PERMITTED"), ("app", None, "KEY_REFUSED")] == [
        (entry["principal"], entry.get("actor"), entry["outcome"]) for entry in entries(path)
    ]


def test_one_entry_each_under_load(authorizer: Authorizer, path: Path) -> None:
    """What many clients write at once has one entry a write, and every acknowledged revision is among them."""
    with in_process(authorizer, guarded(audit=path)) as address, Client(address, retries=None) as client:

        def write(n: int) -> int:
            return client.write(touch=[f"report:q{n}#manager@user:anna"], request_id=f"r{n}").revision

        with ThreadPoolExecutor(16) as pool:
            acknowledged = list(pool.map(write, range(300)))
    found = entries(path)
    assert {f"r{n}": revision for n, revision in enumerate(acknowledged)} == {
        entry["request_id"]: entry["revision"] for entry in found
    }
    assert 300 == len(found)


def test_a_log_that_was_moved_away_stops_writes(authorizer: Authorizer, path: Path) -> None:
    """Without its log the server refuses writes before it makes them, answers questions, and says it is not ready."""
    with in_process(authorizer, guarded(audit=path)) as address, Client(address, retries=None) as client:
        first = client.write(touch=[FACT])
        path.rename(path.with_suffix(".old"))
        for write in (
            lambda: client.write(delete=[FACT]),
            lambda: client.delete(TupleFilter("report", "q9")),
            lambda: client.load(["report:q10#manager@user:anna"]),
            lambda: client.write_schema(SCHEMA + "// x\n"),
        ):
            with pytest.raises(NotReady, match="no such file"):
                write()
        assert client.check("user:anna", "manage", "report:q9")
        assert first.revision == client.read(limit=1).revision
        with grpc.insecure_channel(address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            states = health.Watch(health_pb2.HealthCheckRequest(), timeout=20)  # type: ignore[attr-defined]
            assert any(each.status == health_pb2.HealthCheckResponse.NOT_SERVING for each in states)
            path.with_suffix(".old").rename(path)
            assert any(each.status == health_pb2.HealthCheckResponse.SERVING for each in states)
            states.cancel()
        client.write(delete=[FACT])
    assert 2 == len(entries(path))


def test_a_full_disk_stops_writes(authorizer: Authorizer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hardly any room left, writes are refused before they are made."""
    with in_process(authorizer, guarded(audit=path)) as address, Client(address, retries=None) as client:
        monkeypatch.setattr("relgraph_server.audit.FREE_BYTES_MIN", 1 << 62)
        with pytest.raises(NotReady, match="the disk is full"):
            client.write(touch=[FACT])
        assert not client.check("user:anna", "manage", "report:q9")
        monkeypatch.undo()
        client.write(touch=[FACT])
    assert 1 == len(entries(path))


@pytest.mark.parametrize("part", [0, 1, 40, -1])
def test_a_write_that_could_not_be_recorded(
    authorizer: Authorizer, path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    """A write whose entry fails after its commit is not acknowledged; repeated, it is answered and has its entry."""
    real = os.write

    def torn(file: int, data: bytes) -> int:
        if b'"request_id":"r"' in data:
            real(file, data[:part])
            raise OSError(28, "No space left on device")
        return real(file, data)

    with in_process(authorizer, guarded(audit=path)) as address, Client(address, retries=None) as client:
        monkeypatch.setattr(os, "write", torn)
        with pytest.raises(OutcomeUnknown, match="was made, as revision"):
            client.write(touch=[FACT], request_id="r")
        assert client.check("user:anna", "manage", "report:q9")
        monkeypatch.undo()
        again = client.write(touch=[FACT], request_id="r")
    found = verify_audit(path)
    assert ([], int(part not in (0, -1))) == (found.findings, found.sealed)
    assert again.revision in [entry.get("revision") for entry in entries(path)]


def test_a_sync_that_fails_is_no_acknowledgement(
    authorizer: Authorizer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry counts when it is on the disk: a failing fsync leaves the write unacknowledged."""
    with in_process(authorizer, guarded(audit=path)) as address, Client(address, retries=None) as client:
        log_file = path.stat().st_ino
        real = os.fsync

        def failing(file: int) -> None:
            if os.fstat(file).st_ino == log_file:
                raise OSError(5, "Input/output error")
            real(file)

        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises(OutcomeUnknown):
            client.write(touch=[FACT], request_id="r")
        monkeypatch.undo()
        client.write(touch=[FACT], request_id="r")
    assert 2 == len(entries(path))


def test_who_has_gone_before_the_start_is_not_written_for(path: Path) -> None:
    """Once the edge has recorded a call as cancelled, its write is not begun; once begun, the thread records it."""
    log = AuditLog(str(path), lambda: 0)
    made: list[int] = []

    class Done:
        revision = 7

    def write() -> Done:
        made.append(1)
        return Done()

    gone = Call("Write", audit=log)
    assert gone.claim()
    gone.record("CANCELLED")
    with pytest.raises(DeadlineExceeded, match="has gone"):
        gone.carry_out(write)
    assert [] == made
    begun = Call("Write", audit=log)
    begun.carry_out(write)
    assert not begun.claim()
    log.close()
    assert ["CANCELLED", "OK"] == [entry["outcome"] for entry in entries(path)]


def test_a_caller_that_goes_has_one_entry(authorizer: Authorizer, path: Path) -> None:
    """A write whose caller gives up has one entry at most, and certainly one if it was made."""
    with (
        in_process(authorizer, guarded(audit=path, write_threads_max=2)) as address,
        Client(address, retries=None) as client,
    ):

        def give_up(n: int) -> None:
            with suppress(RelgraphError):
                client.write(touch=[f"report:q{n}#manager@user:anna"], request_id=f"r{n}", deadline=n / 1_000)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(give_up, range(200)))
        client.write(touch=[FACT], request_id="waited for")
    made = {entry.request_id: entry.revision for entry in authorizer.log(limit=1000).entries if entry.request_id}
    found = entries(path)
    ids = [entry["request_id"] for entry in found]
    assert len(ids) == len(set(ids))
    assert made == {entry["request_id"]: entry["revision"] for entry in found if entry["outcome"] == "OK"}
    assert made


def test_one_server_a_log(authorizer: Authorizer, path: Path) -> None:
    """A second server on the same log does not start."""
    with (
        in_process(authorizer, guarded(audit=path)),
        pytest.raises(InvalidSetting, match="another server's"),
        in_process(authorizer, guarded(audit=path)),
    ):
        pass


def test_strangers_fill_no_disk(path: Path, tmp_path: Path) -> None:
    """Of a flood of strangers a hundred a minute are recorded; how many more there were stands in the next entry."""
    add_key(tmp_path / "keys", "root", ["admin"])
    clock = [0.0]
    log = AuditLog(str(path), lambda: 0)
    gate = Gate(Keyring(str(tmp_path / "keys"), lambda: 0), log, lambda: clock[0])

    async def knock(times: int) -> None:
        for _ in range(times):
            await gate.failed(gate.call("Check", "peer"), Unauthenticated("no"))

    async def flood() -> None:
        await knock(130)
        clock[0] = 61.0
        await knock(2)
        await gate.close()

    asyncio.run(flood())
    found = entries(path)
    assert [30, None] == [entry.get("unrecorded") for entry in found[100:]]
    assert 102 == len(found)


def test_an_entry_is_small(path: Path) -> None:
    """However large a request is, its entry is not, and says how much there was."""
    long = "é" * 5_000
    fact = pb.RelationTuple(resource=long, relation=long, subject=long)
    many = pb.WriteRequest(updates=[pb.Update(tuple=fact)] * 1_000, reason=long, request_id=long, actor=long)
    wide = pb.DeleteRequest(filter=pb.TupleFilter(resource_type=long, resource_id=long, subject_type=long))
    log = AuditLog(str(path), lambda: 0)
    for message in (
        many,
        wide,
        pb.WriteSchemaRequest(text=long),
        pb.ImportRequest(options=pb.ImportOptions(reason=long)),
    ):
        told = Call("Write", audit=log)
        told.told = summary_of(message)
        told.record("OK")
    log.close()
    assert 1_000 == entries(path)[0]["updates_total"]
    assert max(map(len, path.read_bytes().splitlines())) < 100_000
