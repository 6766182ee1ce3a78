"""What the tests of SpiceDB's dialect share: a server over a schema and tuples, its stubs, and messages in few words.

Here texts become messages and messages become texts; nothing is asked of relgraph but through the wire.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import grpc
from authzed.api.v1 import core_pb2 as core
from authzed.api.v1 import permission_service_pb2 as pb
from authzed.api.v1.experimental_service_pb2_grpc import ExperimentalServiceStub
from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceStub
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed
from grpc_status import rpc_status

from relgraph.api import open_authorizer
from relgraph.tuples import Object, RelationTuple, Subject
from relgraph_server.authzed.nouns import object_message, relationship_of, subject_message
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from relgraph.api import Authorizer
    from relgraph_server.settings import Settings

__all__ = ["NOW", "Door", "door", "obj", "refused", "rel", "sub", "tree_text"]

NOW = pb.Consistency(fully_consistent=True)


class Door:
    """A server's stubs, and the Authorizer behind it."""

    def __init__(self, channel: grpc.Channel, authorizer: Authorizer) -> None:
        self.authorizer = authorizer
        self.permissions = PermissionsServiceStub(channel)
        self.experimental = ExperimentalServiceStub(channel)


@contextmanager
def door(schema: str, tuples: Sequence[str] = (), settings: Settings | None = None) -> Iterator[Door]:
    """Serve a store with this schema and these tuples."""
    with open_authorizer("sqlite://") as authorizer:
        authorizer.write_schema(schema)
        if tuples:
            authorizer.write(touch=tuples)
        with in_process(authorizer, settings) as address, grpc.insecure_channel(address) as channel:
            yield Door(channel, authorizer)


def obj(text: str) -> core.ObjectReference:
    """The message of an object."""
    return object_message(Object.parse(text))


def sub(text: str) -> core.SubjectReference:
    """The message of a subject."""
    return subject_message(Subject.parse(text, wildcard=True))


def rel(text: str) -> core.Relationship:
    """The message of a tuple."""
    return relationship_of(RelationTuple.parse(text))


def refused(call: Callable[[], object]) -> tuple[str, str, str]:
    """What a call is refused with: code, reason without its common beginning, and text."""
    try:
        answer = call()
        if isinstance(answer, grpc.RpcError):  # a stream that was not read yet
            list(answer)  # type: ignore[call-overload]
    except grpc.RpcError as problem:
        status = rpc_status.from_call(cast("grpc.Call", problem))
        assert status is not None
        info = error_details_pb2.ErrorInfo()
        status.details[0].Unpack(info)
        assert info.domain == "authzed.com"
        return problem.code().name, str(info.reason).removeprefix("ERROR_REASON_"), problem.details() or ""
    raise AssertionError("the call was answered")


def tree_text(tree: core.PermissionRelationshipTree) -> str:
    """A tree on one line: `object#name`, then `+ & -` with its children, or the subjects of a leaf."""
    name = f"{tree.expanded_object.object_type}:{tree.expanded_object.object_id}#{tree.expanded_relation}"
    if tree.WhichOneof("tree_type") == "leaf":
        found = [
            str(Subject(each.object.object_type, each.object.object_id, each.optional_relation))
            for each in tree.leaf.subjects
        ]
        return f"{name}[{', '.join(found)}]"
    sign = {1: "+", 2: "&", 3: "-"}[tree.intermediate.operation]
    return f"{name}({f' {sign} '.join(map(tree_text, tree.intermediate.children)) or sign})"
