"""`relgraph demo`: four systems told from a server of its own, compared with what the scenario files say."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

import relgraph
from relgraph.cli import demo as cli_demo
from relgraph.cli import main
from relgraph.cli.demo_asking import System
from relgraph.cli.exits import INTERRUPTED, TEST_FAILED
from relgraph.cli.scenario import find_scenario, read_scenario
from relgraph.client import Client
from tests.serving import in_process, program_environment

SCENARIOS: Final = Path(__file__).parent.parent / "scenarios"
SYSTEMS: Final = ("catglobe", "alliance-auth", "centurion", "websaw")

STORY: Final = """
schema: |-
  definition user {}
  definition rule {
    relation asked: user
    relation exception: rule
    permission applies = asked - exception->applies
  }
tuples: |-
  rule:one#asked@user:anna
  rule:one#exception@rule:one
  rule:two#asked@user:anna
assertions:
  assertUndecided: ["rule:one#applies@user:anna"]
  assertFalse: ["rule:two#applies@user:bob"]
best: [{subject: "user:anna", resource: "rule:two", held: [applies], ways: [directly]}]
refused: [{touch: "rule:one#applies@user:bob", error: CANNOT_UPDATE_PERMISSION}]
orphans: {"rule:one": only-conditional}
changes:
  - title: "Nobody is asked by rule two any more."
    delete: ["rule:two#asked@user:anna"]
    lost: {subjects: ["user:anna"], resources: ["rule:two"], access: ["rule:two#applies@user:anna"]}
  - title: "Another schema."
    schema: |-
      use grants
      definition user {}
      definition rule {
        relation asked: user
        relation exception: rule
        permission applies = asked
        grant asked by applies
      }
    assertions: {assertTrue: ["rule:one#applies@user:anna"]}
    refused: [{touch: "rule:one#asked@user:bob", actor: "user:bob", error: NOT_PERMITTED}]
    lost: {subjects: ["user:anna"], resources: ["rule:one"], access: []}
  - title: "Who is asked asks another."
    actor: "user:anna"
    touch: ["rule:one#asked@user:bob"]
    assertions: {assertTrue: ["rule:one#applies@user:bob"]}
    lost: {subjects: ["user:bob"], resources: ["rule:one"], access: []}
  - title: "A change that does not say what it takes away ends the telling."
    delete: ["rule:one#asked@user:anna"]
"""


def _ended(folder: Path, columns: int) -> subprocess.CompletedProcess[str]:
    environment = {**program_environment(), "TMPDIR": str(folder), "COLUMNS": str(columns)}
    command = [sys.executable, "-m", "relgraph.cli", "demo"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_the_demo_tells_four_systems_and_leaves_nothing_running(tmp_path: Path) -> None:
    """It ends with 0, tells every best access with its ways and every loss; its server and its files are gone."""
    done = _ended(tmp_path, 200)
    assert (0, "") == (done.returncode, done.stderr)
    for name in SYSTEMS:
        scenario = read_scenario(SCENARIOS / f"{name}.yaml")
        prefix = scenario.claims.best[0].resource.partition("/")[0] + "/"
        told = [scenario.title, *(change.title for change in scenario.changes if change.lost)]
        for case in scenario.claims.best:
            told += [f"  {case.subject} ", f" {case.resource} ", *case.ways]
        for each in told:
            assert each.replace(prefix, "") in done.stdout
        (first, *_) = (change.lost for change in scenario.changes if change.lost)
        assert first is not None
        assert first.access
    assert "resource:department#observer@user:dora        NOT_PERMITTED" in done.stdout
    assert "42 lost, 21 kept by another source" in done.stdout
    assert "3 lost, 0 kept by another source" in done.stdout
    assert "answers are what the scenarios say" in done.stdout
    assert [] == list(tmp_path.iterdir())
    address = next(word for word in done.stdout.split() if word.startswith("127.0.0.1:")).rstrip(",")
    with Client(address, timeout=2) as client, pytest.raises(relgraph.RelgraphError):
        client.schema()


def test_the_demo_fits_a_narrow_terminal_and_is_plain_when_piped(tmp_path: Path) -> None:
    """At 80 columns no line is longer, names of people and resources stay whole, and there are no escape sequences."""
    done = _ended(tmp_path, 80)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    for name in SYSTEMS:
        for case in read_scenario(SCENARIOS / f"{name}.yaml").claims.best:
            assert f" {case.resource.partition('/')[2]} " in done.stdout


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_ended_early_leaves_nothing_running(tmp_path: Path, ended_by: signal.Signals) -> None:
    """Whoever ends it in the middle of its telling ends its server as well, and its files are gone."""
    environment = {**program_environment(), "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "relgraph.cli", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as ended:
        assert ended.stdout is not None
        assert ended.stderr is not None
        lines = (line for line in ended.stdout if "127.0.0.1:" in line)
        address = next(word for word in next(lines).split() if word.startswith("127.0.0.1:")).rstrip(",")
        ended.send_signal(ended_by)
        assert ended.wait(60) == INTERRUPTED
        assert "interrupted" in ended.stderr.read()
    assert [] == list(tmp_path.iterdir())
    with Client(address, timeout=2) as client, pytest.raises(relgraph.RelgraphError):
        client.schema()


def test_an_answer_that_is_not_the_expected_one_ends_the_demo_with_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ways, losses and orphans that the files tell otherwise are counted, shown, and told by the exit code."""
    folder = shutil.copytree(SCENARIOS, tmp_path / "scenarios")
    for name, old, new in (
        ("catglobe", 'role: manage, ways: ["directly"]', 'role: observe, ways: ["directly"]'),
        ("catglobe", '"catglobe/group:staff": only-universal', '"catglobe/group:staff": nobody'),
        ("alliance-auth", '        - "auth/service:discord#access@auth/user:carl"\n', ""),
        (
            "websaw",
            '"websaw/application:blog#reach@websaw/user:bob"',
            '"websaw/application:blog#reach@websaw/user:eve"',
        ),
    ):
        path = folder / f"{name}.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
    monkeypatch.setattr(cli_demo, "find_scenario", lambda name: folder / f"{name}.yaml")
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["demo"]) == TEST_FAILED
    told = capsys.readouterr().out
    # the revoked group twice: in the table, and among all whom it concerns
    assert "5 of 116 answers differ from what the scenarios say" in told
    assert "(expected otherwise)" in told
    assert "application:blog#reach@user:eve: no, expected yes" in told


