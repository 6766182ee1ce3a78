"""Keys at a running server: who is let in, who writes in whose name, and how soon a change of the file counts."""

from __future__ import annotations

import errno
import hmac
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from relgraph.api import open_authorizer
from relgraph.client import Access, Client
from relgraph.errors import InvalidFile, InvalidSetting, KeyRefused, NotReady, RequestIdReused, Unauthenticated
from relgraph.instants import instant_of
from relgraph.tuples import TupleFilter
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceStub
from relgraph_server import keyfile
from relgraph_server.keyfile import read_keys, revoke_key
from relgraph_server.keyring import Keyring
from relgraph_server.keys import find_key, new_key
from tests.keys_kit import METHODS, add_key, call, guarded, shown
from tests.serving import PATIENCE_S, SCHEMA, TUPLES, in_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from google.protobuf.message import Message

    from relgraph.api import Authorizer

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FACT = "report:q9#manager@user:anna"


@pytest.fixture
def authorizer() -> Iterator[Authorizer]:
    with open_authorizer("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        yield opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def root(path: Path) -> str:
    """The secret of a key that may do everything."""
    return add_key(path, "root", ["admin"])


@pytest.fixture
def channel(authorizer: Authorizer, path: Path, root: str) -> Iterator[grpc.Channel]:  # noqa: ARG001 - the file is there
    with in_process(authorizer, guarded(path)) as address, grpc.insecure_channel(address) as opened:
        yield opened


# --- who is let in ----------------------------------------------------------------------------------------------------


def test_strangers_are_all_told_the_same(channel: grpc.Channel, path: Path, root: str) -> None:
    """No key, a wrong, revoked, expired or garbled one, two of them: the same status and words, on every method."""
    revoked = add_key(path, "revoked", ["admin"])
    revoke_key(path, "revoked", NOW)
    expired = add_key(path, "expired", ["admin"], expires=datetime(2026, 1, 2, tzinfo=UTC))
    stranger = new_key("stranger", ["admin"], "optional", now=NOW)[1]
    shows: list[tuple[tuple[str, str | bytes], ...]] = [
        (),
        shown(revoked),
        shown(expired),
        shown(stranger),
        shown(root[:-1]),
        shown(root + "A"),
        shown(" " + root),
        shown(""),
        shown(read_keys(path)[0].digest),
        (*shown(root), *shown(root)),
        (*shown(stranger), *shown(root)),
        (("authorization", root),),
        (("authorization", f"Basic {root}"),),
        (("authorization", f"Bearer {root} x"),),
        (("authorization-bin", b"Bearer " + root.encode()),),
        (("x-authorization", f"Bearer {root}"),),
    ]
    said = set()
    for method in METHODS:
        for metadata in shows:
            for data in (b"", b"\xff\xff no message"):
                code, error = call(channel, method, data, metadata)
                assert code is grpc.StatusCode.UNAUTHENTICATED, (method, metadata)
                assert isinstance(error, Unauthenticated)
                said.add((error.message, *error.details.items()))
    assert 1 == len(said)
    assert call(channel, "ReadSchema", b"", shown(root))[0] is grpc.StatusCode.OK
    assert call(channel, "ReadSchema", b"", (("authorization", f"bEARER {root}"),))[0] is grpc.StatusCode.OK


def test_malformed_bytes_are_told_to_those_let_in_only(channel: grpc.Channel, root: str) -> None:
    """Who shows a key learns that the bytes are no message."""
    assert call(channel, "Check", b"\xff\xff", shown(root))[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_all_keys_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding a key compares every one, in constant time, wherever the right one stands."""
    made = [new_key(f"k{n}", ["check"], "optional", now=NOW) for n in range(5)]
    compared: list[str] = []
    real = hmac.compare_digest

    def noted(one: str, other: str) -> bool:
        compared.append(one)
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    for key, secret in made:
        compared.clear()
        assert key == find_key([each for each, _ in made], secret, 0)
        assert [each.digest for each, _ in made] == compared
    compared.clear()
    assert find_key([each for each, _ in made], "nonsense", 0) is None
    assert 5 == len(compared)


def test_a_key_ends_at_its_instant() -> None:
    """A key opens until its expiration, and not at it."""
    key, secret = new_key("k", ["check"], "optional", now=NOW, expires=NOW + timedelta(seconds=1))
    end = int(NOW.timestamp() + 1) * 1_000_000
    assert key == find_key([key], secret, end - 1)
    assert find_key([key], secret, end) is None


def test_a_stream_ends_at_its_keys_instant(path: Path) -> None:
    """A key that was good when a stream began is not held any more from its last instant on, in an unchanged file."""
    clock = [instant_of(NOW) - 1]
    secret = add_key(path, "k", ["read"], expires=NOW)
    keyring = Keyring(str(path), lambda: clock[0])
    key = keyring.find(secret)
    assert key is not None
    assert keyring.holds(key)
    clock[0] += 1
    assert [False] == [keyring.holds(key)]


def test_health_needs_no_key(channel: grpc.Channel) -> None:
    """Whether the server is well is told to everybody."""
    health = health_pb2_grpc.HealthStub(channel)
    answer = health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_S)  # type: ignore[attr-defined]
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    ("listen", "flag", "told"), [("127.0.0.1:0", False, True), ("0.0.0.0:0", False, False), ("0.0.0.0:0", True, True)]
)
def test_reflection_is_for_loopback(authorizer: Authorizer, listen: str, flag: bool, told: bool) -> None:
    """Methods and messages are told on loopback, and on a public address only when that is asked for."""
    with (
        in_process(authorizer, guarded(listen=listen, insecure=True, reflection=flag)) as address,
        grpc.insecure_channel(f"127.0.0.1:{address.rpartition(':')[2]}") as channel,
    ):
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        answers = stub.ServerReflectionInfo(  # type: ignore[operator]
            iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=PATIENCE_S
        )
        if told:
            assert next(iter(answers)).list_services_response.service
        else:
            with pytest.raises(grpc.RpcError) as caught:
                next(iter(answers))
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


# --- a file that changes ----------------------------------------------------------------------------------------------


def test_strangers_who_watch_health_leave_room_for_calls(authorizer: Authorizer, path: Path, root: str) -> None:
    """Of the calls that may be in progress a tenth at most are watches of health, which need no key."""
    with in_process(authorizer, guarded(path, calls_max=20)) as address, grpc.insecure_channel(address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch  # type: ignore[attr-defined]
        request = health_pb2.HealthCheckRequest()
        watches = [watch(request) for _ in range(2)]
        assert [health_pb2.HealthCheckResponse.SERVING] * 2 == [next(each).status for each in watches]
        for _ in range(20):
            with pytest.raises(grpc.RpcError) as caught:
                next(watch(request, timeout=PATIENCE_S))
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert call(channel, "ReadSchema", b"", shown(root))[0] is grpc.StatusCode.OK
        watches[0].cancel()
        told = None
        while told is None:  # until the server has heard of it
            with suppress(grpc.RpcError):
                told = next(watch(request, timeout=PATIENCE_S))


def test_a_revoked_key_is_refused_at_once(channel: grpc.Channel, path: Path, root: str) -> None:
    """A key that was made opens from the next call on, and one that was revoked opens nothing from the next call on."""
    for n in range(20):
        secret = add_key(path, f"k{n}", ["read"])
        assert call(channel, "ReadSchema", b"", shown(secret))[0] is grpc.StatusCode.OK
        revoke_key(path, f"k{n}", NOW)
        assert call(channel, "ReadSchema", b"", shown(secret))[0] is grpc.StatusCode.UNAUTHENTICATED
    assert call(channel, "ReadSchema", b"", shown(root))[0] is grpc.StatusCode.OK


def test_a_change_within_a_tick_counts(path: Path, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was changed moments ago is read each time: it may change again without its times showing it."""
    keyring = Keyring(str(path), lambda: 0)
    now = time.time_ns()
    monkeypatch.setattr(keyring, "_state", lambda: (now + 10**9, 1))
    assert keyring.find(root) is not None
    path.write_text(path.read_text().replace(read_keys(path)[0].digest, "0" * 64))
    assert keyring.find(root) is None


def test_many_threads_never_mix_states(path: Path, root: str) -> None:
    """However many threads look while the file changes, a revoked key is refused by each of them afterwards."""
    keyring = Keyring(str(path), lambda: 0)
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            keyring.find(root)

    with ThreadPoolExecutor(4) as pool:
        looking = [pool.submit(look) for _ in range(4)]
        for n in range(30):
            secret = add_key(path, f"k{n}", ["check"])
            assert keyring.find(secret) is not None
            revoke_key(path, f"k{n}", NOW)
            assert [None] * 5 == [keyring.find(secret) for _ in range(5)]
        ended.set()
        for each in looking:
            each.result()


def test_a_stream_ends_with_its_key(channel: grpc.Channel, authorizer: Authorizer, path: Path) -> None:
    """A watch whose key was revoked is told nothing that was written since, and ends."""
    secret = add_key(path, "k", ["read", "history"])
    watch = AuthorizerServiceStub(channel).Watch(pb.WatchRequest(), timeout=20, metadata=shown(secret))
    first = next(watch)
    authorizer.write(touch=[FACT])
    assert [FACT] == [
        f"{each.resource}#{each.relation}@{each.subject}" for change in next(watch).changes for each in change.created
    ]
    revoke_key(path, "k", NOW)
    authorizer.write(delete=[FACT])
    with pytest.raises(grpc.RpcError) as caught:
        next(watch)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert not first.changes


def test_a_failure_to_read_the_keys_passes(path: Path, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that could not be read for once (too many open files) is read again, although it did not change."""
    keyring = Keyring(str(path), lambda: 0)
    revoke_key(path, "root", NOW)
    os.utime(path)
    with monkeypatch.context() as patched:
        patched.setattr(keyfile, "_content", _too_many_files)
        patched.setattr(time, "time_ns", lambda: 1 << 62)  # the file is not fresh any more
        with pytest.raises(NotReady):
            keyring.find(root)
        assert not keyring.ready
    assert keyring.find(root) is None


def _too_many_files(path: Path) -> bytes:
    raise OSError(errno.EMFILE, "Too many open files", path)


@pytest.mark.parametrize("more", [True, False])
def test_an_import_ends_with_its_key(channel: grpc.Channel, authorizer: Authorizer, path: Path, more: bool) -> None:
    """An import whose key was revoked ends with its next message, or at its end, and changes nothing."""
    secret = add_key(path, "k", ["write"])
    taken, ended = threading.Event(), threading.Event()

    def messages() -> Iterator[pb.ImportRequest]:
        fact = pb.RelationTuple(resource="report:q9", relation="manager", subject="user:anna")
        yield pb.ImportRequest(tuples=[fact], tuples_total=None if more else 1)
        # By now the first message is on its way, and the key good; whether it has arrived makes no difference.
        taken.wait(PATIENCE_S)
        if more:
            yield pb.ImportRequest(tuples=[fact])
            ended.wait(PATIENCE_S)

    sending = AuthorizerServiceStub(channel).Import.future(messages(), timeout=PATIENCE_S, metadata=shown(secret))
    # An answered call was sent after the first message, on the same connection.
    assert call(channel, "ReadSchema", b"", shown(secret))[0] is grpc.StatusCode.PERMISSION_DENIED
    revoke_key(path, "k", NOW)
    taken.set()
    with pytest.raises(grpc.RpcError) as caught:
        sending.result()
    ended.set()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert not authorizer.read(TupleFilter("report", "q9")).tuples


def test_a_key_without_the_scope_takes_no_place_among_imports(authorizer: Authorizer, path: Path) -> None:
    """Who may not import is told before the first message: streams that are opened and left idle hold up nobody."""
    weak, writer = add_key(path, "weak", ["check"]), add_key(path, "writer", ["write"])
    ended = threading.Event()

    def idle() -> Iterator[pb.ImportRequest]:
        ended.wait(PATIENCE_S)
        yield from ()

    with in_process(authorizer, guarded(path, imports_max=1)) as address, grpc.insecure_channel(address) as channel:
        waiting = AuthorizerServiceStub(channel).Import.future(idle(), timeout=PATIENCE_S, metadata=shown(weak))
        assert waiting.code() is grpc.StatusCode.PERMISSION_DENIED
        ended.set()
        whole = pb.ImportRequest(tuples_total=0)
        assert call(channel, "Import", whole, shown(writer))[0] is grpc.StatusCode.OK


@pytest.mark.parametrize("broken", ["garbage", "missing", "readable", "one line too many", "a secret"])
def test_a_broken_file_lets_nobody_in(
    channel: grpc.Channel, path: Path, root: str, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """While the file cannot be trusted every call is UNAVAILABLE and the server says it is not ready, until mended."""
    good = path.read_bytes()
    if broken == "missing":
        path.unlink()
    elif broken == "readable":
        path.chmod(0o640)
    else:
        texts = {"garbage": b"{", "one line too many": good * 2, "a secret": root.encode()}
        path.write_bytes(good + texts[broken])
    for metadata in (shown(root), ()):
        code, error = call(channel, "ReadSchema", b"", metadata)
        assert (grpc.StatusCode.UNAVAILABLE, NotReady) == (code, type(error))
        assert str(path) not in str(error)
    health = health_pb2_grpc.HealthStub(channel)
    told = health.Watch(health_pb2.HealthCheckRequest(), timeout=20)  # type: ignore[attr-defined]
    assert any(each.status == health_pb2.HealthCheckResponse.NOT_SERVING for each in told)
    path.write_bytes(good)
    path.chmod(0o600)
    assert call(channel, "ReadSchema", b"", shown(root))[0] is grpc.StatusCode.OK
    assert any(each.status == health_pb2.HealthCheckResponse.SERVING for each in told)
    told.cancel()
    assert "no call is let in" in caplog.text
    assert root not in caplog.text


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (None, 0o600, "cannot be read"),
        ("/", 0o700, "is not a file"),
        ("", 0o644, "open to others"),
        ("", 0o620, "open to others"),
        ("nonsense\n", 0o600, "line 1: it is not one JSON object"),
        ('{"name": "a"}\n', 0o600, "line 1: a key has the fields"),
        ('{"name": "a", "name": "b"}', 0o600, "a field stands there twice"),
    ],
)
def test_a_server_does_not_start_with_bad_keys(
    authorizer: Authorizer, path: Path, text: str | None, mode: int, said: str
) -> None:
    """A file of keys that is missing, open to others or not understood is an error at the start."""
    if text == "/":
        path.mkdir()
    elif text is not None:
        path.write_text(text)
    if text is not None:
        path.chmod(mode)
    with pytest.raises((InvalidSetting, InvalidFile), match=said), in_process(authorizer, guarded(path)):
        pass


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a b"),
        ("name", 1),
        ("sha256", "A" * 64),
        ("scopes", []),
        ("scopes", ["chek"]),
        ("scopes", "check"),
        ("actor", "maybe"),
        ("created", None),
        ("created", "yesterday"),
        ("expires", 5),
        ("revoked", True),
        ("extra", 1),
    ],
)
def test_each_field_of_a_key_is_checked(path: Path, root: str, field: str, value: object) -> None:
    """A key with one field wrong, or one too many, is refused with its line, and nothing of it is shown."""
    shape = json.loads(path.read_text())
    shape[field] = value
    path.write_text(json.dumps(shape))
    with pytest.raises(InvalidFile, match="line 1") as caught:
        read_keys(path)
    assert shape["sha256"] not in caught.value.message
    assert root not in caught.value.message


def test_the_file_holds_no_secret(path: Path, root: str) -> None:
    """The file has a hash in place of the secret, is its owner's alone, and nothing else is left beside it."""
    assert root not in path.read_text()
    assert root.removeprefix("rg_") not in path.read_text()
    assert 0o600 == path.stat().st_mode & 0o777
    add_key(path, "other", ["check"])
    assert ["root", "other"] == [key.name for key in read_keys(path)]
    assert [path] == list(path.parent.iterdir())


# --- in whose name ----------------------------------------------------------------------------------------------------


def test_the_keys_name_stands_in_the_log(authorizer: Authorizer, path: Path, root: str) -> None:
    """Every kind of write is by the key that made it, in the log of the store."""
    with in_process(authorizer, guarded(path)) as address, Client(address, access=Access(root)) as client:
        first = client.write(touch=[FACT]).token
        client.delete(TupleFilter("report", "q9"))
        client.load([FACT])
        client.write_schema(SCHEMA + "// changed\n")
    log = authorizer.log()
    assert ["", "", "root", "root", "root", "root"] == [entry.principal for entry in log.entries][-6:]
    assert first


def test_a_request_id_is_its_principals_own(authorizer: Authorizer, path: Path, root: str) -> None:
    """A repeated request gets its first result from the key that made it, and from no other."""
    other = add_key(path, "other", ["admin"])
    with in_process(authorizer, guarded(path)) as address:
        with Client(address, access=Access(root)) as client:
            first = client.write(touch=[FACT], request_id="r")
            assert first.revision == client.write(touch=[FACT], request_id="r").revision
        with Client(address, access=Access(other)) as client, pytest.raises(RequestIdReused) as caught:
            client.write(touch=[FACT], request_id="r")
        assert "root" not in caught.value.message
    with pytest.raises(RequestIdReused):
        authorizer.write(touch=[FACT], request_id="r")
    assert first.revision == authorizer.by("root").write(touch=[FACT], request_id="r").revision


WRITES: dict[str, Message] = {
    "Write": pb.WriteRequest(
        updates=[
            pb.Update(
                operation=pb.Update.OPERATION_TOUCH,
                tuple=pb.RelationTuple(resource="report:q9", relation="manager", subject="user:anna"),
            )
        ]
    ),
    "Delete": pb.DeleteRequest(filter=pb.TupleFilter(resource_type="report", resource_id="none")),
    "Import": pb.ImportRequest(options=pb.ImportOptions(), tuples_total=0),
    "WriteSchema": pb.WriteSchemaRequest(text=SCHEMA),
}


@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("policy", ["required", "optional", "forbidden"])
@pytest.mark.parametrize("actor", [None, "", "user:anna"])
def test_the_policy_about_actors(
    channel: grpc.Channel, path: Path, method: str, policy: str, actor: str | None
) -> None:
    """`required` closes every write without an actor, the schema's among them; `forbidden` every one that names one."""
    secret = add_key(path, "k", ["write", "schema"], policy)
    message = type(WRITES[method])()
    message.CopyFrom(WRITES[method])
    if actor is not None:
        holder = message.options if isinstance(message, pb.ImportRequest) else message
        holder.actor = actor  # type: ignore[attr-defined]
    code, error = call(channel, method, message, shown(secret))
    refused = (policy == "forbidden" and actor is not None) or (
        policy == "required" and (not actor or method == "WriteSchema")
    )
    assert refused is isinstance(error, KeyRefused)
    assert not refused or code is grpc.StatusCode.PERMISSION_DENIED
    if actor is None and not refused:
        assert code is grpc.StatusCode.OK


def test_an_import_without_options_names_no_actor(channel: grpc.Channel, path: Path) -> None:
    """An import whose first message has no options, or whose options come later, is one without an actor."""
    secret = add_key(path, "k", ["write"], "required")
    late = [pb.ImportRequest(), pb.ImportRequest(options=pb.ImportOptions(actor="user:anna"), tuples_total=0)]
    with pytest.raises(grpc.RpcError) as caught:
        AuthorizerServiceStub(channel).Import(iter(late), timeout=PATIENCE_S, metadata=shown(secret))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_questions_are_no_matter_of_actors(channel: grpc.Channel, path: Path) -> None:
    """A key that has to name an actor when it writes still reads without one."""
    secret = add_key(path, "k", ["read"], "required")
    assert call(channel, "ReadSchema", b"", shown(secret))[0] is grpc.StatusCode.OK
