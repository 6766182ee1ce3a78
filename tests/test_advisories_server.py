"""Faults of others at the door: who is let in, what is told, what a stranger's cursor does, and what is left behind.

Every test has its vulnerable twin: the protection switched off, and the answer wrong.
"""

from __future__ import annotations

import base64
import binascii
import json
import random
import re
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import grpc
import pytest

import relgraph
from relgraph.api.cursors import Cursor
from relgraph.api.following import Pinned
from relgraph.errors import InvalidCursor, InvalidSetting, RelgraphError
from relgraph.limits import Limits
from relgraph.revision import Token
from relgraph.store.postgres import urls as postgres_urls
from relgraph.tuples import RelationTuple, TupleFilter
from relgraph.v1 import authorizer_pb2 as pb
from relgraph_server import condition, keys, settings
from relgraph_server.gate import Gate
from relgraph_server.keyfile import read_keys
from relgraph_server.keys import find_key
from relgraph_server.seals import Seals
from relgraph_server.settings import load_settings
from tests.advisories_kit import asked, opened, switched_off
from tests.keys_kit import METHODS, add_key, call, guarded, shown
from tests.serving import SCHEMA, TUPLES, in_process, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from relgraph.api.authorizer import Authorizer
    from relgraph_server.calls import Call
    from relgraph_server.keyring import Keyring
    from relgraph_server.keys import Key

PASSWORD = "canary-in-a-password-0123456789"
STORE = f"postgresql://keeper:{PASSWORD}@127.0.0.1:1/access?connect_timeout=1"

# --- who is let in ----------------------------------------------------------------------------------------------------


def lenient(self: Gate, call: Call, metadata: Iterable[tuple[str, str | bytes]]) -> None:
    """Asks nobody for a key whose answer comes in many messages, or whose request does."""
    kind = METHODS[call.method]
    if not (kind.server_streaming or kind.client_streaming):
        identify(self, call, metadata)


identify = Gate.identify


def test_every_method_wants_a_key_streams_too(tmp_path: Path) -> None:
    """Without a key, with a wrong one and with two, no method answers, however its messages come."""
    path = tmp_path / "keys.json"
    secret = add_key(path, "admin", ["admin"])
    with (
        opened(SCHEMA, TUPLES) as authorizer,
        in_process(authorizer, guarded(path)) as address,
        grpc.insecure_channel(address) as channel,
    ):

        def let_in(metadata: tuple[tuple[str, str], ...]) -> set[str]:
            refused = grpc.StatusCode.UNAUTHENTICATED
            return {name for name in METHODS if call(channel, name, b"", metadata)[0] is not refused}

        wrong = shown(secret[:-1] + ("A" if secret[-1] != "A" else "B"))
        for metadata in ((), wrong, (*shown(secret), *wrong), (("authorization", secret),)):
            assert set() == let_in(metadata)
        assert set(METHODS) == let_in(shown(secret))
        with switched_off(Gate, "identify", lenient), switched_off(Gate, "renew", lambda *_: None):
            streams = {name for name, kind in METHODS.items() if kind.server_streaming or kind.client_streaming}
            assert streams == let_in(())
            assert streams


@pytest.mark.parametrize("state", ["missing", "empty", "damaged", "emptied later"])
def test_keys_that_cannot_be_read_open_nothing(state: str, tmp_path: Path) -> None:
    """A server told to want keys never goes without: their file missing, empty or damaged, nobody is let in."""
    path = tmp_path / "keys.json"
    secret = add_key(path, "admin", ["admin"])
    if state != "emptied later":
        path.unlink()
    if state == "empty":
        path.write_text("")
        path.chmod(0o600)
    if state == "damaged":
        path.write_text('{"name": "admin"}')
        path.chmod(0o600)

    def told() -> list[grpc.StatusCode]:
        with opened(SCHEMA, TUPLES) as authorizer, in_process(authorizer, guarded(path)) as address:
            if state == "emptied later":
                path.write_text("not a key\n")
            with grpc.insecure_channel(address) as channel:
                return [call(channel, "ReadSchema", b"", shown(each))[0] for each in (None, secret)]

    if state in ("missing", "damaged"):
        with pytest.raises(RelgraphError):
            told()
    else:
        assert grpc.StatusCode.OK not in told()
    path.unlink(missing_ok=True)
    # As if the setting itself had not been there.
    with switched_off(Gate, "__init__", unguarded):
        add_key(path, "admin", ["admin"])
        assert told() == [grpc.StatusCode.OK] * 2


