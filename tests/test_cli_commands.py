"""The terminal without a store: questions, usage, shapes, texts and exit codes, over a stand-in."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from relgraph.answers import (
    Best,
    ConditionalRole,
    Decision,
    ExpandNode,
    Expansion,
    Step,
    Verdict,
    Way,
)
from relgraph.cli import main
from relgraph.cli.exits import exit_of
from relgraph.errors import (
    AlreadyExists,
    DeadlineExceeded,
    InvalidSetting,
    InvalidTuple,
    LimitExceeded,
    RelgraphError,
    RevisionUnavailable,
    ServerUnavailable,
    StoreUnavailable,
    TupleNotAllowed,
    Undecided,
    Unsupported,
)
from relgraph.revision import Consistency
from relgraph.tuples import Object
from tests.cli_double import ANNA, BRINGS_NOTHING, MEMBER, REPORT, TOKEN, VIA, Double

Screen = pytest.CaptureFixture[str]


def decision(verdict: Verdict, *missing: str) -> Decision:
    return Decision(verdict, missing, 7, TOKEN)


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.YES, 0), (Verdict.NO, 1), (Verdict.CONDITIONAL, 3)], ids=str)
def test_check_exit_codes(double: Double, verdict: Verdict, code: int) -> None:
    """A check ends with 0 whatever the answer; with --exit-code with 1 for no and with 3 for conditional."""
    double.answers["decide"] = decision(verdict)
    assert main(["check", "user:anna", "view", "report:q3"]) == 0
    assert main(["check", "user:anna", "view", "report:q3", "--exit-code"]) == code


def test_check_json(double: Double, capsys: Screen) -> None:
    """A check's JSON has exactly the keys verdict, missing, revision and token, on one line."""
    double.answers["decide"] = decision(Verdict.CONDITIONAL, "hour", "ip")
    assert main(["--json", "check", "report:q3#view@user:anna"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "verdict": "conditional",
        "missing": ["hour", "ip"],
        "revision": 7,
        "token": TOKEN,
        "valid_until": None,
    }
    assert double.calls == [("decide", ("report:q3#view@user:anna",), {**BRINGS_NOTHING, "consistency": None})]


def test_check_text(double: Double, capsys: Screen) -> None:
    """A check's text begins with the verdict and tells the revision."""
    double.answers["decide"] = decision(Verdict.CONDITIONAL, "hour", "ip")
    main(["check", "user:anna", "view", "report:q3"])
    assert capsys.readouterr().out == "conditional, needs hour, ip (revision 7)\n"


def test_undecided_check(double: Double, capsys: Screen) -> None:
    """An undecided check is an error with exit code 3, asked for or not."""
    double.answers["decide"] = Undecided("`report:q3#view` depends on its own negation")
    assert main(["check", "user:anna", "view", "report:q3"]) == 3
    assert capsys.readouterr().err == "relgraph: error: `report:q3#view` depends on its own negation\n"


def test_consistency(double: Double) -> None:
    """Each consistency option reaches the question; two of them contradict each other."""
    double.answers["decide"] = decision(Verdict.YES)
    question = ["check", "user:anna", "view", "report:q3"]
    assert main([*question, "--at-least", TOKEN]) == 0
    assert main([*question, "--at-exactly", TOKEN]) == 0
    assert main([*question, "--minimize-latency"]) == 0
    assert [call[2]["consistency"] for call in double.calls] == [
        Consistency.at_least(TOKEN),
        Consistency.at_exactly(TOKEN),
        Consistency.minimize_latency(),
    ]
    assert main([*question, "--at-least", TOKEN, "--minimize-latency"]) == 2
    assert main([*question, "--at-least", "nonsense"]) == 2


BEST = Best(
    subject=ANNA,
    resource=REPORT,
    role="manager",
    held=("manager", "observer"),
    conditional=(ConditionalRole("administrator", ("ip",)),),
    undecided=(),
    ways=(
        Way(
            "manager",
            (MEMBER, VIA),
            (Step("report:q3#manager", "userset", (1,), VIA), Step("group:board#member", "tuple", (), MEMBER)),
            "through group:board#member",
        ),
    ),
    truncated=True,
    revision=7,
    token=TOKEN,
)
NOTHING = Best(ANNA, Object.parse("report:q4"), None, (), (), (), (), False, 7, TOKEN)


def test_best_json(double: Double, capsys: Screen) -> None:
    """Best access is one line of JSON a resource, with exactly the design's keys."""
    double.answers["best_many"] = [BEST, NOTHING]
    assert main(["best", "user:anna", "report:q3", "report:q4", "--ways", "all", "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {
        "resource": "report:q3",
        "role": "manager",
        "held": ["manager", "observer"],
        "conditional": [{"role": "administrator", "missing": ["ip"]}],
        "undecided": [],
        "ways": [
            {
                "role": "manager",
                "tuples": ["group:board#member@user:anna", "report:q3#manager@group:board#member"],
                "steps": [
                    {"claim": "report:q3#manager", "rule": "userset", "tuple": str(VIA), "children": [1]},
                    {"claim": "group:board#member", "rule": "tuple", "tuple": str(MEMBER), "children": []},
                ],
                "via": "through group:board#member",
            }
        ],
        "truncated": True,
        "valid_until": None,
    }
    assert second["role"] is None
    assert double.calls[0] == (
        "best_many",
        ("user:anna", ("report:q3", "report:q4")),
        {"ways": "all", **BRINGS_NOTHING, "consistency": None},
    )


def test_best_says_that_no_way_could_be_told(double: Double, capsys: Screen) -> None:
    """Access without a way within the limits says so, instead of looking as if there were none."""
    double.answers["best_many"] = [replace(BEST, ways=())]
    main(["best", "user:anna", "report:q3"])
    assert "  which way takes more work to tell than the limits allow\n" in capsys.readouterr().out


def test_best_text(double: Double, capsys: Screen) -> None:
    """Best access as text tells the role, what is conditional, and each way with its tuples."""
    double.answers["best_many"] = [BEST, NOTHING]
    main(["best", "user:anna", "report:q3", "report:q4"])
    assert capsys.readouterr().out.splitlines() == [
        "report:q3  manager",
        "  administrator if the context allows it, needs ip",
        "  manager through group:board#member",
        "    group:board#member@user:anna",
        "    report:q3#manager@group:board#member",
        "  at least 1 way: finding more takes more than the limits allow",
        "report:q4  no access",
        "revision 7",
    ]


def test_best_exit_codes(double: Double) -> None:
    """With --exit-code no access is 1 and only conditional access 3; an undecided row is 3 always."""
    conditional = Best(ANNA, REPORT, None, (), (ConditionalRole("manager", ("ip",)),), (), (), False, 7, TOKEN)
    undecided = Best(ANNA, REPORT, "observer", ("observer",), (), ("manager",), (), False, 7, TOKEN)
    found = []
    for rows in ([BEST], [BEST, NOTHING], [BEST, conditional], [NOTHING, undecided]):
        double.answers["best_many"] = rows
        found.append((main(["best", "user:anna", "r:1"]), main(["best", "user:anna", "r:1", "--exit-code"])))
    assert found == [(0, 0), (0, 1), (0, 3), (3, 3)]


def test_expand(double: Double, capsys: Screen) -> None:
    """An expansion is a tree for people, each node unfolded once, and a flat list in JSON."""
    board = Object.parse("group:board")
    double.answers["expand"] = Expansion(
        (
            ExpandNode("permission", REPORT, "manage", (), (1, 2), False),
            ExpandNode("relation", REPORT, "manager", (VIA,), (2,), False),
            ExpandNode("relation", board, "member", (MEMBER,), (), True),
        ),
        7,
        TOKEN,
    )
    assert main(["expand", "report:q3#manage"]) == 0
    out = capsys.readouterr().out
    assert out.count("group:board#member@user:anna") == 1
    assert "group:board#member  (relation, cycle, shown elsewhere)" in out
    assert main(["expand", "report:q3#manage", "--json"]) == 0
    shape = json.loads(capsys.readouterr().out)
    assert shape["nodes"][1] == {
        "kind": "relation",
        "object": "report:q3",
        "text": "manager",
        "tuples": [str(VIA)],
        "children": [2],
        "cycle": False,
    }
    options = {"contextual": (), "consistency": None, "usersets": False}
    assert double.calls[0] == ("expand", ("report:q3", "manage"), options)
    assert main(["expand", "report:q3"]) == 2


def test_expand_deep(double: Double, capsys: Screen) -> None:
    """A chain of 20,000 nodes is shown whole, in trees that are narrow enough for a terminal."""
    count = 20_000
    nodes = [
        ExpandNode("relation", Object("folder", str(i)), "view", (), (i + 1,) if i + 1 < count else (), False)
        for i in range(count)
    ]
    double.answers["expand"] = Expansion(tuple(nodes), 7, TOKEN)
    assert main(["expand", "folder:0#view"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 200
    assert {f"folder:{i}#view" for i in range(count)} <= {line.split("  (")[0].lstrip("│└├─ ") for line in lines}


def test_options_that_mean_nothing_together(double: Double) -> None:
    """An option that a form of a command does not use is refused, never ignored."""
    for arguments in (
        ["graph", "--orphans", "--format", "dot"],
        ["graph", "--orphans", "--depth", "3"],
        ["graph", "report:q3", "--type", "report"],
        ["graph", "report:q3", "--json", "--format", "dot"],
        ["graph"],
        ["graph", "report:q3", "report:q4"],
        ["serve", "--server", "127.0.0.1:1"],
        ["check", "user:anna", "view"],
    ):
        assert main(arguments) == 2, arguments
    assert double.calls == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidTuple("x"), 2),
        (InvalidSetting("x"), 2),
        (TupleNotAllowed("x"), 2),
        (AlreadyExists("x"), 2),
        (RevisionUnavailable("x"), 2),
        (Unsupported("x"), 2),
        (Undecided("x"), 3),
        (LimitExceeded("x"), 5),
        (DeadlineExceeded("x"), 5),
        (StoreUnavailable("x"), 5),
        (ServerUnavailable("x"), 5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_codes_of_errors(error: RelgraphError, code: int) -> None:
    """Bad input is 2, undecided 3, and what may go better another time 5."""
    assert exit_of(error) == code


def test_fault_is_not_an_answer(double: Double, capsys: Screen) -> None:
    """A fault of relgraph itself ends with 5, since 1 would mean denied."""
    double.answers["decide"] = ZeroDivisionError("oops")
    assert main(["check", "user:anna", "view", "report:q3", "--exit-code"]) == 5
    assert "a fault in relgraph itself: ZeroDivisionError('oops')" in capsys.readouterr().err


def test_usage_errors(capsys: Screen, double: Double) -> None:
    """A wrong command line ends with 2 and one sentence that says what to do, as JSON with --json."""
    assert main(["chekc"]) == 2
    assert capsys.readouterr().err == (
        "relgraph: error: `chekc` is not a command, did you mean `check`? see `relgraph --help`\n"
    )
    assert main(["check", "--json"]) == 2
    shape = json.loads(capsys.readouterr().err)
    assert (shape["code"], shape["details"]) == ("USAGE", {})
    assert shape["message"].endswith("see `relgraph check --help`")
    assert double.calls == []


def test_help_names_every_command(capsys: Screen) -> None:
    """A bare `relgraph` shows the help, which names every command; each command has a help of its own."""
    assert main([]) == 0
    out = capsys.readouterr().out
    for name in ("best", "check", "expand", "graph", "import", "read", "schema", "serve", "write"):
        assert f"\n  {name} " in out
        assert main([name, "--help"]) == 0
        assert f"relgraph {name} [OPTIONS]" in capsys.readouterr().out


def test_free_text_is_escaped(double: Double, capsys: Screen) -> None:
    """Control characters, bidi marks and rich's markup in data or errors do not act on the terminal."""
    nasty = "\x1b[31m[bold]\u202ex\r"
    double.answers["best_many"] = [Best(ANNA, Object("report", nasty), None, (nasty,), (), (), (), False, 7, TOKEN)]
    main(["best", "user:anna", "report:q3"])
    double.answers["expand"] = Expansion(
        (ExpandNode("relation", Object("report", nasty), nasty, (), (), False),), 7, TOKEN
    )
    main(["expand", "report:q3#view"])
    double.answers["decide"] = InvalidTuple(f"first\nsecond {nasty}")
    main(["check", "a:b#c@d:e"])
    screen = capsys.readouterr()
    assert screen.err == "relgraph: error: first\nsecond \\x1b[31m[bold]\\u202ex\\r\n"
    assert "\\x1b[31m[bold]\\u202ex\\r" in screen.out
    assert not {"\x1b", "\u202e", "\r"} & set(screen.out + screen.err)
