"""Keys in the terminal: made, listed and revoked in their file, and shown to a server by the environment or a file."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from relgraph.cli import main
from relgraph.cli.target import Target, target_of
from relgraph.errors import InvalidSetting
from relgraph_server.keyfile import read_keys
from tests.certificates import Authority
from tests.serving import SCHEMA, program_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Screen = pytest.CaptureFixture[str]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def made(screen: Screen, keys: Path, name: str, *words: str) -> str:
    """Make a key and return its secret."""
    screen.readouterr()
    assert 0 == main(["key", "create", name, "--keys", str(keys), *words])
    return screen.readouterr().out.strip()


@contextmanager
def serving(tmp_path: Path, *flags: str) -> Iterator[str]:
    """Run `relgraph serve` with flags, and end it by SIGTERM."""
    code = "import sys; from relgraph.cli import main; sys.exit(main())"
    store = f"sqlite:///{tmp_path / 'access.db'}"
    command = [sys.executable, "-c", code, "serve", "--store", store, "--listen", "127.0.0.1:0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=program_environment()) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["grpc"]
        finally:
            process.terminate()
            assert 0 == process.wait(30)


def test_a_secret_is_shown_once(keys: Path, capsys: Screen) -> None:
    """`key create` prints the secret alone; nothing that comes after does, and the file has its hash only."""
    secret = made(capsys, keys, "app", "--scopes", "check, read", "--actor", "required", "--expires", "90d")
    assert secret.startswith("rg_")
    assert 46 == len(secret)
    assert secret not in keys.read_text()
    assert 0 == main(["key", "list", "--keys", str(keys)])
    assert 0 == main(["key", "revoke", "app", "--keys", str(keys), "--json"])
    assert 0 == main(["--json", "key", "list", "--keys", str(keys)])
    told = capsys.readouterr().out
    assert "app  check,read  actor required  expires " in told
    assert secret not in told
    shapes = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert shapes[0] == shapes[1]
    assert shapes[0]["revoked"] is not None
    assert {"name", "scopes", "actor", "created", "expires", "revoked"} == set(shapes[0])


def test_a_secret_as_json(keys: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json the secret is a key of the line; the file can be named by the environment."""
    monkeypatch.setenv("RELGRAPH_KEYS", str(keys))
    assert 0 == main(["key", "create", "app", "--scopes", "admin", "--expires", "2099-01-31T12:00:00Z", "--json"])
    shape = json.loads(capsys.readouterr().out)
    assert ("app", ["admin"], "optional", "2099-01-31T12:00:00Z") == (
        shape["name"],
        shape["scopes"],
        shape["actor"],
        shape["expires"],
    )
    assert ["app"] == [key.name for key in read_keys(keys)]
    assert shape["secret"].startswith("rg_")


def test_each_secret_is_another(keys: Path, capsys: Screen) -> None:
    """Two keys never share a secret."""
    assert 5 == len({made(capsys, keys, f"k{n}", "--scopes", "check") for n in range(5)})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "taken", "--scopes", "check"], "names are not used again"),
        (["create", "app", "--scopes", "chek"], "there is no scope `chek`, did you mean `check`?"),
        (["create", "app", "--scopes", " , "], "the key has no scope"),
        (["create", "app"], "missing option"),
        (["create", "a b", "--scopes", "check"], "is no name for a key"),
        (["create", "app", "--scopes", "check", "--actor", "never"], "cannot have its actor `never`"),
        (["create", "app", "--scopes", "check", "--expires", "soon"], "is not a point in time"),
        (["create", "app", "--scopes", "check", "--expires", "2020-01-01T00:00:00Z"], "has passed"),
        (["revoke", "takn"], "there is no key `takn`, did you mean `taken`?"),
        (["list", "--store", "sqlite:///x.db"], "take --store, --server"),
        (["list", "--keys", "no/such/file"], "cannot be read"),
        (["create", "app", "--scopes", "check", "--keys", "no/such/file"], "cannot be written"),
    ],
)
def test_mistakes_are_told(keys: Path, capsys: Screen, words: list[str], said: str) -> None:
    """Whatever cannot be done is told with exit code 2, and changes nothing."""
    made(capsys, keys, "taken", "--scopes", "check")
    assert 0 == main(["key", "revoke", "taken", "--keys", str(keys)])
    before = keys.read_bytes()
    assert 2 == main(["key", words[0], "--keys", str(keys), *words[1:]])
    assert said in capsys.readouterr().err
    assert before == keys.read_bytes()


