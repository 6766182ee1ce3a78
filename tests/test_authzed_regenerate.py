"""Texts as SpiceDB regenerates them: each rule of its layout, and that a text means what the schema did.

What is expected here was told by SpiceDB 1.56 itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relgraph.rewrites import Exclusion, Intersection, Union
from relgraph.schema import parse
from relgraph_server.authzed.regenerate import comments, regenerated
from tests.schema_models import models
from tests.test_schema_fuzz import schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.rewrites import Rewrite
    from relgraph.schema import Schema

BODY = """use self
definition user {{}}
definition doc {{
  relation parent: doc
  relation aaa: user
  relation bbb: user
  relation ccc: user
  permission some = {}
}}"""


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("aaa", "aaa"),
        ("((aaa))", "aaa"),
        ("aaa + (bbb + ccc)", "aaa + bbb + ccc"),
        ("aaa & (bbb & ccc)", "aaa & bbb & ccc"),
        ("(aaa & bbb) & ccc", "aaa & bbb & ccc"),
        ("aaa - bbb - ccc", "(aaa - bbb) - ccc"),
        ("aaa - (bbb - ccc)", "aaa - (bbb - ccc)"),
        ("(aaa + bbb) - ccc", "aaa + bbb - ccc"),
        ("aaa - (bbb + ccc)", "aaa - bbb + ccc"),
        ("aaa & (bbb + ccc)", "aaa & bbb + ccc"),
        ("(aaa & bbb) + ccc", "(aaa & bbb) + ccc"),
        ("aaa - bbb & ccc", "aaa - (bbb & ccc)"),
        ("(aaa + bbb) - (bbb + parent->aaa) & nil", "aaa + bbb - (bbb + parent->aaa & nil)"),
        ("aaa & (bbb + (ccc - aaa))", "aaa & (bbb + (ccc - aaa))"),
        ("parent.any(aaa) + parent->bbb", "parent.any(aaa) + parent->bbb"),
        ("parent.all(aaa) + self + nil", "parent.all(aaa) + self + nil"),
    ],
)
def test_expressions(written: str, expected: str) -> None:
    """Brackets stand around all but unions of leaves, and what is joined by the same operator is joined once."""
    assert f"\tpermission some = {expected}\n" in regenerated(parse(BODY.format(written)))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("//", "\t// \n"),
        ("//   x  ", "\t// x\n"),
        ("//// four", "\t// // four\n"),
        ("/* */", "\t/*  */\n"),
        ("/** a */", "\t/** a */\n"),
        ("/* a\n\n   b\n*/", "\t/*\n\t * a\n\t * \n\t * b\n\t */\n"),
        ("/**\n * a\n *\n   b\n\t*c\n */", "\t/**\n\t * a\n\t * \n\t * b\n\t * c\n\t */\n"),
        (f"/* {'z' * 70} */", f"\t/* {'z' * 70} */\n"),
        (f"/* {'z' * 71} */", f"\t/*\n\t * {'z' * 71}\n\t */\n"),
        (f"// {'w' * 100}", f"\t// {'w' * 100}\n"),
        ("/** ** a **/", "\t/** * a * */\n"),
        ("/* a */ /* b */", "\t/* a */\n\t/* b */\n"),
        ("// a\n\n// b", "\t// a\n\t// b\n"),
    ],
)
def test_doc_comments(written: str, expected: str) -> None:
    """Comments keep their kind and words, lose their layout, and have an empty line before them but at the top."""
    text = f"definition user {{\n{written}\n relation one: user\n{written}\n relation two: user\n}}"
    body = f"{expected}\trelation one: user\n\n{expected}\trelation two: user\n"
    assert f"definition user {{\n{body}}}" == regenerated(parse(text))


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ("", []),
        ("// one\n//two", ["// one", "//two"]),
        ("/* a\n   // no\n   b */\n// c", ["/* a\n// no\nb */", "// c"]),
        ("/**/\n// c", ["/**/", "// c"]),
    ],
)
def test_docs_are_taken_apart(doc: str, expected: list[str]) -> None:
    """A doc is its comments one by one, each line free of indentation."""
    assert expected == comments(doc)


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("use expiration\nuse self\ndefinition user {}", []),
        ("use expiration\nuse self\ndefinition user { relation me2: user with expiration }", ["expiration"]),
        (
            "use expiration\nuse self\ndefinition user { relation me2: user with expiration\n permission me3 = self }",
            ["self", "expiration"],
        ),
        ("caveat expiration(pp int) { pp > 1 }\ndefinition user { relation me2: user with expiration }", []),
        ("use typechecking\ndefinition user { relation me2: user\npermission me3: user = me2 }", ["typechecking"]),
    ],
)
def test_only_what_is_in_use_is_switched_on(text: str, uses: list[str]) -> None:
    """The `use` lines are those that the text needs, each apart, sorted backwards."""
    found = regenerated(parse(text))
    assert uses == [line.removeprefix("use ") for line in found.split("\n") if line.startswith("use ")]
    assert found.startswith("".join(f"use {each}\n\n" for each in uses))
    assert parse(text).caveats.keys() == parse(found).caveats.keys()


def test_the_order_of_a_definition_is_kept() -> None:
    """Definitions and caveats are sorted; what stands in a definition keeps its place, spliced lines theirs."""
    text = """use partial
