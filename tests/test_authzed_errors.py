"""SpiceDB's dialect refuses as SpiceDB does: one row for each way to be refused, with code, reason and metadata."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import grpc
import pytest
from authzed.api.v1 import core_pb2
from authzed.api.v1 import permission_service_pb2 as pb
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed

from relgraph import errors
from relgraph.revision import Token
from relgraph_server.authzed.statuses import REASONS, STATUS_OF, Said, code_of, error_status, reason_of, refusal
from tests.authzed_calls import ask, context, fact, item, meta, opened, refusal_of, select, update, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from authzed.api.v1 import InsecureClient


TOUCH, CREATE, DELETE = 2, 1, 3
FOREIGN = str(Token(b"another store...", 1, 1, b"n" * 16, 1))
LONG = "a" * 1025


@pytest.fixture(scope="module")
def client() -> Iterator[InsecureClient]:
    with opened() as (made, _):
        yield made


class Case(NamedTuple):
    """A call, and what it is refused with; `metadata` is what its own has at least."""

    call: Callable[[InsecureClient], object]
    code: str
    reason: str
    metadata: Mapping[str, str] = {}


INVALID, FAILED = "INVALID_ARGUMENT", "FAILED_PRECONDITION"
RELATION = "UNKNOWN_RELATION_OR_PERMISSION"


def _check(text: str, **fields: object) -> Callable[[InsecureClient], object]:
    return lambda client: client.CheckPermission(ask(text, **fields))


def _write(*updates: core_pb2.RelationshipUpdate, **fields: object) -> Callable[[InsecureClient], object]:
    return lambda client: client.WriteRelationships(write(*updates, **fields))


def _touch(text: str, caveat: str = "", **given: object) -> Callable[[InsecureClient], object]:
    return _write(update(TOUCH, text, caveat, context(**given) if given else None))


def _read(**fields: object) -> Callable[[InsecureClient], object]:
    return lambda client: client.ReadRelationships(pb.ReadRelationshipsRequest(**fields))  # type: ignore[arg-type]


def _delete(**fields: object) -> Callable[[InsecureClient], object]:
    return lambda client: client.DeleteRelationships(pb.DeleteRelationshipsRequest(**fields))  # type: ignore[arg-type]


def _bulk(*items: pb.CheckBulkPermissionsRequestItem) -> Callable[[InsecureClient], object]:
    return lambda client: client.CheckBulkPermissions(pb.CheckBulkPermissionsRequest(items=items))


def _least(token: str) -> pb.Consistency:
    return pb.Consistency(at_least_as_fresh=core_pb2.ZedToken(token=token))


def _exact(token: str) -> pb.Consistency:
    return pb.Consistency(at_exact_snapshot=core_pb2.ZedToken(token=token))


CASES: dict[str, Case] = {
    "a type with capitals": Case(_check("Doc:plan#view@user:ann"), INVALID, "UNSPECIFIED"),
    "a type of two letters": Case(_check("do:plan#view@user:ann"), INVALID, "UNSPECIFIED"),
    "a permission with a dash": Case(_check("doc:plan#vi-ew@user:ann"), INVALID, "UNSPECIFIED"),
    "an id with a dot": Case(_check("doc:pl.an#view@user:ann"), INVALID, "UNSPECIFIED"),
    "an id that is too long": Case(_check(f"doc:{LONG}#view@user:ann"), INVALID, "UNSPECIFIED"),
    "an empty id": Case(_check("doc:#view@user:ann"), INVALID, "UNSPECIFIED"),
    "every resource": Case(_check("doc:*#view@user:ann"), INVALID, "UNSPECIFIED"),
    "a wildcard with a relation": Case(_check("doc:plan#view@group:*#member"), INVALID, "UNSPECIFIED"),
    "no resource": Case(
        lambda client: client.CheckPermission(
            pb.CheckPermissionRequest(permission="view", subject=fact("a@b:c").subject)
        ),
        INVALID,
        "UNSPECIFIED",
    ),
    "consistency that is false": Case(
        _check("doc:plan#view@user:ann", consistency=pb.Consistency(fully_consistent=False)), INVALID, "UNSPECIFIED"
    ),
    "a token without a text": Case(_check("doc:plan#view@user:ann", consistency=_least("")), INVALID, "UNSPECIFIED"),
    "a token that is none": Case(
        _check("doc:plan#view@user:ann", consistency=_least("GhUKEzE2ODM")), INVALID, "UNSPECIFIED"
    ),
    "another store's token, exactly": Case(
        _check("doc:plan#view@user:ann", consistency=_exact(FOREIGN)), "OUT_OF_RANGE", "UNSPECIFIED"
    ),
    "another store's token, at least": Case(
        _check("doc:plan#view@user:ann", consistency=_least(FOREIGN)), "OUT_OF_RANGE", "UNSPECIFIED"
    ),
    "an unknown type": Case(
        _check("paper:plan#view@user:ann"), FAILED, "UNKNOWN_DEFINITION", {"definition_name": "paper"}
    ),
    "an unknown subject type": Case(
        _check("doc:plan#view@human:ann"), FAILED, "UNKNOWN_DEFINITION", {"definition_name": "human"}
    ),
    "an unknown permission": Case(
        _check("doc:plan#see@user:ann"),
        FAILED,
        RELATION,
        {"definition_name": "doc", "relation_or_permission_name": "see"},
    ),
    "a permission without a name": Case(
        _check("doc:plan@user:ann"), FAILED, RELATION, {"definition_name": "doc", "relation_or_permission_name": ""}
    ),
    "an unknown subject relation": Case(
        _check("doc:plan#view@group:eng#leader"),
        FAILED,
        RELATION,
        {"definition_name": "group", "relation_or_permission_name": "leader"},
    ),
    "everybody at once": Case(_check("doc:plan#view@user:*"), INVALID, "WILDCARD_NOT_ALLOWED"),
    "a circle through an exclusion": Case(_check("gate:one#left@user:ann"), FAILED, "MAXIMUM_DEPTH_EXCEEDED"),
    "a context that is too large": Case(
        _check("doc:far#view@user:ann", context=context(site="n" * 5000)), INVALID, "UNSPECIFIED"
    ),
    "a context with a number for a text": Case(
        _check("doc:far#view@user:ann", context=context(limit="x")),
        INVALID,
        "CAVEAT_PARAMETER_TYPE_ERROR",
        {"parameter_name": "limit"},
    ),
    "a caveat that fails": Case(
        _check("doc:odd#view@user:ann", context=context(names=["x"])),
        INVALID,
        "CAVEAT_EVALUATION_ERROR",
        {"caveat_name": "fails"},
    ),
    "too many checks": Case(
        _bulk(*[item("doc:plan#view@user:ann")] * 10_001),
        INVALID,
        "UNSPECIFIED",
        {"check_count": "10001", "maximum_checks_allowed": "10000"},
    ),
    "a bad id among checks": Case(
        _bulk(item("doc:plan#view@user:ann"), item("doc:x y#view@user:ann")), INVALID, "UNSPECIFIED"
    ),
    "no filter": Case(_read(), INVALID, "UNSPECIFIED"),
    "an empty filter": Case(_read(relationship_filter=select()), INVALID, "INVALID_FILTER"),
    "an id and a beginning of ids": Case(
        _read(relationship_filter=select("doc:plan", prefix="p")), INVALID, "INVALID_FILTER"
    ),
    "an id of no type": Case(
        _read(relationship_filter=pb.RelationshipFilter(optional_resource_id="plan")), INVALID, "INVALID_FILTER"
    ),
    "a filter by every resource": Case(_read(relationship_filter=select("doc:*")), INVALID, "UNSPECIFIED"),
    "a filter by an unknown type": Case(
        _read(relationship_filter=select("paper")), FAILED, "UNKNOWN_DEFINITION", {"definition_name": "paper"}
    ),
    "a filter by an unknown relation": Case(
        _read(relationship_filter=select("doc#seer")), FAILED, RELATION, {"relation_or_permission_name": "seer"}
    ),
    "a filter by a permission": Case(
        _read(relationship_filter=select("doc#view")), FAILED, "SCHEMA_TYPE_ERROR", {"definition_name": "doc"}
    ),
    "a filter without a subject type": Case(
        _read(
            relationship_filter=pb.RelationshipFilter(
                optional_subject_filter=pb.SubjectFilter(optional_subject_id="ann")
            )
        ),
        INVALID,
        "UNSPECIFIED",
    ),
    "a filter by a wildcard with a relation": Case(
        _read(relationship_filter=select("doc@group:*#member")), INVALID, "UNSPECIFIED"
    ),
    "a page that is too long": Case(
        _read(relationship_filter=select("doc"), optional_limit=1001),
        INVALID,
        "EXCEEDS_MAXIMUM_ALLOWABLE_LIMIT",
        {"limit_provided": "1001", "maximum_limit_allowed": "1000"},
    ),
    "a cursor that is none": Case(
        _read(relationship_filter=select("doc"), optional_cursor=core_pb2.Cursor(token="xx")), INVALID, "INVALID_CURSOR"
    ),
    "a cursor without a text": Case(
        _read(relationship_filter=select("doc"), optional_cursor=core_pb2.Cursor()), INVALID, "UNSPECIFIED"
    ),
    "an update that does nothing": Case(_write(update(0, "doc:x#owner@user:ann")), INVALID, "UNSPECIFIED"),
    "a tuple without a relation": Case(_touch("doc:x@user:ann"), INVALID, "UNSPECIFIED"),
    "a universal tuple": Case(_touch("doc:*#owner@group:all#member"), INVALID, "UNSPECIFIED"),
    "too many updates": Case(
        _write(*(update(TOUCH, f"doc:x{n}#owner@user:ann") for n in range(1001))),
        INVALID,
        "TOO_MANY_UPDATES_IN_REQUEST",
        {"update_count": "1001", "maximum_updates_allowed": "1000"},
    ),
    "too many preconditions": Case(
        _write(optional_preconditions=[meta(True, "doc:plan")] * 1001),
        INVALID,
        "TOO_MANY_PRECONDITIONS_IN_REQUEST",
        {"precondition_count": "1001"},
    ),
    "a precondition that does not hold": Case(
        _write(update(TOUCH, "doc:x#owner@user:ann"), optional_preconditions=[meta(True, "doc:none#owner@user:ann#")]),
        FAILED,
        "WRITE_OR_DELETE_PRECONDITION_FAILURE",
        {
            "precondition_operation": "OPERATION_MUST_MATCH",
            "precondition_resource_type": "doc",
            "precondition_resource_id": "none",
            "precondition_relation": "owner",
            "precondition_subject_type": "user",
            "precondition_subject_id": "ann",
        },
    ),
    "an empty precondition": Case(
        _write(update(TOUCH, "doc:x#owner@user:ann"), optional_preconditions=[meta(False, "")]), INVALID, "UNSPECIFIED"
    ),
    "the same tuple twice": Case(
        _write(update(TOUCH, "doc:x#viewer@user:ann"), update(DELETE, "doc:x#viewer@user:ann", "near")),
        INVALID,
        "UPDATES_ON_SAME_RELATIONSHIP",
        {"definition_name": "doc", "relationship": "doc:x#viewer@user:ann"},
    ),
    "a permission": Case(
        _touch("doc:x#view@user:ann"),
        INVALID,
        "CANNOT_UPDATE_PERMISSION",
        {"definition_name": "doc", "permission_name": "view"},
    ),
    "a tuple of an unknown type": Case(
        _touch("paper:x#owner@user:ann"), FAILED, "UNKNOWN_DEFINITION", {"definition_name": "paper"}
    ),
    "a tuple of an unknown relation": Case(
        _touch("doc:x#seer@user:ann"),
        FAILED,
        RELATION,
        {"definition_name": "doc", "relation_or_permission_name": "seer"},
    ),
    "a subject that is not taken": Case(
        _touch("doc:x#banned@group:eng#member"),
        INVALID,
        "INVALID_SUBJECT_TYPE",
        {"definition_name": "doc", "relation_name": "banned", "subject_type": "group#member"},
    ),
    "a caveat that is not taken": Case(
        _touch("doc:x#owner@user:ann", "near", site="x"),
        INVALID,
        "INVALID_SUBJECT_TYPE",
        {"definition_name": "doc", "relation_name": "owner"},
    ),
    "a caveat that is unknown": Case(
        _touch("doc:x#viewer@user:ann", "far", site="x"),
        INVALID,
        "INVALID_SUBJECT_TYPE",
        {"subject_type": "user with far"},
    ),
    "a context with a number for a text, stored": Case(
        _touch("doc:x#viewer@user:ann", "near", limit="x"),
        INVALID,
        "CAVEAT_PARAMETER_TYPE_ERROR",
        {"parameter_name": "limit", "caveat_name": "near"},
    ),
    "a context for an unknown parameter, stored": Case(
        _touch("doc:x#viewer@user:ann", "near", place="x"),
        INVALID,
        "CAVEAT_PARAMETER_TYPE_ERROR",
        {"parameter_name": "place", "caveat_name": "near"},
    ),
    "a context that is too large, stored": Case(
        _touch("doc:x#viewer@user:ann", "near", site="n" * 25_000),
        INVALID,
        "MAX_RELATIONSHIP_CONTEXT_SIZE",
        {"max_allowed_size": "25000"},
    ),
    "a tuple that exists": Case(
        _write(update(CREATE, "doc:plan#viewer@user:ann")),
        "ALREADY_EXISTS",
        "ATTEMPT_TO_RECREATE_RELATIONSHIP",
        {
            "relationship": "doc:plan#viewer@user:ann",
            "resource_type": "doc",
            "resource_object_id": "plan",
            "resource_relation": "viewer",
            "subject_type": "user",
            "subject_object_id": "ann",
            "subject_relation": "...",
        },
    ),
    "too much said of a write": Case(
        _write(update(TOUCH, "doc:x#owner@user:ann"), optional_transaction_metadata=context(why="y" * 65_000)),
        INVALID,
        "TRANSACTION_METADATA_TOO_LARGE",
        {"maximum_allowed_metadata_byte_size": "65000"},
    ),
    "a delete of everything": Case(_delete(relationship_filter=select()), INVALID, "INVALID_FILTER"),
    "a delete of too many": Case(
        _delete(relationship_filter=select("doc"), optional_limit=2),
        INVALID,
        "TOO_MANY_RELATIONSHIPS_FOR_TRANSACTIONAL_DELETE",
        {"limit": "2", "filter_resource_type": "doc"},
    ),
    "a delete with too high a limit": Case(
        _delete(relationship_filter=select("doc"), optional_limit=1001), INVALID, "EXCEEDS_MAXIMUM_ALLOWABLE_LIMIT"
    ),
    "a delete of an unknown relation": Case(
        _delete(relationship_filter=select("doc#seer")), FAILED, RELATION, {"relation_or_permission_name": "seer"}
    ),
    "a delete under a condition that does not hold": Case(
        _delete(relationship_filter=select("doc:none"), optional_preconditions=[meta(False, "doc:plan")]),
        FAILED,
        "WRITE_OR_DELETE_PRECONDITION_FAILURE",
        {"precondition_operation": "OPERATION_MUST_NOT_MATCH"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_refusal_is_spicedbs(name: str, client: InsecureClient) -> None:
    """A request that SpiceDB refuses is refused with its code, its reason and its metadata."""
    case = CASES[name]
    told = refusal_of(lambda: case.call(client))
    assert (case.code, case.reason) == (told.code, told.reason), told.text
    assert dict(case.metadata).items() <= told.metadata.items(), told.metadata


def test_a_validation_error_names_the_field(client: InsecureClient) -> None:
    """Where a field holds what it may not, the text says which one, as SpiceDB's does."""
    told = refusal_of(
        lambda: client.WriteRelationships(
            write(update(TOUCH, "doc:a#owner@user:ann"), update(TOUCH, "doc:a b#owner@user:ann"))
        )
    )
    assert told.text.startswith("validation error: updates[1].relationship.resource.object_id: ")
    assert "does not match regex pattern" in told.text


