"""How schemas differ, and what makes no difference."""

from __future__ import annotations

import pytest
from hypothesis import given

import relgraph
from relgraph.answers import ChangeKind, SchemaChange
from relgraph.errors import NoSchema, SchemaParseError
from relgraph.revision import Consistency
from relgraph.schema import parse, print_schema
from relgraph.schema.diff import diff
from tests.test_schema_fuzz import schemas

HEAD = "use grants\nuse typechecking\nuse expiration\ndefinition user {}\ndefinition service {}\n"


def changes(old: str, new: str) -> list[tuple[str, str, str, str]]:
    """Return the changes between two bodies of a definition `doc`, as (kind, name, old, new)."""
    found = diff(*(parse(f"{HEAD}definition doc {{\n{body}\n}}\n") for body in (old, new)))
    assert {each.type for each in found} <= {"doc"}
    return [(each.kind.value, each.name, each.old, each.new) for each in found]


BASE = "relation owner: user\nrelation viewer: user\npermission view = viewer + owner"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "relation owner: user", [("relation_added", "owner", "", "relation owner: user")]),
        ("relation owner: user", "", [("relation_removed", "owner", "relation owner: user", "")]),
        (
            "relation owner: user",
            "relation owner: service | user with expiration",
            [
                ("relation_kind_removed", "owner", "user", ""),
                ("relation_kind_added", "owner", "", "service"),
                ("relation_kind_added", "owner", "", "user with expiration"),
            ],
        ),
        (
            "relation owner: user",
            "relation owner: user\npermission view: user = owner",
            [("permission_added", "view", "", "permission view: user = owner")],
        ),
        (
            BASE,
            BASE.partition("\npermission")[0],
            [("permission_removed", "view", "permission view = viewer + owner", "")],
        ),
        (
            BASE,
            BASE.replace("viewer + owner", "viewer - owner"),
            [("permission_expression_changed", "view", "viewer + owner", "viewer - owner")],
        ),
        (
            BASE,
            BASE.replace("viewer + owner", "owner + viewer"),
            [("permission_expression_changed", "view", "viewer + owner", "owner + viewer")],
        ),
        (
            BASE,
            BASE.replace("permission view =", "permission view: user ="),
            [("annotation_changed", "view", "", "user")],
        ),
        (
            "relation owner: user\nrelation viewer: user",
            "relation owner: user\npermission viewer = owner",
            [("relation_became_permission", "viewer", "relation viewer: user", "permission viewer = owner")],
        ),
        (
            "relation owner: user\npermission viewer = owner",
            "relation owner: user\nrelation viewer: user",
            [("permission_became_relation", "viewer", "permission viewer = owner", "relation viewer: user")],
        ),
        (
            "relation owner: user",
            "// who made it\nrelation owner: user",
            [("doc_changed", "owner", "", "// who made it")],
        ),
        (BASE, f"{BASE}\ngrant viewer by view", [("grant_added", "viewer", "", "grant viewer by view")]),
        (
            f"{BASE}\ngrant viewer by view",
            f"{BASE}\ngrant viewer by owner",
            [("grant_changed", "viewer", "grant viewer by view", "grant viewer by owner")],
        ),
        (f"{BASE}\ngrant viewer by view", BASE, [("grant_removed", "viewer", "grant viewer by view", "")]),
    ],
)
def test_changes_of_a_definition(old: str, new: str, expected: list[tuple[str, str, str, str]]) -> None:
    """Each change of what stands in a definition is told by its kind, its name and both texts."""
    assert changes(old, new) == expected


@pytest.mark.parametrize(
    "new",
    [
        "relation viewer: user\nrelation owner: user\npermission view = viewer + owner",
        "permission view =\n  viewer +\n  (owner); relation owner: user\nrelation viewer: user",
        "relation owner: user // behind the line\nrelation viewer: user\npermission view = viewer + owner",
    ],
)
def test_what_makes_no_difference(new: str) -> None:
    """Order, spacing, needless parentheses and comments that are no doc make no difference."""
    assert changes(BASE, new) == []


def test_kinds_in_another_order_are_the_same() -> None:
    """The order of a relation's subject kinds makes no difference."""
    assert changes("relation owner: user | service", "relation owner: service | user") == []


