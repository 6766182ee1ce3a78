"""ExperimentalService: aliases of methods that moved, and what never moved; each method, and what answers it."""

# ruff: noqa: N802 - gRPC calls a method by the name it has in the proto

from __future__ import annotations

from typing import TYPE_CHECKING

from authzed.api.v1.experimental_service_pb2_grpc import ExperimentalServiceServicer

from relgraph_server.authzed.bulk import Bulk
from relgraph_server.authzed.checks import Checks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc.aio
    from authzed.api.v1 import experimental_service_pb2 as pb
    from google.protobuf.message import Message

    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["ExperimentalService"]


class ExperimentalService(ExperimentalServiceServicer):
    """The names by which older clients call."""

    def __init__(self, asking: Asking) -> None:
        self._bulk = Bulk(asking)
        self._checks = Checks(asking)

    async def BulkCheckPermission(
        self, request: pb.BulkCheckPermissionRequest, context: Context
    ) -> pb.BulkCheckPermissionResponse:
        """Decide many questions."""
        return await self._checks.old_many(request, context)

    async def BulkImportRelationships(
        self, request_iterator: AsyncIterator[pb.BulkImportRelationshipsRequest], context: Context
    ) -> pb.BulkImportRelationshipsResponse:
        """Create many tuples."""
        return await self._bulk.take_old(request_iterator, context)

    async def BulkExportRelationships(self, request: pb.BulkExportRelationshipsRequest, context: Context) -> None:  # type: ignore[override]  # it writes by itself
        """Send all tuples."""
        await self._bulk.give_old(request, context)
