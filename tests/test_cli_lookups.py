"""The terminal's lookups: shapes, texts and exit codes over a stand-in, and their pages through both doors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from relgraph.answers import Count, Found, Held, Lookup, Permissions, Verdict
from relgraph.cli import main
from relgraph.errors import LimitExceeded
from relgraph.revision import Consistency
from tests.cli_doors import DOORS, behind
from tests.cli_double import BRINGS_NOTHING, TOKEN, Double

if TYPE_CHECKING:
    from pathlib import Path

Screen = pytest.CaptureFixture[str]

SOME = Lookup((Found("q3", Verdict.YES, ()), Found("q4", Verdict.CONDITIONAL, ("hour", "ip"))), "", 7, TOKEN)
MOST = Lookup(
    (
        Found("*", Verdict.YES, ()),
        Found("a", Verdict.NO, ()),
        Found("b", Verdict.CONDITIONAL, ("ip",)),
        Found("c", Verdict.UNDECIDED, ()),
    ),
    "",
    7,
    TOKEN,
)


def test_what_is_asked(double: Double) -> None:
    """Every word and option reaches the question, and a userset's relation is told from its type."""
    double.answers |= {"what": SOME, "who": SOME}
    at = Consistency.at_exactly(TOKEN)
    paged = ["--limit", "5", "--cursor", "c", "--at-exactly", TOKEN]
    assert main(["what", "user:anna", "view", "report"]) == 0
    assert main(["what", "user:anna", "view", "report", *paged]) == 0
    assert main(["who", "report:q3", "view", "user"]) == 0
    assert main(["who", "report:q3", "view", "group#member", *paged]) == 0
    plain = {"limit": None, "cursor": "", **BRINGS_NOTHING, "consistency": None}
    asked = {"limit": 5, "cursor": "c", **BRINGS_NOTHING, "consistency": at}
    assert double.calls == [
        ("what", ("user:anna", "view", "report"), plain),
        ("what", ("user:anna", "view", "report"), asked),
        ("who", ("report:q3", "view", "user"), {"relation": "", **plain}),
        ("who", ("report:q3", "view", "group"), {"relation": "member", **asked}),
    ]


def test_a_line_that_begins_with_an_id_says_yes(double: Double, capsys: Screen) -> None:
    """Rows are lines, and one that is no plain yes begins with a word that is no id."""
    double.answers["what"] = SOME
    main(["what", "user:anna", "view", "report"])
    assert capsys.readouterr().out == "report:q3\nperhaps report:q4, needs hour, ip\n"
    double.answers["who"] = MOST
    assert main(["who", "report:q3", "view", "group#member"]) == 3  # one is undecided
    assert capsys.readouterr().out.splitlines() == [
        "every other group#member",
        "all but group:a#member",
        "perhaps group:b#member, needs ip",
        "undecided group:c#member: it depends on its own negation",
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (Found("*", Verdict.CONDITIONAL, ("ip",)), "perhaps every user, needs ip"),
        (Found("*", Verdict.UNDECIDED, ()), "undecided every user: it depends on its own negation"),
    ],
)
def test_everybody_perhaps(double: Double, capsys: Screen, row: Found, told: str) -> None:
    """That everybody has it only perhaps is said beside it."""
    double.answers["who"] = Lookup((row,), "", 7, TOKEN)
    assert main(["who", "report:q3", "view", "user"]) == (3 if row.verdict is Verdict.UNDECIDED else 0)
    assert capsys.readouterr().out == f"{told}\n"


def test_lookups_in_json(double: Double, capsys: Screen) -> None:
    """A row is a line of JSON with its name, verdict and what is missing; `type:*` is every id without a row."""
    double.answers |= {"what": MOST, "who": MOST}
    assert main(["what", "user:anna", "view", "report", "--json"]) == 3
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"resource": "report:*", "verdict": "yes", "missing": []},
        {"resource": "report:a", "verdict": "no", "missing": []},
        {"resource": "report:b", "verdict": "conditional", "missing": ["ip"]},
        {"resource": "report:c", "verdict": "undecided", "missing": []},
    ]
    main(["who", "report:q3", "view", "group#member", "--json"])
    assert json.loads(capsys.readouterr().out.splitlines()[1])["subject"] == "group:a#member"


