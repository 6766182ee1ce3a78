"""Where relgraph answers SpiceDB's clients otherwise than SpiceDB does, on purpose; and the page that lists it all."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest
from authzed.api.v1 import InsecureClient, ReadSchemaRequest, WriteSchemaRequest
from authzed.api.v1 import core_pb2 as core
from authzed.api.v1 import permission_service_pb2 as pb

from relgraph.api import open_authorizer
from tests.authzed_kit import NOW, Door, door, obj, refused, sub
from tests.house import ROOT
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "authzed.md"
SCHEMA = """caveat sixth(days list<int>) { days[5] == 1 }
definition user { relation friend: user }
definition doc { relation viewer: user | user:* | user with sixth; relation editor: user
  permission view = viewer + editor }
"""
TUPLES = (
    "doc:open#viewer@user:*",
    'doc:odd#viewer@user:anna[sixth:{"days":[1]}]',
    "doc:odd#editor@user:anna",
    'doc:odd#viewer@user:bert[sixth:{"days":[1]}]',
)
YES = pb.CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION
NO = pb.CheckPermissionResponse.PERMISSIONSHIP_NO_PERMISSION


@pytest.fixture(scope="module")
def served() -> Iterator[Door]:
    """A server over the schema; the text has definitions on one line, which SpiceDB's grammar does not take."""
    with door(SCHEMA, TUPLES) as opened:
        yield opened


def asked(subject: str, resource: str, consistency: pb.Consistency = NOW) -> pb.CheckPermissionRequest:
    return pb.CheckPermissionRequest(
        consistency=consistency, resource=obj(resource), permission="view", subject=sub(subject)
    )


def test_a_wildcard_covers_plain_objects_only(served: Door) -> None:
    """What is open to all users is open to each of them, and not to a userset of one."""
    assert YES == served.permissions.CheckPermission(asked("user:anna", "doc:open")).permissionship
    assert NO == served.permissions.CheckPermission(asked("user:anna#friend", "doc:open")).permissionship


def test_a_caveat_that_fails_counts_where_the_answer_hangs_on_it(served: Door) -> None:
    """Who holds a permission by another way holds it; who does not is told an error, and never a silent no."""
    assert YES == served.permissions.CheckPermission(asked("user:anna", "doc:odd")).permissionship
    code, reason, _ = refused(lambda: served.permissions.CheckPermission(asked("user:bert", "doc:odd")))
    assert ("INVALID_ARGUMENT", "CAVEAT_EVALUATION_ERROR") == (code, reason)


def test_a_token_of_another_store_is_out_of_range(served: Door) -> None:
    """A ZedToken of another store is refused, as at least and as exactly: there is nothing it could mean here."""
    with door(SCHEMA) as other:
        token = core.ZedToken(token=other.authorizer.schema().token)
    for consistency in (pb.Consistency(at_least_as_fresh=token), pb.Consistency(at_exact_snapshot=token)):
        request = asked("user:anna", "doc:open", consistency)
        code, _, text = refused(lambda request=request: served.permissions.CheckPermission(request))  # type: ignore[misc]
        assert "OUT_OF_RANGE" == code
        assert "another store" in text


def test_a_delete_that_leaves_nothing_is_complete() -> None:
    """A delete in parts whose last part has just as many tuples as its limit says that nothing is left."""
    with door(SCHEMA, [f"doc:d{number}#editor@user:anna" for number in range(4)]) as opened:
        request = pb.DeleteRelationshipsRequest(
            relationship_filter=pb.RelationshipFilter(resource_type="doc"),
            optional_limit=2,
            optional_allow_partial_deletions=True,
        )
        progress = [opened.permissions.DeleteRelationships(request).deletion_progress for _ in range(2)]
    partial, complete = (
        pb.DeleteRelationshipsResponse.DELETION_PROGRESS_PARTIAL,
        pb.DeleteRelationshipsResponse.DELETION_PROGRESS_COMPLETE,
    )
    assert [partial, complete] == progress


def test_a_definition_may_end_on_any_line() -> None:
    """A schema is read with its definitions on one line, and told back as SpiceDB lays it out."""
    with open_authorizer("sqlite://") as authorizer, in_process(authorizer) as address:
        client = InsecureClient(address, "none is asked for")
        client.WriteSchema(WriteSchemaRequest(schema="definition user {} definition doc { relation viewer: user }"))
        text = client.ReadSchema(ReadSchemaRequest()).schema_text
    assert "definition doc {\n\trelation viewer: user\n}\n\ndefinition user {}" == text.strip()


