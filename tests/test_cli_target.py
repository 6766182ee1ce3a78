"""What a command works on: options, environment, and stores that are not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import relgraph
from relgraph.cli import main, options
from relgraph.cli.options import Terminal
from relgraph.cli.target import Target, open_target, target_of
from relgraph.errors import InvalidSetting, StoreUnavailable

BOTH = {"RELGRAPH_STORE": "sqlite:///env.db", "RELGRAPH_SERVER": "env:1"}


def test_option_before_environment() -> None:
    """An option wins over either environment variable."""
    assert target_of("sqlite:///a.db", None, BOTH) == Target(store="sqlite:///a.db")
    assert target_of(None, "host:1", BOTH) == Target(server="host:1")
    assert target_of(None, None, {"RELGRAPH_STORE": "sqlite:///env.db"}) == Target(store="sqlite:///env.db")
    assert target_of(None, None, {"RELGRAPH_SERVER": "env:1", "RELGRAPH_STORE": ""}) == Target(server="env:1")


def test_exactly_one() -> None:
    """None or two of store and server are an error that names the remedy."""
    with pytest.raises(InvalidSetting, match="keep one"):
        target_of("sqlite:///a.db", "host:1", {})
    with pytest.raises(InvalidSetting, match="choose with --store or --server"):
        target_of(None, None, BOTH)
    with pytest.raises(InvalidSetting, match="give --store URL"):
        target_of(None, None, {})


@pytest.mark.parametrize(
    "arguments",
    [
        ["--store", "sqlite:///a.db", "check", "a:b#c@d:e"],
        ["check", "a:b#c@d:e", "--store", "sqlite:///a.db"],
        ["check", "--store", "sqlite:///a.db", "a:b#c@d:e"],
        ["--store", "sqlite:///b.db", "check", "a:b#c@d:e", "--store", "sqlite:///a.db"],
        ["schema", "--store", "sqlite:///a.db", "read"],
        ["schema", "read", "--store", "sqlite:///a.db"],
    ],
    ids=" ".join,
)
def test_option_before_and_after_the_command(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    """--store counts wherever it stands, and the last one wins."""
    seen: list[Target] = []

    def open_nothing(target: Target, *, creates: bool = False) -> None:
        seen.append(target)
        raise StoreUnavailable(f"creates: {creates}")

    monkeypatch.setattr(options, "open_target", open_nothing)
    assert main(arguments) == 5
    assert seen == [Target(store="sqlite:///a.db")]


@pytest.mark.parametrize(
    ("arguments", "creates"),
    [
        (["check", "a:b#c@d:e"], False),
        (["best", "d:e", "a:b"], False),
        (["expand", "a:b#c"], False),
        (["read"], False),
        (["schema", "read"], False),
        (["graph", "--orphans"], False),
        (["graph", "abc:b"], False),
        (["write", "--touch", "a:b#c@d:e"], False),
        (["schema", "write", "-"], True),
        (["import", "-", "--format", "csv"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_who_may_make_a_store(monkeypatch: pytest.MonkeyPatch, arguments: list[str], creates: bool) -> None:
    """Only writing a schema may make a store: without one there is nothing to write or to ask."""
    seen: list[bool] = []

    def open_nothing(_: Target, *, creates: bool = False) -> None:
        seen.append(creates)
        raise StoreUnavailable("not here")

    monkeypatch.setattr(options, "open_target", open_nothing)
    monkeypatch.setattr(sys, "stdin", _Stdin())
    assert main(["--store", "sqlite:///a.db", *arguments]) == 5
    assert seen == [creates]


class _Stdin:
    """A standard input with nothing on it."""

    class buffer:  # noqa: N801  (the attribute's name)
        """Its bytes."""

        @staticmethod
        def read(_: int = -1) -> bytes:
            return b""


def test_missing_store_is_not_made(tmp_path: Path) -> None:
    """A mistyped path is an error for a question, and leaves no file behind."""
    path = tmp_path / "typo.db"
    with pytest.raises(StoreUnavailable, match=r"does not exist; correct the path, or make the store with"):
        open_target(Target(store=f"sqlite:///{path}"))
    assert list(tmp_path.iterdir()) == []


def test_memory_is_no_target() -> None:
    """A store in memory would end with the command: it is refused, for writes too."""
    with pytest.raises(InvalidSetting, match="name a file"):
        open_target(Target(store="sqlite://"), creates=True)


def test_terminal_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options the environment says where."""
    monkeypatch.delenv("RELGRAPH_STORE", raising=False)
    monkeypatch.setenv("RELGRAPH_SERVER", "env:1")
    assert Terminal().target() == Target(server="env:1")


def test_starting_is_light() -> None:
    """Refusing a question needs none of rich, networkx, grpcio, sqlite-utils and the engine."""
    program = (
        "import sys; from relgraph.cli import main; "
        "main(['check', 'a', 'b', 'c', '--json', '--store', 'sqlite:///nothing.db']); "
        "print([m for m in ('rich', 'networkx', 'grpc', 'google.protobuf', 'sqlite_utils') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
    assert '"code": "STORE_UNAVAILABLE"' in found.stderr


def test_closed_pipe(tmp_path: Path) -> None:
    """A reader of the output that stops early ends the command quietly, and not with the exit code of a denial."""
    program = f"""
from pathlib import Path
from relgraph.answers import Page
from relgraph.cli import main, options
from relgraph.tuples import RelationTuple
class Door:
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def read(self, *_, **__): return Page((RelationTuple.parse('doc:a#viewer@user:b'),) * 1000, 'more', 1, 'token')
options.open_target = lambda target, creates=False: Door()
code = main(['read', '--store', 'sqlite:///a.db'])
Path({str(tmp_path / "code")!r}).write_text(str(code))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0
    assert (tmp_path / "code").read_text() == "141"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize(
    "arguments", [["--help"], ["--store", "sqlite:///a.db", "write", "--touch", "doc:a#owner@user:b"]]
)
def test_output_that_finds_no_room(tmp_path: Path, arguments: list[str]) -> None:
    """A command whose output cannot be written says so without a traceback, and that a change made stays made."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with relgraph.open(url) as store:
        store.write_schema("definition user {}\ndefinition doc { relation owner: user }")
    line = [sys.executable, "-m", "relgraph.cli", *(url if each == "sqlite:///a.db" else each for each in arguments)]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert 5 == ended.returncode
    assert "relgraph: error: the output is not whole: No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr
    with relgraph.open(url) as store:
        assert ("write" in arguments) is bool(store.read().tuples)