caveat zzz(pp int) { pp > 1 }
caveat aaa(zz string, bb list<int>) { zz=='a'||bb==[1] }
partial common {
  permission two = one
  relation three: user
}
definition zoo {}
definition user {}
definition ark {
  permission six = five
  relation one: user
  ...common
  relation five: user with zzz
}"""
    expected = """caveat aaa(bb list<int>, zz string) {
\tzz == "a" || bb == [1]
}

caveat zzz(pp int) {
\tpp > 1
}

definition ark {
\tpermission six = five
\trelation one: user
\tpermission two = one
\trelation three: user
\trelation five: user with zzz
}

definition user {}

definition zoo {}"""
    assert expected == regenerated(parse(text))


def holds(rewrite: Rewrite, leaves: Mapping[str, bool]) -> bool:
    """Whether a subject that holds these leaves, and no others, holds the expression."""
    if isinstance(rewrite, Union):
        return any(holds(each, leaves) for each in rewrite.operands)
    if isinstance(rewrite, Intersection):
        return all(holds(each, leaves) for each in rewrite.operands)
    if isinstance(rewrite, Exclusion):
        return holds(rewrite.operands[0], leaves) and not holds(rewrite.operands[1], leaves)
    return leaves[rewrite.text()]


def leaves_of(rewrite: Rewrite) -> set[str]:
    below = rewrite.children()
    return set().union(*map(leaves_of, below)) if below else {rewrite.text()}


def agree(before: Schema, after: Schema, data: st.DataObject) -> None:
    """Assert that two schemas answer everything the same, as far as can be told from the texts."""
    assert before.definitions.keys() == after.definitions.keys()
    for name, old in before.definitions.items():
        new = after.definitions[name]
        assert (old.roles, [each.name for each in old.members()]) == (new.roles, [each.name for each in new.members()])
        assert {(each.relation, each.wildcard, each.permission, each.subject_permission) for each in old.grants} == {
            (each.relation, each.wildcard, each.permission, each.subject_permission) for each in new.grants
        }
        assert {one: each.kinds for one, each in old.relations.items()} == {
            one: each.kinds for one, each in new.relations.items()
        }
        for one, permission in old.permissions.items():
            other = new.permissions[one].rewrite
            names = sorted(leaves_of(permission.rewrite))
            assert names == sorted(leaves_of(other))
            for _ in range(5):
                leaves = {each: data.draw(st.booleans()) for each in names}
                assert holds(permission.rewrite, leaves) == holds(other, leaves)
    assert {name: dict(each.parameters) for name, each in before.caveats.items()} == {
        name: dict(each.parameters) for name, each in after.caveats.items()
    }


@given(models(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_regenerated_schema_means_the_same(schema: Schema, data: st.DataObject) -> None:
    """Whatever a schema holds, its regenerated text parses, means the same, and is its own regenerated text."""
    text = regenerated(schema)
    again = parse(text)
    agree(schema, again, data)
    assert text == regenerated(again)


@given(schemas(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_written_schema_keeps_its_meaning(text: str, data: st.DataObject) -> None:
    """However a schema was written, with docs and layout, its regenerated text means the same."""
    schema = parse(text)
    found = regenerated(schema)
    agree(schema, parse(found), data)
    assert found == regenerated(parse(found))
