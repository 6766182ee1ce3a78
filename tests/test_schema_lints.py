"""What lints find, what they leave alone, and how they are silenced."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from relgraph.rewrites import Span
from relgraph.schema import Definition, Schema, parse
from relgraph.schema.lints import IGNORE_WITHOUT_EFFECT, LINTS, Finding, lint
from relgraph.schema.model import Grant

USERS = "definition user {}\ndefinition service {}\ndefinition group { relation member: user | group#member }\n"
FOLDER = """\
definition folder {
  relation owner: user
  relation banned: user
  relation parent: folder
  permission view = owner
}
"""


def found(text: str) -> list[str]:
    """Return what the lints find in a text, each as `name type#name`."""
    return [f"{each.lint} {each.type}#{each.name}".rstrip(" #") for each in lint(parse(text))]


def doc(body: str) -> str:
    """Return a schema with a definition `doc` of these lines."""
    return f"use self\nuse universal\n{USERS}{FOLDER}definition doc {{\n{body}\n}}\n"


def test_a_good_schema_has_no_findings() -> None:
    """A schema of relations, permissions, inheritance and exclusion by named users has nothing to complain about."""
    body = (
        "relation parent: folder\nrelation viewer: user | group#member\nrelation banned: user\n"
        "permission view = viewer + parent->view - banned"
    )
    assert found(doc(body)) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("relation viewer: user\npermission view_doc = viewer", ["relation-name-references-parent doc#view_doc"]),
        ("relation doc: user", ["relation-name-references-parent doc#doc"]),
        ("relation documents: user", []),
        (
            "relation viewer: user\npermission view = viewer + (view & viewer)",
            ["permission-references-itself doc#view"],
        ),
        ("relation parent: doc\nrelation viewer: user\npermission view = viewer + parent->view", []),
        ("relation parent: folder\npermission view = parent->owner", ["arrow-references-relation doc#view"]),
        ("relation parent: doc\nrelation viewer: user\npermission view = viewer + parent->viewer", []),
        (
            "relation team: group#member\nrelation viewer: user\npermission view = viewer + team.all(member)",
            ["arrow-references-relation doc#view", "arrow-walks-subject-relation doc#view"],
        ),
        (
            "relation parent: folder\nrelation viewer: user\npermission view = viewer + parent->read",
            ["arrow-references-unreachable-relation doc#view"],
        ),
        ("relation parent: folder | service\npermission view = parent->view", []),
    ],
)
def test_spicedbs_lints(body: str, expected: list[str]) -> None:
    """SpiceDB's five find what SpiceDB's do, and leave inheritance within one type alone."""
    assert found(doc(body)) == expected


def test_a_prefix_does_not_hide_a_repeated_name() -> None:
    """Of a type with a prefix, the last part counts as its name."""
    text = "definition user {}\ndefinition acme/doc {\n  relation viewer: user\n  permission view_doc = viewer\n}\n"
    assert found(text) == ["relation-name-references-parent acme/doc#view_doc"]


ONE_OF_EACH = "relation ada: user\nrelation bob: service\nrelation cyd: user | service\nrelation parent: folder\n"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("nil", "`nil` is nobody"),
        ("ada & bob", "no type of subject is in all of `ada` (user), `bob` (service)"),
        ("(ada + cyd) & (bob - ada)", None),
        ("ada & nil", "`nil` is nobody"),
        ("nil - ada", "`nil` is nobody"),
        ("ada - ada", "`ada` takes away all of `ada`"),
        ("ada - (cyd + ada)", "`cyd + ada` takes away all of `ada`"),
        ("ada - bob", None),
        ("(ada & bob) + nil", "no type of subject is in all of `ada` (user), `bob` (service)"),
        ("ada & bob & cyd", "no type of subject is in all of `ada` (user), `bob` (service), `cyd` (service user)"),
        ("ada & cyd", None),
        ("self", None),
        ("self & ada", "no type of subject is in all of `self` (doc), `ada` (user)"),
        ("out & (out + nil)", "`out` holds for nobody"),
        ("parent->nothing", "nothing that `parent` takes has `nothing`"),
        ("parent.all(nothing) & ada", "nothing that `parent` takes has `nothing`"),
        ("parent->view", None),
        ("parent.all(view)", None),
    ],
)
def test_permissions_that_never_hold(expression: str, reason: str | None) -> None:
    """A permission that no plain subject can hold is told with the part that decides it, and no other is."""
    text = doc(f"{ONE_OF_EACH}permission out = {expression}")
    messages = [each.message for each in lint(parse(text)) if each.lint == "permission-never-holds"]
    if reason is None:
        assert messages == []
    else:
        (message,) = messages
        assert f": {reason}; mend its expression" in message


@pytest.mark.parametrize(("third", "findings"), [("ada", 0), ("anyone", 1)])
def test_no_order_of_an_intersection_hides_who_stops_strangers(third: str, findings: int) -> None:
    """Strangers pass an exclusion of named users only where every other side of the intersection lets them pass."""
    lines = "relation ada: user\nrelation anyone: user:*\nrelation guest: user | user:*\n"
    for sides in permutations(["(anyone - ada)", "guest", third]):
        text = doc(f"{lines}permission view = {' & '.join(sides)}")
        assert found(text) == ["wildcard-under-exclusion doc#view"] * findings


def test_emptiness_travels() -> None:
    """What leans on a permission that never holds, through names, arrows and usersets, never holds either."""
    text = (
        "definition user {}\n"
        "definition team {\n  relation member: team#member\n  permission inn = member\n}\n"
        "definition doc {\n  relation team: team\n  relation viewer: team#inn\n"
        "  permission ada = team->inn\n  permission bob = viewer + ada\n}\n"
    )
    never = [each for each in lint(parse(text)) if each.lint == "permission-never-holds"]
    assert [(each.type, each.name) for each in never] == [("team", "inn"), ("doc", "ada"), ("doc", "bob")]
    assert "`inn` holds for nobody on what `team` takes" in never[1].message


def test_a_group_that_can_be_filled_is_no_alarm() -> None:
    """A relation that takes its own userset besides plain users can hold."""
    assert found(doc("relation viewer: group#member\npermission view = viewer")) == []


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ("relation vip: user | user:*\nrelation out: user\npermission may = vip - out", [("vip", "every `user`")]),
        ("relation vip: user\nrelation out: user:*\npermission may = vip - out", [("out", "by a single tuple")]),
        (
            "relation vip: user:*\nrelation out: user:* | service:*\npermission may = vip - out",
            [("vip", "every `user`"), ("out", "every `service` and every `user`")],
        ),
        ("relation vip: user:*\nrelation win: user\nrelation out: user\npermission may = (vip & win) - out", []),
        ("relation vip: user:*\nrelation win: user\nrelation out: user\npermission may = win & (vip - out)", []),
        (
            "relation vip: user:*\nrelation win: user:*\nrelation out: user\npermission may = win & (vip - out)",
            [("vip", "every")],
        ),
        (
            "relation vip: user:*\nrelation win: user\nrelation out: user\npermission may = win - (vip - out)",
            [("vip - out", "single")],
        ),
        (
            "relation vip: user:*\nrelation out: user\npermission can = vip + out\npermission may = can - out",
            [("can", "every `user`")],
        ),
        ("relation vip: user:*\npermission may = vip", []),
        (
            "relation vip: user:* with universal\nrelation out: user\npermission may = vip - out",
            [("vip", "every `user`")],
        ),
    ],
)
def test_wildcards_under_exclusion(body: str, places: list[tuple[str, str]]) -> None:
    """Either side of a `-` that can hold for everyone is found, unless strangers do not get that far."""
    text = doc(body)
    findings = [each for each in lint(parse(text)) if each.lint == "wildcard-under-exclusion"]
    lines = text.split("\n")
    shown = []
    for finding, (part, words) in zip(findings, places, strict=True):
        shown.append(lines[finding.line - 1][finding.column - 1 :].lstrip("(")[: len(part)])
        assert words in finding.message
    assert shown == [part for part, _ in places]


@pytest.mark.parametrize(
    ("body", "found_at"),
    [
        ("permission may = vip - parent->may", "may → doc#may"),
        ("permission may = vip - can\npermission can = vip + may", "doc#may → doc#can → doc#may"),
        ("permission may = vip - (win - parent->may)", "may → doc#may"),
        ("permission may = vip + parent->may - win", ""),
        ("permission may = vip - can\npermission can = win + parent->can", ""),
        ("permission may = parent->can - win\npermission can = vip", ""),
    ],
)
def test_recursion_through_exclusion(body: str, found_at: str) -> None:
    """What is subtracted and leads back, directly or around, is found with its way; plain recursion is not."""
    text = doc(f"relation parent: doc\nrelation vip: user\nrelation win: user\n{body}")
    messages = [each.message for each in lint(parse(text)) if each.lint == "recursion-through-exclusion"]
    assert len(messages) == bool(found_at)
    assert all(found_at in message for message in messages)


def test_a_long_way_is_cut() -> None:
    """In a circle of many permissions the way is told by its first step alone, and each of them is found."""
    circle = "".join(f"permission step{i} = vip - step{(i + 1) % 30}\n" for i in range(30))
    findings = lint(parse(doc(f"relation vip: user\n{circle}")))
    assert [each.lint for each in findings] == ["recursion-through-exclusion"] * 30
    assert "(doc#step0 → doc#step1 → … → doc#step0)" in findings[0].message


def test_a_tupleset_is_no_recursion() -> None:
    """An arrow from a relation that takes usersets of the permission itself reads tuples, and does not recur."""
    body = "relation parent: doc#view | folder\nrelation vip: user\npermission view = vip - (vip & parent->owner)"
    assert not any("recursion" in each for each in found(doc(body)))


def granted(text: str, type_: str, *grants: Grant) -> Schema:
    """Return the schema of a text with these grants on one definition."""
    schema = parse(text)
    definitions: dict[str, Definition] = dict(schema.definitions)
    definitions[type_] = replace(definitions[type_], grants=grants)
    return Schema(definitions, schema.text, schema.flags)


@pytest.mark.parametrize(
    ("right", "safe"),
    [
        ("moderator", False),
        ("moderator - banned", True),
        ("(moderator + owner) - (banned + muted)", True),
        ("moderator - (banned & muted)", False),
        ("moderator - taken", True),
        ("(moderator - banned) + owner", False),
        ("(moderator - banned) & owner", True),
        ("trusted", True),
        ("moderator + parent->view", False),
        ("owner - (moderator - banned)", False),
        ("nil", True),
    ],
)
def test_grants_on_subtracted_relations(right: str, safe: bool) -> None:
    """A grant on what is subtracted is safe only where nobody that it is held against has the right."""
    body = (
        "relation moderator: user\nrelation owner: user\nrelation muted: user\nrelation banned: user\n"
        "relation parent: folder\npermission taken = banned + muted\npermission trusted = moderator - taken\n"
        f"permission view = owner - banned\npermission moderate = {right}"
    )
    schema = granted(doc(body), "doc", Grant("banned", "moderate", Span(20, 1, 1)))
    messages = [each.message for each in lint(schema) if each.lint == "grant-on-subtracted-relation"]
    assert len(messages) == (0 if safe else 1)
    assert all("`banned` is subtracted in `doc#trusted`" in message for message in messages)


def test_subtracted_elsewhere() -> None:
    """A relation that another definition subtracts by an arrow counts; what is subtracted twice gives back."""
    body = (
        "relation parent: folder\nrelation vip: user\nrelation exempt: user\n"
        "permission may = vip - (parent->banned - exempt)"
    )
    by_owner = Grant("banned", "owner", Span(8, 1, 1))
    elsewhere = lint(granted(doc(body), "folder", by_owner))
    assert [each.lint for each in elsewhere] == ["grant-on-subtracted-relation", "arrow-references-relation"]
    assert lint(granted(doc(body), "doc", Grant("exempt", "vip", Span(15, 1, 1)))) == lint(parse(doc(body)))


@pytest.mark.parametrize(
    ("right", "safe"),
    [
        ("moderator", False),
        ("moderator - parent->banned", True),
        ("moderator - held", True),
        ("moderator - parent.all(banned)", False),
        ("moderator - parent->muted", False),
        ("(moderator - parent->banned) + owner", False),
    ],
)
def test_grants_on_the_way_to_what_is_subtracted(right: str, safe: bool) -> None:
    """Whoever may write the start of an arrow behind a `-` could move away from what is held against him there."""
    body = (
        "relation moderator: user\nrelation owner: user\nrelation parent: folder\npermission held = parent->banned\n"
        f"permission view = moderator - held\npermission moderate = {right}"
    )
    schema = granted(doc(body), "doc", Grant("parent", "moderate", Span(20, 1, 1)))
    messages = [each.message for each in lint(schema) if each.lint == "grant-on-subtracted-relation"]
    assert ([] if safe else ["`parent->banned` is subtracted in `doc#view`"]) == [
        each.partition(", and ")[0] for each in messages if "parent->banned` is" in each
    ]


def test_a_finding_shows_its_place() -> None:
    """A finding tells line and column, shows the line and puts a caret under each character."""
    (finding,) = lint(parse("definition user {}\ndefinition doc {\n  relation doc: user\n}\n"))
    assert finding == Finding(
        "relation-name-references-parent",
        "`doc` repeats the name of its type `doc`, which is always known; say what the subject is to it",
        3,
        12,
        "  relation doc: user\n           ^^^",
        "doc",
        "doc",
    )


@pytest.mark.parametrize(
    "prefix", ["// spicedb-ignore-warning: ", "// relgraph-ignore-warning: ", "//relgraph-ignore-warning:"]
)
@pytest.mark.parametrize("reason", ["", " because the name is old"])
def test_silencing(prefix: str, reason: str) -> None:
    """A comment before a relation or permission silences one lint for it alone."""
    name = "relation-name-references-parent"
    body = f"// who reads it\n{prefix}{name}{reason}\nrelation read_doc: user\nrelation write_doc: user"
    assert found(doc(body)) == [f"{name} doc#write_doc"]
    other = f"{prefix}permission-never-holds{reason}\nrelation read_doc: user"
    assert found(doc(other)) == [f"{name} doc#read_doc"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            "// spicedb-ignore-warning: permission-never-hold\nrelation vip: user",
            "did you mean `permission-never-holds`",
        ),
        ("// relgraph-ignore-warning:\nrelation vip: user", "behind a colon"),
        ("// relgraph-ignore-warning permission-never-holds\nrelation vip: user", "behind a colon"),
        ("relation vip: user // relgraph-ignore-warning: permission-never-holds\n", "stands before none"),
        ("relation vip: user\n// relgraph-ignore-warning: permission-never-holds\n", "stands before none"),
    ],
)
def test_a_comment_that_silences_nothing(body: str, words: str) -> None:
    """A comment that names no lint, or stands before no relation or permission, is found where it stands."""
    (finding,) = lint(parse(doc(body)))
    assert (finding.lint, finding.type, finding.name) == (IGNORE_WITHOUT_EFFECT, "", "")
    assert words in finding.message
    assert "ignore-warning" in finding.excerpt


def test_every_lint_has_a_test_here() -> None:
    """No lint is listed that the texts above do not bring about."""
    text = doc(
        "relation parent_doc: folder\nrelation team: group#member\nrelation vip: user:*\nrelation out: user\n"
        "permission ada = parent_doc->owner + team->none\npermission bob = nil\npermission cyd = vip - (out + cyd)"
    )
    with_grant = granted(text, "doc", Grant("out", "vip", Span(15, 1, 1)))
    assert {each.lint for each in lint(with_grant)} == set(LINTS)