def unguarded(self: Gate, _: Keyring | None, *others: object) -> None:
    """Lets everybody in where no key can be told from another."""
    gate_made(self, None, *others)  # type: ignore[arg-type]


gate_made = Gate.__init__


@pytest.mark.parametrize(
    "flags",
    [
        {"listen": "0.0.0.0:0"},
        {"listen": "0.0.0.0:0", "keys": "keys.json"},
        {"listen": "[::]:0", "tls_cert": "c", "tls_key": "k"},
        {"metrics": "0.0.0.0:0"},
        {"tls_client_ca": "ca"},
        {"tls_cert": "c"},
        {"keys": ""},
        {"audit": ""},
        {"tls_client_ca": "", "tls_cert": "c", "tls_key": "k"},
    ],
    ids=str,
)
def test_half_a_protection_is_no_setting(flags: dict[str, str]) -> None:
    """What would leave a door open because a setting beside it is missing is refused at the start."""
    given = {"store": "sqlite://", **flags}
    with pytest.raises(InvalidSetting):
        load_settings(given, {})
    with (
        switched_off(settings, "_check_named", lambda _: None),
        switched_off(settings, "_check_address", lambda _: None),
        switched_off(settings, "_check_sights", lambda _: None),
    ):
        assert load_settings(given, {}).store


class Counting:
    """Counts the comparisons."""

    def __init__(self) -> None:
        self.count = 0

    def compare_digest(self, first: str, second: str) -> bool:
        self.count += 1
        return first == second


def eager(found: Sequence[Key], secret: str, _: int) -> Key | None:
    """The first key that fits ends the search."""
    given = keys._digest_of(secret)
    compare = vars(keys)["hmac"].compare_digest
    return next((key for key in found if compare(key.digest, given)), None)


def test_finding_a_key_takes_as_long_whichever_it_is(tmp_path: Path) -> None:
    """Every key is compared, in constant time each, whether it is the first, the last or none."""
    path = tmp_path / "keys.json"
    secrets = [add_key(path, f"key{number}", ["check"]) for number in range(5)]
    made = read_keys(path)

    def counts(find: Callable[..., Key | None]) -> set[int]:
        found = set()
        for secret in (*secrets, "rg_" + "x" * 43, "", "nonsense"):
            counting = Counting()
            with switched_off(keys, "hmac", counting):
                find(made, secret, 2_000_000_000_000_000)
            found.add(counting.count)
        return found

    assert {5} == counts(find_key)
    assert {5} != counts(eager)


# --- what is told -----------------------------------------------------------------------------------------------------


def test_no_password_is_told() -> None:
    """A store's URL is shown without its password, in errors, in the status and to whoever may read the settings."""

    def told() -> str:
        with pytest.raises(RelgraphError) as caught:
            relgraph.open(STORE)
        with pytest.raises(RelgraphError) as mistyped:
            relgraph.open(STORE.replace("postgresql:", "postgersql:"))
        errors = [str(each.value) + json.dumps(each.value.details) for each in (caught, mistyped)]
        return "\n".join((*errors, *map(str, condition.setting_facts(load_settings({"store": STORE}, {})))))

    assert PASSWORD not in told()
    assert "keeper" in told()
    with (
        switched_off(postgres_urls, "without_password", str),
        switched_off(condition, "without_password", str),
        switched_off(relgraph.store, "without_password", str),
    ):
        assert told().count(PASSWORD) >= 3


