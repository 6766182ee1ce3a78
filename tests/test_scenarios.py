"""Every scenario file through every door: the library, gRPC and the terminal give the answers that the file says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.cli.scenario import Change, Scenario, read_scenario
from relgraph.client import Client
from relgraph.errors import InvalidFile
from relgraph.tuples import RelationTuple
from tests.serving import program, program_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relgraph.answers import Best
    from relgraph.cli.scenario import BestCase

FILES = sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml"))
CATGLOBE = next(path for path in FILES if path.stem == "catglobe")


class Door:
    """The library or the client: both have the same methods."""

    def __init__(self, authorizer: relgraph.Authorizer | Client) -> None:
        self._authorizer = authorizer

    def begin(self, scenario: Scenario) -> None:
        self._authorizer.write_schema(scenario.schema)
        self._authorizer.load(scenario.tuples, allow_universal=True, allow_wildcards=True)

    def check(self, question: str) -> bool:
        return self._authorizer.check(question)

    def best(self, subject: str, resource: str) -> tuple[str | None, tuple[str, ...], list[str]]:
        best: Best = self._authorizer.best(subject, resource, ways="all")
        return best.role, best.held, sorted(way.via for way in best.ways)

    def change(self, change: Change) -> None:
        self._authorizer.write(touch=change.touch, delete=change.delete)

    def orphans(self) -> dict[str, str]:
        return {str(each.resource): each.kind.value for each in self._authorizer.orphans().orphans}


class Terminal:
    """The commands, each a process of its own, over one SQLite file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {**program_environment(), "RELGRAPH_STORE": f"sqlite:///{folder / 'scenario.db'}"}

    def _run(self, *arguments: str, ends: int = 0) -> list[dict[str, object]]:
        command = [sys.executable, "-m", "relgraph.cli", *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment, check=False)
        assert ends == done.returncode, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def denies(self, question: str) -> bool:
        """Return whether the verdict is no and the exit code says so; any other exit code fails."""
        return self._run("check", question, "--exit-code", ends=1)[0]["verdict"] == "no"

    def refuses(self, *arguments: str) -> None:
        """Fail unless the command ends as bad input does, without an answer."""
        assert [] == self._run(*arguments, ends=2)

    def begin(self, scenario: Scenario) -> None:
        (self._folder / "schema.zed").write_text(scenario.schema)
        (self._folder / "tuples.txt").write_text("\n".join(scenario.tuples))
        self._run("schema", "write", str(self._folder / "schema.zed"))
        allowed = ("--allow-universal", "--allow-wildcards")
        self._run("import", str(self._folder / "tuples.txt"), *allowed)

    def check(self, question: str) -> bool:
        return self._run("check", question)[0]["verdict"] == "yes"

    def best(self, subject: str, resource: str) -> tuple[str | None, tuple[str, ...], list[str]]:
        row = json.loads(json.dumps(self._run("best", subject, resource, "--ways", "all")[0]))
        return row["role"], tuple(row["held"]), sorted(way["via"] for way in row["ways"])

    def change(self, change: Change) -> None:
        touch = [word for each in change.touch for word in ("--touch", each)]
        self._run("write", *touch, *(word for each in change.delete for word in ("--delete", each)))

    def orphans(self) -> dict[str, str]:
        return {str(row["resource"]): str(row["class"]) for row in self._run("graph", "--orphans")}


