"""Secrets in no output: keys and passwords go through every failing path, and are looked for in all that comes out."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import grpc
import pytest
from grpc_status import rpc_status

from relgraph.cli import main
from relgraph.cli.app import COMMANDS, cli
from relgraph.cli.target import Target, target_of
from relgraph.client import Access
from relgraph.errors import quoted, redacted
from relgraph_server.settings import Settings, load_settings
from tests.keys_kit import METHODS, add_key, shown
from tests.serving import SCHEMA, program_environment

if TYPE_CHECKING:
    from pathlib import Path


PASSWORD = "canary-in-a-password-0123456789"
TOKEN = "rg_" + "canary_in_a_token_" * 2 + "0123456"
STORE = f"postgresql://keeper:{PASSWORD}@127.0.0.1:1/access?connect_timeout=1"
CANARIES = ("canary",)


def leaks(text: str) -> list[str]:
    return [line for line in text.splitlines() if any(canary in line for canary in CANARIES)]


def commands() -> list[list[str]]:
    """Every command of the terminal, its subcommands too."""
    found: list[list[str]] = []
    context = click.Context(cli)
    for name in sorted(COMMANDS.keys() - {"demo"}):  # which has a store and a server of its own
        command = cli.get_command(context, name)
        subcommands = list(command.commands) if isinstance(command, click.Group) else []
        found += [[name, each] for each in subcommands] or [[name]]
    return found


WORDS: list[list[str]] = [
    ["--help"],
    [],
    ["--no-such-option", TOKEN],
    [f"--token={TOKEN}"],
    [TOKEN],
    [STORE],
    [TOKEN, TOKEN, TOKEN, TOKEN],
    ["--json", TOKEN],
    ["--json", STORE, STORE],
    ["report:q3#view@user:anna"],
    ["user:anna", "view", "report:q3"],
]


@pytest.mark.parametrize("command", commands(), ids=" ".join)
@pytest.mark.parametrize("door", ["store", "server", "both"])
def test_no_command_shows_a_secret(
    command: list[str], door: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whatever a command is told wrongly, neither its output nor its errors hold a key or a password."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELGRAPH_TOKEN", TOKEN)
    if door != "server":
        monkeypatch.setenv("RELGRAPH_STORE", STORE)
    if door != "store":
        monkeypatch.setenv("RELGRAPH_SERVER", "127.0.0.1:1")
    for words in WORDS:
        main([*command, *words])
    for path in (TOKEN, STORE):
        for option in ("--token-file", "--tls-ca", "--server", "--store"):
            main([option, path, *command, "a", "b", "c:d"])
    told = capfd.readouterr()
    assert "relgraph: error:" in told.err
    assert [] == leaks(told.out + told.err)


@pytest.mark.parametrize(
    "flags",
    [
        ["--keys", TOKEN],
        ["--audit", TOKEN + "/x"],
        ["--tls-cert", TOKEN, "--tls-key", TOKEN],
        ["--listen", TOKEN],
        ["--listen", "0.0.0.0:1"],
        ["--config", TOKEN],
        ["--keys"],
        [],
    ],
    ids=str,
)
def test_no_failing_start_shows_a_secret(
    flags: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A server that does not start says why without a secret, though flags were mixed up with one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RELGRAPH_TOKEN", TOKEN)
    assert main(["serve", "--store", STORE, *flags]) in (2, 5)
    told = capfd.readouterr()
    assert [] == leaks(told.out + told.err)


def test_settings_and_targets_show_no_secret() -> None:
    """What holds a secret can be printed without showing it."""
    settings = load_settings({"store": STORE}, {})
    target = target_of(None, "127.0.0.1:1", {"RELGRAPH_TOKEN": TOKEN})
    shown_ = [settings, Settings(STORE), Target(store=STORE), target, Access(TOKEN)]
    assert [] == leaks("\n".join(map(repr, shown_)))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (TOKEN, "rg_…"),
        (f"Bearer {TOKEN}.", "Bearer rg_…."),
        (STORE, "postgresql://keeper:…@127.0.0.1:1/access?connect_timeout=1"),
        ("rg_short", "rg_short"),
        ("report:q3#view@user:anna", "report:q3#view@user:anna"),
        ("http://host:80/path", "http://host:80/path"),
    ],
)
def test_what_is_taken_out_of_messages(text: str, left: str) -> None:
    """Keys and passwords in URLs are taken out of messages, and nothing else is."""
    assert left == redacted(text)
    assert f"`{left}`" == quoted(text)


def everything_said(problem: grpc.RpcError) -> str:
    """All that a caller is told by a failed call."""
    status = rpc_status.from_call(problem)  # type: ignore[arg-type]
    metadata = list(problem.trailing_metadata() or ())
    return f"{problem.details()} {status} {metadata!r}"


def test_a_server_shows_no_secret(tmp_path: Path) -> None:
    """Through every kind of refusal, neither answers, log, audit log nor file of keys hold a secret that was sent."""
    keys, audit, log = tmp_path / "keys", tmp_path / "audit", tmp_path / "log"
    store = f"sqlite:///{tmp_path / 'access.db'}"
    secrets = [add_key(keys, "admin", ["admin"]), add_key(keys, "checker", ["check"], "required"), TOKEN]
    code = "import sys; from relgraph.cli import main; sys.exit(main())"
    serve = [
        sys.executable, "-c", code, "serve", "--store", store, "--listen", "127.0.0.1:0",
        "--keys", str(keys), "--audit", str(audit),
    ]  # fmt: skip
    said: list[str] = []
    environment = program_environment() | {"RELGRAPH_TOKEN": TOKEN}
    with (
        log.open("wb") as errors,
        subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment) as process,
    ):
        try:
            assert process.stdout is not None
            address = json.loads(process.stdout.readline())["grpc"]
            with grpc.insecure_channel(address) as channel:
                for secret in secrets:
                    for method, kind in METHODS.items():
                        _knock(channel, method, kind.client_streaming, shown(secret), said)
                keys.write_text(f"{secrets[0]} {TOKEN}\n")
                _knock(channel, "Check", False, shown(secrets[0]), said)
        finally:
            process.terminate()
            assert 0 == process.wait(30)
    assert 2 * len(METHODS) < len(said)
    for text in (log.read_text(), audit.read_text(), *said):
        assert [] == [secret for secret in secrets if secret in text or secret.removeprefix("rg_") in text]
    assert "no call is let in" in log.read_text()
    assert "UNAUTHENTICATED" in audit.read_text()


def _knock(
    channel: grpc.Channel, method: str, streaming: bool, metadata: tuple[tuple[str, str], ...], said: list[str]
) -> None:
    path = f"/relgraph.v1.AuthorizerService/{method}"
    for data in (b"", b"\xff\xff", SCHEMA.encode()):
        try:
            if streaming:
                sends: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(path)
                sends(iter([data]), timeout=20, metadata=metadata)
            else:
                asks: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
                asks(data, timeout=20, metadata=metadata)
        except grpc.RpcError as problem:
            said.append(everything_said(problem))
