"""The terminal end to end: the same commands on a SQLite file and over a server that `relgraph serve` runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING

import pytest

from relgraph.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = """\
use roles
use universal

definition user {}
definition group {
    relation member: user | group#member
}
definition record {
    relation parent: record
    relation administrator: user | group#member | group#member with universal
    relation observer: user | user:* | group#member
    permission administer = administrator + parent->administer
    permission observe = observer + administer + parent->observe
    roles administer > observe
}
"""

TUPLES = """\
resource,relation,subject
group:board,member,user:anna
record:*,administrator,group:root#member
record:top,administrator,group:board#member
record:q3,parent,record:top
record:q3,observer,user:bob
"""

RUN = "import sys; from relgraph.cli import main; sys.exit(main())"


@contextmanager
def serving(store: str, log: Path) -> Iterator[str]:
    """Run `relgraph serve` on a free port, and end it by SIGTERM."""
    command = [sys.executable, "-c", RUN, "serve", "--store", store, "--listen", "127.0.0.1:0"]
    with log.open("wb") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            yield json.loads(line)["grpc"]
        finally:
            process.terminate()
            assert process.wait(30) == 0, log.read_text()
            assert process.stdout is not None
            assert process.stdout.read() == b""


@pytest.fixture(scope="module", params=["--store", "--server"])
def where(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A store with the schema and the tuples above, through either door."""
    folder = tmp_path_factory.mktemp("cli")
    store = f"sqlite:///{folder / 'access.db'}"
    (folder / "schema.zed").write_text(SCHEMA)
    (folder / "tuples.csv").write_text(TUPLES)

    def filled(door: list[str]) -> list[str]:
        assert main([*door, "schema", "write", str(folder / "schema.zed")]) == 0
        assert main([*door, "import", "--allow-universal", str(folder / "tuples.csv")]) == 0
        return door

    if request.param == "--store":
        yield filled(["--store", store])
        return
    with serving(store, folder / "serve.log") as address:
        yield filled(["--server", address])


Screen = pytest.CaptureFixture[str]


def answer(capsys: Screen, where: list[str], *arguments: str) -> list[dict[str, object]]:
    """Run a command with --json; return its lines, after checking that it went well."""
    capsys.readouterr()
    code = main([*where, "--json", *arguments])
    screen = capsys.readouterr()
    assert code == 0, screen.err
    return [json.loads(line) for line in screen.out.splitlines()]


