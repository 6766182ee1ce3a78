"""SchemaService of SpiceDB's dialect: schemas written and read back, refused, reflected and compared, over the wire."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from authzed.api.v1 import experimental_service_pb2 as experimental
from authzed.api.v1 import schema_service_pb2 as pb

from relgraph.revision import Token
from tests.authzed_schemas_kit import FULL, door, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from tests.authzed_schemas_kit import Door

SCHEMA = """use expiration
// whoever signs in
definition user {}
definition group { relation member: user | group#member }
caveat within(site string, limit int) { limit>1 && site=='north' }
/** what is read */
definition report {
  permission view = viewer + owner   // trailing
  relation owner: user
  // who looks
  relation viewer: user | user:* | group#member with within and expiration
  permission odd = owner & parent.any(view) - parent.all(view)
  relation parent: report
}
"""
REGENERATED = """use expiration

caveat within(limit int, site string) {
\tlimit > 1 && site == "north"
}

definition group {
\trelation member: user | group#member
}

/** what is read */
definition report {
\tpermission view = viewer + owner
\trelation owner: user

\t// who looks
\trelation viewer: user | user:* | group#member with within and expiration
\tpermission odd = (owner & parent.any(view)) - parent.all(view)
\trelation parent: report
}

// whoever signs in
definition user {}"""


@pytest.fixture
def opened() -> Iterator[Door]:
    with door() as found:
        yield found


def test_a_schema_is_read_back_regenerated(opened: Door) -> None:
    """What was written comes back sorted and laid out as SpiceDB does it, at the token it was written at."""
    token = opened.write(SCHEMA)
    reply = opened.schemas.ReadSchema(pb.ReadSchemaRequest())
    assert REGENERATED == reply.schema_text
    assert Token.parse(token).revision == Token.parse(reply.read_at.token).revision
    opened.write(reply.schema_text)
    assert REGENERATED == opened.read()


def test_without_a_schema_nothing_is_found(opened: Door) -> None:
    """Before the first schema, and again after an empty one, reading is NOT_FOUND, whatever is read."""
    reads = (
        opened.read,
        lambda: opened.reflect(pb.ReflectSchemaRequest(consistency=FULL)),
        lambda: opened.diff(SCHEMA),
        lambda: opened.ask(pb.ComputablePermissionsRequest(consistency=FULL, definition_name="user")),
    )
    assert ["NOT_FOUND"] * 4 == [refused(each).code for each in reads]
    opened.write(SCHEMA)
    opened.write("")
    assert ["NOT_FOUND"] * 4 == [refused(each).code for each in reads]


def test_an_empty_schema_takes_nothing_from_tuples(opened: Door) -> None:
    """An empty schema is refused where tuples live, and once they are gone takes all definitions away."""
    opened.write(SCHEMA)
    opened.authorizer.write(touch=["group:board#member@user:anna"])
    told = refused(lambda: opened.write(""))
    assert ("INVALID_ARGUMENT", "SCHEMA_TYPE_ERROR") == (told.code, told.reason)
    opened.authorizer.write(delete=["group:board#member@user:anna"])
    opened.write("")
    assert "NOT_FOUND" == refused(opened.read).code


@pytest.mark.parametrize(
    ("text", "code", "reason", "metadata"),
    [
        (
            "definition user {}\ndefinitoin group {}",
            "INVALID_ARGUMENT",
            "SCHEMA_PARSE_ERROR",
            {
                "start_line_number": "1",
                "start_column_position": "0",
                "end_line_number": "1",
                "end_column_position": "10",
                "source_code": "definitoin group {}",
            },
        ),
        (
            "definition user {}\ndefinition doc {\n  relation viewer: usr\n}",
            "FAILED_PRECONDITION",
            "SCHEMA_TYPE_ERROR",
            {"line_number": "3", "column_position": "20", "source_code": "usr"},
        ),
        (
            "definition user {}\ndefinition doc {\n  relation viewer: user\n  permission view = viewr\n}",
            "FAILED_PRECONDITION",
            "SCHEMA_TYPE_ERROR",
            {"line_number": "4", "column_position": "21", "source_code": "viewr"},
        ),
        (
            "caveat within(site string) { site }\ndefinition user {}",
            "INVALID_ARGUMENT",
            "SCHEMA_PARSE_ERROR",
            {"start_line_number": "0", "start_column_position": "29"},
        ),
    ],
)
def test_a_bad_schema_is_refused(opened: Door, text: str, code: str, reason: str, metadata: dict[str, str]) -> None:
    """What breaks the grammar and what means nothing are told apart, with their places, by writing and comparing."""
    told = refused(lambda: opened.write(text))
    assert (code, reason) == (told.code, told.reason)
    assert metadata.items() <= told.metadata.items()
    compared = refused(lambda: opened.diff(text))
    assert told == compared
    assert "NOT_FOUND" == refused(opened.read).code


def test_a_schema_is_bounded() -> None:
    """A text of more than 4 MiB is refused by its field, however large messages may be."""
    with door(request_bytes_max=8 << 20) as opened:
        told = refused(lambda: opened.write("//" + "x" * (4 << 20)))
    assert ("INVALID_ARGUMENT", "validation error: schema: ") == (told.code, told.message[:26])


@pytest.mark.parametrize(
    ("fact", "text", "message", "metadata"),
    [
        (
            "doc:some#viewer@user:anna",
            "definition user {}\ndefinition doc { relation viewer: user:* }",
            (
                "cannot remove allowed type `user` from relation `viewer` in object definition `doc`, as a "
                "relationship exists with it: doc:some#viewer@user:anna"
            ),
            {
                "operation": "remove_allowed_type",
                "resource_type": "doc",
                "relation": "viewer",
                "allowed_type": "user",
            },
        ),
        (
            "doc:some#viewer@user:*",
            "definition user {}\ndefinition doc { relation viewer: user }",
            (
                "cannot remove allowed type `user:*` from relation `viewer` in object definition `doc`, as a "
                "relationship exists with it: doc:some#viewer@user:*"
            ),
            {"operation": "remove_allowed_type", "allowed_type": "user:*"},
        ),
        (
            "doc:some#viewer@user:anna[within]",
            "definition user {}\ndefinition doc { relation viewer: user | user:* }",
            (
                "cannot remove allowed type `user with within` from relation `viewer` in object definition `doc`, as a "
                "relationship exists with it: doc:some#viewer@user:anna[within]"
            ),
            {"operation": "remove_allowed_type", "allowed_type": "user with within"},
        ),
        (
            "doc:some#viewer@user:anna",
            "definition user {}\ndefinition doc { relation reader: user }",
            (
                "cannot delete relation `viewer` in object definition `doc`, as at least one relationship exists under "
                "it: doc:some#viewer@user:anna"
            ),
            {"operation": "delete_relation", "resource_type": "doc", "relation": "viewer"},
        ),
        (
            "doc:some#viewer@user:anna",
            "definition user {}\ndefinition doc { relation reader: user\n permission viewer = reader }",
            (
                "cannot delete relation `viewer` in object definition `doc`, as at least one relationship exists under "
                "it: doc:some#viewer@user:anna"
            ),
            {"operation": "delete_relation"},
        ),
        (
            "doc:some#viewer@group:all#member",
            "definition user {}\ndefinition group {}\ndefinition doc { relation viewer: user }",
            (
                "cannot delete relation `member` in object definition `group`, as at least one relationship references "
                "it as part of a subject: doc:some#viewer@group:all#member"
            ),
            {"operation": "delete_relation_reverse_check", "resource_type": "group", "relation": "member"},
        ),
        (
            "doc:some#viewer@user:anna",
            "definition user {}",
            (
                "cannot delete object definition `doc`, as at least one relationship exists under it: "
                "doc:some#viewer@user:anna"
            ),
            {"operation": "delete_object_definition", "resource_type": "doc"},
        ),
    ],
)
def test_tuples_are_never_stranded(opened: Door, fact: str, text: str, message: str, metadata: dict[str, str]) -> None:
    """A schema that would strand a tuple is refused in SpiceDB's words, which end with that tuple."""
    before = """caveat within(hour int) { hour > 8 }
    definition user {}
    definition group { relation member: user }
    definition doc { relation viewer: user | user:* | group#member | user with within }"""
    opened.write(before)
    opened.authorizer.write(touch=[fact])
    told = refused(lambda: opened.write(text))
    assert ("INVALID_ARGUMENT", "SCHEMA_TYPE_ERROR", message) == (told.code, told.reason, told.message)
    assert {**metadata, "relationship": fact}.items() <= told.metadata.items()
    opened.write(before + "\ndefinition more {}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("definition user {}", "cannot delete object definition `doc`"),
        ("definition user {}\ndefinition doc { relation viewer: user:* }", "cannot delete relation `owner`"),
        (
            "definition user {}\ndefinition doc { relation viewer: user\n relation owner: user:* }",
            "cannot remove allowed type `user` from relation `owner`",
        ),
        (
            "definition group {}\ndefinition user {}\ndefinition doc { relation viewer: user:* }",
            "cannot delete relation `member` in object definition `group`",
        ),
        (
            "definition user {}\ndefinition doc { relation viewer: user\n relation owner: user }\ndefinition group {}",
            "cannot remove allowed type `group#member` from relation `owner`",
        ),
    ],
)
def test_what_spicedb_meets_first_is_told(opened: Door, text: str, expected: str) -> None:
    """Of many tuples that would be stranded, the one told is stranded by what SpiceDB looks at first."""
    opened.write("""definition user {}
    definition group { relation member: user }
    definition doc { relation viewer: user\n relation owner: user | group#member }""")
    facts = ["doc:a#viewer@user:anna", "doc:b#owner@user:anna", "doc:c#owner@group:g#member", "group:g#member@user:bob"]
    opened.authorizer.write(touch=facts)
    told = refused(lambda: opened.write(text))
    assert ("INVALID_ARGUMENT", "SCHEMA_TYPE_ERROR") == (told.code, told.reason)
    assert told.message.startswith(expected)
    assert told.metadata["relationship"] in facts