def test_nobody_is_shown_where_secrets_are(tmp_path: Path) -> None:
    """What the server tells about itself names no file of keys; its pages hold nothing of what their reader sent."""
    path = tmp_path / "canary-keys.json"
    secret = add_key(path, "admin", ["admin"])
    asks = pb.StatusRequest().SerializeToString()
    made = guarded(path, metrics="127.0.0.1:0")
    with opened(SCHEMA, TUPLES) as authorizer, running(authorizer, made) as server:

        def told() -> str:
            with grpc.insecure_channel(server.address) as channel:
                status: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
                    "/relgraph.v1.AuthorizerService/Status"
                )
                return status(asks, metadata=shown(secret), timeout=20).decode("latin-1")

        sent = {"Host": "canary.example", "Authorization": f"Bearer {secret}", "X-Forwarded-Host": "canary.example"}
        for page in ("metrics", "livez", "readyz", "", "<canary>", f"?{secret}"):
            request = Request(f"http://{server.metrics_address}/{quote(page)}", headers=sent)
            try:
                with urlopen(request, timeout=20) as response:
                    text = str(response.headers) + response.read().decode()
            except HTTPError as problem:
                text = str(problem.headers) + problem.read().decode()
            assert "canary" not in text
            assert secret not in text
        assert "canary" not in told()
        with switched_off(condition, "_SECRET", re.compile("(?!)")):
            assert "canary" in told()


# --- a stranger's cursor ----------------------------------------------------------------------------------------------


def naive(text: str, _: TupleFilter) -> Cursor:
    """Reads a cursor that was never touched."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    digest, token, last = json.loads(data[4:])
    return Cursor(digest, Token.parse(token), RelationTuple.parse(last))


def hostile(cursor: str) -> Iterator[str]:
    """Texts that were a cursor, or look like one."""
    source = random.Random(8)
    yield from (
        "x",
        "=",
        "....",
        "\x00",
        "é",
        "AAAA",
        "A" * 10_000,
        cursor[:-1],
        cursor + "A",
        cursor[::-1],
        f" {cursor}",
    )
    bodies: list[object] = [
        [],
        {},
        None,
        1,
        ["a"],
        ["a", "b", "c"],
        [1, 2, 3],
        [[], {}, None],
        "abc",
        ["", "", ""],
        [[[]] * 9] * 9,
    ]
    for body in (
        *(json.dumps(each).encode() for each in bodies),
        b"",
        b"[",
        b"[" * 9_999,
        b"\xff\xfe",
        b'["\\ud800","",""]',
    ):
        yield base64.urlsafe_b64encode(binascii.crc32(body).to_bytes(4, "big") + body).decode().rstrip("=")
        yield base64.urlsafe_b64encode(b"1234" + body).decode()
    for _ in range(300):
        at = source.randrange(len(cursor))
        yield cursor[:at] + source.choice("ABCDabcd0189-_=.|/+ \n") + cursor[at + 1 :]


def test_a_damaged_cursor_is_refused() -> None:
    """Whatever somebody makes of a cursor, it is refused as one, and neither the server's fault nor another page."""
    with (
        opened(SCHEMA, TUPLES) as authorizer,
        in_process(authorizer) as address,
        grpc.insecure_channel(address) as channel,
    ):
        first = authorizer.read(limit=2)
        texts = {each for each in hostile(first.cursor) if each != first.cursor}
        for text in texts:
            with pytest.raises(InvalidCursor):
                authorizer.read(limit=2, cursor=text)
        clean = [text for text in texts if text.isprintable()][:40]
        codes = {call(channel, "Read", pb.ReadRequest(cursor=text, limit=2))[0] for text in clean}
        assert {grpc.StatusCode.INVALID_ARGUMENT} == codes
        with switched_off(Cursor, "parse", staticmethod(naive)):
            codes = {call(channel, "Read", pb.ReadRequest(cursor=text, limit=2))[0] for text in clean}
            assert grpc.StatusCode.INTERNAL in codes


