"""The terminal without a store: writing, importing and reading facts, and the schema, over a stand-in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from relgraph.answers import Deleted, Imported, Orphan, OrphanClass, Orphans, SchemaText, Written
from relgraph.cli import main
from relgraph.errors import TupleNotAllowed
from relgraph.revision import Consistency
from relgraph.tuples import Object, RelationTuple, TupleFilter, must_exist, must_not_exist
from tests.cli_double import MEMBER, REPORT, TOKEN, VIA, Double

if TYPE_CHECKING:
    from pathlib import Path


Screen = pytest.CaptureFixture[str]


def test_write(double: Double, capsys: Screen) -> None:
    """Every option of write reaches the store in one call, and the revision and token are told."""
    double.answers["write"] = Written(8, TOKEN)
    arguments = ["write", "--touch", "a:b#c@d:e", "--create", "f", "--delete", "g", "--delete", "h"]
    assert main([*arguments, "--actor", "user:anna", "--reason", "why", "--request-id", "id1"]) == 0
    assert double.calls == [
        (
            "write",
            (),
            {
                "touch": ("a:b#c@d:e",),
                "create": ("f",),
                "delete": ("g", "h"),
                "preconditions": [],
                "actor": "user:anna",
                "reason": "why",
                "request_id": "id1",
                "not_after": None,
            },
        )
    ]
    assert capsys.readouterr().out == f"revision 8\ntoken {TOKEN}\n"
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"revision": 8, "token": TOKEN}
    assert main(["write", "--reason", "why"]) == 2


def test_write_under_preconditions(double: Double) -> None:
    """What must hold, and until when the request id counts, is read from the options; bad ones reach no store."""
    double.answers["write"] = Written(8, TOKEN)
    arguments = ["write", "--touch", "a:b#c@d:e", "--must-exist", "report:q3#viewer", "--must-not-exist", "@user:anna"]
    assert main([*arguments, "--must-exist", "report", "--not-after", "2027-01-31T12:00:00Z"]) == 0
    options = double.calls[0][2]
    assert options["preconditions"] == [
        must_exist(TupleFilter("report", "q3", "viewer")),
        must_exist(TupleFilter("report")),
        must_not_exist(TupleFilter(subject_type="user", subject_id="anna")),
    ]
    assert options["not_after"] == datetime(2027, 1, 31, 12, tzinfo=UTC)
    assert [2, 2] == [main([*arguments, *more]) for more in (["--must-exist", "#"], ["--not-after", "tomorrow"])]
    assert len(double.calls) == 1


def test_delete(double: Double, capsys: Screen) -> None:
    """Delete takes a filter and a limit, and tells how many tuples went and whether more match."""
    double.answers["delete"] = Deleted(2, False, 8, TOKEN)
    arguments = ["delete", "report:q3#viewer", "--limit", "2", "--partial", "--must-exist", "report"]
    assert main([*arguments, "--actor", "user:anna", "--reason", "why", "--request-id", "id1"]) == 0
    assert double.calls == [
        (
            "delete",
            (TupleFilter("report", "q3", "viewer"),),
            {
                "limit": 2,
                "partial": True,
                "preconditions": [must_exist(TupleFilter("report"))],
                "actor": "user:anna",
                "reason": "why",
                "request_id": "id1",
                "not_after": None,
            },
        )
    ]
    assert capsys.readouterr().out == f"2 tuples deleted, more match, revision 8\ntoken {TOKEN}\n"
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": 2, "complete": False, "revision": 8, "token": TOKEN}
    double.answers["delete"] = Deleted(1, True, 8, TOKEN)
    assert main(["delete", "report"]) == 0
    assert capsys.readouterr().out.startswith("1 tuple deleted, revision 8\n")
    assert main(["delete", ""]) == 2


def test_import(double: Double, capsys: Screen, tmp_path: Path) -> None:
    """Import hands over the file's tuples and its options, and tells counts, rate and revision."""
    path = tmp_path / "t.csv"
    path.write_text("resource,relation,subject\nreport:q3,manager,group:board#member\nreport:*,viewer,user:*\n")
    double.answers["load"] = Imported(2, 1, 8, TOKEN)
    stars = ["--allow-universal", "--allow-wildcards"]
    assert main(["import", str(path), "--on-duplicate", "skip", "--actor", "user:anna", "--reason", "why", *stars]) == 0
    assert [str(tuple_) for tuple_ in double.loaded] == [str(VIA), "report:*#viewer@user:*"]
    assert double.calls[0][2] == {
        "on_duplicate": "skip",
        "allow_universal": True,
        "allow_wildcards": True,
        "actor": "user:anna",
        "reason": "why",
        "request_id": "",
        "not_after": None,
    }
    out = capsys.readouterr().out
    assert out.startswith("2 tuples read, 1 new or changed, in ")
    assert "tuples/s), revision 8\n" in out
    assert main(["import", str(path), "--json", *stars]) == 0
    shape = json.loads(capsys.readouterr().out)
    assert shape.pop("seconds") >= 0
    counts = {"read": 2, "changed": 1, "revisions": 1, "skipped": 0, "refused": 0}
    assert shape == {**counts, "revision": 8, "token": TOKEN}


