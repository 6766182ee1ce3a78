"""Reflection, encounters and differences as pure functions: from tables, each row one fact about a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from authzed.api.v1 import schema_service_pb2 as pb
from hypothesis import given, settings

from relgraph.errors import InvalidFilter, Refused
from relgraph.schema import parse
from relgraph_server.authzed.differences import differences
from relgraph_server.authzed.encounters import computable, dependent
from relgraph_server.authzed.reflection import Filters, reference_messages, reflected
from tests.schema_models import models

if TYPE_CHECKING:
    from relgraph.schema import Schema

SCHEMA = """use expiration
use self
// who signs in
// here
definition user {
  permission own = self
}
definition group {
  relation member: user | group#member
  relation owner: user
  permission belongs = member + owner
}
definition folder {
  relation parent: folder
  relation reader: user | group#belongs
  permission read = reader + parent->read
}
/* what is
   read */
definition doc {
  relation folder: folder | doc
  // who looks
  relation viewer: user | user:* | group#member with near | user with near and expiration
  relation banned: user with expiration
  relation strangers: group:*
  permission view = viewer - banned
  /** through folders */
  permission read = view & folder.all(read) + folder->missing + nil
  permission none = nil
}
// near enough
caveat near(site string, limits list<int>) { site=='n'&&limits.all(x,x>1) }
caveat far(site string) { site != 'n' }
"""


def shown(message: pb.ReflectionTypeReference) -> str:
    kind = message.WhichOneof("typeref")
    tail = {"is_public_wildcard": ":*", "is_terminal_subject": ""}.get(kind or "", f"#{message.optional_relation_name}")
    return f"{message.subject_definition_name}{tail} {message.optional_caveat_name}".strip()


def test_a_schema_is_reflected_whole() -> None:
    """Definitions and caveats are sorted, what stands in them is in text order, docs keep their delimiters."""
    definitions, caveats = reflected(parse(SCHEMA))
    assert ["doc", "folder", "group", "user"] == [each.name for each in definitions]
    doc, user = definitions[0], definitions[3]
    assert ("/* what is\nread */", "// who signs in\n// here") == (doc.comment, user.comment)
    assert ["folder", "viewer", "banned", "strangers"] == [each.name for each in doc.relations]
    assert ["view", "read", "none"] == [each.name for each in doc.permissions]
    assert {"doc"} == {each.parent_definition_name for each in doc.relations}
    assert {"doc"} == {each.parent_definition_name for each in doc.permissions}
    viewer = doc.relations[1]
    assert "// who looks" == viewer.comment
    assert ["user", "user:*", "group#member near", "user near"] == [shown(each) for each in viewer.subject_types]
    assert viewer.subject_types[0].is_terminal_subject
    assert "/** through folders */" == doc.permissions[1].comment
    assert ["far", "near"] == [each.name for each in caveats]
    near = caveats[1]
    assert [("limits", "list<int>"), ("site", "string")] == [(each.name, each.type) for each in near.parameters]
    assert {"near"} == {each.parent_caveat_name for each in near.parameters}
    assert ("// near enough", 'site == "n" && limits.all(x, x > 1)') == (near.comment, near.expression)


def filter_of(definition: str = "", caveat: str = "", relation: str = "", permission: str = "") -> Filters:
    return Filters([filter_message(definition, caveat, relation, permission)])


def filter_message(
    definition: str = "", caveat: str = "", relation: str = "", permission: str = ""
) -> pb.ReflectionSchemaFilter:
    return pb.ReflectionSchemaFilter(
        optional_definition_name_filter=definition,
        optional_caveat_name_filter=caveat,
        optional_relation_name_filter=relation,
        optional_permission_name_filter=permission,
    )


NEAR, GROUP = filter_message(caveat="n"), filter_message("gr")


@pytest.mark.parametrize(
    ("filters", "definitions", "members", "caveats"),
    [
        ([filter_message("do")], ["doc"], 7, []),
        ([GROUP, NEAR], ["group"], 3, ["near"]),
        ([filter_message("f"), filter_message("d")], ["doc", "folder"], 10, []),
        ([NEAR], [], 0, ["near"]),
        ([filter_message("zoo")], [], 0, []),
        ([filter_message("doc", relation="v")], ["doc"], 4, []),
        ([filter_message("doc", permission="re")], ["doc"], 5, []),
        ([filter_message("doc", relation="v"), filter_message("group")], ["doc", "group"], 5, []),
        ([filter_message("doc", relation="v"), filter_message("doc", permission="none")], ["doc"], 2, []),
        ([filter_message()], [], 0, []),
    ],
)
def test_filters(
    filters: list[pb.ReflectionSchemaFilter], definitions: list[str], members: int, caveats: list[str]
) -> None:
    """Filters are prefixes of which one has to fit; one on a relation or permission is one on all of that kind."""
    found, found_caveats = reflected(parse(SCHEMA), Filters(filters))
    assert (definitions, caveats) == ([each.name for each in found], [each.name for each in found_caveats])
    assert members == sum(len(each.relations) + len(each.permissions) for each in found)


@pytest.mark.parametrize(
    ("filter", "problem"),
    [
        (("doc", "near", "", ""), "both definition and caveat"),
        (("", "", "viewer", ""), "relation name match requires definition"),
        (("", "", "", "view"), "permission name match requires definition"),
        (("doc", "", "viewer", "view"), "both relation and permission"),
        (("", "near", "viewer", ""), "relation name match requires definition"),
    ],
)
def test_filters_that_cannot_be(filter: tuple[str, str, str, str], problem: str) -> None:
    """A filter that names what cannot stand together is refused, with its place."""
    with pytest.raises(InvalidFilter, match=problem) as caught:
        Filters([GROUP, filter_message(*filter)])
    assert caught.value.message.startswith("optional_filters[1]: ")
    assert "optional_" in caught.value.details["filter"]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (
            "user",
            (
                "doc#banned doc#read doc#view doc#viewer folder#read folder#reader group#belongs group#member "
                "group#owner user#own"
            ),
        ),
        ("group", "doc#strangers"),
        ("group#member", "doc#read doc#view doc#viewer folder#read folder#reader group#belongs"),
        ("group#owner", "folder#read folder#reader group#belongs doc#read"),
        ("group#belongs", "doc#read folder#read folder#reader"),
        ("folder", "doc#folder folder#parent"),
        ("folder#parent", ""),
        ("doc#banned", "doc#read doc#view"),
        ("doc#none", ""),
        ("doc", "doc#folder"),
    ],
)
def test_computable_permissions(subject: str, expected: str) -> None:
    """What a subject could get into: by its tuples, by names, by arrows and beneath a `-`; never by a tupleset."""
    type_, _, name = subject.partition("#")
    found = [f"{each[0]}#{each[1]}" for each in computable(parse(SCHEMA), (type_, name))]
    assert sorted(expected.split()) == found


@pytest.mark.parametrize(
    ("permission", "expected"),
    [
        ("user#own", ""),
        ("group#belongs", "group#member group#owner"),
        ("folder#read", "folder#parent folder#reader group#belongs group#member group#owner"),
        ("doc#view", "doc#banned doc#viewer group#member"),
        (
            "doc#read",
            (
                "doc#banned doc#folder doc#view doc#viewer folder#parent folder#read folder#reader group#belongs "
                "group#member group#owner"
            ),
        ),
        ("doc#none", ""),
    ],
)
def test_dependent_relations(permission: str, expected: str) -> None:
    """What a permission reads, at any remove, tuplesets included and what is taken away as well."""
    type_, _, name = permission.partition("#")
    found = [f"{each[0]}#{each[1]}" for each in dependent(parse(SCHEMA), (type_, name))]
    assert sorted(expected.split()) == found


def test_a_tupleset_that_is_a_name_as_well_is_followed() -> None:
    """A relation that a permission reads by name is followed into its usersets, be it a tupleset besides or not."""
    schema = parse("""definition user {}
    definition group { relation member: user }
    definition doc { relation parent: doc | group#member\n permission view = parent + parent->view }""")
    assert [("doc", "parent"), ("group", "member")] == dependent(schema, ("doc", "view"))


def test_names_are_told_with_what_they_are() -> None:
    """Each name says whether it is a permission."""
    schema = parse(SCHEMA)
    found = reference_messages(schema, dependent(schema, ("doc", "view")))
    assert [("doc", "banned", False), ("doc", "viewer", False), ("group", "member", False)] == [
        (each.definition_name, each.relation_name, each.is_permission) for each in found
    ]
    assert reference_messages(schema, [("doc", "view")])[0].is_permission


@given(models())
@settings(max_examples=60, deadline=None)
def test_both_directions_agree(schema: Schema) -> None:
    """A permission depends on a relation, other than as a tupleset, exactly if the relation gets into it."""
    members = [(each.name, name) for each in schema.definitions.values() for name in each.names()]
    below = {member: set(dependent(schema, member)) for member in members}
    for member in members:
        for reached in computable(schema, member):
            assert member in below[reached]


BASE = """use expiration
caveat near(site string, limit int) { site == 'n' && limit > 1 }
definition user {}
definition group { relation member: user }
definition doc {
  relation viewer: user | group#member
  relation owner: user
  permission view = viewer + owner
}"""


def changed(before: str, after: str) -> list[pb.ReflectionSchemaDiff]:
    assert before in BASE
    return differences(parse(BASE), parse(BASE.replace(before, after)))


OWNER = "  relation owner: user\n"
VIEW = "  permission view = viewer + owner\n"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("definition user {}\n", "definition user {}\ndefinition zoo {}\n", ["definition_added zoo"]),
        ("definition user {}\n", "// doc\ndefinition user {}\n", ["definition_doc_comment_changed user"]),
        (OWNER, f"{OWNER}  relation more: user\n", ["relation_added doc#more"]),
        (OWNER, f"// doc\n{OWNER}", ["relation_doc_comment_changed doc#owner"]),
        ("user | group#member", "user | group#member | user:*", ["relation_subject_type_added doc#viewer user:*"]),
        ("user | group#member", "user", ["relation_subject_type_removed doc#viewer group#member"]),
        (
            "owner: user\n",
            "owner: user with expiration\n",
            ["relation_subject_type_removed doc#owner user", "relation_subject_type_added doc#owner user"],
        ),
        (
            "owner: user\n",
            "owner: user with near\n",
            ["relation_subject_type_removed doc#owner user", "relation_subject_type_added doc#owner user near"],
        ),
        (VIEW, f"{VIEW}  permission more = view\n", ["permission_added doc#more"]),
        (VIEW, "", ["permission_removed doc#view"]),
        (VIEW, f"/* doc */{VIEW}", ["permission_doc_comment_changed doc#view"]),
        ("viewer + owner", "viewer & owner", ["permission_expr_changed doc#view"]),
        ("viewer + owner", "owner + viewer", ["permission_expr_changed doc#view"]),
        ("viewer + owner", "((viewer) + owner)", []),
        (
            "relation owner: user",
            "permission owner = viewer",
            ["relation_removed doc#owner", "permission_added doc#owner"],
        ),
        (
            "permission view = viewer + owner",
            "relation view: user",
            ["relation_added doc#view", "permission_removed doc#view"],
        ),
        ("definition user", "caveat far(pp int) { pp > 1 }\ndefinition user", ["caveat_added far"]),
        ("caveat near", "// doc\ncaveat near", ["caveat_doc_comment_changed near"]),
        ("limit > 1", "limit > 2", ["caveat_expr_changed near"]),
        ("limit > 1", "(limit>1)", []),
        (
            "limit int) { site == 'n'",
            "limit int, more int) { more > 1 && site == 'n'",
            ["caveat_parameter_added near.more", "caveat_expr_changed near"],
        ),
        (
            ", limit int) { site == 'n' && limit > 1 }",
            ") { site == 'n' }",
            ["caveat_parameter_removed near.limit", "caveat_expr_changed near"],
        ),
        (
            "limit int) { site == 'n' && limit > 1",
            "limit uint) { site == 'n' && limit > 1",
            ["caveat_parameter_type_changed near.limit int"],
        ),
        ("caveat near", "caveat far", ["caveat_added far", "caveat_removed near"]),
        ("use expiration\n", "", []),
        (OWNER + VIEW, VIEW + OWNER, []),
    ],
)
def test_differences(before: str, after: str, expected: list[str]) -> None:
    """Each of the nineteen kinds of differences is told by its message; layout, order and `use` lines are none."""
    assert expected == [told(each) for each in changed(before, after)]


