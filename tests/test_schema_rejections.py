"""What SpiceDB rejects, in the order in which its parser and its type system say so: none of it is accepted here.

Three of its reasons concern caveats, which are refused as a whole, and one the prefixes of names, which nobody needs
here. Imports from files are refused in `test_schema_compose.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from relgraph.errors import RelgraphError, SchemaParseError, SchemaTypeError, Unsupported
from tests.schema_kit import OWNER, USER, check, doc


class Rejected(NamedTuple):
    """A text, and the error, the place and some of the words that it must be refused with."""

    text: str
    error: type[RelgraphError]
    line: int
    column: int
    part: str


OPEN = "relation open: user:*"

REASONS = {
    "a syntax error": Rejected("definition user {", SchemaParseError, 1, 17, "never closed"),
    "an unknown flag": Rejected("use time", SchemaParseError, 1, 5, "`time` is not a flag"),
    "a flag behind a definition": Rejected(f"{USER}use self", SchemaParseError, 2, 1, "before the first definition"),
    "an import in one text": Rejected('use import import "a.zed"', SchemaParseError, 1, 12, "imports nothing"),
    "an unresolved partial": Rejected(
        doc("...common", flags="use partial\n"), SchemaParseError, 4, 4, "`common` is not a partial"
    ),
    "a circular partial": Rejected(
        "use partial\npartial one { ...two }\npartial two { ...one }", SchemaParseError, 3, 18, "goes in a circle"
    ),
    "a definition spliced in": Rejected(
        doc("...user", flags="use partial\n"), SchemaParseError, 4, 4, "`user` is a definition"
    ),
    "a partial named as a definition": Rejected(
        f"use partial\n{USER}partial user {{}}", SchemaParseError, 3, 9, "`user` names a definition already"
    ),
    "a name of two definitions": Rejected(USER + USER, SchemaParseError, 2, 12, "`user` is defined twice"),
    "a name of the wrong shape": Rejected(doc("relation Own: user"), SchemaParseError, 3, 10, "cannot name a relation"),
    "a name of the wrong size": Rejected(f"definition {'u' * 65} {{}}", SchemaParseError, 1, 12, "cannot name a type"),
    "nested arrows": Rejected(
        doc(OWNER, "permission view = owner->owner->owner"), SchemaParseError, 4, 31, "arrows cannot follow one another"
    ),
    "an arrow function but any and all": Rejected(
        doc(OWNER, "permission view = owner.most(owner)"), SchemaParseError, 4, 25, "`most` is not an arrow function"
    ),
    "expiration without its flag": Rejected(
        doc("relation owner: user with expiration"), Unsupported, 3, 27, "write `use expiration`"
    ),
    "a member twice": Rejected(doc(OWNER, OWNER), SchemaTypeError, 4, 10, "`owner` stands twice in `doc`"),
    "a relation without types": Rejected(doc("relation owner:"), SchemaParseError, 4, 1, "expected a subject type"),
    "a subject type twice": Rejected(doc(f"{OWNER} | user"), SchemaTypeError, 3, 24, "`user` stands twice in `owner`"),
    "an unknown type": Rejected(doc("relation owner: usr"), SchemaTypeError, 3, 17, "`usr` is not a definition"),
    "an unknown relation of a type": Rejected(doc(f"{OWNER}#own"), SchemaTypeError, 3, 22, "`own` is not a relation"),
    "a wildcard through a userset": Rejected(
        doc(OPEN, "relation owner: doc#open"), SchemaTypeError, 4, 17, "`doc#open` contains a wildcard"
    ),
    "an unknown name in an expression": Rejected(
        doc("permission view = owner"), SchemaTypeError, 3, 19, "`owner` is not a relation or permission of `doc`"
    ),
    "an arrow from nothing": Rejected(
        doc("permission view = owner->view"), SchemaTypeError, 3, 19, "`owner` is not a relation or permission of"
    ),
    "an arrow from a permission": Rejected(
        doc("permission edit = nil", "permission view = edit->view"), SchemaTypeError, 4, 19, "`edit` is a permission"
    ),
    "an arrow from a wildcard": Rejected(
        doc(OPEN, "permission view = open->view"), SchemaTypeError, 4, 19, "cannot start at `open`"
    ),
    "an annotation too small": Rejected(
        doc(OWNER, "permission view: doc = owner", flags="use typechecking\n"), SchemaTypeError, 5, 18, "`user`"
    ),
    "aliases in a circle": Rejected(
        doc("permission one = two", "permission two = one"), SchemaTypeError, 3, 12, "goes in a circle"
    ),
}


@pytest.mark.parametrize("reason", REASONS)
def test_rejected(reason: str) -> None:
    """Each of SpiceDB's reasons to reject a schema is one here as well, told at its place."""
    case = REASONS[reason]
    check(case.error, case.text, case.line, case.column, case.part)