def test_an_answer_that_has_no_word_names_the_dialect_that_has_one(client: InsecureClient) -> None:
    """What is neither yes nor no says that relgraph.v1 can tell it."""
    assert "relgraph.v1" in refusal_of(lambda: client.CheckPermission(ask("gate:one#left@user:ann"))).text


def test_a_revision_that_is_not_kept_is_out_of_range() -> None:
    """A token or cursor of a collected revision, and a token of one that is yet to come, are refused."""
    with opened() as (client, authorizer):
        read = pb.ReadRelationshipsRequest(relationship_filter=select("doc"), optional_limit=2)
        first = next(iter(client.ReadRelationships(read)))
        read.optional_cursor.CopyFrom(first.after_result_cursor)
        authorizer.write(touch=["doc:new#owner@user:ann"])
        authorizer.collect(timedelta(0))
        told = Token.parse(authorizer.read(limit=1).token)
        future = str(replace(told, revision=told.revision + 100))
        for call in (
            _check("doc:plan#view@user:ann", consistency=_exact(first.read_at.token)),
            _check("doc:plan#view@user:ann", consistency=_exact(future)),
            _check("doc:plan#view@user:ann", consistency=_least(future)),
            lambda made: made.ReadRelationships(read),
        ):
            assert refusal_of(partial(call, client)).code == "OUT_OF_RANGE"