def told(each: pb.ReflectionSchemaDiff) -> str:
    kind = each.WhichOneof("diff") or ""
    message = getattr(each, kind)
    if kind.startswith("relation_subject"):
        where = f"{message.relation.parent_definition_name}#{message.relation.name}"
        return f"{kind} {where} {shown(message.changed_subject_type)}"
    if kind == "caveat_parameter_type_changed":
        return f"{kind} {message.parameter.parent_caveat_name}.{message.parameter.name} {message.previous_type}"
    if kind.startswith("caveat_parameter"):
        return f"{kind} {message.parent_caveat_name}.{message.name}"
    if kind.startswith(("relation", "permission")):
        return f"{kind} {message.parent_definition_name}#{message.name}"
    return f"{kind} {message.name}"


def test_every_kind_of_difference_is_in_the_table() -> None:
    """The table above leaves none of the nineteen kinds out, but for a definition that went."""
    kinds = {field.name for field in pb.ReflectionSchemaDiff.DESCRIPTOR.fields}
    rows = test_differences.pytestmark[0].args[1]  # type: ignore[attr-defined]
    found = {line.partition(" ")[0] for _, _, expected in rows for line in expected}
    assert {"definition_removed"} == kinds - found
    gone = differences(parse(BASE), parse(BASE.partition("definition doc")[0]))
    assert ["definition_removed doc"] == [told(each) for each in gone]
    assert ["viewer", "owner"] == [each.name for each in gone[0].definition_removed.relations]


@given(models())
@settings(max_examples=60, deadline=None)
def test_a_schema_does_not_differ_from_itself(schema: Schema) -> None:
    """Nothing differs between a schema and itself, and something does as soon as it has a definition more."""
    assert [] == differences(schema, schema)
    more = parse("definition nowhere/else {}")
    assert {"definition_added", "definition_removed"} >= {
        each.WhichOneof("diff") for each in differences(schema, more)
    } - {"caveat_removed"}


def test_what_cannot_be_told_names_relgraph() -> None:
    """A change that is none of the nineteen is refused, with the way to ask for it."""
    text = BASE.replace("use expiration", "use expiration\nuse universal")
    with pytest.raises(Refused, match=r"`doc#owner`.*relgraph\.v1"):
        differences(parse(text), parse(text.replace("owner: user\n", "owner: user | user with universal\n")))
