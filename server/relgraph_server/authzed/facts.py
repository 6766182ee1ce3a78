"""ReadRelationships, WriteRelationships and DeleteRelationships: tuples, in SpiceDB's words.

Rule 1: whatever can be told from the words alone is refused before the store is asked.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from authzed.api.v1 import core_pb2
from authzed.api.v1 import permission_service_pb2 as pb

from relgraph.answers import Deleted, Written
from relgraph.api.cursors import Cursor
from relgraph.errors import (
    AlreadyExists,
    DuplicateUpdate,
    InvalidTuple,
    PreconditionFailed,
    RelgraphError,
    TooManyMatches,
    UniversalMatches,
    quoted,
)
from relgraph.revision import Token
from relgraph.tuples import Precondition, RelationTuple, TupleFilter
from relgraph_server.asking import seconds_left
from relgraph_server.authzed import checked
from relgraph_server.authzed.notes import noted
from relgraph_server.authzed.nouns import (
    LIMIT_MAX,
    consistency_of,
    filter_of,
    inexpressible,
    limit_of,
    relationship_of,
    tuple_of,
)
from relgraph_server.authzed.statuses import Said, refusal
from relgraph_server.authzed.tokens import arguments_of, cursor_message, opened_cursor, zed_token

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc.aio
    from google.protobuf.message import Message

    from relgraph.answers import Page
    from relgraph.api import Authorizer
    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["Facts", "preconditions_of", "tuple_metadata"]

UPDATES_MAX: Final = 1_000
PRECONDITIONS_MAX: Final = 1_000
_READ: Final = "ReadRelationships"

_Update = core_pb2.RelationshipUpdate
_KINDS: Final[dict[int, str]] = {
    _Update.OPERATION_CREATE: "create",
    _Update.OPERATION_TOUCH: "touch",
    _Update.OPERATION_DELETE: "delete",
}
_REQUIREMENTS: Final[dict[int, bool]] = {
    pb.Precondition.OPERATION_MUST_MATCH: True,
    pb.Precondition.OPERATION_MUST_NOT_MATCH: False,
}


def tuple_metadata(fact: RelationTuple) -> dict[str, str]:
    """Return the parts of a tuple, under SpiceDB's names for them."""
    return {
        "relationship": str(RelationTuple(*fact.key)),
        "resource_type": fact.resource.type,
        "resource_object_id": fact.resource.id,
        "resource_relation": fact.relation,
        "subject_type": fact.subject.type,
        "subject_object_id": fact.subject.id,
        "subject_relation": fact.subject.relation or "...",
    }


def preconditions_of(messages: Sequence[pb.Precondition]) -> list[Precondition]:
    """Read the preconditions of a write. Raises InvalidInput."""
    if len(messages) > PRECONDITIONS_MAX:
        raise refusal(
            Said.PRECONDITIONS,
            f"{len(messages)} preconditions are over the limit of {PRECONDITIONS_MAX}; give fewer",
            {"precondition_count": str(len(messages)), "maximum_updates_allowed": str(PRECONDITIONS_MAX)},
        )
    found = []
    for index, each in enumerate(messages):
        path = f"optional_preconditions[{index}]"
        operation = checked.operation(each.operation, frozenset(_REQUIREMENTS), f"{path}.operation")
        checked.required(each, "filter", f"{path}.")
        wanted = filter_of(each.filter, f"{path}.filter")
        if wanted == TupleFilter():
            raise refusal(Said.MALFORMED, f"{path} is empty; name at least one part of a tuple")
        found.append(Precondition(wanted, _REQUIREMENTS[operation]))
    return found