def test_a_made_up_cursor_is_no_way_into_the_past(tmp_path: Path) -> None:
    """A key that may not read the past cannot write itself a cursor that does."""
    path = tmp_path / "keys.json"
    secret = add_key(path, "reader", ["read"])
    with opened(SCHEMA, TUPLES) as authorizer:
        token = authorizer.write(touch=["report:secret#viewer@user:bob"]).token
        authorizer.write(delete=["report:secret#viewer@user:bob"])
        made_up = str(
            Cursor.after(TupleFilter(), Token.parse(token), RelationTuple.parse("report:q3#administrator@user:a"))
        )
        asks = pb.ReadRequest(cursor=made_up, limit=100)
        with in_process(authorizer, guarded(path)) as address, grpc.insecure_channel(address) as channel:
            code, _ = call(channel, "Read", asks, shown(secret))
            assert code is grpc.StatusCode.PERMISSION_DENIED
            with switched_off(Seals, "opened", lambda _, text, __: (text.partition(".")[0], True)):
                code, _ = call(channel, "Read", asks, shown(secret))
                assert code is not grpc.StatusCode.PERMISSION_DENIED


# --- what is left behind ----------------------------------------------------------------------------------------------

CHAIN = [f"group:g{number}#member@group:g{number + 1}#member" for number in range(3_000)]


def pins(authorizer: Authorizer) -> int:
    return sum(authorizer._following._state.graph._pins.values())


def test_requests_that_fail_leave_nothing_behind() -> None:
    """Whatever ended a request, its revision is let go: else what was deleted since would stay in memory for ever."""
    limits = Limits(nodes_max=50, updates_max=5_000)
    tuples = [*CHAIN, "report:q3#administrator@group:g0#member"]
    question = "report:q3#administer@user:anna"

    def failing(authorizer: Authorizer) -> int:
        for ask in (
            lambda: authorizer.check(question),
            lambda: authorizer.check(question, deadline=1e-9),
            lambda: authorizer.decide_many([question, question]),
            lambda: authorizer.best("user:anna", "report:q3"),
            lambda: authorizer.expand("report:q3", "administer", usersets=True),
            lambda: authorizer.check("report:q3#misspelt@user:anna"),
        ):
            with pytest.raises(RelgraphError):
                ask()
        return pins(authorizer)

    with opened(SCHEMA, tuples, limits) as authorizer:
        assert 0 == failing(authorizer)
        with switched_off(Pinned, "release", lambda _: None):
            assert failing(authorizer) > 0


def test_callers_who_leave_leave_nothing_behind() -> None:
    """Calls that are given up at their deadline end in the server as well, and hold on to nothing."""
    tuples = [*CHAIN, "report:q3#administrator@group:g0#member"]
    asks = pb.CheckBulkRequest(
        questions=[
            pb.Question(subject=f"user:u{number}", permission="administer", resource="report:q3")
            for number in range(1_000)
        ]
    )
    path = "/relgraph.v1.AuthorizerService/CheckBulk"

    def left(authorizer: Authorizer) -> int:
        with in_process(authorizer) as address, grpc.insecure_channel(address) as channel:
            bulk: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
            for _ in range(3):
                with pytest.raises(grpc.RpcError):
                    bulk(asks.SerializeToString(), timeout=0.3)
        return pins(authorizer)

    with opened(SCHEMA, tuples, Limits(updates_max=5_000)) as authorizer:
        # The server has stopped by then, and waited for what it had begun.
        assert 0 == left(authorizer)
        assert ["no"] == asked(authorizer, "report:q3#administer@user:anna")
        with switched_off(Pinned, "release", lambda _: None):
            # A call may be late before it is begun.
            assert any(left(authorizer) for _ in range(10))
