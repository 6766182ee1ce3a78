"""What SpiceDB rejects, in the order in which its parser and its type system say so: none of it is accepted here.

One of its reasons concerns the prefixes of names, which nobody needs here. Imports from files are refused in
`test_schema_compose.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from relgraph.errors import RelgraphError, SchemaParseError, SchemaTypeError
from tests.schema_kit import OWNER, USER, check, doc


class Rejected(NamedTuple):
    """A text, and the error, the place and some of the words that it must be refused with."""

    text: str
    error: type[RelgraphError]
    line: int
    column: int
    part: str


OPEN = "relation open: user:*"
LATE = "caveat late(hour int) { hour > 5 }\n"

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
        doc("relation owner: user with expiration"), SchemaTypeError, 3, 27, "write `use expiration`"
    ),
    "a caveat without parameters": Rejected(
        "caveat late() { true }", SchemaParseError, 1, 13, "at least one parameter"
    ),
    "a parameter twice": Rejected(
        "caveat late(hour int, hour uint) { hour > 5 }", SchemaParseError, 1, 23, "`hour` stands twice"
    ),
    "a parameter of an unknown type": Rejected(
        "caveat late(hour integer) { hour > 5 }", SchemaParseError, 1, 18, "did you mean `int`?"
    ),
    "a list of nothing": Rejected(
        "caveat late(hours list) { hours == [] }", SchemaParseError, 1, 19, "write `list<string>`"
    ),
    "an expression that is empty": Rejected(
        "caveat late(hour int) {\n}", SchemaParseError, 2, 1, "the expression is empty"
    ),
    "an expression too long": Rejected(
        f"caveat late(hour int) {{ hour > {'1' * 100_000} }}", SchemaParseError, 1, 25, "at most 100000 are allowed"
    ),
    "an expression that does not compile": Rejected(
        "caveat late(hour int) {\n  hour > 5 &&\n  hour < 'noon'\n}", SchemaParseError, 3, 8, "no matching overload"
    ),
    "an expression that breaks CEL's grammar": Rejected(
        "caveat late(hour int) { hour > }", SchemaParseError, 1, 31, "expected a value, a name or `(`"
    ),
    "an expression that names what is no parameter": Rejected(
        "caveat late(hour int) { hours > 5 }", SchemaParseError, 1, 25, "did you mean `hour`?"
    ),
    "an expression that is no condition": Rejected(
        "caveat late(hour int) { hour + 5 }", SchemaParseError, 1, 25, "the expression gives `int`"
    ),
    "a caveat never closed": Rejected(
        "caveat late(hour int) { hour > 5 && '}' == '{'", SchemaParseError, 1, 23, "the caveat is never closed"
    ),
    "a name of a definition and a caveat": Rejected(
        f"caveat user(hour int) {{ hour > 5 }}\n{USER}", SchemaParseError, 2, 12, "`user` names a caveat already"
    ),
    "a name of a partial and a caveat": Rejected(
        "use partial\npartial late {}\ncaveat late(hour int) { hour > 5 }",
        SchemaParseError,
        2,
        9,
        "names a caveat already",
    ),
    "a name of two caveats": Rejected(
        "caveat late(hour int) { hour > 5 }\ncaveat late(hour int) { hour > 6 }",
        SchemaParseError,
        2,
        8,
        "first in line 1",
    ),
    "a caveat's name of the wrong shape": Rejected(
        "caveat laté(hour int) { hour > 5 }", SchemaParseError, 1, 8, "cannot name a caveat"
    ),
    "a parameter named as a word of CEL": Rejected(
        "caveat late(in int) { in > 5 }", SchemaParseError, 1, 13, "is a word of CEL"
    ),
    "a caveat behind the expiration": Rejected(
        doc("relation owner: user with expiration and late", flags="use expiration\n"),
        SchemaParseError,
        4,
        42,
        "write `with late and expiration`",
    ),
    "an unknown caveat": Rejected(
        LATE + doc("relation owner: user with lates"), SchemaTypeError, 4, 27, "did you mean `late`?"
    ),
    "a subject type twice with its caveat": Rejected(
        LATE + doc("relation owner: user with late | user | user with late"),
        SchemaTypeError,
        4,
        41,
        "`user with late` stands twice",
    ),
    "a parameter that is not used": Rejected(
        "caveat late(hour int, day string) {\n  hour > 5 && [1].all(day, day == 1) && {'day': 1}.day == 1\n}",
        SchemaTypeError,
        1,
        23,
        "`day` is not used",
    ),
    "a member twice": Rejected(doc(OWNER, OWNER), SchemaTypeError, 4, 10, "`owner` stands twice in `doc`"),
    "a relation without types": Rejected(doc("relation owner:"), SchemaParseError, 4, 1, "expected a subject type"),
    "a subject type twice": Rejected(doc(f"{OWNER} | user"), SchemaTypeError, 3, 24, "`user` stands twice in `owner`"),
    "an unknown type": Rejected(doc("relation owner: usr"), SchemaTypeError, 3, 17, "`usr` is not a definition"),
    "an unknown relation of a type": Rejected(doc(f"{OWNER}#own"), SchemaTypeError, 3, 22, "`own` is not a relation"),
    "a wildcard through a userset": Rejected(
        doc(OPEN) + "definition more { relation owner: doc#open }",
        SchemaTypeError,
        5,
        35,
        "`doc#open` contains a wildcard",
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
