"""The terminal's tools for schemas: what they print and how they end."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING

import networkx as nx
import pytest

from relgraph.answers import ChangeKind, SchemaChange, SchemaDiff, SchemaText, Written
from relgraph.cli import main
from relgraph.revision import Consistency
from tests.cli_double import TOKEN, Double

if TYPE_CHECKING:
    from pathlib import Path

Screen = pytest.CaptureFixture[str]

TEXT = """\
definition user {}
definition folder {
  relation owner: user
  permission view = owner
}
definition doc {
  relation parent: folder
  relation banned: user
  permission view = parent->view - banned
}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file with the schema above."""
    path = tmp_path / "schema.zed"
    path.write_text(TEXT)
    return str(path)


def test_write_composes(double: Double, tmp_path: Path, capsys: Screen) -> None:
    """What is written of a file with imports is one text that imports nothing."""
    (tmp_path / "people.zed").write_text("definition user {}\n")
    path = tmp_path / "doc.zed"
    path.write_text('use import\nimport "people.zed"\ndefinition doc {\n  relation owner: user\n}\n')
    double.answers["write_schema"] = Written(8, TOKEN)
    assert main(["schema", "write", str(path)]) == 0
    text = "definition user {}\n\ndefinition doc {\n  relation owner: user\n}\n"
    assert double.calls == [("write_schema", (text,), {"reason": ""})]
    path.write_text('use import\nimport "nobody.zed"\n')
    assert main(["schema", "write", str(path)]) == 2
    assert f"{path}, line 2, column 8" in capsys.readouterr().err


# --- graph ---


def test_graph_dot(file: str, capsys: Screen) -> None:
    """The drawing frames each type and tells arrows, tuplesets and what is taken away apart."""
    assert main(["schema", "graph", file]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "digraph schema {"
    assert '    label="doc";' in lines
    assert '    "doc#banned" [label="banned", shape=box];' in lines
    assert '    "doc#view" [label="view", shape=ellipse];' in lines
    assert '  "doc#view" -> "folder#view" [label="parent->"];' in lines
    assert '  "doc#view" -> "doc#parent" [label="", style=dotted];' in lines
    assert '  "doc#view" -> "doc#banned" [label="", color=red, arrowhead=tee];' in lines
    assert lines[-1] == "}"


def test_graph_json(file: str, capsys: Screen) -> None:
    """The drawing's JSON is one line with named nodes and edges, and `--json` asks for it too."""
    assert main(["schema", "graph", file, "--format", "json"]) == 0
    out = capsys.readouterr().out
    found = json.loads(out)
    assert out.count("\n") == 1
    assert found["nodes"][0] == {"name": "folder#owner", "type": "folder", "member": "owner", "kind": "relation"}
    assert {
        "source": "doc#view",
        "target": "folder#view",
        "why": "arrow",
        "via": "parent",
        "negative": "false",
        "key": "arrow parent False",
    } in found["edges"]
    assert main(["schema", "graph", file, "--json"]) == 0
    assert capsys.readouterr().out == out


def test_graph_graphml(file: str, capsys: Screen, tmp_path: Path) -> None:
    """The drawing's GraphML is read back by networkx with the same nodes and edges."""
    assert main(["schema", "graph", file, "--format", "graphml"]) == 0
    (tmp_path / "drawn.graphml").write_text(capsys.readouterr().out)
    found = nx.read_graphml(tmp_path / "drawn.graphml")
    assert set(found.nodes) == {"folder#owner", "folder#view", "doc#parent", "doc#banned", "doc#view"}
    assert ("doc#view", "doc#banned") in found.edges()


def test_graph_of_the_schema_in_force(double: Double, capsys: Screen) -> None:
    """Without a file the schema in force is drawn, at the revision that was asked for."""
    double.answers["schema"] = SchemaText(TEXT, 7, TOKEN)
    assert main(["schema", "graph", "--at-exactly", TOKEN]) == 0
    assert '"doc#banned"' in capsys.readouterr().out
    assert double.calls == [("schema", (), {"consistency": Consistency.at_exactly(TOKEN)})]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--store", "sqlite:///a.db"], "both given"),
        (["--at-least", TOKEN], "a file has no revisions"),
        (["--json", "--format", "dot"], "contradict"),
    ],
)
def test_graph_contradictions(file: str, capsys: Screen, options: list[str], word: str) -> None:
    """What would have to be ignored beside a file is refused."""
    assert main(["schema", "graph", file, *options]) == 2
    assert word in capsys.readouterr().err


