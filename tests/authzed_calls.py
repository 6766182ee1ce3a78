"""Calls through SpiceDB's dialect for tests: the unmodified client, messages from short texts, and what a refusal says.

A text is split at its marks and nothing is checked, so that what no message should hold can be sent too.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, cast

import grpc
import pytest
from authzed.api.v1 import InsecureClient, core_pb2
from authzed.api.v1 import permission_service_pb2 as pb
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed
from grpc_status import rpc_status

from relgraph.api import open_authorizer
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from relgraph.api import Authorizer
    from relgraph_server.settings import Settings

__all__ = [
    "SCHEMA",
    "TUPLES",
    "Refusal",
    "ask",
    "context",
    "fact",
    "item",
    "meta",
    "opened",
    "refusal_of",
    "select",
    "update",
    "write",
]

SCHEMA = """use expiration
use universal
caveat near(site string, limit int) { site == 'north' && limit > 1 }
caveat fails(names list<string>) { names[5] == 'x' }
definition user {}
definition group { relation member: user | group#member }
definition doc {
  relation parent: doc
  relation owner: user | group#member | group#member with universal
  relation viewer: user | user:* | user with near | user with fails | user with expiration
  relation banned: user
  permission edit = owner + parent->edit
  permission view = (viewer + edit) - banned
}
definition gate {
  relation keeper: user
  permission left = keeper - right
  permission right = keeper - left
}
"""
TUPLES = (
    "group:eng#member@user:eve",
    "group:all#member@group:eng#member",
    "doc:plan#owner@group:all#member",
    "doc:plan#viewer@user:ann",
    "doc:plan#banned@user:bob",
    'doc:far#viewer@user:ann[near:{"site":"north"}]',
    "doc:odd#viewer@user:ann[fails]",
    "doc:open#viewer@user:*",
    "doc:child#parent@doc:plan",
    "gate:one#keeper@user:ann",
)


class Refusal(NamedTuple):
    """What a call was refused with; `reason` without the beginning that all reasons have."""

    code: str
    reason: str
    metadata: Mapping[str, str]
    text: str


@contextmanager
def opened(
    schema: str = SCHEMA, tuples: Sequence[str] = TUPLES, settings: Settings | None = None
) -> Iterator[tuple[InsecureClient, Authorizer]]:
    """Serve a store with this schema and these tuples; gives SpiceDB's client, and the Authorizer behind it."""
    with open_authorizer("sqlite://") as authorizer:
        if schema:
            authorizer.write_schema(schema)
            authorizer.write(touch=tuples)
        with in_process(authorizer, settings) as address:
            yield InsecureClient(address, "any"), authorizer


def _whole(answer: object) -> None:
    """Read all of an answer that comes in many messages."""
    if isinstance(answer, Iterable):
        list(answer)


def refusal_of(call: Callable[[], object]) -> Refusal:
    """Make a call that is refused, also if only while its answer is read; what it says."""
    with pytest.raises(grpc.RpcError) as caught:
        _whole(call())
    status = rpc_status.from_call(cast("grpc.Call", caught.value))
    assert status is not None, caught.value
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "authzed.com"
    code = caught.value.code().name
    return Refusal(code, info.reason.removeprefix("ERROR_REASON_"), dict(info.metadata), caught.value.details() or "")


def _object(text: str) -> core_pb2.ObjectReference:
    type_, _, id_ = text.partition(":")
    return core_pb2.ObjectReference(object_type=type_, object_id=id_)


def _subject(text: str) -> core_pb2.SubjectReference:
    object_, _, relation = text.partition("#")
    return core_pb2.SubjectReference(object=_object(object_), optional_relation=relation)


def context(**values: object) -> Struct:
    """The message of a context."""
    return json_format.ParseDict(values, Struct())


def fact(text: str, caveat: str = "", given: Struct | None = None) -> core_pb2.Relationship:
    """The message of a tuple, with a caveat and what that is given."""
    left, _, subject = text.partition("@")
    resource, _, relation = left.partition("#")
    made = core_pb2.Relationship(resource=_object(resource), relation=relation, subject=_subject(subject))
    if caveat:
        made.optional_caveat.CopyFrom(core_pb2.ContextualizedCaveat(caveat_name=caveat, context=given))
    return made


def ask(text: str, **fields: object) -> pb.CheckPermissionRequest:
    """The message of a question `resource#permission@subject`."""
    of = fact(text)
    return pb.CheckPermissionRequest(
        resource=of.resource,
        permission=of.relation,
        subject=of.subject,
        **fields,  # type: ignore[arg-type]
    )


def item(text: str, given: Struct | None = None) -> pb.CheckBulkPermissionsRequestItem:
    """The message of one of many questions."""
    of = fact(text)
    return pb.CheckBulkPermissionsRequestItem(
        resource=of.resource, permission=of.relation, subject=of.subject, context=given
    )


def update(operation: int, text: str, caveat: str = "", given: Struct | None = None) -> core_pb2.RelationshipUpdate:
    """The message of an update: 1 creates, 2 touches, 3 deletes."""
    return core_pb2.RelationshipUpdate(
        operation=cast("core_pb2.RelationshipUpdate.Operation.ValueType", operation),
        relationship=fact(text, caveat, given),
    )


def write(*updates: core_pb2.RelationshipUpdate, **fields: object) -> pb.WriteRelationshipsRequest:
    """The message of a write."""
    return pb.WriteRelationshipsRequest(updates=updates, **fields)  # type: ignore[arg-type]


def select(text: str = "", *, prefix: str = "") -> pb.RelationshipFilter:
    """The message of a filter, from a tuple with parts left out; `@user:ann#` is the plain subject only."""
    left, at, right = text.partition("@")
    resource, _, relation = left.partition("#")
    type_, _, id_ = resource.partition(":")
    made = pb.RelationshipFilter(
        resource_type=type_, optional_resource_id=id_, optional_relation=relation, optional_resource_id_prefix=prefix
    )
    if at:
        subject, hash_, subject_relation = right.partition("#")
        subject_type, _, subject_id = subject.partition(":")
        made.optional_subject_filter.subject_type = subject_type
        made.optional_subject_filter.optional_subject_id = subject_id
        if hash_:
            made.optional_subject_filter.optional_relation.relation = subject_relation
            made.optional_subject_filter.optional_relation.SetInParent()
    return made


def meta(must: bool, text: str) -> pb.Precondition:
    """The message of a precondition."""
    operation = pb.Precondition.OPERATION_MUST_MATCH if must else pb.Precondition.OPERATION_MUST_NOT_MATCH
    return pb.Precondition(operation=operation, filter=select(text))
