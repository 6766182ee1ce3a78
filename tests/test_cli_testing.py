"""`relgraph test`: the claims of validation files and scenarios, judged and written down in four formats."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from relgraph.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

SCENARIOS = Path(__file__).parent.parent / "scenarios"

SCHEMA = """\
definition user {}

definition group {
  relation member: user
}

caveat within(limit int, asked int) {
  asked <= limit
}

definition report {
  relation banned: user
  relation viewer: user | user:* | group#member | user with within
  permission view = viewer - banned
}
"""

TUPLES = """\
report:q3#viewer@user:anna
report:q3#viewer@group:board#member
// nobody but her
group:board#member@user:bob

report:q3#viewer@user:carl[within:{"limit":10}]
report:q3#viewer@user:dora
report:q3#banned@user:dora
report:q4#viewer@user:*
report:q4#banned@user:eve
"""


def _file(folder: Path, claims: str, *, schema: str = SCHEMA, tuples: str = TUPLES) -> str:
    path = folder / "claims.yaml"
    lines = [("schema", schema), ("relationships", tuples)]
    blocks = "".join(f"{key}: |\n" + "".join(f"  {line}\n" for line in text.splitlines()) for key, text in lines)
    path.write_text(blocks + dedent(claims))
    return str(path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def ran(*arguments: str) -> tuple[int, str, str]:
        code = main(["test", *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return ran


HOLDS = """
assertions:
  assertTrue:
    - report:q3#view@user:anna
    - report:q3#view@user:bob
    - 'report:q3#view@user:carl with {"asked": 10}'
    - report:q3#view@group:board#member
    - report:q4#view@user:somebody
  assertCaveated:
    - report:q3#view@user:carl
  assertFalse:
    - 'report:q3#view@user:carl with {"asked": 11}'
    - report:q3#view@user:dora
validation:
  report:q3#view:
    - "[user:anna] is <report:q3#viewer>"
    - "[user:bob] is <group:board#member>"
    - "[user:carl[...]] is <report:q3#viewer>"
    - "[group:board#member] is <report:q3#viewer>"
  report:q4#view:
    - "[user:* - {user:eve}] is <report:q4#viewer>"
  report:q5#view: []
"""


def test_what_holds_ends_with_zero(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Assertions of all kinds and expected relations that hold are counted, and the exit code is 0."""
    assert run(_file(tmp_path, HOLDS)) == (0, "16 of 16 claims in 1 file hold\n", "")


FAILS = [
    ("assertions: {assertTrue: ['report:q3#view@user:dora']}", "yes", "no", "banned on report:q3 takes it away"),
    ("assertions: {assertTrue: ['report:q3#view@user:eve']}", "yes", "no", "no tuple gives it"),
    ("assertions: {assertFalse: ['report:q3#view@user:bob']}", "no", "yes", "group:board#member@user:bob"),
    ("assertions: {assertTrue: ['report:q3#view@user:carl']}", "yes", "conditional", "needs asked"),
    ("assertions: {assertFalse: ['report:q3#vew@user:carl']}", "no", "refused with UNKNOWN_RELATION", "mean `view`"),
    (
        "assertions: {assertTrue: ['report:q3#view@user:carl with {\"asked\": true}']}",
        "yes",
        "refused with INVALID_CONTEXT",
        "asked",
    ),
    ("best: [{subject: 'user:dora', resource: 'report:q3', held: [view], ways: []}]", "view", "no access", ""),
    ("orphans: {'report:q3': nobody}", "report:q3: nobody", "nothing", ""),
    ("refused: [{touch: 'report:q3#viewer@user:eve', error: TUPLE_NOT_ALLOWED}]", "TUPLE_NOT_ALLOWED", "not refus", ""),
    ("changes: [{title: again, create: ['report:q3#viewer@user:anna']}]", "written", "with ALREADY_EXISTS", "anna"),
    (
        """
changes:
  - title: bob leaves
    delete: ['group:board#member@user:bob']
    lost: {subjects: ['user:bob'], resources: ['report:q3']}
""",
        "nothing",
        "report:q3#view@user:bob",
        "",
    ),
    ("validation: {'report:q5#view': ['[user:anna] is <report:q5#viewer>']}", "[user:anna] is", "no such holder", ""),
    ("validation: {'report:q4#view': []}", "nobody else", "[user:* - {user:eve}] is <report:q4#viewer>", ""),
    (
        "validation: {'group:board#member': ['[user:bob[...]] is <group:board#member>']}",
        "[user:bob[...]] is <group:board#member>",
        "[user:bob] is <group:board#member>",
        "",
    ),
    ("validation: {'report:q3#vew': []}", "answered", "refused with UNKNOWN_RELATION", "mean `view`"),
]


