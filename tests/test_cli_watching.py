"""The terminal's `watch` and `export`, on a store and on a server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.cli import main
from tests.serving import in_process, program_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = "definition user {}\n\n// what is read\ndefinition report { relation viewer: user | user:* }"
ONE, TWO = "report:q3#viewer@user:anna", "report:q4#viewer@user:bert"
Screen = pytest.CaptureFixture[str]


@pytest.fixture
def authorizer(tmp_path: Path) -> Iterator[relgraph.Authorizer]:
    with relgraph.open(f"sqlite:///{tmp_path / 'access.db'}") as opened:
        opened.write_schema(SCHEMA)
        yield opened


@pytest.fixture(params=["--store", "--server"])
def target(request: pytest.FixtureRequest, authorizer: relgraph.Authorizer, tmp_path: Path) -> Iterator[list[str]]:
    """The options that lead to the store, by itself or through a server."""
    if request.param == "--store":
        yield ["--store", f"sqlite:///{tmp_path / 'access.db'}"]
        return
    with in_process(authorizer) as address:
        yield ["--server", address]


class Tail:
    """A `relgraph watch` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "relgraph.cli", "watch", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=program_environment(),
        )

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def interrupt(self) -> tuple[int, str, str]:
        """Press Ctrl-C; return the exit code and what was written since."""
        self._process.send_signal(signal.SIGINT)
        out, err = self._process.communicate(timeout=60)
        return self._process.returncode, out, err


def test_a_tail_tells_what_is_committed(authorizer: relgraph.Authorizer, target: list[str]) -> None:
    """Each revision is a line at once; Ctrl-C ends it and tells the token that goes on behind the last one."""
    start = authorizer.write(touch=[ONE], reason="first").token
    tail = Tail("--json", "--from", start, *target)
    authorizer.write(touch=[TWO], reason="second")
    told = json.loads(tail.line())
    assert (3, [TWO], [], "second") == (told["revision"], told["created"], told["deleted"], told["reason"])
    authorizer.write(delete=[ONE])
    assert [ONE] == json.loads(tail.line())["deleted"]
    code, out, err = tail.interrupt()
    assert (130, "", 4) == (code, out, json.loads(err)["revision"])
    again = Tail("--from", json.loads(err)["token"], "--relation", "viewer", "--filter", "@user:bert", *target)
    authorizer.write(touch=[ONE])
    authorizer.write(delete=[TWO])
    assert again.line().startswith("revision 6  ")
    assert f"  - {TWO}" == again.line()
    code, out, err = again.interrupt()
    assert (130, "") == (code, out)
    assert err.startswith("relgraph: told up to revision 6; go on with --from ")


def test_a_tail_tells_checkpoints_when_asked(authorizer: relgraph.Authorizer, target: list[str]) -> None:
    """With --checkpoints the first line says where the watch begins."""
    written = authorizer.write(touch=[ONE])
    tail = Tail("--json", "--checkpoints", *target)
    assert written.revision == json.loads(tail.line())["checkpoint"]
    assert 130 == tail.interrupt()[0]


def test_a_tail_that_cannot_begin(target: list[str], capsys: Screen) -> None:
    """Names that are not there and tokens that are none end it at once, as bad input."""
    assert 2 == main(["watch", "--type", "repot", *target])
    assert "did you mean `report`?" in capsys.readouterr().err
    assert 2 == main(["watch", "--from", "nonsense", *target])
    assert 2 == main(["watch", "--filter", "re#", *target])


def test_an_export_is_what_an_import_reads(
    authorizer: relgraph.Authorizer, target: list[str], capsys: Screen, tmp_path: Path
) -> None:
    """The schema stands in comments before the tuples and their number behind them; import makes the same of it."""
    authorizer.write(touch=[ONE, TWO, "report:q5#viewer@user:*"])
    assert 0 == main(["export", *target])
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert ["// definition user {}", "//", "// // what is read"] == lines[:3]
    assert [ONE, TWO, "report:q5#viewer@user:*", "// 3 tuples"] == lines[-4:]
    file = tmp_path / "all.txt"
    file.write_text(text)
    url = f"sqlite:///{tmp_path / 'copy.db'}"
    with relgraph.open(url) as copy:
        copy.write_schema(SCHEMA)
    assert 0 == main(["import", str(file), "--allow-wildcards", "--store", url])
    with relgraph.open(url) as copy:
        assert [ONE, TWO, "report:q5#viewer@user:*"] == list(map(str, copy.read().tuples))


def test_an_export_as_json(authorizer: relgraph.Authorizer, target: list[str], capsys: Screen) -> None:
    """With --json the first line is the schema, the last the number of tuples; a filter selects among them."""
    token = authorizer.write(touch=[ONE, TWO]).token
    authorizer.write(delete=[TWO])
    assert 0 == main(["export", "--json", "--filter", "report:q4", "--at-exactly", token, *target])
    schema, only, total = map(json.loads, capsys.readouterr().out.splitlines())
    assert (SCHEMA, 2) == (schema["schema"], schema["revision"])
    assert ("report:q4", {"tuples": 1}) == (only["resource"], total)
