"""Which tuples and questions a schema admits, and what it says about the others."""

from __future__ import annotations

import pytest

from relgraph.errors import CannotUpdatePermission, RelgraphError, TupleNotAllowed, UnknownDefinition, UnknownRelation
from relgraph.schema import parse
from relgraph.tuples import Object, RelationTuple, Subject

SCHEMA = parse(
    """use expiration
use universal
definition user {}
definition group {
  relation member: user | group#member
}
definition service {
  relation suspended: user with universal
}
definition report {
  relation parent: report
  relation viewer: user | user:* | group#member | group#member with universal
  relation member_of: group#member
  relation open: user:* with universal
  relation lent: user with expiration | group#member | group#member with expiration and universal
  permission view = viewer
}
definition folder {
  permission nothing = nothing + nothing
}
"""
)


@pytest.mark.parametrize(
    "text",
    [
        "report:q3#viewer@user:anna",
        "report:q3#viewer@user:*",
        "report:q3#viewer@group:board#member",
        "report:*#viewer@group:root#member",
        "report:*#open@user:*",
        "service:*#suspended@user:bob",
        "group:eng#member@group:dev#member",
        "report:q3#parent@report:q2",
        "report:q3#lent@user:anna[expiration:2027-01-31T12:00:00Z]",
        "report:*#lent@group:board#member[expiration:2027-01-31T12:00:00Z]",
        "report:q3#lent@group:board#member",
    ],
)
def test_admitted(text: str) -> None:
    """A tuple is admitted when its relation takes that kind of subject, and universal ones where the kind says so."""
    SCHEMA.admit(RelationTuple.parse(text))
    assert SCHEMA.admits(RelationTuple.parse(text))


@pytest.mark.parametrize(
    ("text", "error", "part"),
    [
        ("reprt:q3#viewer@user:anna", UnknownDefinition, "`reprt` is not a definition of the schema, did"),
        ("report:q3#viewer@usr:anna", UnknownDefinition, "of the schema, did you mean `user`?"),
        ("report:q3#viewr@user:anna", UnknownRelation, "`viewr` is not a relation of `report`, did you mean `viewer`?"),
        ("report:q3#viewer@group:board#membr", UnknownRelation, "of `group`, did you mean `member`?"),
        ("report:q3#view@user:anna", CannotUpdatePermission, "which is computed; write one of its relations: `parent`"),
        ("folder:f1#nothing@user:anna", CannotUpdatePermission, "`folder` has no relation to write"),
        (
            "report:q3#viewer@folder:f1",
            TupleNotAllowed,
            "`report#viewer` takes no `folder`, only `user`, `user:*`, `group#member`, `group#member with universal`",
        ),
        ("report:q3#viewer@report:q2#view", TupleNotAllowed, "takes no `report#view`"),
        ("report:q3#member_of@group:board", TupleNotAllowed, "did you mean `group:board#member`?"),
        ("report:q3#viewer@group:*", TupleNotAllowed, "takes no `group:*`"),
        ("report:*#viewer@user:anna", TupleNotAllowed, "allow `user with universal` in the schema"),
        ("report:*#parent@report:q2", TupleNotAllowed, "takes `report` for one object only"),
        ("service:mail#suspended@user:bob", TupleNotAllowed, "name the resource `service:*`"),
        ("report:q3#open@user:*", TupleNotAllowed, "name the resource `report:*`"),
        (
            "report:q3#lent@user:anna",
            TupleNotAllowed,
            "takes `user` with an expiration only; say until when it counts, or allow `user` in the schema",
        ),
        (
            "report:q3#viewer@user:anna[expiration:2027-01-31T12:00:00Z]",
            TupleNotAllowed,
            "takes `user` without an expiration only; leave the expiration out, or allow `user with expiration` in",
        ),
        (
            "report:*#lent@user:anna[expiration:2027-01-31T12:00:00Z]",
            TupleNotAllowed,
            "takes `user` for one object only; name the object, or allow `user with expiration and universal` in",
        ),
        (
            "report:*#lent@user:anna",
            TupleNotAllowed,
            "takes no `user with universal`, only `user with expiration`, `group#member`, `group#member with exp",
        ),
        (
            "report:q3#lent@group:board[expiration:2027-01-31T12:00:00Z]",
            TupleNotAllowed,
            "takes no `group with expiration`, only",
        ),
        ("report:q3#lent@group:board", TupleNotAllowed, "did you mean `group:board#member`?"),
        (
            "user:anna#viewer@report:q3[expiration:2027-01-31T12:00:00Z]",
            UnknownRelation,
            "may be swapped, as `viewer` belongs to `report`",
        ),
        (
            "user:anna#lent@report:q3[expiration:2027-01-31T12:00:00Z]",
            UnknownRelation,
            "did you mean `report:q3#lent@user:anna[expiration:2027-01-31T12:00:00Z]`?",
        ),
        ("user:anna#viewer@report:q3", UnknownRelation, "did you mean `report:q3#viewer@user:anna`?"),
        ("user:anna#view@report:q3", UnknownRelation, "may be swapped, as `view` belongs to `report`"),
    ],
)
def test_refused(text: str, error: type[RelgraphError], part: str) -> None:
    """A refusal names the tuple, the reason, and what the schema takes there."""
    tuple_ = RelationTuple.parse(text)
    assert not SCHEMA.admits(tuple_)
    with pytest.raises(RelgraphError) as caught:
        SCHEMA.admit(tuple_)
    assert type(caught.value) is error
    assert caught.value.message.startswith(f"`{text}` cannot be written: ")
    assert part in caught.value.message
    assert caught.value.details["tuple"] == text