def test_a_page_tells_how_to_go_on(double: Double, capsys: Screen) -> None:
    """Where rows are left over, standard error has the cursor, and standard output the rows only."""
    double.answers["what"] = Lookup(SOME.rows[:1], "next", 7, TOKEN)
    main(["what", "user:anna", "view", "report", "--limit", "1"])
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("report:q3\n", "relgraph: more rows follow; continue with --cursor next\n")
    main(["what", "user:anna", "view", "report", "--limit", "1", "--json"])
    assert json.loads(capsys.readouterr().err) == {"cursor": "next", "revision": 7, "token": TOKEN}


def test_an_error_prints_no_rows(double: Double, capsys: Screen) -> None:
    """What cannot be complete ends with 5 and without a row."""
    double.answers["what"] = LimitExceeded("the lookup has more than 3 rows; ask by the page")
    assert main(["what", "user:anna", "view", "report"]) == 5
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (Count(0, 0, 0, 0, Verdict.NO, 7, TOKEN), "0 resources"),
        (Count(1, 0, 0, 0, Verdict.NO, 7, TOKEN), "1 resource"),
        (Count(1_200, 3, 0, 0, Verdict.NO, 7, TOKEN), "1,200 resources, perhaps 3"),
        (Count(0, 1, 2, 3, Verdict.YES, 7, TOKEN), "every other report, all but 3, perhaps 1, undecided 2"),
        (Count(4, 0, 0, 0, Verdict.CONDITIONAL, 7, TOKEN), "perhaps every other report, 4 resources"),
        (Count(0, 0, 0, 0, Verdict.UNDECIDED, 7, TOKEN), "undecided every report"),
    ],
    ids=["none", "one", "many", "most", "perhaps", "open"],
)  # fmt: skip
def test_counts(double: Double, capsys: Screen, count: Count, told: str) -> None:
    """A count is a line that tells of every verdict, and of everybody else; undecided ends with 3."""
    double.answers |= {"count_resources": count, "count_subjects": count}
    code = 3 if count.undecided or count.everyone is Verdict.UNDECIDED else 0
    assert main(["what", "user:anna", "view", "report", "--count"]) == code
    assert capsys.readouterr().out == f"{told} (revision 7)\n"
    assert main(["who", "report:q3", "view", "group#member", "--count", "--json"]) == code
    shape = json.loads(capsys.readouterr().out)
    assert shape == {
        "yes": count.yes,
        "conditional": count.conditional,
        "undecided": count.undecided,
        "excluded": count.excluded,
        "everyone": count.everyone.value,
        "revision": 7,
        "token": TOKEN,
    }
    assert double.calls == [
        ("count_resources", ("user:anna", "view", "report"), {**BRINGS_NOTHING, "consistency": None}),
        (
            "count_subjects",
            ("report:q3", "view", "group"),
            {"relation": "member", **BRINGS_NOTHING, "consistency": None},
        ),
    ]


def test_options_that_contradict(double: Double, capsys: Screen) -> None:
    """A count has no pages, a userset has a relation, and a page has rows."""
    for wrong in (
        ["what", "user:anna", "view", "report", "--count", "--limit", "3"],
        ["who", "report:q3", "view", "user", "--count", "--cursor", "c"],
        ["who", "report:q3", "view", "group#"],
        ["what", "user:anna", "view", "report", "--limit", "0"],
    ):
        assert main(wrong) == 2
    assert double.calls == []
    assert "names no relation" in capsys.readouterr().err


HELD = Permissions(
    (
        Held("viewer", Verdict.NO, ()),
        Held("manage", Verdict.YES, ()),
        Held("view", Verdict.CONDITIONAL, ("ip",)),
        Held("left", Verdict.UNDECIDED, ()),
    ),
    7,
    TOKEN,
)


