"""LookupResources and LookupSubjects: lists in SpiceDB's words, of what the law answers.

Rule 1: a lookup is complete before its first message is sent, so an error is never the end of a part of one.
Rule 2: every row has a cursor; behind it the lookup goes on at the same revision and instant, without a gap and without
telling anything again. It is bound to all that was asked, the limit included.
Rule 3: what a list has no word for (an undefined answer, a permission on everything) is an error naming relgraph.v1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from authzed.api.v1 import core_pb2 as core
from authzed.api.v1 import permission_service_pb2 as pb

from relgraph.answers import Verdict
from relgraph.api.listings import Behind
from relgraph.errors import Undecided
from relgraph.revision import Token
from relgraph.tuples import WILDCARD
from relgraph_server.authzed import checked
from relgraph_server.authzed.nouns import (
    consistency_of,
    context_of,
    limit_of,
    nameless,
    object_of,
    plain_subject,
    undecided_here,
)
from relgraph_server.authzed.tokens import arguments_of, cursor_message, opened_cursor, zed_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    import grpc.aio
    from google.protobuf.message import Message

    from relgraph.answers import Found
    from relgraph.api.listings import Listed
    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]
    _Request = TypeVar("_Request", pb.LookupResourcesRequest, pb.LookupSubjectsRequest)

__all__ = ["Lookups"]

_OPTIONS: Final = frozenset(pb.LookupSubjectsRequest.WildcardOption.values())
_PERMISSIONSHIP: Final = {
    Verdict.YES: pb.LOOKUP_PERMISSIONSHIP_HAS_PERMISSION,
    Verdict.CONDITIONAL: pb.LOOKUP_PERMISSIONSHIP_CONDITIONAL_PERMISSION,
    # Of an exclusion this tells that it holds, whatever the context.
    Verdict.NO: pb.LOOKUP_PERMISSIONSHIP_HAS_PERMISSION,
}


class Lookups:
    """The two lookups, over what is asked through."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def resources(self, request: pb.LookupResourcesRequest, context: Context) -> None:
        """Send what a subject has a permission on. No depth is too great, so `with_debug` has nothing to tell of."""
        type_ = checked.type_name(request.resource_object_type, "resource_object_type")
        permission = checked.relation_name(request.permission, "permission")
        checked.required(request, "subject")
        subject = plain_subject(request.subject, "subject")
        limit = limit_of(request.optional_limit)
        values = context_of(request)
        consistency = consistency_of(request)
        behind = _behind(request)
        await self._send(
            lambda left: self._asking.authorizer.listings.resources(
                subject,
                permission,
                type_,
                limit=limit,
                behind=behind,
                context=values,
                consistency=consistency,
                deadline=left,
            ),
            lambda listed: _resource_rows(listed, request),
            context,
        )

    async def subjects(self, request: pb.LookupSubjectsRequest, context: Context) -> None:
        """Send who has a permission on a resource."""
        checked.required(request, "resource")
        resource = object_of(request.resource, "resource")
        permission = request.permission and checked.relation_name(request.permission, "permission")
        type_ = checked.type_name(request.subject_object_type, "subject_object_type")
        relation = request.optional_subject_relation
        if relation:
            checked.relation_name(relation, "optional_subject_relation")
        option = checked.operation(request.wildcard_option, _OPTIONS, "wildcard_option")
        limit = limit_of(request.optional_concrete_limit)
        values = context_of(request)
        consistency = consistency_of(request)
        behind = _behind(request)
        if not permission:
            raise nameless(resource)
        await self._send(
            lambda left: self._asking.authorizer.listings.subjects(
                resource,
                permission,
                type_,
                relation=relation,
                limit=limit,
                wildcard=option != pb.LookupSubjectsRequest.WILDCARD_OPTION_EXCLUDE_WILDCARDS,
                behind=behind,
                context=values,
                consistency=consistency,
                deadline=left,
            ),
            lambda listed: _subject_rows(listed, request),
            context,
        )

    async def _send(
        self,
        question: Callable[[float], Listed],
        rows: Callable[[Listed], Iterator[Message]],
        context: Context,
    ) -> None:
        """Ask, and send all of the answer; a message is built when it is sent, as each repeats much of the others."""
        async with self._asking.lookups.place() as place:
            try:
                listed = await self._asking.ask(question, context)
            except Undecided as error:
                raise undecided_here(error) from None
            for message in rows(listed):
                await place.within(context.write(message))


def _behind(request: _Request) -> Behind | None:
    """Return what a request's cursor goes on behind; None without one. Raises InvalidCursor."""
    if not request.HasField("optional_cursor"):
        return None
    kind = request.DESCRIPTOR.name
    return Behind.parse(opened_cursor(kind, arguments_of(request), request.optional_cursor))


def _cursors(listed: Listed, request: _Request) -> Callable[[str], core.Cursor]:
    """Return what makes the cursor behind an id."""
    kind, arguments, token = request.DESCRIPTOR.name, arguments_of(request), Token.parse(listed.token)
    return lambda id_: cursor_message(kind, arguments, str(Behind(token, id_)))


def _caveat_info(missing: Iterable[str]) -> core.PartialCaveatInfo | None:
    names = list(missing)
    return core.PartialCaveatInfo(missing_required_context=names) if names else None


def _resource_rows(listed: Listed, request: pb.LookupResourcesRequest) -> Iterator[pb.LookupResourcesResponse]:
    at, cursor = zed_token(listed.token), _cursors(listed, request)
    for row in listed.rows:
        yield pb.LookupResourcesResponse(
            looked_up_at=at,
            resource_object_id=row.id,
            permissionship=_PERMISSIONSHIP[row.verdict],
            partial_caveat_info=_caveat_info(row.missing),
            after_result_cursor=cursor(row.id),
        )


def _subject_rows(listed: Listed, request: pb.LookupSubjectsRequest) -> Iterator[pb.LookupSubjectsResponse]:
    at, cursor = zed_token(listed.token), _cursors(listed, request)
    for row in listed.rows:
        subject = _resolved(row)
        excluded = [_resolved(each) for each in listed.excluded] if row.id == WILDCARD else []
        yield pb.LookupSubjectsResponse(
            looked_up_at=at,
            # Fields that are told again in `subject` and `excluded_subjects`, for clients from before these.
            subject_object_id=subject.subject_object_id,
            excluded_subject_ids=[each.subject_object_id for each in excluded],
            permissionship=subject.permissionship,
            partial_caveat_info=_caveat_info(row.missing),
            subject=subject,
            excluded_subjects=excluded,
            after_result_cursor=cursor(row.id),
        )


def _resolved(found: Found) -> pb.ResolvedSubject:
    return pb.ResolvedSubject(
        subject_object_id=found.id,
        permissionship=_PERMISSIONSHIP[found.verdict],
        partial_caveat_info=_caveat_info(found.missing),
    )