KEPT = {
    errors.StoreReadOnly: (grpc.StatusCode.UNAVAILABLE, "SERVICE_READ_ONLY"),
    errors.StoreUnavailable: (grpc.StatusCode.UNAVAILABLE, "UNSPECIFIED"),
    errors.OutcomeUnknown: (grpc.StatusCode.UNKNOWN, "UNSPECIFIED"),
    errors.LimitExceeded: (grpc.StatusCode.RESOURCE_EXHAUSTED, "UNSPECIFIED"),
    errors.DeadlineExceeded: (grpc.StatusCode.DEADLINE_EXCEEDED, "UNSPECIFIED"),
    errors.SchemaParseError: (grpc.StatusCode.INVALID_ARGUMENT, "SCHEMA_PARSE_ERROR"),
    errors.SchemaTypeError: (grpc.StatusCode.FAILED_PRECONDITION, "SCHEMA_TYPE_ERROR"),
    errors.SchemaOrphans: (grpc.StatusCode.INVALID_ARGUMENT, "SCHEMA_TYPE_ERROR"),
}


@pytest.mark.parametrize("cls", KEPT, ids=lambda cls: cls.__name__)
def test_what_is_hard_to_bring_about_is_told_too(cls: type[errors.RelgraphError]) -> None:
    """Errors of the store and of schemas have SpiceDB's codes and reasons; the class's own name stands beside."""
    info = error_details_pb2.ErrorInfo()
    status = error_status(cls("text", {"name": "value"}), "trace")
    assert status.details[0].Unpack(info)
    code, reason = KEPT[cls]
    assert (status.code, info.reason, info.domain) == (code.value[0], f"ERROR_REASON_{reason}", "authzed.com")
    assert dict(info.metadata) == {"name": "value", "relgraph_code": cls.code, "trace_id": "trace"}