@pytest.mark.parametrize(
    ("parameters", "message", "operation"),
    [
        ("other int", "cannot remove parameter `hour` on caveat `within`", "remove_parameter"),
        (
            "hour double, other int",
            "cannot change the type of parameter `hour` on caveat `within`",
            "change_parameter_type",
        ),
    ],
)
def test_a_caveat_keeps_its_parameters(opened: Door, parameters: str, message: str, operation: str) -> None:
    """A caveat's parameter neither goes nor changes its type, be there tuples or not; another one may come."""
    opened.write("caveat within(hour int) { hour > 8 }\ndefinition user {}")
    names = [each.split()[0] for each in parameters.split(", ")]
    text = f"caveat within({parameters}) {{ {' && '.join(f'{name} > 1' for name in names)} }}\ndefinition user {{}}"
    told = refused(lambda: opened.write(text.replace("hour > 1", "hour > 1.0")))
    assert ("INVALID_ARGUMENT", "SCHEMA_TYPE_ERROR", message) == (told.code, told.reason, told.message)
    metadata = {"operation": operation, "caveat_name": "within", "parameter_name": "hour"}
    assert metadata.items() <= told.metadata.items()
    opened.write("caveat within(hour int, other int) { hour > 8 && other > 1 }\ndefinition user {}")