@pytest.fixture(params=["library", "gRPC", "terminal"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door | Terminal]:
    if request.param == "library":
        with relgraph.open(f"sqlite:///{tmp_path / 'scenario.db'}") as authorizer:
            yield Door(authorizer)
    elif request.param == "gRPC":
        with program(f"sqlite:///{tmp_path / 'scenario.db'}") as (address, _), Client(address) as client:
            yield Door(client)
    else:
        yield Terminal(tmp_path)


def _best_is(door: Door | Terminal, cases: Iterable[BestCase]) -> None:
    for case in cases:
        role, held, ways = door.best(case.subject, case.resource)
        assert (case.role, sorted(case.ways)) == (role, ways), (case.subject, case.resource)
        if case.held is not None:
            assert case.held == held


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_scenario_is_true(path: Path, door: Door | Terminal) -> None:
    """Its assertions, best access with all ways and orphans hold, and so does what it says of each change."""
    scenario = read_scenario(path)
    door.begin(scenario)
    # A process for each question takes its time: the terminal is asked every third one.
    step = 3 if isinstance(door, Terminal) else 1
    assert scenario.holds or scenario.fails
    for question in scenario.holds[::step]:
        assert door.check(question), question
    for question in scenario.fails[::step]:
        assert not door.check(question), question
    _best_is(door, scenario.best[::step])
    if scenario.orphans is not None:
        assert scenario.orphans == door.orphans()
    for change in scenario.changes:
        door.change(change)
        _best_is(door, change.best)
        if change.orphans is not None:
            assert change.orphans == door.orphans()


def test_the_exit_code_reaches_the_shell(tmp_path: Path) -> None:
    """`python -m relgraph.cli` ends with what the command says: 0, 1 for a denial if wanted, 2 for bad input."""
    terminal = Terminal(tmp_path)
    terminal.begin(read_scenario(CATGLOBE))
    assert terminal.check("resource:survey#administer@user:anna")
    assert terminal.denies("resource:survey#administer@user:dora")
    terminal.refuses("check", "resource:survey#administr@user:anna")
    terminal.refuses("best", "resource:survey", "user:anna")
    terminal.refuses("read", "--relation", "inherit")
    terminal.refuses("demo")


def test_the_five_ways_are_told_with_their_tuples(tmp_path: Path) -> None:
    """Directly, through a group, inherited, inherited through a group, and universal: each with the tuples it needs."""
    scenario = read_scenario(CATGLOBE)
    expected = {
        ("user:carl", "resource:department"): ["resource:department#manager@user:carl"],
        ("user:bob", "resource:company"): [
            "group:board#member@user:bob",
            "resource:company#administrator@group:board#member",
        ],
        ("user:eve", "resource:survey"): [
            "resource:company#observer@user:eve",
            "resource:department#inherits@resource:company",
            "resource:survey#inherits@resource:department",
        ],
        ("user:bob", "resource:survey"): [
            "group:board#member@user:bob",
            "resource:company#administrator@group:board#member",
            "resource:department#inherits@resource:company",
            "resource:survey#inherits@resource:department",
        ],
        ("user:root", "resource:created-tomorrow"): [
            "group:system#member@user:root",
            "resource:*#administrator@group:system#member",
        ],
    }
    with program(f"sqlite:///{tmp_path / 'ways.db'}") as (address, _), Client(address) as client:
        Door(client).begin(scenario)
        for (subject, resource), tuples in expected.items():
            (way,) = client.best(subject, resource, ways="all").ways
            assert list(map(RelationTuple.parse, tuples)) == list(way.tuples)
            assert way.steps[0].claim == f"{resource}#{way.role}"


def test_the_demo_tells_catglobe_and_leaves_nothing_running(tmp_path: Path) -> None:
    """`relgraph demo` ends with 0, tells every best access of the scenario, and its server is gone."""
    environment = {**program_environment(), "TMPDIR": str(tmp_path), "COLUMNS": "200"}
    command = [sys.executable, "-m", "relgraph.cli", "demo"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    for case in read_scenario(CATGLOBE).best:
        assert f"│ {case.subject} " in done.stdout
        for via in case.ways:
            assert via in done.stdout
    assert "every answer is what the scenario says" in done.stdout
    assert [] == list(tmp_path.iterdir())
    address = next(word for word in done.stdout.split() if word.startswith("127.0.0.1:")).rstrip(",")
    with Client(address, timeout=2) as client, pytest.raises(relgraph.RelgraphError):
        client.schema()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("assertion: {}", "did you mean `assertions`"),
        ("assertions: {assertTru: []}", "did you mean `assertTrue`"),
        ("best: [{subject: 'user:a', resource: 'doc:b'}]", "either `role` or `held`"),
        ("best: [{subject: 'user:a', resource: 'doc:b', role: a, wayz: []}]", "did you mean `ways`"),
        ("tuples: ''\nrelationships: ''", "two names for one thing"),
        ("title: [a]", "not a text"),
        ("- a", "not a mapping"),
        ("{", "cannot be read as YAML"),
    ],
)
def test_a_misspelt_scenario_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    """A key that nobody reads is an error, not an assertion that never runs."""
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InvalidFile) as error:
        read_scenario(path)
    assert str(path) in error.value.message
    assert problem in error.value.message
