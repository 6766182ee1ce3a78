"""What a terminal shows: trees and tables for people, folded and never cut, and plain text for everything else."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.answers import (
    Best,
    ConditionalRole,
    Found,
    Held,
    LogEntry,
    Lookup,
    Permissions,
    Step,
    Verdict,
    Way,
)
from relgraph.cli import main
from relgraph.cli.screen import show_best, show_log
from relgraph.tuples import Object, RelationTuple
from tests.cli_double import ANNA, MEMBER, REPORT, TOKEN, VIA, Double

if TYPE_CHECKING:
    from pathlib import Path

SGR = re.compile(r"\x1b\[[0-9;]*m")
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")

WAY = Way(
    "manager",
    (MEMBER, VIA),
    (Step("report:q3#manager", "userset", (1,), VIA), Step("group:board#member", "tuple", (), MEMBER)),
    "through group:board#member",
)
BEST = Best(
    ANNA, REPORT, "manager", ("manager",), (ConditionalRole("owner", ("ip",)),), ("boss",), (WAY,), True, 7, TOKEN
)  # fmt: skip
NOTHING = Best(ANNA, Object.parse("report:q4"), None, (), (), (), (), False, 7, TOKEN)


class Tty(io.StringIO):
    """Standard output that a person reads."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Tty:
    """A terminal of 110 columns with colours; what is shown there is run within `redirect_stdout`."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "110")
    return Tty()


def on(tty: Tty, *arguments: str) -> int:
    """Run a command on a terminal, and return its exit code."""
    with redirect_stdout(tty):
        return main(list(arguments))


def plain(tty: Tty) -> str:
    """Return what was shown, without colours."""
    return SGR.sub("", tty.getvalue())


def test_ways_are_trees(tty: Tty, double: Double) -> None:
    """On a terminal, each way is a tree of its steps, each with its rule and the tuple that it uses."""
    double.answers["best_many"] = [BEST]
    assert on(tty, "best", "user:anna", "report:q3") == 3  # `boss` is undecided
    assert plain(tty).splitlines() == [
        "report:q3  manager",
        "├── owner if the context allows it, needs ip",
        "├── boss is undecided: it depends on its own negation",
        "├── manager through group:board#member",
        "│   └── report:q3#manager  userset",
        "│       ├── report:q3#manager@group:board#member",
        "│       └── group:board#member  tuple",
        "│           └── group:board#member@user:anna",
        "└── at least 1 way: finding more takes more work than the limits allow",
        "revision 7",
    ]
    assert COLOUR.search(tty.getvalue())


def test_many_resources_are_a_table(tty: Tty, double: Double) -> None:
    """For many resources, a table tells the access on each, before any tree."""
    double.answers["best_many"] = [BEST, NOTHING]
    on(tty, "best", "user:anna", "report:q3", "report:q4")
    lines = [line.split() for line in plain(tty).splitlines()]
    assert lines[0] == ["resource", "access", "beside"]
    assert lines[2][:2] == ["report:q3", "manager"]
    assert ["report:q4", "no", "access"] in lines


def test_a_lookup_is_a_list_or_a_table(tty: Tty, double: Double) -> None:
    """Where every row is a plain yes, they are a list; with exceptions they are a table, and the colours repeat it."""
    double.answers["who"] = Lookup((Found("anna", Verdict.YES, ()), Found("bob", Verdict.YES, ())), "", 7, TOKEN)
    assert on(tty, "who", "report:q3", "view", "user") == 0
    assert plain(tty).splitlines() == ["user:anna", "user:bob", "2 rows, revision 7"]
    tty.truncate(0)
    tty.seek(0)
    rows = (
        Found("*", Verdict.YES, ()),
        Found("a", Verdict.NO, ()),
        Found("b", Verdict.CONDITIONAL, ("ip", "hour")),
        Found("c", Verdict.UNDECIDED, ()),
    )
    double.answers["what"] = Lookup(rows, "", 7, TOKEN)
    assert on(tty, "what", "user:anna", "view", "report") == 3
    head, _, *lines = (" ".join(line.split()) for line in plain(tty).splitlines())
    assert [head, *lines] == [
        "resource verdict",
        "every other report yes",
        "report:a no",
        "report:b conditional, needs ip, hour",
        "report:c undecided: it depends on its own negation",
        "4 rows, revision 7",
    ]


def test_permissions_are_a_table(tty: Tty, double: Double) -> None:
    """Every relation and permission is a row with its verdict."""
    double.answers["permissions"] = Permissions((Held("view", Verdict.YES, ()), Held("edit", Verdict.NO, ())), 7, TOKEN)
    assert on(tty, "permissions", "user:anna", "report:q3") == 0
    head, _, *lines = (" ".join(line.split()) for line in plain(tty).splitlines())
    assert ["name verdict", "view yes", "edit no", "revision 7"] == [head, *lines]


def test_no_color(tty: Tty, double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR nothing is coloured, and the words are the same."""
    double.answers["best_many"] = [BEST, NOTHING]
    on(tty, "best", "user:anna", "report:q3", "report:q4")
    coloured = plain(tty)
    tty.seek(0)
    tty.truncate()
    monkeypatch.setenv("NO_COLOR", "1")
    on(tty, "best", "user:anna", "report:q3", "report:q4")
    assert COLOUR.search(tty.getvalue()) is None
    assert plain(tty) == coloured