@pytest.mark.parametrize(("claims", "expected", "found", "why"), FAILS)
def test_what_does_not_hold_is_told_with_its_reason(
    claims: str, expected: str, found: str, why: str, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    """Each kind of claim that is not true ends with 4, and is told with its file and line, and why."""
    file = _file(tmp_path, claims)
    code, output, errors = run(file)
    line = len(Path(file).read_text().splitlines())
    assert (4, "") == (code, errors)
    first, second, *rest = output.splitlines()
    assert first.startswith(f"{file}:{line}: ")
    assert expected in second.partition(", is ")[0]
    assert found in second.partition(", is ")[2]
    assert why in "\n".join(rest)
    code, output, _ = run(file, "--json")
    (row,) = (each for each in map(json.loads, output.splitlines()) if not each["holds"])
    assert (row["file"], row["line"], row["expected"] in second) == (file, line, True)


REFUSED = [
    ("assertions: {assertTru: []}", "line 1: `assertions` has no key `assertTru`, did you mean `assertTrue`?"),
    ("namespace_configs: []", "`namespace_configs` is of a format that is no more; write `schema`"),
    ("validation_tuples: []", "`validation_tuples` is of a format that is no more; write `relationships`"),
    ("validation: {'report:q3#view': ['user:anna']}", "line 1: `user:anna` is no expected relation; write `[user:"),
    ("validation: {'report:q3': []}", "line 1: "),
    ("validation: {'a:b#cde': ['[user:a] is <a:b#cde>']}", "line 1: `a` cannot name a type"),
    (
        "validation: {'doc:b#cde': ['[user:a] is <doc:b#cde>', '[user:a] is <doc:b#fgh>']}",
        "`user:a` is expected twice on `doc:b#cde`",
    ),
    ("assertions: {assertTrue: ['doc:a#view@user:b with {']}", "line 1: the context is not JSON"),
    ("assertions: {assertTrue: []}\nassertions: {}", "the key assertions stands twice in one mapping"),
    ("schema: 'definition user {'", "claims.yaml, line 1, column 17: "),
    ("schema: |\n  definition user {\n", "claims.yaml, line 2, column 17: "),
    (
        "schema: |\n definition man { relation pal: man }\nrelationships: >-\n man:a#pal@man:b\n\n man:a#pal@man:b",
        "claims.yaml, line 6: ",
    ),
    ("schema: |\n  definition user {}\nrelationships: 'user:a#pal@user:b'", "claims.yaml, line 3: "),
]


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_a_file_that_cannot_be_read_is_bad_input(
    text: str, problem: str, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    """What is misspelt, of an old format, doubled or refused by the schema ends with 2, at its line."""
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    code, output, errors = run(str(path))
    assert (2, "") == (code, output)
    assert problem in errors


def test_a_file_that_is_not_there_is_bad_input(run: Callable[..., tuple[int, str, str]]) -> None:
    """A file that is not there, or is a folder, is named with what to do instead."""
    for path, why in ("nowhere.yaml", "no such file or directory"), (".", "is a directory"):
        code, output, errors = run(path)
        assert (2, "") == (code, output)
        assert f"`{path}` cannot be read: {why}; name a file" in errors


def test_a_file_outside_of_the_folder_is_not_read(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Whoever runs a stranger's file shows him nothing of what stands elsewhere: not by `..`, a root or a link."""
    (tmp_path / "secret.zed").write_text("hidden words")
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "link.zed").symlink_to(tmp_path / "secret.zed")
    path = folder / "claims.yaml"
    for key, name in (
        ("schemaFile", "../secret.zed"),
        ("schemaFile", str(tmp_path / "secret.zed")),
        ("schemaFile", "link.zed"),
        ("tuplesFile", "../secret.csv"),
    ):
        path.write_text(f"{key}: {name}\n")
        code, output, errors = run(str(path))
        assert (2, "") == (code, output)
        assert "outside of its folder" in errors
        assert "hidden" not in errors


def test_lists_without_end_are_refused_at_once(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Empty lists that stand for each other many times over have no line, and take no time."""
    path = tmp_path / "claims.yaml"
    lists = "".join(f"    - &n{n} [{', '.join([f'*n{n - 1}'] * 9)}]\n" for n in range(1, 40))
    path.write_text(f"title:\n    - &n0 []\n{lists}")
    code, output, errors = run(str(path))
    assert (2, "") == (code, output)
    assert "a list is not a text" in errors


def test_all_scenarios_hold(run: Callable[..., tuple[int, str, str]]) -> None:
    """Every scenario file of the project is judged true, all of its claims and changes included."""
    files = sorted(map(str, SCENARIOS.glob("*.yaml")))
    code, output, errors = run(*files)
    assert (0, "") == (code, errors)
    assert output.endswith(f"claims in {len(files)} files hold\n")


def test_a_file_without_claims_is_told(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """A file that claims nothing proves nothing, and that is said."""
    file = _file(tmp_path, "assertions:\n  assertTrue:\n")
    assert run(file) == (0, f"{file}: claims nothing\n0 of 0 claims in 1 file hold\n", "")


def test_junit_has_a_case_for_each_claim(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """JUnit's XML counts the claims and failures, and a failure says what was expected and why it is otherwise."""
    file = _file(tmp_path, "assertions: {assertTrue: ['report:q3#view@user:anna', 'report:q3#view@user:dora']}")
    code, output, _ = run(file, "--format", "junit")
    root = ET.fromstring(output)
    assert (4, "2", "1") == (code, root.get("tests"), root.get("failures"))
    (suite,) = root
    assert suite.get("name") == file
    assert [len(case) for case in suite] == [0, 1]
    assert suite[1].get("name") == "check: report:q3#view@user:dora"
    assert suite[1][0].get("message") == "expected yes, is no"
    assert (suite[1][0].text or "").endswith("banned on report:q3 takes it away")


def test_tap_numbers_each_claim(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """TAP has a plan, a line for each claim with `#` escaped, and a block of YAML behind what does not hold."""
    file = _file(tmp_path, "assertions: {assertTrue: ['report:q3#view@user:anna', 'report:q3#view@user:dora']}")
    code, output, _ = run(file, "--format", "tap")
    lines = output.splitlines()
    at = f"{file}:{len(Path(file).read_text().splitlines())} check: report:q3\\#view@user:"
    assert code == 4
    assert lines[:5] == ["TAP version 14", "1..2", f"ok 1 - {at}anna", f"not ok 2 - {at}dora", "  ---"]
    assert '  expected: "yes"' in lines
    assert lines[-1] == "  ..."


def test_formats_and_places_that_contradict_are_refused(
    tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    """`--json` with another format is refused, and so is a store: the files are judged in one of their own."""
    file = _file(tmp_path, HOLDS)
    assert run(file, "--json", "--format", "tap")[0] == 2
    assert run(file, "--store", "sqlite:///x.db")[0] == 2
    assert not (tmp_path / "x.db").exists()


def test_no_control_character_reaches_the_terminal(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """A title that would steer a terminal is told escaped, in every format."""
    path = tmp_path / "steers.yaml"
    path.write_text('schema: "definition user {}"\nchanges: [{title: "a\\u001b[31m", touch: ["user:a#pal@user:b"]}]\n')
    for format_ in ("text", "json", "junit", "tap"):
        code, output, _ = run(str(path), "--format", format_)
        assert (4, True) == (code, "[31m" in output)
        assert "\x1b" not in output


def test_coverage_tells_what_no_assertion_reaches(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Branches that gave nothing to anybody asked about are told with their line in the file, and end with 1."""
    file = _file(tmp_path, "assertions: {assertTrue: ['report:q3#view@user:anna']}")
    code, output, errors = run(file, "--coverage")
    lines = Path(file).read_text().splitlines()
    viewer = lines.index("    relation viewer: user | user:* | group#member | user with within") + 1
    assert (1, "") == (code, errors)
    assert output.splitlines() == [
        f"{file}:{viewer - 9}: no assertion reaches kind `user` of `group#member`",
        "  relation member: user",
        f"{file}:{viewer - 1}: no assertion reaches kind `user` of `report#banned`",
        "  relation banned: user",
        f"{file}:{viewer}: no assertion reaches kind `user:*` of `report#viewer`",
        "  relation viewer: user | user:* | group#member | user with within",
        f"{file}:{viewer}: no assertion reaches kind `group#member` of `report#viewer`",
        "  relation viewer: user | user:* | group#member | user with within",
        f"{file}:{viewer}: no assertion reaches kind `user with within` of `report#viewer`",
        "  relation viewer: user | user:* | group#member | user with within",
        f"{file}:{viewer + 1}: no assertion reaches operand `banned` of `report#view`",
        "  permission view = viewer - banned",
        "1 of 1 claim in 1 file holds",
        "2 of 8 branches reached",
    ]
    assert run(_file(tmp_path, HOLDS), "--coverage")[:2] == (
        0,
        "16 of 16 claims in 1 file hold\n8 of 8 branches reached\n",
    )


def test_coverage_is_over_all_files_with_a_schema(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Files that share a schema are weighed together, scenarios and their changes included; best accesses count."""
    (tmp_path / "schema.zed").write_text("definition user {}\ndefinition doc {\n  relation viewer: user | user:*\n}\n")
    one = tmp_path / "one.yaml"
    one.write_text(
        "schemaFile: schema.zed\ntuples: 'doc:a#viewer@user:anna'\n"
        "assertions: {assertTrue: ['doc:a#viewer@user:anna'], assertFalse: ['doc:a#viewer@user:bob']}\n"
    )
    two = tmp_path / "two.yaml"
    two.write_text(
        "schemaFile: schema.zed\nchanges:\n- {title: opened, touch: ['doc:a#viewer@user:*'], "
        "assertions: {assertTrue: ['doc:a#viewer@user:bob']}}\n"
    )
    assert run(str(one), "--coverage")[0] == 1
    assert run(str(two), "--coverage")[0] == 1
    code, output, _ = run(str(one), str(two), "--coverage", "--mutate")
    assert (0, "2 of 2 branches reached\n1 of 1 change noticed\n") == (code, output.partition("hold\n")[2])


def test_mutation_tells_what_no_assertion_notices(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Each change to the schema with which all claims would still hold is told in words, and ends with 1."""
    some = "assertions: {assertTrue: ['report:q3#view@user:anna'], assertFalse: ['report:q3#view@user:dora'%s]}"
    code, output, errors = run(_file(tmp_path, some % ""), "--mutate")
    assert (1, "") == (code, errors)
    told = [line.partition("no assertion notices if ")[2] for line in output.splitlines() if "notices" in line]
    assert told == [
        "every `user` is in `report#viewer`",
        "`report#viewer` takes `user` where it takes `user with within`",
    ]
    assert output.endswith("2 of 2 claims in 1 file hold\n5 of 7 changes noticed\n")
    assert run(_file(tmp_path, some % ", 'report:q3#view@user:eve', 'report:q3#view@user:carl'"), "--mutate")[0] == 4
    carl = ", 'report:q3#view@user:eve', 'report:q3#view@user:carl with {\"asked\": 11}'"
    assert run(_file(tmp_path, some % carl), "--mutate")[:2] == (
        0,
        "4 of 4 claims in 1 file hold\n7 of 7 changes noticed\n",
    )


def test_claims_of_every_kind_notice_changes(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """Best accesses, expected relations and what a change takes away notice that a permission gives nobody anything."""
    for claims in (
        "best: [{subject: 'user:anna', resource: 'report:q3', held: [view], ways: [directly]}]",
        HOLDS[HOLDS.index("validation:") :],
        """
changes:
  - title: anna leaves
    delete: ['report:q3#viewer@user:anna']
    lost: {subjects: ['user:anna'], resources: ['report:q3'], access: ['report:q3#view@user:anna']}
""",
    ):
        _, output, _ = run(_file(tmp_path, claims), "--mutate", "--json")
        changes = {
            row["claim"]: row["holds"] for row in map(json.loads, output.splitlines()) if row["kind"] == "mutant"
        }
        assert changes["`report#view` says `nil` where it says `viewer - banned`"], claims


def test_bounds_of_mutation_are_errors(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """What more changes or checks would tell is not told to be nothing: the exit code is 5, behind what was found."""
    file = _file(tmp_path, HOLDS)
    for bound in ("--mutants-max", "--checks-max"):
        code, output, errors = run(file, "--mutate", bound, "3")
        assert (5, True) == (code, "claims in 1 file hold" in output)
        assert f"raise {bound}" in errors
    assert run(file, "--mutate", "--mutants-max", "7", "--checks-max", "1000")[0] == 0


def test_nothing_is_mutated_where_a_claim_fails(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    """A claim that does not hold notices nothing, so no change is tried, and that is said."""
    code, output, errors = run(_file(tmp_path, "assertions: {assertTrue: ['report:q3#view@user:eve']}"), "--mutate")
    assert (4, False) == (code, "changes" in output)
    assert errors == "relgraph: no change was tried, since claims do not hold: mend them first\n"
