"""Every scenario file through every door: the library, gRPC and the terminal give the answers that the file says."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.cli.scenario import Claims, Losses, read_scenario
from relgraph.client import Client
from relgraph.errors import InvalidFile
from relgraph.instants import moment
from relgraph.revision import Consistency, Token
from relgraph.tuples import RelationTuple
from tests.api_kit import lent
from tests.awaited import awaited
from tests.scenario_doors import BestAnswer, Door, MethodsDoor, TerminalDoor
from tests.serving import in_process, program, program_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

FILES = sorted((Path(__file__).parent.parent / "scenarios").glob("*.yaml"))
SCENARIOS_MIN = 40
CATGLOBE = next(path for path in FILES if path.stem == "catglobe")


@pytest.fixture(params=["library", "gRPC", "tasks", "terminal", "PostgreSQL"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    if request.param == "terminal":
        yield TerminalDoor(tmp_path)
        return
    if request.param == "PostgreSQL":
        with lent(request.getfixturevalue("postgres")) as authorizer:
            yield MethodsDoor(authorizer)
        return
    with relgraph.open("sqlite://") as authorizer:
        if request.param == "library":
            yield MethodsDoor(authorizer)
        else:
            opens: Callable[[str], AbstractContextManager[Client]] = awaited if request.param == "tasks" else Client
            with in_process(authorizer) as address, opens(address) as client:
                yield MethodsDoor(client)


def _differences(door: Door, claims: Claims, when: Consistency | None = None) -> list[object]:
    """Return what the door says otherwise than the claims, now or of the past; the past refuses no writes."""
    found: list[object] = []
    for each in claims.checks:
        assert not each.context, "what brings a context is asked by `relgraph test`"
        # Whoever is asked about by name is found by that name, among all of a type and among all names of a resource.
        answers = {door.check(each.question, when), *(door.found(each.question) if when is None else ())}
        found += [(str(each), each.verdict, answers)] if answers != {each.verdict} else []
    for case in claims.best:
        best = door.best(case.subject, case.resource, when)
        wanted = BestAnswer(
            case.role,
            best.held if case.held is None else list(case.held),
            list(case.undecided),
            sorted(case.ways),
            sorted(best.tuples if case.tuples is None else map(sorted, case.tuples)),
        )
        told = replace(best, ways=sorted(best.ways), tuples=sorted(map(sorted, best.tuples)))
        found += [(case.subject, case.resource, wanted, told)] if told != wanted else []
    orphans = None if claims.orphans is None else door.orphans(when)
    found += [(claims.orphans, orphans)] if orphans != claims.orphans else []
    for refusal in claims.refused if when is None else ():
        code = door.refusal(refusal)
        found += [(refusal, code)] if code != refusal.error else []
    return found


def _held(door: Door, among: Losses | None) -> set[str]:
    """Return all that the subjects hold on the resources now."""
    return (
        {
            f"{resource}#{name}@{subject}"
            for subject, resource in product(among.subjects, among.resources)
            for name in door.best(subject, resource).held
        }
        if among is not None
        else set()
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_scenario_is_true(path: Path, door: Door) -> None:
    """What it claims holds after each step, and still holds of that step, by token and time, when all are made."""
    scenario = read_scenario(path)
    steps = [(scenario.claims, door.begin(scenario))]
    assert [] == _differences(door, scenario.claims)
    for change in scenario.changes:
        before = _held(door, change.lost)
        steps.append((change.claims, door.change(change)))
        assert [] == _differences(door, change.claims), change.title
        if change.lost is not None:
            assert set(change.lost.access) == before - _held(door, change.lost), change.title
    # A command takes its time: the terminal, which only hands on what it is given, goes back by one step at most.
    for claims, token in steps[-2:-1] if isinstance(door, TerminalDoor) else steps:
        for when in _past(token):
            assert [] == _differences(door, claims, when), when.mode


def _past(token: str) -> tuple[Consistency, Consistency]:
    """Return the two ways to name a step that was made: its token, and the time at which the token was given out."""
    return Consistency.at_exactly(token), Consistency.at_time(moment(Token.parse(token).instant))


def _verdicts(claims: Claims) -> set[str]:
    return {each.verdict for each in claims.checks}


def test_scenarios_are_many_and_each_says_what_it_shows() -> None:
    """There are forty files at least; each begins with a comment, has a title of its own, and claims both ways."""
    titles: dict[str, Path] = {}
    for path in FILES:
        scenario = read_scenario(path)
        assert path.read_text("utf-8").startswith("# "), path
        assert scenario.title != path.stem, path
        titles.setdefault(scenario.title, path)
        claims = [scenario.claims, *(change.claims for change in scenario.changes)]
        assert any("yes" in _verdicts(each) or any(case.ways for case in each.best) for each in claims), path
        assert any({"no", "undecided"} & _verdicts(each) or each.refused for each in claims), path
        says = [scenario.claims, *(change.claims for change in scenario.changes if change.lost is None)]
        assert all(each != Claims() for each in says), path
    assert len(titles) == len(FILES)
    assert len(FILES) >= SCENARIOS_MIN


_WRONG = [
    ("assertions: {assertTrue: ['page:one#view@user:bob']}", 3),
    ("assertions: {assertFalse: ['page:one#view@user:anna']}", 3),
    ("assertions: {assertUndecided: ['page:one#view@user:anna']}", 3),
    ("best: [{subject: 'user:anna', resource: 'page:one', role: view, ways: [directly]}]", 3),
    ("best: [{subject: 'user:anna', resource: 'page:one', held: [], ways: [directly]}]", 3),
    ("best: [{subject: 'user:anna', resource: 'page:one', held: [view], ways: []}]", 3),
    ("best: [{subject: 'user:anna', resource: 'page:one', held: [view], ways: [directly], undecided: [view]}]", 3),
    ("best: [{subject: 'user:anna', resource: 'page:one', held: [view], ways: [directly], tuples: [[]]}]", 3),
    ("orphans: {'page:one': nobody}", 3),
    ("refused: [{touch: 'page:one#viewer@user:bob', error: TUPLE_NOT_ALLOWED}]", 1),
    ("refused: [{check: 'page:one#view@user:anna', error: UNDECIDED}]", 1),
    ("refused: [{schema: 'definition user {', error: SCHEMA_TYPE_ERROR}]", 1),
]


@pytest.mark.parametrize(("claim", "times"), _WRONG)
def test_a_wrong_claim_is_found_out(claim: str, times: int, tmp_path: Path) -> None:
    """A claim of any kind that is not true is a difference, now and of the past; what is refused is asked only now."""
    path = tmp_path / "wrong.yaml"
    path.write_text(f"""