def test_unknown_names_are_refused(opened: Door) -> None:
    """Whoever asks what a name leads to is told of names that do not exist, and that a relation is no permission."""
    opened.write(SCHEMA)

    def computable(type_: str, name: str) -> object:
        request = pb.ComputablePermissionsRequest(consistency=FULL, definition_name=type_, relation_name=name)
        return opened.ask(request)

    def dependent(type_: str, name: str) -> object:
        request = pb.DependentRelationsRequest(consistency=FULL, definition_name=type_, permission_name=name)
        return opened.ask(request)

    for asked in (computable, dependent):
        told = refused(partial(asked, "reprt", "view"))
        assert ("FAILED_PRECONDITION", "UNKNOWN_DEFINITION") == (told.code, told.reason)
        assert "reprt" == told.metadata["definition_name"]
        told = refused(partial(asked, "report", "viw"))
        assert ("FAILED_PRECONDITION", "UNKNOWN_RELATION_OR_PERMISSION") == (told.code, told.reason)
        for type_ in ("Report", "", "*"):
            assert "UNKNOWN_DEFINITION" == refused(partial(asked, type_, "view")).reason
        assert "UNKNOWN_RELATION_OR_PERMISSION" == refused(partial(asked, "report", "View!")).reason
    assert "UNKNOWN_RELATION_OR_PERMISSION" == refused(lambda: dependent("report", "")).reason
    told = refused(lambda: dependent("report", "viewer"))
    assert ("INVALID_ARGUMENT", "UNKNOWN_RELATION_OR_PERMISSION") == (told.code, told.reason)
    assert "is not a permission" in told.message


