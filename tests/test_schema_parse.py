"""Schema texts that are accepted: what the parser makes of them, and how they are printed."""

from __future__ import annotations

import pytest

from relgraph.rewrites import AllArrow, Arrow, Exclusion, Intersection, Name, Nil, Rewrite, SelfObject, Union
from relgraph.schema import Permission, Relation, Schema, SubjectKind, parse, print_schema

HEAD = "definition user {}\n"


def expression(text: str, flags: str = "") -> Rewrite:
    """Return the rewrite of a permission with this expression, over relations aaa to eee."""
    relations = "".join(f"relation {name}: user\n" for name in ("aaa", "bbb", "ccc", "ddd", "eee"))
    schema = parse(f"{flags}{HEAD}definition thing {{\n{relations}permission all_of = {text}\n}}")
    return schema.definitions["thing"].permissions["all_of"].rewrite


def shape(node: Rewrite) -> str:
    """Return a rewrite fully parenthesised, with the class in front of each operator's operands."""
    if isinstance(node, Name | AllArrow | Arrow | Nil | SelfObject):
        return node.text()
    return f"{type(node).__name__}({', '.join(shape(child) for child in node.children())})"


def kinds(text: str, flags: str = "") -> tuple[SubjectKind, ...]:
    """Return the subject kinds of a relation written with `text`."""
    schema = parse(f"{flags}{HEAD}definition group {{\nrelation member: user\nrelation taker: {text}\n}}")
    return schema.definitions["group"].relations["taker"].kinds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("aaa", "aaa"),
        ("(aaa)", "aaa"),
        ("aaa + bbb + ccc", "Union(aaa, bbb, ccc)"),
        ("aaa & bbb & ccc", "Intersection(aaa, bbb, ccc)"),
        ("aaa - bbb - ccc", "Exclusion(Exclusion(aaa, bbb), ccc)"),
        ("aaa - bbb + ccc", "Exclusion(aaa, Union(bbb, ccc))"),
        ("aaa + bbb - ccc", "Exclusion(Union(aaa, bbb), ccc)"),
        ("aaa & bbb + ccc", "Intersection(aaa, Union(bbb, ccc))"),
        ("aaa + bbb & ccc", "Intersection(Union(aaa, bbb), ccc)"),
        ("aaa - bbb & ccc", "Exclusion(aaa, Intersection(bbb, ccc))"),
        ("aaa & bbb - ccc & ddd", "Exclusion(Intersection(aaa, bbb), Intersection(ccc, ddd))"),
        ("aaa - bbb - ccc + ddd & eee", "Exclusion(Exclusion(aaa, bbb), Intersection(Union(ccc, ddd), eee))"),
        ("(aaa - bbb) + ccc", "Union(Exclusion(aaa, bbb), ccc)"),
        ("(aaa + bbb) + ccc", "Union(Union(aaa, bbb), ccc)"),
        ("aaa - (bbb - ccc)", "Exclusion(aaa, Exclusion(bbb, ccc))"),
        ("((aaa) & ((bbb)))", "Intersection(aaa, bbb)"),
        ("aaa->view + bbb", "Union(aaa->view, bbb)"),
        ("aaa.any(view)", "aaa->view"),
        ("aaa.all(view) & bbb", "Intersection(aaa.all(view), bbb)"),
        ("nil", "nil"),
        ("aaa - (nil)", "Exclusion(aaa, nil)"),
        ("aaa +\n  bbb", "Union(aaa, bbb)"),
        ("aaa-bbb", "Exclusion(aaa, bbb)"),
        ("aaa /* x */ + // y\n bbb", "Union(aaa, bbb)"),
    ],
)
def test_expression(text: str, expected: str) -> None:
    """`+` binds tightest and `-` loosest; `+` and `&` are n-ary, `-` has two operands and nests to the left."""
    assert shape(expression(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user", (SubjectKind("user"),)),
        ("user#...", (SubjectKind("user"),)),
        ("user:*", (SubjectKind("user", wildcard=True),)),
        ("group#member", (SubjectKind("group", "member"),)),
        ("group#taker", (SubjectKind("group", "taker"),)),
        (
            "user | user:* |\n group#member",
            (SubjectKind("user"), SubjectKind("user", wildcard=True), SubjectKind("group", "member")),
        ),
    ],
)
def test_kinds(text: str, expected: tuple[SubjectKind, ...]) -> None:
    """Plain subjects, wildcards and usersets are kinds; `user#...` is plain; a relation may take its own userset."""
    assert kinds(text) == expected


def test_self_needs_its_flag() -> None:
    """`self` is the object itself under `use self`, and an ordinary name without it."""
    assert isinstance(expression("self", "use self\nuse self\n"), SelfObject)
    assert shape(expression("aaa + self", "use self\n")) == "Union(aaa, self)"


