"""ImportBulkRelationships and ExportBulkRelationships: many tuples in, in one transaction; all out, at one revision.

Rule 1: an import is loaded once its stream has come to its end, and then all of it or nothing. SpiceDB's stream does
not say how many tuples it carries, so an end is its end.
Rule 2: an export's messages are pages: each has a cursor, behind which another export goes on at the same revision and
instant. What no message can carry, a universal tuple, is an error in its place, never left out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from authzed.api.v1 import core_pb2 as core
from authzed.api.v1 import experimental_service_pb2 as experimental
from authzed.api.v1 import permission_service_pb2 as pb

from relgraph.api.listings import BehindTuple
from relgraph_server.authzed.nouns import consistency_of, filter_of, limit_of, relationship_of, tuple_of
from relgraph_server.authzed.tokens import arguments_of, cursor_message, opened_cursor
from relgraph_server.spool import Spooled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import grpc.aio
    from google.protobuf.message import Message

    from relgraph.answers import Imported
    from relgraph.api import Authorizer
    from relgraph.api.listings import Listings
    from relgraph.revision import Consistency
    from relgraph.tuples import RelationTuple, TupleFilter
    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["BATCH_MAX", "Bulk"]

BATCH_MAX: Final = 10_000
"""Tuples in one message of an export."""

_BATCH: Final = 1_000
_BATCH_BYTES_MAX: Final = 1 << 20
_KIND: Final = "ExportBulkRelationships"

_Told = type[pb.ExportBulkRelationshipsResponse] | type[experimental.BulkExportRelationshipsResponse]


class _RelationshipSpool(Spooled):
    """An import, as its messages come. A caveat's size and every field are judged when it is read again."""

    def add(self, message: pb.ImportBulkRelationshipsRequest) -> None:
        """Take one message. Raises LimitExceeded."""
        self.keep(message.SerializeToString(), len(message.relationships))

    def read(self, data: bytes, index: int) -> Iterator[RelationTuple]:
        """See `Spooled`."""
        message = pb.ImportBulkRelationshipsRequest.FromString(data)
        for place, relationship in enumerate(message.relationships, index):
            yield tuple_of(relationship, f"relationships[{place}]")


class Bulk:
    """Import and export, and their older names, over what is asked through.

    The messages of the older names have the same fields by the same numbers, and are read as each other's bytes.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def take(
        self, messages: AsyncIterator[pb.ImportBulkRelationshipsRequest], context: Context
    ) -> pb.ImportBulkRelationshipsResponse:
        """Load a whole stream in one transaction: each of its tuples is new, or nothing is changed."""
        settings = self._asking.settings
        async with self._asking.imports.place() as place:
            spool = _RelationshipSpool(
                bytes_max=settings.import_bytes_max, tuples_max=settings.limits.import_tuples_max
            )
            try:
                while (message := await place.within(anext(messages, None))) is not None:
                    spool.add(message)
            except BaseException:
                spool.close()
                raise
            return pb.ImportBulkRelationshipsResponse(num_loaded=(await self._load(spool, context)).read)

    async def take_old(
        self, messages: AsyncIterator[experimental.BulkImportRelationshipsRequest], context: Context
    ) -> experimental.BulkImportRelationshipsResponse:
        """See `take`."""
        renamed = (pb.ImportBulkRelationshipsRequest.FromString(each.SerializeToString()) async for each in messages)
        answer = await self.take(renamed, context)
        return experimental.BulkImportRelationshipsResponse(num_loaded=answer.num_loaded)

    async def _load(self, spool: Spooled, context: Context) -> Imported:
        def load(authorizer: Authorizer) -> Imported:
            return authorizer.load(spool.tuples(), allow_wildcards=True)

        work = self._asking.begin_change(load, context)
        # The thread may outlive this coroutine, so the file is closed when the work ends, not when the caller goes.
        work.add_done_callback(lambda _: spool.close())
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            spool.abandon()
            raise

    async def give(self, request: pb.ExportBulkRelationshipsRequest, context: Context) -> None:
        """Send every tuple that matches, by type, then by id."""
        await self._give(request, context, pb.ExportBulkRelationshipsResponse)

    async def give_old(self, request: experimental.BulkExportRelationshipsRequest, context: Context) -> None:
        """See `give`."""
        renamed = pb.ExportBulkRelationshipsRequest.FromString(request.SerializeToString())
        await self._give(renamed, context, experimental.BulkExportRelationshipsResponse)

    async def _give(self, request: pb.ExportBulkRelationshipsRequest, context: Context, told: _Told) -> None:
        batch = limit_of(request.optional_limit, BATCH_MAX) or _BATCH
        wanted = filter_of(request.optional_relationship_filter, "optional_relationship_filter")
        consistency = consistency_of(request)
        bound = pb.ExportBulkRelationshipsRequest()
        bound.CopyFrom(request)
        # How many tuples a message holds has nothing to do with which one is next.
        bound.ClearField("optional_limit")
        arguments = arguments_of(bound)
        export = _Export(self._asking.authorizer.listings, wanted, batch, consistency)
        if request.HasField("optional_cursor"):
            export.behind = BehindTuple.parse(opened_cursor(_KIND, arguments, request.optional_cursor))
        async with self._asking.exports.place() as place:
            while relationships := await self._asking.ask(export.page, context):
                cursor = cursor_message(_KIND, arguments, str(export.behind))
                await place.within(context.write(told(relationships=relationships, after_result_cursor=cursor)))


class _Export:
    """An export on its way, read in whatever thread is free; `behind` is where it goes on, None at its beginning."""

    def __init__(self, listings: Listings, wanted: TupleFilter, batch: int, consistency: Consistency) -> None:
        self.behind: BehindTuple | None = None
        self._listings = listings
        self._wanted = wanted
        self._batch = batch
        self._consistency = consistency

    def page(self, left: float) -> list[core.Relationship]:
        """Return the next tuples, none at the end, and go on behind them."""
        found: list[core.Relationship] = []
        size = 0
        ended = False
        while not ended and len(found) < self._batch and size < _BATCH_BYTES_MAX:
            limit = min(self._batch - len(found), _BATCH)
            sheet = self._listings.tuples(
                self._wanted, limit=limit, behind=self.behind, consistency=self._consistency, deadline=left
            )
            ended = len(sheet.tuples) < limit
            for fact in sheet.tuples:
                if size >= _BATCH_BYTES_MAX:
                    break
                found.append(relationship_of(fact))
                size += found[-1].ByteSize()
                self.behind = BehindTuple(sheet.token, fact)
        return found
