"""Schema texts that are refused: with which error, at which place, and in which words."""

from __future__ import annotations

import pytest

from relgraph.errors import SchemaParseError, SchemaTypeError
from relgraph.schema.reader import TEXT_BYTES_MAX
from tests.schema_kit import OWNER, USER, check, doc, refusal

GRAMMAR = [
    ("defnition user {}", 1, 1, "did you mean `definition`?"),
    ("definition", 1, 11, "expected a name after `definition`, found the end of the text"),
    ("definition relation {}", 1, 12, "`relation` is a keyword"),
    ("definition user\n{}", 1, 16, "expected `{` on the same line, found the end of the line"),
    ("definition user {", 1, 17, "never closed"),
    ("definition us {}", 1, 12, "`us` cannot name a type; use 3 to 64"),
    ("definition User {}", 1, 12, "`User` cannot name a type"),
    ("definition org/u {}", 1, 12, "`org/u` cannot name a type"),
    ("definition user {}\ndefinition user {}", 2, 12, "`user` is defined twice, first in line 1"),
    ("definition user {}}", 1, 19, "expected `definition`, `caveat` or `use`, found `}`"),
    ("definition user {} $", 1, 20, "`$` has no meaning in a schema"),
    ("definition user {}\n  /* open", 2, 3, "never closed, write `*/`"),
    ("definition user {} \ud800", 1, 20, "surrogate"),
    ("use rolls\n", 1, 5, "`rolls` is not a flag, did you mean `roles`?"),
    ("use\nroles", 1, 4, "expected a flag after `use`"),
    (f"{USER}use roles", 2, 1, "`use` must stand before the first definition"),
    (doc("relation ab: user"), 3, 10, "`ab` cannot name a relation"),
    (doc("relation owner"), 3, 15, "expected `:`"),
    (doc("relation owner:", "}"), 4, 1, "expected a subject type, found `}`"),
    (doc("relation owner: user |", "|"), 4, 1, "expected a subject type, found `|`"),
    (doc("relation owner: user", "| user:*"), 4, 1, "a line cannot start with `|`"),
    (doc("relation owner: user:anna"), 3, 22, "expected `*` after `:`, found `anna`"),
    (doc("relation owner: user:*#owner"), 3, 23, "a wildcard covers plain objects only"),
    (doc("relation owner: doc#owner:*"), 3, 26, "a userset takes no wildcard"),
    (doc("relation owner: user#"), 4, 1, "expected the name of a relation or permission after `#`"),
    (doc("relation owner: user relation viewer: user"), 3, 22, "expected the end of the line or `;`, found `relation`"),
    (doc("relation nil: user"), 3, 10, "`nil` is a keyword"),
    (doc("relashun owner: user"), 3, 1, "did you mean `relation`?"),
    (doc("user"), 3, 1, "expected `relation`, `permission` or `}`, found `user`"),
    (doc("permission view"), 3, 16, "expected `=`"),
    (doc("permission view ="), 4, 1, "expected the name of a relation or permission, or `(`, found `}`"),
    (doc(OWNER, "permission view = owner +"), 5, 1, "found `}`"),
    (doc(OWNER, "permission view = owner", "+ owner"), 5, 1, "a line cannot start with `+`"),
    (doc(OWNER, "permission view = (owner"), 4, 25, "expected `)` or an operator, found the end of the line"),
    (doc(OWNER, "permission view = owner)"), 4, 24, "expected the end of the line or `;`, found `)`"),
    (doc(OWNER, "permission view = owner owner"), 4, 25, "found `owner`"),
    (doc(OWNER, "permission view = ()"), 4, 20, "found `)`"),
    (doc(OWNER, "permission view = owner->owner->owner"), 4, 31, "arrows cannot follow one another; give the type"),
    (doc(OWNER, "permission view = owner.any(owner).any(owner)"), 4, 35, "arrows cannot follow one another"),
    (doc(OWNER, "permission view = owner->owner.all(owner)"), 4, 31, "arrows cannot follow one another"),
    (doc(OWNER, "permission view = (owner)->owner"), 4, 19, "the left side of an arrow is one relation"),
    (doc(OWNER, "permission view = owner->(owner)"), 4, 26, "the right side of an arrow is one name"),
    (doc(OWNER, "permission view = owner->X"), 4, 26, "`X` cannot name a relation"),
    (
        doc(OWNER, "permission view = owner.some(owner)"),
        4,
        25,
        "`some` is not an arrow function, known here: `all`, `any`",
    ),
    (doc(OWNER, "permission view = owner.al(owner)"), 4, 25, "not an arrow function, did you mean `all`?"),
    (doc(OWNER, "permission view = owner.any owner"), 4, 29, "expected `(` after `any`"),
    (doc(OWNER, "permission view = owner.all(owner"), 4, 34, "expected `)`, found the end of the line"),
    (doc(OWNER, "permission view = owner.all(nil)"), 4, 29, "`nil` is a keyword"),
    (doc("permission view = nil->owner"), 3, 19, "the left side of an arrow is a relation, and `nil` is none"),
    (doc("permission view = self.all(owner)", flags="use self\n"), 4, 19, "and `self` is none"),
    (doc("relation self: user", flags="use self\n"), 4, 10, "`self` is a keyword under `use self`, choose another"),
    (doc("relation and: user", flags="use expiration\n"), 4, 10, "`and` is a keyword under `use expiration`"),
    (doc("relation owner: user with", flags="use expiration\n"), 4, 26, "expected a name after `with`, found the end"),
    (doc("relation owner: user with expiration and", flags="use expiration\n"), 4, 41, "expected a name after `and`"),
    (doc("relation owner: user with expiration and expiration", flags="use expiration\n"), 4, 42, "stands twice"),
    (
        doc("relation owner: user with universal and expiration", flags="use expiration use universal\n"),
        4,
        37,
        "`universal` comes last",
    ),
    (doc("roles owner"), 3, 1, "write `use roles` before the first definition"),
    (doc("grant owner by owner"), 3, 1, "write `use grants` before the first definition"),
    (doc("...common"), 3, 1, "write `use partial` before the first definition"),
    ("partial common {}", 1, 1, "a partial needs a flag, write `use partial` before it"),
    ('import "x.zed"', 1, 1, "`import` needs a flag, write `use import` before it"),
    ('use import\nimport "x.zed"', 2, 1, "a schema sent as one text imports nothing; `relgraph schema write FILE`"),
    ("use import import x", 1, 19, "expected a path in quotes after `import`, found `x`"),
    ("use import import 'x", 1, 19, "this quotation mark has no partner in its line"),
    ('definition "user" {}', 1, 12, "expected a name after `definition`"),
    ("use partial\npartal common {}", 2, 1, "did you mean `partial`?"),
    ("use self\nuse self\nuse selv", 3, 5, "`selv` is not a flag, did you mean `self`?"),
    (doc(OWNER, "permission view: user | = owner"), 4, 25, "expected a type of subjects, found `=`"),
    (doc(OWNER, "permission view: doc#owner = owner"), 4, 21, "an annotation names types alone, write `doc`"),
    (doc(OWNER, "permission view: user owner"), 4, 23, "expected `=` and an expression, found `owner`"),
    (doc("roles", flags="use roles\n"), 4, 6, "expected the name of a relation or permission in `roles`"),
    (doc("roles owner, view", flags="use roles\n"), 4, 12, "expected `>` between the names"),
    (doc("relation owner: user with universal and more", flags="use universal\n"), 4, 37, "`universal` comes last"),
]