@pytest.mark.parametrize(
    ("subject", "name", "resource"),
    [
        ("user:anna", "view", "report:q3"),
        ("group:board#member", "viewer", "report:q3"),
        ("report:q3#view", "view", "report:q3"),
    ],
)
def test_question(subject: str, name: str, resource: str) -> None:
    """A question passes when its types and names exist, whether or not any tuple could answer it."""
    SCHEMA.check_question(Subject.parse(subject), name, Object.parse(resource))


@pytest.mark.parametrize(
    ("subject", "name", "resource", "error", "part"),
    [
        ("usr:anna", "view", "report:q3", UnknownDefinition, "did you mean `user`?"),
        ("user:anna", "view", "reprt:q3", UnknownDefinition, "did you mean `report`?"),
        ("user:anna", "vew", "report:q3", UnknownRelation, "permission of `report`, did you mean"),
        ("group:board#membr", "view", "report:q3", UnknownRelation, "permission of `group`, did you mean"),
        ("report:q3", "view", "user:anna", UnknownRelation, "subject and resource may be swapped"),
        ("report:q3", "anything", "user:anna", UnknownRelation, "`anything` is not a relation or permission of `user`"),
    ],
)
def test_question_refused(subject: str, name: str, resource: str, error: type[RelgraphError], part: str) -> None:
    """A question with an unknown name is an error that says which, and whether its sides look swapped."""
    with pytest.raises(RelgraphError) as caught:
        SCHEMA.check_question(Subject.parse(subject), name, Object.parse(resource))
    assert type(caught.value) is error
    assert part in caught.value.message


def test_member_and_definition() -> None:
    """Unknown types and names are errors of their own, with the known names of that type."""
    with pytest.raises(UnknownDefinition, match="did you mean `report`"):
        SCHEMA.definition("reports")
    with pytest.raises(UnknownRelation, match="known here: `member`"):
        SCHEMA.member("group", "owner")
    assert SCHEMA.member("report", "view").name == "view"


def test_subject_types() -> None:
    """Which types could ever hold a name follows usersets, names, both arrows and `self`."""
    schema = parse(
        "use self\ndefinition user {\n  permission me_too = self\n}\n"
        "definition folder {\n  relation owner: user\n  permission view = owner\n}\n"
        "definition doc {\n  relation parent: folder | user\n  permission some = parent->view\n"
        "  permission each = parent.all(view) - nil\n  permission nobody = nil\n"
        "  permission own = some & self\n  permission them = parent->me_too\n}"
    )
    found = {name: set(types) for (type_, name), types in schema.subject_types.items() if type_ == "doc"}
    assert found == {
        "parent": {"folder", "user"},
        "some": {"user"},
        "each": {"user"},
        "nobody": set(),
        "own": {"doc", "user"},
        "them": {"user"},
    }


def test_a_schema_cannot_be_changed() -> None:
    """The mappings of a schema refuse assignment."""
    with pytest.raises(TypeError):
        SCHEMA.definitions["user"] = SCHEMA.definitions["group"]  # type: ignore[index]
