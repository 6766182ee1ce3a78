"""The terminal's `migrate`: a store becomes another's, and what is no such thing is refused."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.cli import main
from relgraph.store.history import PARTS

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = "definition user {} definition report { relation viewer: user; permission view = viewer }"
Screen = pytest.CaptureFixture[str]


@pytest.fixture
def urls(tmp_path: Path) -> tuple[str, str]:
    """A store with two revisions, and one that does not exist yet."""
    source, target = (f"sqlite:///{tmp_path / name}" for name in ("source.db", "target.db"))
    with relgraph.open(source) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=["report:q3#viewer@user:anna", "report:q4#viewer@user:bert"])
    return source, target


def test_migrate(urls: tuple[str, str], capsys: Screen) -> None:
    """The command tells how far it has come on standard error and what both hold on standard output."""
    assert 0 == main(["migrate", *urls])
    out, err = capsys.readouterr()
    assert "revision 2: 2 revisions, 1 schema, 4 names, 4 objects, 2 tuples, in " in out
    assert "both stores hold the same, sha256 " in out
    told = ["copied 2 revisions", "copied 1 schemas", "copied 4 names", "copied 4 objects", "copied 2 tuples"]
    assert [*told, "followed up to revision 2", "comparing both"] == err.splitlines()
    assert 0 == main(["--store", urls[1], "check", "user:anna", "view", "report:q3", "--exit-code"])


def test_json(urls: tuple[str, str], capsys: Screen) -> None:
    """With --json there is one line on standard output and nothing beside it; a second run says that it went on."""
    shapes = []
    for _ in range(2):
        assert 0 == main(["migrate", *urls, "--json"])
        out, err = capsys.readouterr()
        assert "" == err
        shapes.append(json.loads(out))
    assert {"revisions": 2, "schemas": 1, "names": 4, "objects": 4, "tuples": 2} == shapes[0]["counts"]
    assert list(PARTS) == list(shapes[0]["counts"])
    assert [False, True] == [shape.pop("continued") for shape in shapes]
    assert all(shape.pop("seconds") >= 0 for shape in shapes)
    assert shapes[0] == shapes[1]
    assert 64 == len(shapes[0]["sha256"])


def test_a_line_that_moves(urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the progress takes one line."""

    class Screenful(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Screenful()
    monkeypatch.setattr(sys, "stderr", screen)
    assert 0 == main(["migrate", *urls])
    assert screen.getvalue().startswith("\r\x1b[Kcopied 2 revisions\r")
    assert screen.getvalue().endswith("comparing both\n")
    assert 1 == screen.getvalue().count("\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{source}", "{source}"], 2, "are one store"),
        (["{target}", "{source}"], 5, "there is no store at"),
        (["sqlite://", "{target}"], 2, "is a store in memory"),
        (["{source}", "sqlite://"], 2, "is a store in memory"),
        (["{source}", "{target}", "--store", "{source}"], 2, "take --store and --server away"),
        (["{source}", "{target}", "--server", "127.0.0.1:1"], 2, "take --store and --server away"),
        (["{source}", "nothing"], 2, "is not the URL of a store"),
        (["{source}"], 2, "missing argument"),
    ],
)
def test_refused(urls: tuple[str, str], capsys: Screen, arguments: list[str], code: int, message: str) -> None:
    """What cannot be moved is refused with a reason, and nothing comes into being."""
    named = [each.format(source=urls[0], target=urls[1]) for each in arguments]
    assert code == main(["migrate", *named])
    assert message in capsys.readouterr().err
    assert 5 == main(["--store", urls[1], "read"])


def test_a_target_of_its_own(urls: tuple[str, str], capsys: Screen) -> None:
    """A target that was written itself is refused and stays as it is."""
    with relgraph.open(urls[1]) as authorizer:
        authorizer.write_schema(SCHEMA)
    assert 2 == main(["migrate", *urls])
    assert "holds a revision 1 that the source has not" in capsys.readouterr().err
    with relgraph.open(urls[1]) as authorizer:
        assert 1 == authorizer.read(limit=1).revision
