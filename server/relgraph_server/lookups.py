"""Lookups: what a subject reaches and who reaches a resource, in many messages; how many; all permissions of one.

Rule 1: a lookup is complete before its first message is sent, so an error is never the end of a part of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.tuples import Object, Subject, check_relation, check_type
from relgraph.wire import lookups as messages
from relgraph.wire import questions
from relgraph.wire.brought import read_brought
from relgraph.wire.parts import read_text
from relgraph_server.guard import refuse_unserved

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc.aio
    from google.protobuf.message import Message

    from relgraph.answers import Lookup
    from relgraph.v1 import authorizer_pb2 as pb
    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["Lookups"]


class Lookups:
    """The methods of lookups, over what is asked through."""

    def __init__(self, asking: Asking) -> None:
        self._authorizer = asking.authorizer
        self._ask = asking.ask
        self._places = asking.lookups

    async def resources(self, request: pb.LookupResourcesRequest, context: Context) -> None:
        """Send what a subject has a permission on."""
        refuse_unserved(request)
        subject = read_text(Subject.parse, request.subject, "subject")
        permission = read_text(check_relation, request.permission, "permission")
        type_ = read_text(check_type, request.type, "type")
        limit = request.limit if request.HasField("limit") else None
        consistency = questions.read_consistency(request)
        values, contextual = read_brought(request)
        await self._send(
            lambda left: self._authorizer.what(
                subject,
                permission,
                type_,
                limit=limit,
                cursor=request.cursor,
                context=values,
                contextual=contextual,
                consistency=consistency,
                deadline=left,
            ),
            context,
        )

    async def subjects(self, request: pb.LookupSubjectsRequest, context: Context) -> None:
        """Send who has a permission on a resource."""
        refuse_unserved(request)
        resource = read_text(Object.parse, request.resource, "resource")
        permission = read_text(check_relation, request.permission, "permission")
        type_ = read_text(check_type, request.type, "type")
        relation = _read_relation(request)
        limit = request.limit if request.HasField("limit") else None
        consistency = questions.read_consistency(request)
        values, contextual = read_brought(request)
        await self._send(
            lambda left: self._authorizer.who(
                resource,
                permission,
                type_,
                relation=relation,
                limit=limit,
                cursor=request.cursor,
                context=values,
                contextual=contextual,
                consistency=consistency,
                deadline=left,
            ),
            context,
        )

    async def _send(self, question: Callable[[float], Lookup], context: Context) -> None:
        """Ask, and send all of the answer. Its rows are held as messages only, which take a fraction of the memory."""
        async with self._places.place() as place:
            told = await self._ask(lambda left: list(messages.lookup_messages(question(left))), context)
            told.reverse()
            while told:
                await place.within(context.write(told.pop()))

    async def count_resources(self, request: pb.CountResourcesRequest, context: Context) -> pb.CountResponse:
        """Count what a subject has a permission on."""
        refuse_unserved(request)
        subject = read_text(Subject.parse, request.subject, "subject")
        permission = read_text(check_relation, request.permission, "permission")
        type_ = read_text(check_type, request.type, "type")
        consistency = questions.read_consistency(request)
        values, contextual = read_brought(request)
        count = await self._ask(
            lambda left: self._authorizer.count_resources(
                subject,
                permission,
                type_,
                context=values,
                contextual=contextual,
                consistency=consistency,
                deadline=left,
            ),
            context,
        )
        return messages.count_message(count)

    async def count_subjects(self, request: pb.CountSubjectsRequest, context: Context) -> pb.CountResponse:
        """Count who has a permission on a resource."""
        refuse_unserved(request)
        resource = read_text(Object.parse, request.resource, "resource")
        permission = read_text(check_relation, request.permission, "permission")
        type_ = read_text(check_type, request.type, "type")
        relation = _read_relation(request)
        consistency = questions.read_consistency(request)
        values, contextual = read_brought(request)
        count = await self._ask(
            lambda left: self._authorizer.count_subjects(
                resource,
                permission,
                type_,
                relation=relation,
                context=values,
                contextual=contextual,
                consistency=consistency,
                deadline=left,
            ),
            context,
        )
        return messages.count_message(count)

    async def permissions(self, request: pb.AllPermissionsRequest, context: Context) -> pb.AllPermissionsResponse:
        """Tell all that a subject has on a resource."""
        refuse_unserved(request)
        subject = read_text(Subject.parse, request.subject, "subject")
        resource = read_text(Object.parse, request.resource, "resource")
        consistency = questions.read_consistency(request)
        values, contextual = read_brought(request)
        found = await self._ask(
            lambda left: self._authorizer.permissions(
                subject, resource, context=values, contextual=contextual, consistency=consistency, deadline=left
            ),
            context,
        )
        return messages.permissions_message(found)


def _read_relation(request: pb.LookupSubjectsRequest | pb.CountSubjectsRequest) -> str:
    return read_text(check_relation, request.relation, "relation") if request.relation else ""
