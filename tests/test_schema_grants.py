"""Grant lines: what the model keeps of them, and which are refused."""

from __future__ import annotations

import pytest

from relgraph.errors import SchemaParseError, SchemaTypeError
from relgraph.schema import parse, print_schema
from tests.schema_kit import check

HEAD = (
    "use grants\nuse roles\ndefinition user {\n  permission administer = nil\n}\ndefinition group {\n"
    "  relation member: user\n}\ndefinition doc {\n"
    "  relation owner: user\n  relation viewer: user | user:* | group#member\n  relation parent: doc | user\n"
    "  relation open: user:* with universal\n  permission administer = owner\n"
)


def doc(*lines: str, flags: str = "use universal\n") -> str:
    """Return a schema whose last definition, a `doc`, ends in these lines, the first of them in line 16."""
    return flags + HEAD + "".join(f"  {line}\n" for line in lines) + "}\n"


def test_kept() -> None:
    """A schema keeps one grant a relation, and one more for its wildcard, in text order."""
    schema = parse(
        doc(
            "grant viewer, owner by administer",
            "grant viewer to user:* by owner",
            "grant parent by administer and subject administer",
        )
    )
    assert [
        (grant.relation, grant.wildcard, grant.permission, grant.subject_permission, grant.at.line)
        for grant in schema.definitions["doc"].grants
    ] == [
        ("viewer", "", "administer", "", 16),
        ("owner", "", "administer", "", 16),
        ("viewer", "user", "owner", "", 17),
        ("parent", "", "administer", "administer", 18),
    ]
    assert schema.definitions["user"].grants == ()


def test_printed() -> None:
    """Each grant is printed as a line of its own."""
    text = doc(
        "grant viewer,\n owner by administer; grant viewer to user:* by owner", "grant parent by owner and subject"
    )
    text = text.replace("and subject", "and subject administer")
    assert print_schema(parse(text)).endswith(
        "  permission administer = owner\n"
        "  grant viewer by administer\n"
        "  grant owner by administer\n"
        "  grant viewer to user:* by owner\n"
        "  grant parent by owner and subject administer\n}\n"
    )


def test_words_of_the_line_are_names_elsewhere() -> None:
    """The words of a grant line are no keywords, and one that another flag reserves serves all the same."""
    text = "use expiration\n" + doc("relation grant: user", "relation subject: user", "grant grant by subject")
    grants = parse(f"{text[:-2]}  grant parent by subject and subject administer\n}}").definitions["doc"].grants
    assert [(grant.relation, grant.permission) for grant in grants] == [("grant", "subject"), ("parent", "subject")]


GRAMMAR = [
    ("grant", 8, "expected the name of a relation after `grant`, found the end of the line"),
    ("grant owner, by administer", 19, "expected `by` and the permission that an actor needs, found `administer`"),
    ("grant owner administer", 15, "expected `by`"),
    ("grant owner by", 17, "expected the name of a relation or permission after `by`"),
    ("grant owner by administer and owner", 33, "expected `subject`"),
    ("grant owner by administer and subject", 40, "expected the name of a relation or permission after `subject`"),
    ("grant viewer to user by administer", 19, "`to` is for wildcards alone, write `user:*` or leave it out"),
    ("grant viewer to user:anna by administer", 24, "expected `*` after `:`"),
    ("grant viewer to user:* by administer and subject administer", 40, "leave `and subject …` out"),
    ("grant owner by administer owner", 29, "expected the end of the line or `;`"),
    ("grunt owner by administer", 3, "did you mean `grant`?"),
]

MEANING = [
    ("grant ownr by administer", 9, "`ownr` is not a relation of `doc`, did you mean `owner`?"),
    ("grant owner, administer by owner", 16, "`administer` is a permission, which is computed and never written"),
    ("grant owner by admin", 18, "`admin` is not a relation or permission of `doc`, did you mean `administer`?"),
    ("grant owner by owner; grant owner by administer", 31, "`owner` has a `grant` line already, in line 16"),
    ("grant owner, owner by administer", 16, "`owner` has a `grant` line already"),
    (
        "grant viewer to user:* by owner; grant viewer to user:* by administer",
        42,
        "`user:*` in `viewer` has a `grant` line already, in line 16",
    ),
    ("grant viewer to usr:* by owner", 19, "`usr` is not a definition, did you mean `user`?"),
    ("grant owner to user:* by owner", 18, "`owner` takes no `user:*` on one object"),
    ("grant viewer to group:* by owner", 19, "`viewer` takes no `group:*` on one object"),
    ("grant open to user:* by owner", 17, "`open` takes no `user:*` on one object"),
    (
        "grant viewer by owner and subject administer",
        37,
        "`administer` is not a relation or permission of `group`, which `viewer` takes as well, known here: `member`",
    ),
    ("grant open by owner", 9, "which this line lets no actor write; remove it"),
    (
        "relation all_users: user:* | user with universal; grant all_users by owner",
        59,
        "lets no actor write; write `grant all_users to user:* by owner`",
    ),
    ("grant parent by owner and subject owner", 37, "`owner` is not a relation or permission of `user`"),
]


@pytest.mark.parametrize(("line", "column", "part"), GRAMMAR)
def test_grammar(line: str, column: int, part: str) -> None:
    """A grant line that breaks the grammar is a SchemaParseError at its place."""
    check(SchemaParseError, doc(line), 16, column, part)


@pytest.mark.parametrize(("line", "column", "part"), MEANING)
def test_meaning(line: str, column: int, part: str) -> None:
    """A grant that names what is not there, or could never serve anybody, is a SchemaTypeError at its place."""
    check(SchemaTypeError, doc(line), 16, column, part)