MEANING = [
    (doc(OWNER, OWNER), 4, 10, "`owner` stands twice in `doc`, first in line 3"),
    (doc(OWNER, "permission owner = owner"), 4, 12, "`owner` stands twice"),
    (doc("relation owner: user | doc | user"), 3, 30, "`user` stands twice in `owner`"),
    (doc("relation owner: user | user#..."), 3, 24, "`user` stands twice in `owner`"),
    (
        doc("relation owner: user with expiration | user | user with expiration", flags="use expiration\n"),
        4,
        47,
        "`user with expiration` stands twice in `owner`",
    ),
    (doc("relation owner: usr"), 3, 17, "`usr` is not a definition, did you mean `user`?"),
    (doc("relation owner: doc#ownr"), 3, 21, "`ownr` is not a relation or permission of `doc`, did"),
    (doc("relation owner: user#owner"), 3, 22, "`owner` is not a relation or permission of `user`"),
    (
        doc("relation one: user:*") + "definition more { relation two: doc#one }",
        5,
        33,
        "`doc#one` contains a wildcard (`user:*` in `doc#one`)",
    ),
    (
        doc("relation two: doc#one", "relation one: user:*") + "definition more { relation six: doc#two }",
        6,
        33,
        "`doc#two` contains a wildcard (`user:*` in `doc#one`)",
    ),
    (doc(OWNER, "permission view = ownr"), 4, 19, "of `doc`, did you mean `owner`?"),
    (doc(OWNER, "permission view = owner + (owner & nobody)"), 4, 36, "`nobody` is not a relation or permission"),
    (doc(OWNER, "permission view = ownr->view"), 4, 19, "`ownr` is not a relation or permission of `doc`"),
    (doc(OWNER, "permission view = ownr.all(view)"), 4, 19, "`ownr` is not a relation or permission of `doc`"),
    (doc(OWNER, "permission edit = owner", "permission view = edit->view"), 5, 19, "`edit` is a permission, name a"),
    (doc(OWNER, "permission edit = owner", "permission view = edit.all(view)"), 5, 19, "`edit` is a permission, name"),
    (doc("relation owner: user:*", "permission view = owner->view"), 4, 19, "an arrow cannot start at `owner`"),
    (doc("relation owner: user:*", "permission view = owner.all(view)"), 4, 19, "an arrow cannot start at `owner`"),
    (doc("permission view = view"), 3, 12, "`view` = `view` goes in a circle"),
    (doc("permission one = (two)", "permission two = one"), 3, 12, "`one` = `two` = `one` goes in a circle"),
    (doc("permission zero = one", "permission one = two", "permission two = one"), 4, 12, "`one` = `two` = `one`"),
    (doc(OWNER, "permission view: usr = owner", flags="use typechecking\n"), 5, 18, "did you mean `user`?"),
    (
        doc(OWNER, "relation parent: doc", "permission view: doc = owner + parent", flags="use typechecking\n"),
        6,
        18,
        "`view` also leads to `user`, which its annotation leaves out, add `| user`",
    ),
    (
        doc(OWNER, "relation team: doc#owner | doc", "permission view: user = team", flags="use typechecking\n"),
        6,
        18,
        "`view` also leads to `doc`",
    ),
    (
        doc(
            OWNER,
            "relation parent: doc",
            "permission view: doc = self - parent.all(view) - parent->owner",
            flags="use typechecking use self\n",
        ),
        6,
        18,
        "`view` also leads to `user`",
    ),
    (doc("permission view: user = self", flags="use typechecking use self\n"), 4, 18, "`view` also leads to `doc`"),
    (doc(OWNER, "roles owner", "roles owner", flags="use roles\n"), 6, 1, "has a `roles` line already, in line 5"),
    (doc(OWNER, "roles ownr", flags="use roles\n"), 5, 7, "did you mean `owner`?"),
    (doc(OWNER, "roles owner > owner", flags="use roles\n"), 5, 15, "`owner` stands twice on the ladder"),
    (
        doc(OWNER, "relation view: user", "roles owner > view", flags="use roles\n"),
        6,
        15,
        "write `permission view = owner + …`",
    ),
    (
        doc(OWNER, "permission view = owner", "roles owner > view", flags="use roles\n"),
        6,
        15,
        "`view` is not a union that names `owner`",
    ),
    (
        doc(OWNER, "permission view = (owner + view) - owner", "roles owner > view", flags="use roles\n"),
        6,
        15,
        "is not a union that names `owner`",
    ),
    (
        doc(OWNER, "permission view = (owner & view) + owner->owner", "roles owner > view", flags="use roles\n"),
        6,
        15,
        "is not a union that names `owner`",
    ),
]