def test_a_file_must_be_named(capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no file of keys that would be taken by default."""
    monkeypatch.delenv("RELGRAPH_KEYS", raising=False)
    assert 2 == main(["key", "list"])
    assert "no file of keys is named" in capsys.readouterr().err


def test_a_file_open_to_others_is_left_alone(keys: Path, capsys: Screen) -> None:
    """A file that others can write is neither read nor made whole again."""
    made(capsys, keys, "app", "--scopes", "check")
    keys.chmod(0o666)
    assert 2 == main(["key", "create", "other", "--scopes", "check", "--keys", str(keys)])
    assert "chmod 600" in capsys.readouterr().err


def test_many_hands_at_one_file(keys: Path) -> None:
    """Keys that several processes make at once are all there afterwards."""
    code = "import sys; from relgraph.cli import main; sys.exit(main())"

    def create(n: int) -> int:
        command = [sys.executable, "-c", code, "key", "create", f"k{n}", "--scopes", "check", "--keys", str(keys)]
        return subprocess.run(command, stdout=subprocess.DEVNULL, env=program_environment(), check=False).returncode

    with ThreadPoolExecutor(6) as pool:
        assert {0} == set(pool.map(create, range(12)))
    assert {f"k{n}" for n in range(12)} == {key.name for key in read_keys(keys)}
    assert [keys] == list(keys.parent.iterdir())


def test_a_key_from_making_to_revoking(
    keys: Path, tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the terminal alone: keys are made, shown to a server over TLS, do what they are for, and are revoked."""
    authority = Authority(tmp_path / "ca")
    signed = authority.sign("server")
    root = made(capsys, keys, "root", "--scopes", "admin")
    asker = made(capsys, keys, "asker", "--scopes", "check")
    (tmp_path / "token").write_text(asker + "\n")
    (tmp_path / "schema.zed").write_text(SCHEMA)
    flags = ["--tls-cert", str(signed.certificate), "--tls-key", str(signed.key), "--audit", str(tmp_path / "audit")]
    with serving(tmp_path, "--keys", str(keys), *flags) as address:
        door = ["--server", address, "--tls-ca", str(authority.certificate)]
        check = [*door, "check", "user:anna", "manage", "report:q3", "--exit-code"]
        assert 2 == main(check)
        assert "wants a valid key" in capsys.readouterr().err
        monkeypatch.setenv("RELGRAPH_TOKEN", root)
        assert 0 == main([*door, "schema", "write", str(tmp_path / "schema.zed")])
        assert 0 == main([*door, "write", "--touch", "report:q3#manager@user:anna"])
        monkeypatch.setenv("RELGRAPH_TOKEN_FILE", str(tmp_path / "token"))
        assert 0 == main(check)
        assert 2 == main([*door, "write", "--touch", "report:q3#manager@user:bob"])
        assert "needs the scope `write`" in capsys.readouterr().err
        assert 0 == main(["key", "revoke", "asker", "--keys", str(keys)])
        assert 2 == main(check)
    assert 0 == main(["audit", "verify", str(tmp_path / "audit"), "--json"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["findings"] == []


def test_how_a_server_is_reached(capsys: Screen) -> None:
    """Options count before the environment; what says how to reach a server is refused where none is asked."""
    environment = {"RELGRAPH_TLS_CA": "env.pem", "RELGRAPH_CLIENT_CERT": "c.pem", "RELGRAPH_TLS": ""}
    assert target_of(None, "a:1", environment, {"tls_ca": "given.pem"}) == Target(
        server="a:1", access={"tls_ca": "given.pem", "tls_cert": "c.pem"}
    )
    with pytest.raises(InvalidSetting, match="take one of them away"):
        target_of("sqlite:///a.db", None, environment, {"tls": "true"})
    assert target_of("sqlite:///a.db", None, environment) == Target(store="sqlite:///a.db")
    for command in (["serve"], ["key", "list"], ["audit", "verify", "file"]):
        assert 2 == main(["--insecure", *command])
    assert 3 == capsys.readouterr().err.count("relgraph: error:")


def test_a_word_that_is_no_yes_or_no(monkeypatch: pytest.MonkeyPatch, capsys: Screen) -> None:
    """RELGRAPH_TLS is a yes or a no: another word is an error, not plain text."""
    monkeypatch.setenv("RELGRAPH_TLS", "maybe")
    assert 2 == main(["--server", "127.0.0.1:1", "schema", "read"])
    assert "RELGRAPH_TLS cannot be `maybe`" in capsys.readouterr().err