def test_kinds_that_expire() -> None:
    """Under `use expiration`, `with expiration` makes a kind of its own, before `universal` where both stand."""
    found = kinds(
        "user | user with expiration | user:* with expiration and universal", "use universal use expiration\n"
    )
    assert found == (
        SubjectKind("user"),
        SubjectKind("user", expiration=True),
        SubjectKind("user", wildcard=True, universal=True, expiration=True),
    )


def test_universal_kinds() -> None:
    """Under `use universal`, `with universal` makes a kind of its own beside the plain one."""
    found = kinds("user | user with universal | user:* with universal | group#member with universal", "use universal\n")
    assert [str(kind) for kind in found] == [
        "user",
        "user with universal",
        "user:* with universal",
        "group#member with universal",
    ]


def test_places() -> None:
    """Every definition, relation, permission and node knows its line, column and length."""
    schema = parse(
        "definition user {}\n\tdefinition doc {\n  relation viewer: user\n  permission view = viewer + viewer->abc\n}"
    )
    doc = schema.definitions["doc"]
    places = [doc.at, doc.relations["viewer"].at, doc.permissions["view"].at]
    rewrite = doc.permissions["view"].rewrite
    places += [rewrite.at, *(child.at for child in rewrite.children())]
    assert [(at.line, at.column, at.length) for at in places] == [
        (2, 13, 3),
        (3, 12, 6),
        (4, 14, 4),
        (4, 21, 20),
        (4, 21, 6),
        (4, 30, 11),
    ]


def test_paths_order_and_use_before_definition() -> None:
    """Definitions may have prefixes, refer to later ones, and keep the order of the text."""
    schema = parse("definition org/team/doc { relation zed: org/us1; relation abc: org/us1 }\r\ndefinition org/us1 {}")
    assert list(schema.definitions) == ["org/team/doc", "org/us1"]
    assert list(schema.definitions["org/team/doc"].relations) == ["zed", "abc"]


def test_words_that_are_names_without_their_flags() -> None:
    """Words that only a `use` flag reserves are ordinary names without it."""
    names = ("self", "roles", "universal", "use", "any", "all", "expiration", "and", "partial", "import", "grant")
    lines = "".join(f"  relation {name}: user\n" for name in names if len(name) > 2)
    schema = parse(f"{HEAD}definition thing {{\n{lines}  permission view = self + roles - import\n}}")
    assert schema.definitions["thing"].permissions["view"].rewrite.text() == "(self + roles) - import"


def test_annotations() -> None:
    """Under `use typechecking` a permission keeps the types it declares, which may be more than it leads to."""
    text = f"{HEAD}definition doc {{\n  relation owner: user:*\n  permission view: user | doc | user = owner - nil\n}}"
    assert parse(f"use typechecking\n{text}").definitions["doc"].permissions["view"].annotation == ("user", "doc")


def test_annotations_without_their_flag() -> None:
    """Without `use typechecking` an annotation is read, and neither checked nor kept."""
    schema = parse(f"{HEAD}definition doc {{\n  relation owner: user\n  permission view: nowhere = owner\n}}")
    assert schema.definitions["doc"].permissions["view"].annotation == ()
    assert "nowhere" not in print_schema(schema)


def test_flags() -> None:
    """A schema keeps the flags it was written under, used or not, but those that concern its text alone."""
    flags = ("expiration", "grants", "import", "partial", "roles", "self", "typechecking", "universal")
    text = "".join(f"use {flag}\n" for flag in (*reversed(flags), *flags)) + HEAD
    assert parse(text).flags == set(flags) - {"import", "partial"}
    assert parse(HEAD).flags == set()


def test_ladder() -> None:
    """A ladder is kept strongest first, may use a relation as its strongest rung, and flags may repeat."""
    schema = parse(
        f"use roles\nuse roles\n{HEAD}definition doc {{\n  relation owner: user\n  roles owner > edit > view\n"
        "  permission edit = owner->edit_all + owner\n  permission view = (owner - edit) + edit\n}"
    )
    assert schema.definitions["doc"].roles == ("owner", "edit", "view")
    assert schema.definitions["user"].roles == ()


def test_not_refused() -> None:
    """As in SpiceDB, recursion, a permission that names itself, and an arrow to nowhere are no errors."""
    text = (
        f"{HEAD}definition doc {{\n  relation parent: doc | user\n  permission view = view + parent->nowhere\n"
        "  permission one = two & parent\n  permission two = one\n}"
    )
    assert parse(text).definitions["doc"].permissions["view"].rewrite.text() == "view + parent->nowhere"