def test_every_claim_of_a_scenario_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Undecided answers, refusals, orphans and other schemas too: each true, and each one that is wrong is counted."""
    path = tmp_path / "story.yaml"
    for text, differences in (
        (STORY, 0),
        (STORY.replace("assertUndecided", "assertTrue"), 1),
        (STORY.replace("assertFalse", "assertTrue"), 1),
        (STORY.replace("held: [applies]", "held: []"), 1),
        (STORY.replace("CANNOT_UPDATE_PERMISSION", "TUPLE_NOT_ALLOWED"), 1),
        # not refused, so that he is asked, and may ask himself
        (STORY.replace('rule:one#applies@user:bob", error', 'rule:one#asked@user:bob", error'), 2),
        (STORY.replace("only-conditional", "nobody"), 1),
        (STORY.replace("NOT_PERMITTED", "TUPLE_NOT_ALLOWED"), 1),
        (STORY.replace('access: ["rule:two#applies@user:anna"]', "access: []"), 1),
        (STORY.replace("access: []", 'access: ["rule:one#applies@user:anna"]', 1), 1),
    ):
        path.write_text(text)
        scenario = read_scenario(path)
        with relgraph.open("sqlite://") as authorizer, in_process(authorizer) as address, Client(address) as client:
            client.write_schema(scenario.schema)
            client.load(scenario.tuples)
            system = System(client, scenario)
            system.tell()
            system.tell_changes()
            assert client.check("rule:one#asked@user:anna")
        assert (system.questions, system.differences) == (11, differences), text
    told = " ".join(capsys.readouterr().out.split())
    assert "rule:one#applies@user:anna: undecided, expected yes" in told
    assert "touch rule:one#asked@user:bob: not refused, expected CANNOT_UPDATE_PERMISSION" in told
    assert "touch rule:one#asked@user:bob on behalf of user:bob: NOT_PERMITTED, expected TUPLE_NOT_ALLOWED" in told


def test_the_demo_brings_its_own_store(capsys: pytest.CaptureFixture[str]) -> None:
    """A store, a server or JSON asked of the demo is refused, not ignored; a scenario is found by its name alone."""
    assert main(["--store", "sqlite:///other.db", "demo"]) == 2
    assert "the demo brings its own store" in capsys.readouterr().err
    assert find_scenario("catglobe").is_file()
    with pytest.raises(relgraph.RelgraphError, match="catglob"):
        find_scenario("catglob")