@pytest.mark.parametrize("width", [12, 30, 60, 99, 100, 200])
def test_narrow_terminals_fold_and_never_cut(
    tty: Tty, double: Double, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """On any width, every character of what is shown is there, and drawn lines are no wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    double.tuples = [MEMBER, VIA, RelationTuple.parse(f"report:{'x' * 90}#viewer@user:anna")]
    assert on(tty, "read") == 0
    double.answers["best_many"] = [BEST, NOTHING]
    on(tty, "best", "user:anna", "report:q3", "report:q4")
    shown = plain(tty)
    # An id may be folded within a column beside others: its characters are all there.
    assert shown.count("x") >= 90
    assert "…" not in shown
    if width >= 60:
        assert max(map(len, shown.splitlines())) <= width


def test_the_log_is_a_table_where_there_is_room(tty: Tty, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wide terminal shows the log as a table, a narrow one as lines; both tell all of it."""
    time = datetime(2026, 1, 31, 12, tzinfo=UTC)
    entry = LogEntry(2, TOKEN, time, "", "user:eve", "why\x1b[31m", "id1", "", (VIA,), (MEMBER,), "a\nb")
    with redirect_stdout(tty):
        show_log([entry], head=True)
    wide = plain(tty)
    assert wide.splitlines()[0].split() == ["revision", "time", "who", "what,", "and", "why"]
    monkeypatch.setenv("COLUMNS", "60")
    with redirect_stdout(tty):
        show_log([entry], head=True)
    narrow = plain(tty).removeprefix(wide)
    assert narrow.splitlines()[0].startswith("revision 2  2026-01-31T12:00:00Z  user:eve")
    for shown in (wide, narrow):
        told = ("user:eve", "id1", "why\\x1b[31m", "schema, 2 lines", f"+ {VIA}", f"- {MEMBER}")
        assert [part for part in told if part not in shown] == []
    assert "\x1b[31mw" not in tty.getvalue()


def test_a_deep_proof_is_told_by_its_tuples(tty: Tty) -> None:
    """A proof of ten thousand steps is a list of its tuples, not a tree that no terminal is wide enough for."""
    count = 10_000
    tuples = tuple(RelationTuple.parse(f"group:g{n}#member@group:g{n + 1}#member") for n in range(count))
    steps = tuple(
        Step(f"group:g{n}#member", "userset", (n + 1,) if n + 1 < count else (), tuples[n]) for n in range(count)
    )
    way = Way("member", tuples, steps, "deep down")
    with redirect_stdout(tty):
        show_best([Best(ANNA, REPORT, "member", ("member",), (), (), (way,), False, 7, TOKEN)])
    lines = plain(tty).splitlines()
    assert len(lines) == count + 3
    assert max(map(len, lines)) < 110


def test_a_shared_step_is_unfolded_once(tty: Tty) -> None:
    """A step that two others lean on is shown twice and unfolded once, so that a diamond stays small."""
    steps = tuple(
        Step(f"a:b#n{n}", "intersection", (n + 1, n + 1) if n < 10 else (), None if n < 10 else VIA) for n in range(11)
    )
    with redirect_stdout(tty):
        show_best([Best(ANNA, REPORT, "n0", ("n0",), (), (), (Way("n0", (VIA,), steps, ""),), False, 7, TOKEN)])
    shown = plain(tty)
    assert shown.count("as above") == 10
    assert len(shown.splitlines()) < 30


def test_pipes_get_plain_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no terminal gets lines without boxes or colours, and what read prints can be imported."""
    url = f"sqlite:///{tmp_path / 'access.db'}"
    with relgraph.open(url) as authorizer:
        authorizer.write_schema("definition user {} definition group { relation member: user }")
        authorizer.write(touch=[str(MEMBER)], reason="b\x1board")
    assert main(["--store", url, "read"]) == 0
    assert capsys.readouterr().out == f"{MEMBER}\n"
    for command in (["log"], ["best", "user:anna", "group:board"]):
        assert main(["--store", url, *command]) == 0
        out = capsys.readouterr().out
        assert not set(out) & set("\x1b─│└├━")