schema: |-
  definition user {{}}
  definition page {{
    relation viewer: user
    permission view = viewer
  }}
tuples: 'page:one#viewer@user:anna'
{claim}
""")
    scenario = read_scenario(path)
    with relgraph.open("sqlite://") as authorizer:
        door = MethodsDoor(authorizer)
        token = door.begin(scenario)
        found = [_differences(door, scenario.claims, when) for when in (None, *_past(token))]
    assert sum(map(len, found)) == times


def test_the_exit_code_reaches_the_shell(tmp_path: Path) -> None:
    """`python -m relgraph.cli` ends with what the command says: 0, 1 for a denial if wanted, 2 for bad input."""
    TerminalDoor(tmp_path).begin(read_scenario(CATGLOBE))
    environment = {**program_environment(), "RELGRAPH_STORE": f"sqlite:///{tmp_path / 'scenario.db'}"}

    def ended(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "relgraph.cli", *arguments, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        return done.returncode, json.loads(done.stdout)["verdict"] if done.stdout else ""

    assert ended("check", "catglobe/resource:survey#administer@catglobe/user:anna", "--exit-code") == (0, "yes")
    assert ended("check", "catglobe/resource:survey#administer@catglobe/user:dora", "--exit-code") == (1, "no")
    assert ended("check", "catglobe/resource:survey#administer@catglobe/user:dora") == (0, "no")
    assert ended("check", "catglobe/resource:survey#administr@catglobe/user:anna") == (2, "")
    assert ended("best", "catglobe/resource:survey", "catglobe/user:anna") == (2, "")
    assert ended("read", "--relation", "inherit") == (2, "")
    assert ended("demo") == (2, "")


def test_the_five_ways_are_told_with_their_tuples(tmp_path: Path) -> None:
    """Directly, through a group, inherited, inherited through a group, and universal: each with the tuples it needs."""
    scenario = read_scenario(CATGLOBE)
    expected = {
        ("catglobe/user:carl", "catglobe/resource:department"): [
            "catglobe/resource:department#manager@catglobe/user:carl"
        ],
        ("catglobe/user:bob", "catglobe/resource:company"): [
            "catglobe/group:board#member@catglobe/user:bob",
            "catglobe/resource:company#administrator@catglobe/group:board#member",
        ],
        ("catglobe/user:eve", "catglobe/resource:survey"): [
            "catglobe/resource:company#observer@catglobe/user:eve",
            "catglobe/resource:department#inherits@catglobe/resource:company",
            "catglobe/resource:survey#inherits@catglobe/resource:department",
        ],
        ("catglobe/user:bob", "catglobe/resource:survey"): [
            "catglobe/group:board#member@catglobe/user:bob",
            "catglobe/resource:company#administrator@catglobe/group:board#member",
            "catglobe/resource:department#inherits@catglobe/resource:company",
            "catglobe/resource:survey#inherits@catglobe/resource:department",
        ],
        ("catglobe/user:root", "catglobe/resource:tomorrow"): [
            "catglobe/group:system#member@catglobe/user:root",
            "catglobe/resource:*#administrator@catglobe/group:system#member",
        ],
    }
    with program(f"sqlite:///{tmp_path / 'ways.db'}") as (address, _), Client(address) as client:
        MethodsDoor(client).begin(scenario)
        for (subject, resource), tuples in expected.items():
            (way,) = client.best(subject, resource, ways="all").ways
            assert list(map(RelationTuple.parse, tuples)) == list(way.tuples)
            assert way.steps[0].claim == f"{resource}#{way.role}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("assertion: {}", "did you mean `assertions`"),
        ("assertions: {assertTru: []}", "did you mean `assertTrue`"),
        ("best: [{subject: 'user:a', resource: 'doc:b'}]", "either `role` or `held`"),
        ("best: [{subject: 'user:a', resource: 'doc:b', role: a, wayz: []}]", "did you mean `ways`"),
        ("refused: [{check: 'doc:a#view@user:b', touch: 'doc:a#view@user:b', error: X}]", "exactly one of `check`"),
        ("refused: [{check: 'doc:a#view@user:b'}]", "`None` is not a text"),
        ("schema: ''\nschemaFile: a.zed", "`schema` and `schemaFile`, two names for one thing"),
        ("schemaFile: none.zed", "cannot be read: no such file"),
        ("tuplesFile: none.csv", "cannot be read: no such file"),
        ("tuplesFile: none.yaml", "no suffix that names a format"),
        ("changes: [{title: nothing}]", "either tuples"),
        ("changes: [{title: a, touch: [], lost: {subject: []}}]", "did you mean `subjects`"),
        ("changes: [{title: both, schema: '', touch: []}]", "either tuples"),
        ("changes: [{title: a, touch: [], assertions: {assertFals: []}}]", "did you mean `assertFalse`"),
        ("refused: [{check: 'doc:a#view@user:b', actor: 'user:b', error: X}]", "is for `touch`, `create` and `delete`"),
        ("changes: [{title: a, schema: '', actor: 'user:b'}]", "never a `schema`"),
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