def test_wildcard_check_is_keyed_by_type() -> None:
    """A relation without wildcard is not confused with one of the same name elsewhere that has one."""
    text = (
        f"{HEAD}definition open {{\n  relation member: user:*\n}}\ndefinition team {{\n  relation member: user\n}}\n"
        "definition doc {\n  relation viewer: team#member\n}"
    )
    assert parse(text).member("doc", "viewer").name == "viewer"


def test_wildcard_behind_a_permission() -> None:
    """A userset of a permission may be taken although the permission reaches a wildcard."""
    text = (
        f"{HEAD}definition team {{\n  relation guest: user:*\n  permission member = guest\n}}\n"
        "definition doc {\n  relation viewer: team#member\n}"
    )
    assert str(parse(text).definitions["doc"].relations["viewer"].kinds[0]) == "team#member"


def test_docs() -> None:
    """Comments before a definition, relation or permission are its doc, with delimiters; those behind code are not."""
    schema = parse(
        "// one\n\n/* two\n   more */\ndefinition user {} // behind\n"
        "definition doc { // opened\n"
        "    /** three\n     *  four */\n    relation viewer: user // tail\n"
        "    // five\n    permission view = viewer\n}"
    )
    doc = schema.definitions["doc"]
    assert schema.definitions["user"].doc == "// one\n/* two\n   more */"
    docs = (doc.doc, doc.relations["viewer"].doc, doc.permissions["view"].doc)
    assert docs == ("", "/** three\n *  four */", "// five")


def test_line_end_behind_an_ellipsis() -> None:
    """A line that ends with `#...` ends the relation, and may also be continued by `|`, as in SpiceDB."""
    text = f"{HEAD}definition doc {{\nrelation one: user#...\nrelation two: doc#...\n| user#...\n}}"
    assert print_schema(parse(text)).endswith("  relation one: user\n  relation two: doc | user\n}\n")


def test_empty() -> None:
    """A text without definitions is a schema without definitions."""
    assert dict(parse("// nothing\n;;\n").definitions) == {}


def test_wide_union_is_flat() -> None:
    """Ten thousand operands are one union, not ten thousand levels."""
    assert len(expression(" + ".join(["aaa"] * 10_000)).children()) == 10_000


def test_nesting_up_to_the_limit() -> None:
    """A hundred levels of parentheses, or of `-`, are read."""
    assert shape(expression("(" * 100 + "aaa" + ")" * 100)) == "aaa"
    deep = expression("aaa" + " - bbb" * 100)
    assert isinstance(deep, Exclusion)
    assert shape(expression(deep.text())) == shape(deep)


def test_print() -> None:
    """The canonical text has the needed flags, the ladder first, relations before permissions, and keeps docs."""
    text = (
        "use universal use roles // x\n/* the\n   user */ definition user{}\n"
        "definition doc{permission view=owner+(ban-owner);// who\n"
        "relation owner:user|user:*with universal;relation ban:user#...\nroles owner>view}"
    )
    assert print_schema(parse(text)) == (
        "use roles\nuse universal\n\n/* the\n   user */\ndefinition user {}\n\n"
        "definition doc {\n  roles owner > view\n"
        "  relation owner: user | user:* with universal\n  relation ban: user\n"
        "  permission view = owner + (ban - owner)\n}\n"
    )


def test_a_definition_may_take_its_own_wildcards() -> None:
    """Within one definition a relation takes a userset that contains a wildcard, itself included, as in SpiceDB."""
    lines = ("relation open: user | user:* | doc#open", "relation more: doc#open", "relation most: doc#more")
    schema = parse(f"{HEAD}definition doc {{\n{chr(10).join(lines)}\n}}")
    assert {"user"} == schema.subject_types["doc", "most"]


def test_text_is_kept() -> None:
    """The schema holds the text exactly as it was written."""
    text = "// hello\r\ndefinition   user {}\n"
    schema = parse(text)
    assert isinstance(schema, Schema)
    assert schema.text == text


def test_members() -> None:
    """A definition finds relations and permissions by one name, and nothing under any other."""
    doc = parse(f"{HEAD}definition doc {{\n relation owner: user\n permission view = owner\n}}").definition("doc")
    assert isinstance(doc.member("owner"), Relation)
    assert isinstance(doc.member("view"), Permission)
    assert doc.member("nothing") is None
    assert doc.names() == ("owner", "view")


def test_node_classes() -> None:
    """The parser builds the operators' own classes."""
    expected = {
        "aaa": Name,
        "nil": Nil,
        "aaa->bbb": Arrow,
        "aaa.any(bbb)": Arrow,
        "aaa.all(bbb)": AllArrow,
        "aaa + bbb": Union,
        "aaa & bbb": Intersection,
        "aaa - bbb": Exclusion,
    }
    assert {text: type(expression(text)) for text in expected} == expected
