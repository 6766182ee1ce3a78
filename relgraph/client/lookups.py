"""Lookups by a client for threads: what a subject reaches, who reaches a resource, how many, all permissions of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeVar

from relgraph.client.requests import Dated, Requests
from relgraph.wire.brought import brought_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import grpc

    from relgraph.answers import Count, Lookup, Permissions
    from relgraph.client.requests import Asked
    from relgraph.revision import Consistency
    from relgraph.tuples import Object, RelationTuple, Subject
    from relgraph.v1 import authorizer_pb2 as pb
    from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceStub

__all__ = ["Lookups"]

_Request = TypeVar("_Request")
_Response = TypeVar("_Response", bound=Dated)
_Answer = TypeVar("_Answer")


class Lookups(ABC):
    """The lookups of a `Client`, which makes the calls."""

    _requests: Requests
    _stub: AuthorizerServiceStub

    def what(
        self,
        subject: str | Subject,
        permission: str,
        type: str,
        *,
        limit: int | None = None,
        cursor: str = "",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Lookup:
        """The resources of a type that the subject has the permission on, found without asking about each.

        Without a `limit`, all of them, or LimitExceeded; with one, `cursor` continues after the page before.
        """
        request = self._requests.what(
            subject, permission, type, limit, cursor, brought_message(context, contextual), consistency
        )
        return self._gather(self._stub.LookupResources, request, deadline)

    def who(
        self,
        resource: str | Object,
        permission: str,
        type: str,
        *,
        relation: str = "",
        limit: int | None = None,
        cursor: str = "",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Lookup:
        """The subjects of a type, with a `relation` its usersets, that have the permission on the resource.

        Without a `limit`, all of them, or LimitExceeded; with one, `cursor` continues after the page before.
        """
        request = self._requests.who(
            resource, permission, type, relation, limit, cursor, brought_message(context, contextual), consistency
        )
        return self._gather(self._stub.LookupSubjects, request, deadline)

    def count_resources(
        self,
        subject: str | Subject,
        permission: str,
        type: str,
        *,
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Count:
        """How many resources `what` would find, of each verdict."""
        asked = self._requests.count_resources(
            subject, permission, type, brought_message(context, contextual), consistency
        )
        return self._call(self._stub.CountResources, asked, deadline)

    def count_subjects(
        self,
        resource: str | Object,
        permission: str,
        type: str,
        *,
        relation: str = "",
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Count:
        """How many subjects `who` would find, of each verdict."""
        asked = self._requests.count_subjects(
            resource, permission, type, relation, brought_message(context, contextual), consistency
        )
        return self._call(self._stub.CountSubjects, asked, deadline)

    def permissions(
        self,
        subject: str | Subject,
        resource: str | Object,
        *,
        context: Mapping[str, object] | None = None,
        contextual: Sequence[str | RelationTuple] = (),
        consistency: Consistency | None = None,
        deadline: float | None = None,
    ) -> Permissions:
        """The verdict on every relation and permission of the resource, in the schema's order."""
        asked = self._requests.permissions(subject, resource, brought_message(context, contextual), consistency)
        return self._call(self._stub.AllPermissions, asked, deadline)

    @abstractmethod
    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Response],
        asked: Asked[_Request, _Response, _Answer],
        deadline: float | None = None,
    ) -> _Answer: ...

    @abstractmethod
    def _gather(
        self,
        method: grpc.UnaryStreamMultiCallable[_Request, pb.LookupResponse],
        request: _Request,
        deadline: float | None,
    ) -> Lookup: ...