def test_the_older_names_answer_the_same(opened: Door) -> None:
    """What ExperimentalService tells of schemas is, byte for byte, what SchemaService tells."""
    opened.write(SCHEMA)
    asked: dict[str, Message] = {
        "ReflectSchema": pb.ReflectSchemaRequest(consistency=FULL),
        "ComputablePermissions": pb.ComputablePermissionsRequest(consistency=FULL, definition_name="user"),
        "DependentRelations": pb.DependentRelationsRequest(
            consistency=FULL, definition_name="report", permission_name="odd"
        ),
        "DiffSchema": pb.DiffSchemaRequest(consistency=FULL, comparison_schema="definition user {}"),
    }
    for name, request in asked.items():
        newer = opened.ask(request)
        older = getattr(experimental, f"Experimental{name}Request").FromString(request.SerializeToString())
        reply = getattr(opened.experimental, f"Experimental{name}")(older)
        # One instant differs: that of asking, in the token.
        newer.ClearField("read_at")
        reply.ClearField("read_at")
        assert newer.SerializeToString() == reply.SerializeToString()
        assert newer.ByteSize()


def test_a_schema_is_asked_for_as_it_was(opened: Door) -> None:
    """What is reflected at an older token, exactly, is the schema of then."""
    then = opened.write("definition user {}")
    opened.write("definition user {}\ndefinition later {}")
    request = pb.ReflectSchemaRequest()
    request.consistency.at_exact_snapshot.token = then
    assert ["user"] == [each.name for each in opened.reflect(request).definitions]
    now = opened.reflect(pb.ReflectSchemaRequest(consistency=FULL))
    assert ["later", "user"] == [each.name for each in now.definitions]


def test_what_only_relgraph_has_stays_in_the_text(opened: Door) -> None:
    """Ladders, grants and universal tuples are read back as they were, under their own `use` lines."""
    text = """use universal

use roles

use grants

definition doc {
\troles manage > view
\trelation owner: user | user with universal
\trelation viewer: user
\tpermission manage = owner
\tpermission view = manage + viewer
\tgrant viewer by manage
}

definition user {}"""
    opened.write(text)
    assert text == opened.read()
    found = opened.reflect(pb.ReflectSchemaRequest(consistency=FULL)).definitions[0]
    assert ["owner", "viewer"] == [each.name for each in found.relations]
    assert ["user"] == [each.subject_definition_name for each in found.relations[0].subject_types]


@pytest.mark.parametrize(
    ("line", "other"),
    [("roles manage > view", ""), ("grant viewer by manage", ""), ("| user with universal", "")],
)
def test_what_no_difference_tells_is_refused(opened: Door, line: str, other: str) -> None:
    """A change that SpiceDB has no word for makes comparing fail, which names relgraph.v1; it is never left out."""
    text = """use universal
use roles
use grants
definition user {}
definition doc {
  roles manage > view
  relation owner: user | user with universal
  relation viewer: user
  permission manage = owner
  permission view = manage + viewer
  grant viewer by manage
}"""
    opened.write(text)
    told = refused(lambda: opened.diff(text.replace(line, other)))
    assert ("FAILED_PRECONDITION", True) == (told.code, "relgraph.v1" in told.message)
    assert not opened.diff(text).diffs