def test_a_condition_names_all_that_it_lacks() -> None:
    """A conditional answer names every parameter that is missing, of each tuple that may decide it."""
    schema = """caveat early(hour int) { hour < 8 }
    caveat near(site string) { site == "here" }
    definition user {}
    definition doc { relation viewer: user with early; relation editor: user with near
      permission view = viewer + editor }
    """
    with door(schema, ["doc:a#viewer@user:anna[early]", "doc:a#editor@user:anna[near]"]) as opened:
        answer = opened.permissions.CheckPermission(asked("user:anna", "doc:a"))
    assert ["hour", "site"] == sorted(answer.partial_caveat_info.missing_required_context)


def test_a_filter_names_what_there_is(served: Door) -> None:
    """A filter by a name that the schema lacks, or by an id of no type, is refused: a slip is no empty list."""
    filters = {
        "FAILED_PRECONDITION": pb.RelationshipFilter(resource_type="doc", optional_relation="viever"),
        "INVALID_ARGUMENT": pb.RelationshipFilter(optional_resource_id="open"),
    }
    for code, wanted in filters.items():
        must_not = pb.Precondition(operation=pb.Precondition.OPERATION_MUST_NOT_MATCH, filter=wanted)
        for ask in (
            lambda wanted=wanted: list(
                served.permissions.ReadRelationships(pb.ReadRelationshipsRequest(relationship_filter=wanted))
            ),
            lambda wanted=wanted: served.permissions.DeleteRelationships(
                pb.DeleteRelationshipsRequest(relationship_filter=wanted)
            ),
            lambda must_not=must_not: served.permissions.WriteRelationships(
                pb.WriteRelationshipsRequest(optional_preconditions=[must_not])
            ),
        ):
            assert code == refused(ask)[0]


def test_a_delete_names_a_tuple_whatever_its_condition() -> None:
    """What a DELETE says of a caveat is no part of the tuple's name, be there such a caveat or not."""
    with door(SCHEMA, TUPLES) as opened:
        tuple_ = core.Relationship(
            resource=obj("doc:odd"),
            relation="viewer",
            subject=sub("user:anna"),
            optional_caveat=core.ContextualizedCaveat(caveat_name="unheard_of"),
        )
        update = core.RelationshipUpdate(operation=core.RelationshipUpdate.OPERATION_DELETE, relationship=tuple_)
        opened.permissions.WriteRelationships(pb.WriteRelationshipsRequest(updates=[update]))
        assert set(TUPLES) - {TUPLES[1]} == {str(each) for each in opened.authorizer.read().tuples}


def test_a_context_that_does_not_fit_is_the_callers_fault() -> None:
    """A tuple whose context has another type than the caveat declares is refused as invalid, and changes nothing."""
    with door(SCHEMA) as opened:
        caveat = core.ContextualizedCaveat(caveat_name="sixth")
        caveat.context.update({"days": "monday"})
        fact = core.Relationship(
            resource=obj("doc:odd"), relation="viewer", subject=sub("user:anna"), optional_caveat=caveat
        )
        update = core.RelationshipUpdate(operation=core.RelationshipUpdate.OPERATION_CREATE, relationship=fact)
        request = pb.WriteRelationshipsRequest(updates=[update])
        code, _, text = refused(lambda: opened.permissions.WriteRelationships(request))
        assert "INVALID_ARGUMENT" == code
        assert "days" in text
        assert () == opened.authorizer.read().tuples


def test_the_page_names_tests_that_are_there() -> None:
    """Each row of the page of differences names a test that is there, and this file's are all named."""
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", text))
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| ---", "| SpiceDB"))]
    assert len(named) >= 20
    assert [] == [row for row in rows if "::" not in row]
    there = {
        (path, node.name)
        for path in {path for path, _ in named} | {"test_authzed_differences.py"}
        for node in ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert set() == named - there
    ours = {name for path, name in there if path == "test_authzed_differences.py" and name.startswith("test_")}
    assert ours - {"test_the_page_names_tests_that_are_there"} <= {name for _, name in named}