class Facts:
    """The methods about tuples, over what is asked through."""

    def __init__(self, asking: Asking) -> None:
        self._authorizer = asking.authorizer
        self._asking = asking

    async def read(self, request: pb.ReadRelationshipsRequest, context: Context) -> None:
        """Answer ReadRelationships: each tuple in a message of its own, with where to go on behind it."""
        checked.required(request, "relationship_filter")
        wanted = _some_filter(request.relationship_filter, "relationship_filter")
        limit = limit_of(request.optional_limit)
        arguments = arguments_of(request)
        consistency = consistency_of(request)
        going_on = request.HasField("optional_cursor")
        cursor = opened_cursor(_READ, arguments, request.optional_cursor) if going_on else ""
        size = min(limit or LIMIT_MAX, self._authorizer.limits.read_page_max)

        def page(start: str, left: float) -> tuple[list[pb.ReadRelationshipsResponse], str]:
            found = self._authorizer.read(
                wanted, limit=size, cursor=start, consistency=None if start else consistency, deadline=left
            )
            return _rows(found, wanted, arguments), found.cursor

        async with self._asking.lookups.place() as place:
            wanted_still = limit
            while True:
                messages, cursor = await self._asking.ask(partial(page, cursor), context)
                if limit:
                    messages = messages[:wanted_still]
                    wanted_still -= len(messages)
                for message in messages:
                    await place.within(context.write(message))
                if not cursor or (limit and not wanted_still):
                    return

    async def write(self, request: pb.WriteRelationshipsRequest, context: Context) -> pb.WriteRelationshipsResponse:
        """Answer WriteRelationships."""
        if len(request.updates) > UPDATES_MAX:
            raise refusal(
                Said.UPDATES,
                f"{len(request.updates)} updates are over the limit of {UPDATES_MAX} in one write; split them, or "
                "import",
                {"update_count": str(len(request.updates)), "maximum_updates_allowed": str(UPDATES_MAX)},
            )
        preconditions = preconditions_of(request.optional_preconditions)
        parts = _updates_of(request.updates)
        metadata = noted(request)

        def write(authorizer: Authorizer) -> Written:
            if not request.updates and not preconditions:
                head = authorizer.read(limit=1)
                return Written(head.revision, head.token)
            return authorizer.noting(metadata).write(
                touch=parts["touch"],
                create=parts["create"],
                delete=parts["delete"],
                preconditions=preconditions,
                deadline=seconds_left(context),
            )

        try:
            written = await self._asking.change(write, context)
        except PreconditionFailed as error:
            raise _precondition_failed(error, request.optional_preconditions) from None
        except AlreadyExists as error:
            raise AlreadyExists(error.message, {**tuple_metadata(_tuple_in(error)), **error.details}) from None
        return pb.WriteRelationshipsResponse(written_at=zed_token(written.token))

    async def delete(self, request: pb.DeleteRelationshipsRequest, context: Context) -> pb.DeleteRelationshipsResponse:
        """Answer DeleteRelationships."""
        checked.required(request, "relationship_filter")
        preconditions = preconditions_of(request.optional_preconditions)
        wanted = _some_filter(request.relationship_filter, "relationship_filter")
        limit = limit_of(request.optional_limit)
        metadata = noted(request)

        def delete(authorizer: Authorizer) -> Deleted:
            return authorizer.noting(metadata).delete(
                wanted,
                limit=limit or None,
                partial=request.optional_allow_partial_deletions,
                preconditions=preconditions,
            )

        try:
            deleted = await self._asking.change(delete, context)
        except PreconditionFailed as error:
            raise _precondition_failed(error, request.optional_preconditions) from None
        except TooManyMatches as error:
            told = {"limit": error.details.get("limit", ""), **_filter_metadata(request.relationship_filter, "filter")}
            raise TooManyMatches(error.message, {**error.details, **told}) from None
        except UniversalMatches as error:
            raise inexpressible(
                f"{quoted(str(wanted))} matches {error.details.get('count', 'some')} tuples that count for every "
                "resource of their type at once"
            ) from None
        progress = pb.DeleteRelationshipsResponse.DELETION_PROGRESS_PARTIAL
        if deleted.complete:
            progress = pb.DeleteRelationshipsResponse.DELETION_PROGRESS_COMPLETE
        return pb.DeleteRelationshipsResponse(
            deleted_at=zed_token(deleted.token),
            deletion_progress=progress,
            relationships_deleted_count=deleted.count,
        )


def _some_filter(message: pb.RelationshipFilter, path: str) -> TupleFilter:
    wanted = filter_of(message, path)
    if wanted == TupleFilter():
        raise refusal(Said.FILTER, f"{path} names nothing; name at least one part of a tuple")
    return wanted


def _rows(page: Page, wanted: TupleFilter, arguments: str) -> list[pb.ReadRelationshipsResponse]:
    """Build the messages of a page. Raises Refused for a tuple that has no words here."""
    digest, token, read_at = Cursor.digest_of(wanted), Token.parse(page.token), zed_token(page.token)
    return [
        pb.ReadRelationshipsResponse(
            read_at=read_at,
            relationship=relationship_of(each),
            after_result_cursor=cursor_message(_READ, arguments, str(Cursor(digest, token, each))),
        )
        for each in page.tuples
    ]


def _updates_of(updates: Sequence[core_pb2.RelationshipUpdate]) -> dict[str, list[RelationTuple]]:
    """Read the updates of a write, by what is to become of each. Raises InvalidInput and its kin."""
    parts: dict[str, list[RelationTuple]] = {"touch": [], "create": [], "delete": []}
    seen: dict[tuple[object, ...], int] = {}
    for index, each in enumerate(updates):
        path = f"updates[{index}]"
        operation = checked.operation(each.operation, frozenset(_KINDS), f"{path}.operation")
        checked.required(each, "relationship", f"{path}.")
        fact = tuple_of(each.relationship, f"{path}.relationship")
        first = seen.setdefault(fact.key, index)
        if first != index:
            told = str(RelationTuple(*fact.key))
            raise DuplicateUpdate(
                f"updates {first} and {index} of the write name {quoted(told, 240)}; name each tuple once",
                {"tuple": told, "definition_name": fact.resource.type},
            )
        kind = _KINDS[operation]
        # A delete names the tuple alone, whatever it says beside.
        parts[kind].append(RelationTuple(*fact.key) if kind == "delete" else fact)
    return parts


def _tuple_in(error: RelgraphError) -> RelationTuple:
    """Return the tuple that an error is about."""
    text = error.details.get("tuple", "")
    try:
        return RelationTuple.parse(text)
    except InvalidTuple:
        raise error from None


def _precondition_failed(error: PreconditionFailed, messages: Sequence[pb.Precondition]) -> PreconditionFailed:
    """Return the error with SpiceDB's names for the precondition that did not hold."""
    failed = messages[int(error.details["index"])]
    operation = pb.Precondition.Operation.Name(failed.operation)
    told = {"precondition_operation": operation, **_filter_metadata(failed.filter, "precondition")}
    return PreconditionFailed(error.message, {**told, **error.details})


def _filter_metadata(wanted: pb.RelationshipFilter, before: str) -> dict[str, str]:
    subject = wanted.optional_subject_filter
    parts = {
        "resource_type": wanted.resource_type,
        "resource_id": wanted.optional_resource_id,
        "resource_id_prefix": wanted.optional_resource_id_prefix,
        "relation": wanted.optional_relation,
        "subject_type": subject.subject_type,
        "subject_id": subject.optional_subject_id,
        "subject_relation": subject.optional_relation.relation,
    }
    return {f"{before}_{name}": text for name, text in parts.items() if text}