def test_permissions(double: Double, capsys: Screen) -> None:
    """Every relation and permission has a line with its verdict, in the schema's order; undecided ends with 3."""
    double.answers["permissions"] = HELD
    assert main(["permissions", "user:anna", "report:q3", "--at-least", TOKEN]) == 3
    assert capsys.readouterr().out.splitlines() == [
        "viewer  no",
        "manage  yes",
        "view    conditional, needs ip",
        "left    undecided: it depends on its own negation",
        "revision 7",
    ]
    assert double.calls == [
        ("permissions", ("user:anna", "report:q3"), {**BRINGS_NOTHING, "consistency": Consistency.at_least(TOKEN)})
    ]
    double.answers["permissions"] = Permissions(HELD.rows[:3], 7, TOKEN)
    assert main(["permissions", "user:anna", "report:q3", "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"name": "viewer", "verdict": "no", "missing": []},
        {"name": "manage", "verdict": "yes", "missing": []},
        {"name": "view", "verdict": "conditional", "missing": ["ip"]},
    ]


WORLD = """use universal
definition user {}
definition group { relation member: user | group#member }
definition report {
  relation owner: user | group#member with universal
  relation viewer: user | user:* | group#member
  relation banned: user | user with universal
  permission view = owner + viewer - banned
}
definition gate {
  relation keeper: user
  permission left = keeper - right
  permission right = keeper - left
}
"""
FACTS = (
    "group:eng#member@user:anna",
    "group:all#member@group:eng#member",
    "group:staff#member@user:root",
    "report:*#owner@group:staff#member",
    "report:a#viewer@group:all#member",
    "report:b#viewer@user:*",
    "report:b#banned@user:bob",
    "report:c#banned@user:root",
    "gate:one#keeper@user:anna",
)
LOOKUPS = {
    "what user:anna view report": ["report:a yes", "report:b yes"],
    "what user:root view report": ["report:* yes", "report:c no"],
    "what user:bob view report": [],
    "what group:eng#member view report": ["report:a yes"],
    "what user:anna left gate": ["gate:one undecided"],
    "who report:a view user": ["user:anna yes", "user:root yes"],
    "who report:b view user": ["user:* yes", "user:bob no"],
    "who report:a view group#member": ["group:all#member yes", "group:eng#member yes", "group:staff#member yes"],
    "who gate:one left user": ["user:anna undecided"],
}


@pytest.mark.parametrize("door", DOORS)
def test_pages_add_up_through_each_door(door: str, tmp_path: Path, capsys: Screen) -> None:
    """At every size of page, the pages of a lookup are its rows, once and in order, and its count counts them."""
    with behind(door, tmp_path, WORLD, FACTS) as at:
        for words, expected in LOOKUPS.items():
            rows: list[str] = []
            for limit in (None, 1, 2, 3):
                paged = [] if limit is None else ["--limit", str(limit)]
                rows = []
                cursor: list[str] = []
                while True:
                    main([*at, *words.split(), *paged, *cursor, "--json"])
                    shown = capsys.readouterr()
                    told = [json.loads(line) for line in shown.out.splitlines()]
                    rows += [f"{row.get('resource') or row['subject']} {row['verdict']}" for row in told]
                    if not shown.err:
                        break
                    assert len(told) == limit
                    cursor = ["--cursor", json.loads(shown.err)["cursor"]]
                assert rows == expected, (words, limit)
            main([*at, *words.split(), "--count", "--json"])
            count = json.loads(capsys.readouterr().out)
            others, named = [each for each in rows if ":* " in each], [each for each in rows if ":* " not in each]
            assert count["everyone"] == (others[0].split()[1] if others else "no")
            counts = {"yes": "yes", "undecided": "undecided", "no": "excluded", "conditional": "conditional"}
            for verdict, name in counts.items():
                assert count[name] == sum(each.endswith(f" {verdict}") for each in named)
        assert main([*at, "permissions", "user:anna", "report:a"]) == 0
        assert capsys.readouterr().out.splitlines()[:4] == ["owner   no", "viewer  yes", "banned  no", "view    yes"]