def test_definitions_flags_and_ladders() -> None:
    """Definitions come and go whole; flags, ladders and docs of definitions are changes of their own."""
    old = parse("use universal\ndefinition user {}\ndefinition old {\n  // its\n  relation owner: user\n}\n")
    new = parse(
        "use roles\n// a person\ndefinition user {\n  relation boss: user\n  permission lead = boss\n}\n"
        "definition new {}\n"
    )
    ladder = parse(print_schema(new).replace("relation boss", "roles boss\n  relation boss"))
    owned = "definition old {\n  // its\n  relation owner: user\n}\n"
    assert diff(old, new) == (
        SchemaChange(ChangeKind.FLAG_REMOVED, "", "universal", "universal", ""),
        SchemaChange(ChangeKind.FLAG_ADDED, "", "roles", "", "roles"),
        SchemaChange(ChangeKind.DEFINITION_ADDED, "new", "", "", "definition new {}\n"),
        SchemaChange(ChangeKind.DEFINITION_REMOVED, "old", "", owned, ""),
        SchemaChange(ChangeKind.DOC_CHANGED, "user", "", "", "// a person"),
        SchemaChange(ChangeKind.RELATION_ADDED, "user", "boss", "", "relation boss: user"),
        SchemaChange(ChangeKind.PERMISSION_ADDED, "user", "lead", "", "permission lead = boss"),
    )
    assert diff(new, ladder) == (SchemaChange(ChangeKind.ROLES_CHANGED, "user", "", "", "boss"),)


def test_caveats() -> None:
    """Caveats come and go whole; parameters, types, expressions and docs are changes of their own."""
    old = parse("caveat late(hour int, day string) { hour > 5 && day == '' }\ncaveat gone(hour int) { hour > 5 }\n")
    new = parse("caveat fresh(hour int) { hour>5 }\n// it is\ncaveat late(at any, hour uint) {\n  at == hour\n}\n")
    assert diff(old, new) == (
        SchemaChange(ChangeKind.CAVEAT_ADDED, "fresh", "", "", "caveat fresh(hour int) {\n  hour>5\n}\n"),
        SchemaChange(ChangeKind.CAVEAT_REMOVED, "gone", "", "caveat gone(hour int) {\n  hour > 5\n}\n", ""),
        SchemaChange(ChangeKind.DOC_CHANGED, "late", "", "", "// it is"),
        SchemaChange(ChangeKind.CAVEAT_PARAMETER_ADDED, "late", "at", "", "any"),
        SchemaChange(ChangeKind.CAVEAT_PARAMETER_REMOVED, "late", "day", "string", ""),
        SchemaChange(ChangeKind.CAVEAT_PARAMETER_TYPE_CHANGED, "late", "hour", "int", "uint"),
        SchemaChange(ChangeKind.CAVEAT_EXPRESSION_CHANGED, "late", "", "hour > 5 && day == ''", "at == hour"),
    )
    turned = parse("caveat late(day string, hour int) { hour > 5 && day == '' }\ncaveat gone(hour int) { hour > 5 }\n")
    assert diff(old, turned) == ()


def test_two_grants_of_one_relation_are_told_apart() -> None:
    """The line for a relation and the line for its wildcard change separately."""
    body = "relation owner: user\nrelation viewer: user | user:*\ngrant viewer by owner"
    wild = "grant viewer to user:* by owner"
    assert changes(body, f"{body}\n{wild}") == [("grant_added", "viewer", "", wild)]


@given(old=schemas(), new=schemas())
def test_a_diff_is_empty_only_between_equals(old: str, new: str) -> None:
    """A schema differs in nothing from its canonical text, and from another one as that differs from it."""
    left, right = parse(old), parse(new)
    assert diff(left, parse(print_schema(left))) == ()
    there, back = diff(left, right), diff(right, left)
    assert there or print_schema(left) == print_schema(right)
    assert sorted((each.type, each.name, each.old, each.new) for each in there) == sorted(
        (each.type, each.name, each.new, each.old) for each in back
    )


def test_the_authorizer_compares_with_the_schema_in_force() -> None:
    """A text is compared with the schema in force, or with that of an older token, and nothing is written."""
    old, new = "definition user {}\n", "definition user {}\ndefinition doc {}\n"
    with relgraph.open("sqlite://") as authorizer:
        with pytest.raises(NoSchema):
            authorizer.diff_schema(new)
        first = authorizer.write_schema(old)
        (change,) = authorizer.diff_schema(new).changes
        assert change == SchemaChange(ChangeKind.DEFINITION_ADDED, "doc", "", "", "definition doc {}\n")
        assert authorizer.schema().text == old
        second = authorizer.write_schema(new)
        found = authorizer.diff_schema(old, consistency=Consistency.at_exactly(first.token))
        assert (found.changes, found.revision) == ((), first.revision)
        found = authorizer.diff_schema(old)
        assert ([each.kind for each in found.changes], found.revision) == (
            [ChangeKind.DEFINITION_REMOVED],
            second.revision,
        )
        with pytest.raises(SchemaParseError, match="line 1"):
            authorizer.diff_schema("definition")