def test_without_a_schema_no_definition_is_known() -> None:
    """Before the first schema, a question is refused as one about an unknown definition."""
    with opened(schema="") as (client, _):
        told = refusal_of(lambda: client.CheckPermission(ask("doc:plan#view@user:ann")))
    assert (told.code, told.reason) == (FAILED, "UNKNOWN_DEFINITION")


def test_every_error_has_a_row() -> None:
    """Each class of errors has its own row in the dialect's table, whose reason is one of SpiceDB's."""
    classes = [errors.RelgraphError]
    for cls in classes:
        classes.extend(cls.__subclasses__())
    assert set(classes) == set(STATUS_OF)
    rows = [*STATUS_OF.values(), *(said.value for said in Said)]
    assert {row.reason for row in rows} <= REASONS
    assert grpc.StatusCode.OK not in {row.code for row in rows}


@pytest.mark.parametrize("said", Said)
def test_what_is_said_here_only_is_told_as_said(said: Said) -> None:
    """A refusal of the dialect's own carries its code and reason, and the word for it does not leave the server."""
    error = refusal(said, "text", {"name": "value"})
    assert (code_of(error), reason_of(error)) == (said.value.code, f"ERROR_REASON_{said.value.reason}")
    assert b"authzed\x12" not in error_status(error).SerializeToString()
