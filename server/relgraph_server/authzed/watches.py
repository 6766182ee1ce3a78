"""Watch, as SpiceDB tells it: one response a revision, of what the filters leave of it, and checkpoints where asked.

Rule 1: `changes_through` is where its reader may go on: a revision whose updates take several messages is named by the
last of them, the ones before name the revision before it. Whoever goes on there repeats some and misses none.
Rule 2: a CREATE is told as a TOUCH, a tuple that was replaced as one TOUCH, and one that expires is not told.
"""

# ruff: noqa: N802 - gRPC calls a method by the name it has in the proto

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from authzed.api.v1 import core_pb2 as core
from authzed.api.v1 import watch_service_pb2 as pb
from authzed.api.v1.watch_service_pb2_grpc import WatchServiceServicer

from relgraph.api import Selection
from relgraph.errors import InvalidInput, Refused
from relgraph.tuples import TupleFilter
from relgraph_server.authzed import checked
from relgraph_server.authzed.notes import metadata_of
from relgraph_server.authzed.nouns import filter_of, relationship_of
from relgraph_server.authzed.statuses import Said, refusal
from relgraph_server.authzed.tokens import token_of, zed_token
from relgraph_server.feed import Stand

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import grpc.aio
    from authzed.api.v1.permission_service_pb2 import RelationshipFilter
    from google.protobuf.message import Message
    from google.protobuf.struct_pb2 import Struct

    from relgraph.answers import LogEntry
    from relgraph.api import Authorizer, Watch
    from relgraph.errors import RelgraphError
    from relgraph_server.feed import Item
    from relgraph_server.watchers import Watchers

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["Telling", "WatchService"]

_HEARTBEAT_S: Final = 1.0
# What is read at most by a client that was told nothing about sizes, with room for what stands beside the updates.
_UPDATES_BYTES_MAX: Final = 3 << 20

_Part = tuple["pb.WatchResponse | RelgraphError", Stand]


class WatchService(WatchServiceServicer):
    """Tells what is committed to whoever watches; they share the server's places with those of relgraph.v1."""

    def __init__(self, watchers: Watchers) -> None:
        self._watchers = watchers

    async def Watch(self, request: pb.WatchRequest, context: Context) -> None:  # type: ignore[override]  # it writes by itself
        """Tell what is committed, until the caller goes or something ends it."""
        await self._watchers.tell(Telling(request), context.write)


class Telling:
    """What one request is told: see `relgraph_server.watchers.Telling`."""

    def __init__(self, request: pb.WatchRequest) -> None:
        if request.optional_object_types and request.optional_relationship_filters:
            raise InvalidInput(
                "the request has object types and filters of tuples; choose by one of the two",
                {"field": "optional_relationship_filters"},
            )
        kinds = set(request.optional_update_kinds)
        unknown = kinds.difference(pb.WatchKind.values())
        if unknown:
            raise InvalidInput(
                f"{min(unknown)} is no kind of update that this server knows; ask for those of `WatchKind`",
                {"field": "optional_update_kinds"},
            )
        # Relation tuples are always told: the other kinds come beside them.
        self._schema_too = pb.WATCH_KIND_INCLUDE_SCHEMA_UPDATES in kinds
        self._checkpoints = pb.WATCH_KIND_INCLUDE_CHECKPOINTS in kinds
        self._after = None
        if request.HasField("optional_start_cursor"):
            self._after = token_of(request.optional_start_cursor, "optional_start_cursor")
        self._filters = [
            _filter(each, f"optional_relationship_filters[{index}]")
            for index, each in enumerate(request.optional_relationship_filters)
        ]
        for index, each in enumerate(request.optional_object_types):
            checked.type_name(each, f"optional_object_types[{index}]")
        self._selection = Selection.of(request.optional_object_types, (), self._filters)
        self.heartbeat = _HEARTBEAT_S if self._checkpoints else math.inf
        self.prepared = False
        self.looks = max(1, len(self._filters))

    def open(self, authorizer: Authorizer) -> Watch:
        """See `relgraph_server.watchers.Telling`. Names in filters are judged by the schema, object types never."""
        return authorizer.watch(self._after, filters=self._filters)

    def parts(self, items: Sequence[Item]) -> list[_Part]:
        """See `relgraph_server.watchers.Telling`."""
        parts: list[_Part] = []
        for item in items:
            try:
                parts += [(message, item.stand) for message in self._responses(item.entry)]
            except Refused as problem:
                # What was committed before is told all the same, and nothing of what cannot be told as a whole.
                parts.append((problem, item.stand))
                break
        return parts

    def messages(self, parts: Sequence[_Part], stand: Stand) -> Iterator[tuple[pb.WatchResponse, Stand]]:
        """See `relgraph_server.watchers.Telling`. Raises Refused where the dialect has no words for a revision."""
        for index, (message, through) in enumerate(parts):
            if not isinstance(message, pb.WatchResponse):
                raise message
            last = index + 1 == len(parts) or parts[index + 1][1] != through
            if last:
                stand = through
            message.changes_through.CopyFrom(zed_token(stand.token))
            yield message, stand

    def checkpoint(self, stand: Stand) -> pb.WatchResponse | None:
        """See `relgraph_server.watchers.Telling`."""
        if not self._checkpoints:
            return None
        return pb.WatchResponse(changes_through=zed_token(stand.token), is_checkpoint=True)

    def _responses(self, entry: LogEntry) -> Iterator[pb.WatchResponse]:
        """Yield what is told of a revision, without where it leads."""
        told = self._selection.told(entry)
        if told is None:
            return
        metadata = metadata_of(entry.metadata)
        response = _response(metadata)
        room = _UPDATES_BYTES_MAX
        for update in _updates(told):
            size = update.ByteSize()
            if response.updates and size > room:
                yield response
                response, room = _response(metadata), _UPDATES_BYTES_MAX
            response.updates.append(update)
            room -= size
        if response.updates:
            yield response
        if entry.schema is not None and self._schema_too:
            response = _response(metadata)
            response.schema_updated = True
            yield response


def _filter(message: RelationshipFilter, path: str) -> TupleFilter:
    found = filter_of(message, path)
    if found == TupleFilter():
        raise refusal(Said.FILTER, f"{path} names nothing; name at least one part of a tuple, or leave the filter out")
    return found


def _response(metadata: Struct | None) -> pb.WatchResponse:
    if metadata is None:
        return pb.WatchResponse()
    return pb.WatchResponse(optional_transaction_metadata=metadata, full_revision_metadata=[metadata])


def _updates(entry: LogEntry) -> Iterator[core.RelationshipUpdate]:
    written = {each.key for each in entry.created}
    for each in entry.deleted:
        if each.key not in written:
            yield core.RelationshipUpdate(
                operation=core.RelationshipUpdate.OPERATION_DELETE, relationship=relationship_of(each)
            )
    for each in entry.created:
        yield core.RelationshipUpdate(
            operation=core.RelationshipUpdate.OPERATION_TOUCH, relationship=relationship_of(each)
        )