def test_import_refusals_say_where(double: Double, capsys: Screen, tmp_path: Path) -> None:
    """What the reader refuses, and what the loader refuses, is told with file, line and column."""
    path = tmp_path / "t.txt"
    path.write_text("// facts\nreport:q3#manager@group:board#member\nreport:*#viewer@user:anna\n")
    assert main(["import", str(path)]) == 2
    assert f"relgraph: error: {path}, line 3, column 1: `report:*` counts for every" in capsys.readouterr().err
    double.answers["load"] = TupleNotAllowed("no", {"index": "0"})
    assert main(["import", str(path), "--allow-universal", "--json"]) == 2
    assert json.loads(capsys.readouterr().err) == {
        "code": "TUPLE_NOT_ALLOWED",
        "message": f"{path}, line 2, column 19: no",
        "details": {"index": "0", "file": str(path), "line": "2", "column": "19"},
    }


def test_import_opens_the_file_first(double: Double) -> None:
    """A file that cannot be read is told before a store is opened, so no empty store is left behind."""
    assert main(["import", "/no/such/file.csv"]) == 2
    assert main(["import", "facts"]) == 2
    assert double.opened == []


def test_read(double: Double, capsys: Screen) -> None:
    """Read prints all pages, one tuple a line, in a form that import reads."""
    double.tuples = [RelationTuple.parse(f"report:r{i}#viewer@user:anna") for i in range(5)] + [MEMBER]
    assert main(["read"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tuple_) for tuple_ in sorted(double.tuples)]
    assert main(["read", "--resource", "group:board", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "resource": "group:board",
        "relation": "member",
        "subject": "user:anna",
    }


def test_read_limit_and_cursor(double: Double, capsys: Screen) -> None:
    """A limited read stops at the limit, tells the cursor on standard error, and goes on from there."""
    double.tuples = [RelationTuple.parse(f"report:r{i}#viewer@user:anna") for i in range(5)]
    assert main(["read", "--limit", "3", "--at-least", TOKEN]) == 0
    screen = capsys.readouterr()
    assert len(screen.out.splitlines()) == 3
    assert screen.err == "relgraph: more tuples follow; continue with --cursor 3\n"
    assert [call[2]["consistency"] for call in double.calls] == [Consistency.at_least(TOKEN), None]
    assert main(["read", "--limit", "1", "--cursor", "3", "--json"]) == 0
    screen = capsys.readouterr()
    assert json.loads(screen.out)["resource"] == "report:r3"
    assert json.loads(screen.err) == {"cursor": "4", "revision": 7, "token": TOKEN}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], TupleFilter()),
        (["--resource", "report"], TupleFilter(resource_type="report")),
        (["--resource", "report:*"], TupleFilter(resource_type="report", resource_id="*")),
        (["--relation", "viewer"], TupleFilter(relation="viewer")),
        (["--subject", "group:x"], TupleFilter(subject_type="group", subject_id="x")),
        (["--subject", "group#member"], TupleFilter(subject_type="group", subject_relation="member")),
        (
            ["--subject", "group:x#member"],
            TupleFilter(subject_type="group", subject_id="x", subject_relation="member"),
        ),
    ],
)
def test_read_filters(double: Double, arguments: list[str], expected: TupleFilter) -> None:
    """Each filter option selects what it says."""
    assert main(["read", *arguments]) == 0
    assert double.calls[0][1] == (expected,)


def test_read_bad_filters(double: Double) -> None:
    """A filter that cannot be read is refused before anything is asked."""
    for arguments in (["--resource", "report:q3#viewer"], ["--resource", ""], ["--subject", "user:a b"]):
        assert main(["read", *arguments]) == 2
    assert double.calls == []


def test_schema(double: Double, capsys: Screen, tmp_path: Path) -> None:
    """The schema is read back character for character, and written from a file."""
    text = "// \x1b[31mred\ndefinition user {}\n"
    double.answers["schema"] = SchemaText(text, 7, TOKEN)
    assert main(["schema", "read"]) == 0
    assert capsys.readouterr().out == text
    assert main(["schema", "read", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": text, "revision": 7, "token": TOKEN}
    path = tmp_path / "s.zed"
    path.write_bytes(b"\xef\xbb\xbfdefinition user {}\n")
    double.answers["write_schema"] = Written(8, TOKEN)
    assert main(["schema", "write", str(path), "--reason", "why", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"revision": 8, "token": TOKEN}
    assert double.calls[-1] == ("write_schema", ("definition user {}\n",), {"reason": "why"})
    path.write_bytes(b"definition user {}\n// \xff\n")
    assert main(["schema", "write", str(path)]) == 2
    assert "the byte 0xff in line 2 is not UTF-8" in capsys.readouterr().err


def test_orphans(double: Double, capsys: Screen) -> None:
    """Resources out of reach are listed with their class; candidates and types reach the question."""
    double.answers["orphans"] = Orphans(
        (Orphan(REPORT, OrphanClass.NOBODY), Orphan(Object.parse("report:q10"), OrphanClass.ONLY_UNIVERSAL)), 7, TOKEN
    )
    assert main(["graph", "--orphans", "report:q3", "--type", "report", "--type", "folder"]) == 0
    assert capsys.readouterr().out == ("report:q3   nobody\nreport:q10  only-universal\n2 out of reach (revision 7)\n")
    assert double.calls[0] == ("orphans", (("report:q3",),), {"types": ("report", "folder"), "consistency": None})
    assert main(["graph", "--orphans", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0]) == {"resource": "report:q3", "class": "nobody"}
    double.answers["orphans"] = Orphans((), 7, TOKEN)
    assert main(["graph", "--orphans"]) == 0
    assert capsys.readouterr().out == "every resource is within somebody's reach (revision 7)\n"