def complaint(capsys: Screen, where: list[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command that must fail; return its exit code, its error's code and message."""
    capsys.readouterr()
    code = main([*where, "--json", *arguments])
    screen = capsys.readouterr()
    assert screen.out == ""
    shape = json.loads(screen.err)
    assert set(shape) == {"code", "message", "details"}
    return code, shape["code"], shape["message"]


def test_check(where: list[str], capsys: Screen) -> None:
    """A check answers yes through a group on the parent, and no to a stranger."""
    (yes,) = answer(capsys, where, "check", "user:anna", "administer", "record:q3")
    (no,) = answer(capsys, where, "check", "record:q3#observe@user:zoe")
    assert (yes["verdict"], no["verdict"]) == ("yes", "no")
    assert set(yes) == {"verdict", "missing", "revision", "token", "valid_until"}
    assert main([*where, "check", "user:zoe", "observe", "record:q3", "--exit-code"]) == 1


def test_best(where: list[str], capsys: Screen) -> None:
    """Best access names the role and its way, for objects never mentioned too where a universal tuple covers them."""
    first, second = answer(capsys, where, "best", "user:anna", "record:q3", "record:new")
    assert (first["role"], first["held"], second["role"]) == ("administer", ["administer", "observe"], None)
    ways = first["ways"]
    assert isinstance(ways, list)
    assert [way["tuples"] for way in ways] == [
        [
            "group:board#member@user:anna",
            "record:q3#parent@record:top",
            "record:top#administrator@group:board#member",
        ]
    ]


def test_expand_and_graph(where: list[str], capsys: Screen) -> None:
    """An expansion and a drawing name the groups that lead to a record, and the objects beyond them by depth."""
    (expansion,) = answer(capsys, where, "expand", "record:q3#administer")
    assert "record:top#administrator@group:board#member" in json.dumps(expansion["nodes"])
    (near,) = answer(capsys, where, "graph", "record:q3", "--depth", "1")
    (far,) = answer(capsys, where, "graph", "record:q3", "--depth", "3")
    names = [{str(node["name"]) for node in drawn["nodes"]} for drawn in (near, far)]  # type: ignore[attr-defined]
    assert names[0] == {"record:q3", "record:top", "user:bob"}
    assert names[1] == names[0] | {"group:board#member", "group:board", "user:anna"}
    for format_ in ("dot", "graphml"):
        assert main([*where, "graph", "record:q3", "--format", format_]) == 0
        drawn = capsys.readouterr().out
        assert "record:top" in drawn
        edges = re.findall(r'<edge [^>]*id="([^"]*)"', drawn)
        assert len(set(edges)) == len(edges)
    assert complaint(capsys, where, "graph", "record:q3", "--nodes-max", "2")[:2] == (5, "LIMIT_EXCEEDED")


def test_orphans(where: list[str], capsys: Screen) -> None:
    """A candidate that no tuple grants to anybody named is listed with its class."""
    rows = answer(capsys, where, "graph", "--orphans", "--type", "record", "record:lost")
    assert rows == [{"resource": "record:lost", "class": "nobody"}]


def test_read_is_what_import_reads(where: list[str], capsys: Screen, tmp_path: Path) -> None:
    """What read prints, as text or as JSON, is a file that import takes, and changes nothing."""
    for options, suffix in (([], "txt"), (["--json"], "jsonl")):
        path = tmp_path / f"facts.{suffix}"
        assert main([*where, "read", *options]) == 0
        path.write_text(capsys.readouterr().out)
        stars = ["--allow-universal", "--on-duplicate", "touch"]
        (imported,) = answer(capsys, where, "import", str(path), *stars)
        assert (imported["read"], imported["changed"]) == (5, 0)


def test_write_and_consistency(where: list[str], capsys: Screen) -> None:
    """A write's token reads the state after it, and the state before it stays readable by the token before."""
    (before,) = answer(capsys, where, "schema", "read")
    (written,) = answer(capsys, where, "write", "--create", "record:q9#observer@user:carl", "--reason", "test")
    (deleted,) = answer(capsys, where, "write", "--delete", "record:q9#observer@user:carl")
    verdicts = []
    for options in (
        ["--at-exactly", str(before["token"])],
        ["--at-exactly", str(written["token"])],
        ["--at-least", str(deleted["token"])],
    ):
        (row,) = answer(capsys, where, "check", "user:carl", "observe", "record:q9", *options)
        verdicts.append(row["verdict"])
    assert verdicts == ["no", "yes", "no"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["check", "user:anna", "administre", "record:q3"], "UNKNOWN_RELATION_OR_PERMISSION", "did you mean"),
        (["check", "usr:anna", "observe", "record:q3"], "UNKNOWN_DEFINITION", "did you mean"),
        (["check", "record:q3", "observe", "user:anna"], "UNKNOWN_RELATION_OR_PERMISSION", "swapped"),
        (["check", "user:a\x1bb", "observe", "record:q3"], "INVALID_ID", r"\x1b"),
        (["write", "--touch", "record:q3#observe@user:anna"], "CANNOT_UPDATE_PERMISSION", "permission"),
        (["write", "--touch", "record:q3#parent@user:anna"], "TUPLE_NOT_ALLOWED", "`record#parent` takes no `user`"),
        (["read", "--at-least", "nonsense"], "INVALID_TOKEN", "is not a token"),
        (["read", "--cursor", "nonsense"], "INVALID_CURSOR", "cursor"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input(where: list[str], capsys: Screen, arguments: list[str], code: str, message: str) -> None:
    """Bad input is one error with its code, the input and the remedy, and exit code 2."""
    found = complaint(capsys, where, *arguments)
    assert found[:2] == (2, code)
    assert message in found[2]
    assert "\x1b" not in found[2]


@pytest.mark.parametrize(
    ("last", "code", "place"),
    [
        ("record:x,observer", "INVALID_FILE", "line 1002, column 18: "),
        ('record:x,"observer,user:x', "INVALID_FILE", "line 1002, column 10: "),
        ("record:x,observe,user:x", "CANNOT_UPDATE_PERMISSION", "line 1002, column 10: "),
        ("record:x,parent,user:x", "TUPLE_NOT_ALLOWED", "line 1002, column 17: "),
        ("record:x0,observer,user:x", "ALREADY_EXISTS", "line 1002, column 1: "),
        ("group:board,member,user:anna", "ALREADY_EXISTS", "line 1002, column 1: "),
    ],
)
def test_import_is_all_or_nothing(
    where: list[str], capsys: Screen, tmp_path: Path, last: str, code: str, place: str
) -> None:
    """One bad line, even the last of a thousand, is told with its place, and nothing of the file is there."""
    path = tmp_path / "facts.csv"
    rows = "".join(f"record:x{i},observer,user:x\n" for i in range(1000))
    path.write_text(f"resource,relation,subject\n{rows}{last}\n")
    before = answer(capsys, where, "read")
    found = complaint(capsys, where, "import", str(path))
    assert found[:2] == (2, code)
    assert found[2].startswith(f"{path}, {place}")
    assert answer(capsys, where, "read") == before


def test_schema_against_the_one_in_force(where: list[str], capsys: Screen, tmp_path: Path) -> None:
    """Comparing, drawing and looking into the schema in force work on a store and over a server alike."""
    path = tmp_path / "changed.zed"
    path.write_text(SCHEMA)
    assert main([*where, "schema", "diff", str(path)]) == 0
    path.write_text(SCHEMA.replace("observer + administer", "administer + observer"))
    assert main([*where, "schema", "diff", str(path), "--json"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "no differences"
    assert json.loads(said[1])["kind"] == "permission_expression_changed"
    assert main([*where, "schema", "graph", "--format", "json"]) == 0
    assert '"record#administer"' in capsys.readouterr().out
    assert main([*where, "schema", "lint"]) == 0


def test_bad_schema(where: list[str], capsys: Screen, tmp_path: Path) -> None:
    """A schema that cannot be is told with file, line, column and caret, and the schema in force stays."""
    path = tmp_path / "s.zed"
    path.write_text("definition user {}\ndefinition doc {\n  permission view = viewr\n}\n")
    code, _, message = complaint(capsys, where, "schema", "write", str(path))
    assert code == 2
    assert message.startswith(f"{path}, line 3, column 21: ")
    assert message.endswith("^^^^^")
    assert answer(capsys, where, "schema", "read")[0]["schema"] == SCHEMA


def test_store_without_schema(tmp_path: Path, capsys: Screen) -> None:
    """An import into a store that is not there says so and makes none; so does one into an empty file."""
    path = tmp_path / "facts.txt"
    path.write_text("record:x#observer@user:x\n")
    store = ["--store", f"sqlite:///{tmp_path / 'new.db'}"]
    assert complaint(capsys, store, "import", str(path))[:2] == (5, "STORE_UNAVAILABLE")
    assert not (tmp_path / "new.db").exists()
    (tmp_path / "new.db").touch()
    assert complaint(capsys, store, "check", "record:x#observe@user:x")[:2] == (5, "STORE_UNAVAILABLE")
    assert (tmp_path / "new.db").stat().st_size == 0


def test_a_refused_schema_makes_no_store(tmp_path: Path, capsys: Screen) -> None:
    """A schema that is refused leaves no store behind, and its error names the file, whatever is wrong with it."""
    path = tmp_path / "new.zed"
    for text, code in (
        ("definition user {", "SCHEMA_PARSE_ERROR"),
        ("definition doc { relation owner: user }", "SCHEMA_TYPE_ERROR"),
    ):
        path.write_text(text)
        found = complaint(capsys, ["--store", f"sqlite:///{tmp_path / 'new.db'}"], "schema", "write", str(path))
        assert (2, code) == found[:2]
        assert f"{path}, line 1" in found[2]
    assert not (tmp_path / "new.db").exists()


def test_server_that_is_not_there(capsys: Screen) -> None:
    """A server that cannot be reached is exit code 5."""
    assert complaint(capsys, ["--server", "127.0.0.1:1"], "check", "a_type:b#c_name@d_type:e")[:2] == (
        5,
        "SERVER_UNAVAILABLE",
    )


def test_progress(tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal an import shows its progress on standard error; standard output stays the same."""

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    store = ["--store", f"sqlite:///{tmp_path / 'new.db'}"]
    (tmp_path / "schema.zed").write_text(SCHEMA)
    path = tmp_path / "facts.txt"
    path.write_text("".join(f"record:x{i}#observer@user:x\n" for i in range(2500)))
    assert main([*store, "schema", "write", str(tmp_path / "schema.zed")]) == 0
    capsys.readouterr()
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    assert main([*store, "import", str(path)]) == 0
    assert "2,500 tuples" in screen.getvalue()
    assert capsys.readouterr().out.startswith("2,500 tuples read, 2,500 new or changed")