@pytest.mark.parametrize(("text", "line", "column", "part"), GRAMMAR)
def test_grammar(text: str, line: int, column: int, part: str) -> None:
    """What breaks the grammar is a SchemaParseError at its place, naming what belongs there."""
    check(SchemaParseError, text, line, column, part)


@pytest.mark.parametrize(("text", "line", "column", "part"), MEANING)
def test_meaning(text: str, line: int, column: int, part: str) -> None:
    """What parses but does not hold together is a SchemaTypeError at its place."""
    check(SchemaTypeError, text, line, column, part)


def test_caret() -> None:
    """The message shows the line and puts a caret under each character of the word."""
    assert refusal(doc("relation viewer: user", "  permission view = viewr")).message == (
        "line 4, column 21: `viewr` is not a relation or permission of `doc`, did you mean `viewer`?\n"
        "  permission view = viewr\n"
        "                    ^^^^^"
    )


def test_caret_with_tabs_and_wide_characters() -> None:
    """Tabs are shown as spaces, wide and control characters keep the caret in place; the column counts characters."""
    _, shown, caret = refusal(doc(f"\t{OWNER}", "\t/*漢\x1b*/\tpermission view = nobody")).message.split("\n")
    assert shown == "  /*漢�*/    permission view = nobody"
    assert caret == "  " + " " * 29 + "^^^^^^"


def test_caret_of_an_arrow_is_its_left_side() -> None:
    """Where an arrow's left side is at fault, the caret marks that alone."""
    assert refusal(doc(OWNER, "permission view = ownr->owner")).message.endswith("\n  " + " " * 18 + "^^^^")


def test_long_line_is_cut() -> None:
    """Of a very long line only the part around the fault is shown."""
    _, shown, caret = refusal(doc(OWNER, "permission view = " + "owner + " * 1000 + "nobody")).message.split("\n")
    assert len(shown) < 200
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "nobody"


@pytest.mark.parametrize("text", ["(" * 101 + "owner" + ")" * 101, "owner" + " - owner" * 101, "(" * 100_000])
def test_nesting_limit(text: str) -> None:
    """Deeper nesting than the limit is an error that says so, however deep."""
    assert "nested more than 100 deep" in refusal(doc(OWNER, f"permission view = {text}")).message


def test_size_limit() -> None:
    """A text over the limit is refused before it is read."""
    found = refusal("/" * (TEXT_BYTES_MAX + 1))
    assert isinstance(found, SchemaParseError)
    assert f"at most {TEXT_BYTES_MAX}" in found.message


def test_size_limit_counts_bytes() -> None:
    """The limit counts bytes of UTF-8, not characters."""
    assert "at most" in refusal("//" + "é" * (TEXT_BYTES_MAX // 2)).message