# --- lint ---

QUESTIONABLE = "definition user {}\ndefinition doc {\n  relation doc: user\n}\n"


def test_lint_finds_nothing(file: str, capsys: Screen) -> None:
    """A schema without findings ends with 0 and says so; in JSON it prints nothing."""
    assert main(["schema", "lint", file]) == 0
    assert capsys.readouterr().out == "no findings\n"
    assert main(["schema", "lint", file, "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_lint_text(tmp_path: Path, capsys: Screen) -> None:
    """A finding tells file, line and column, what to do, the lint's name and the line with a caret; exit code 1."""
    path = tmp_path / "doc.zed"
    path.write_text(QUESTIONABLE)
    assert main(["schema", "lint", str(path)]) == 1
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{path}, line 3, column 12: `doc` repeats the name of its type")
    assert first.endswith("(relation-name-references-parent)")
    assert others == ["  relation doc: user", "           ^^^", "1 finding"]


def test_lint_json(double: Double, capsys: Screen) -> None:
    """A finding is one line of JSON with stable keys; without a file the schema in force is looked into."""
    double.answers["schema"] = SchemaText(QUESTIONABLE, 7, TOKEN)
    assert main(["schema", "lint", "--json"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert list(found) == ["lint", "message", "file", "line", "column", "type", "name", "excerpt"]
    assert (found["lint"], found["line"], found["type"]) == ("relation-name-references-parent", 3, "doc")


def test_lint_through_imports(tmp_path: Path, capsys: Screen) -> None:
    """A finding in an imported file names that file and the line in it."""
    (tmp_path / "people.zed").write_text("definition user {}\n\n\ndefinition team {\n  relation team: user\n}\n")
    path = tmp_path / "doc.zed"
    path.write_text('use import\nimport "people.zed"\ndefinition doc {\n  relation team: team\n}\n')
    assert main(["schema", "lint", str(path), "--json"]) == 1
    (finding,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (finding["file"], finding["line"]) == (str(tmp_path / "people.zed"), 5)


def test_lint_of_what_does_not_parse(tmp_path: Path, capsys: Screen) -> None:
    """A schema that does not parse is bad input, never a finding."""
    path = tmp_path / "doc.zed"
    path.write_text("definition user {")
    assert main(["schema", "lint", str(path)]) == 2
    assert f"{path}, line 1, column 17" in capsys.readouterr().err


# --- diff ---


def test_diff_of_two_files(file: str, tmp_path: Path, capsys: Screen) -> None:
    """Two files are compared as old and new; exit code 1 tells a difference, 0 none."""
    path = tmp_path / "new.zed"
    path.write_text("use roles\n" + TEXT.replace(" - banned", "") + "definition team {}\n")
    assert main(["schema", "diff", file, str(path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "use roles: flag added",
        "  + roles",
        "doc#view: permission expression changed",
        "  - parent->view - banned",
        "  + parent->view",
        "team: definition added",
        "  + definition team {}",
        "3 differences",
    ]
    path.write_text(TEXT.replace("  ", "\t"))
    assert main(["schema", "diff", file, str(path)]) == 0
    assert capsys.readouterr().out == "no differences\n"


def test_diff_against_the_schema_in_force(double: Double, file: str, capsys: Screen) -> None:
    """One file is compared with the schema in force; each difference is one line of JSON with stable keys."""
    change = SchemaChange(ChangeKind.ROLES_CHANGED, "doc", "", "", "edit > view")
    double.answers["diff_schema"] = SchemaDiff((change,), 7, TOKEN)
    assert main(["schema", "diff", file, "--json", "--at-least", TOKEN]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"kind": "roles_changed", "type": "doc", "name": "", "old": "", "new": "edit > view"}
    assert double.calls == [("diff_schema", (TEXT,), {"consistency": Consistency.at_least(TOKEN)})]
    double.answers["diff_schema"] = SchemaDiff((), 7, TOKEN)
    assert main(["schema", "diff", file, "--json"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "a comparison needs"),
        (["-", "-"], "a comparison needs"),
        (["{file}", "{file}", "{file}"], "a comparison needs"),
        (["{file}", "{file}", "--store", "sqlite:///a.db"], "both given"),
        (["{file}", "{file}", "--at-least", TOKEN], "no revisions"),
        (["{file}", "nowhere.zed"], "`nowhere.zed` cannot be read"),
    ],
)
def test_diff_of_nothing_sensible(file: str, capsys: Screen, arguments: list[str], word: str) -> None:
    """What cannot be compared, or would have to be ignored, is bad input and never a difference."""
    assert main(["schema", "diff", *(each.format(file=file) for each in arguments)]) == 2
    assert word in capsys.readouterr().err


def test_a_pipe_is_read_as_standard_input(file: str, capsys: Screen) -> None:
    """What a shell hands over for `<(git show HEAD:schema.zed)` is a schema, and can import nothing."""
    for text, code in ((TEXT, 0), (f'use import\nimport "x.zed"\n{TEXT}', 2)):
        reading, writing = os.pipe()
        os.write(writing, text.encode())
        os.close(writing)
        assert main(["schema", "diff", f"/dev/fd/{reading}", file]) == code
        os.close(reading)
    assert "imports nothing" in capsys.readouterr().err


# --- format ---

CROOKED = "definition   user{}  // a person\n"
STRAIGHT = "definition user {} // a person\n"


def test_format_prints(tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layout of one file, or of standard input, is printed; the file stays as it is."""
    path = tmp_path / "user.zed"
    path.write_text(CROOKED)
    assert main(["schema", "format", str(path)]) == 0
    assert capsys.readouterr().out == STRAIGHT
    assert path.read_text() == CROOKED
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CROOKED.encode())))
    assert main(["schema", "format", "-"]) == 0
    assert capsys.readouterr().out == STRAIGHT


def test_format_check(tmp_path: Path, capsys: Screen) -> None:
    """A check names the files that would change and ends with 1, and with 0 where there are none."""
    crooked, straight = tmp_path / "crooked.zed", tmp_path / "straight.zed"
    crooked.write_text(CROOKED)
    straight.write_text(STRAIGHT)
    assert main(["schema", "format", "--check", str(crooked), str(straight)]) == 1
    assert capsys.readouterr().out == f"{crooked}\n1 file to be changed\n"
    assert main(["schema", "format", "--check", str(straight)]) == 0
    assert capsys.readouterr().out == "no files to be changed\n"
    assert main(["schema", "format", "--check", "--json", str(crooked), str(straight)]) == 1
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"file": str(crooked), "changed": True},
        {"file": str(straight), "changed": False},
    ]
    assert crooked.read_text() == CROOKED


def test_format_write(tmp_path: Path, capsys: Screen) -> None:
    """Files are changed where they lie, through links and with their modes; nothing else is left in the folder."""
    path, link = tmp_path / "user.zed", tmp_path / "link.zed"
    path.write_text(CROOKED)
    path.chmod(0o640)
    link.symlink_to(path)
    assert main(["schema", "format", "--write", str(link)]) == 0
    assert capsys.readouterr().out == f"{link}\n1 file changed\n"
    assert path.read_text() == STRAIGHT
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [link, path]
    assert main(["schema", "format", "--write", "--json", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(path), "changed": False}


def test_format_writes_all_or_none(tmp_path: Path, capsys: Screen) -> None:
    """A file that cannot be read as a schema is named with line and column, and keeps all others from being changed."""
    good, bad = tmp_path / "good.zed", tmp_path / "bad.zed"
    good.write_text(CROOKED)
    bad.write_text("definition user {")
    assert main(["schema", "format", "--write", str(good), str(bad)]) == 2
    assert f"{bad}, line 1, column 17" in capsys.readouterr().err
    assert good.read_text() == CROOKED


def test_format_of_a_file_that_cannot_be_written(
    tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system refuses the last step, the file stays as it was, nothing is left beside it, and it is told."""
    path = tmp_path / "user.zed"
    path.write_text(CROOKED)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.copymode", refuse)
    assert main(["schema", "format", "--write", str(path)]) == 2
    assert f"`{path}` cannot be written: permission denied" in capsys.readouterr().err
    assert path.read_text() == CROOKED
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["{file}", "{file}"], "run together"),
        (["{file}", "--check", "--write"], "contradict"),
        (["-", "--write"], "standard input cannot be changed"),
        (["{file}", "--store", "sqlite:///a.db"], "concerns files alone"),
        (["nowhere.zed"], "`nowhere.zed` cannot be read"),
        ([], "missing argument"),
    ],
)
def test_format_of_nothing_sensible(file: str, capsys: Screen, arguments: list[str], word: str) -> None:
    """What cannot be done, or would have to be ignored, is refused."""
    assert main(["schema", "format", *(each.format(file=file) for each in arguments)]) == 2
    assert word in capsys.readouterr().err
