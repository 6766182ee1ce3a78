"""ExperimentalService: aliases of methods that moved, and what never moved; each method, and what answers it."""

# ruff: noqa: N802 - gRPC calls a method by the name it has in the proto

from __future__ import annotations

from typing import TYPE_CHECKING

from authzed.api.v1 import experimental_service_pb2 as pb
from authzed.api.v1 import schema_service_pb2 as schemas
from authzed.api.v1.experimental_service_pb2_grpc import ExperimentalServiceServicer

from relgraph_server.authzed.bulk import Bulk
from relgraph_server.authzed.checks import Checks
from relgraph_server.authzed.counters import Counters
from relgraph_server.authzed.schemas import Schemas, as_newer, as_older

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc.aio
    from google.protobuf.message import Message

    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["ExperimentalService"]


class ExperimentalService(ExperimentalServiceServicer):
    """The names by which older clients call."""

    def __init__(self, asking: Asking) -> None:
        self._bulk = Bulk(asking)
        self._checks = Checks(asking)
        self._counters = Counters(asking)
        self._schemas = Schemas(asking)

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

    async def ExperimentalReflectSchema(
        self, request: pb.ExperimentalReflectSchemaRequest, context: Context
    ) -> pb.ExperimentalReflectSchemaResponse:
        """Return a schema as messages."""
        reply = await self._schemas.reflect(as_newer(request, schemas.ReflectSchemaRequest), context)
        return as_older(reply, pb.ExperimentalReflectSchemaResponse)

    async def ExperimentalComputablePermissions(
        self, request: pb.ExperimentalComputablePermissionsRequest, context: Context
    ) -> pb.ExperimentalComputablePermissionsResponse:
        """Return what a subject could get into."""
        reply = await self._schemas.computable(as_newer(request, schemas.ComputablePermissionsRequest), context)
        return as_older(reply, pb.ExperimentalComputablePermissionsResponse)

    async def ExperimentalDependentRelations(
        self, request: pb.ExperimentalDependentRelationsRequest, context: Context
    ) -> pb.ExperimentalDependentRelationsResponse:
        """Return what a permission reads."""
        reply = await self._schemas.dependent(as_newer(request, schemas.DependentRelationsRequest), context)
        return as_older(reply, pb.ExperimentalDependentRelationsResponse)

    async def ExperimentalDiffSchema(
        self, request: pb.ExperimentalDiffSchemaRequest, context: Context
    ) -> pb.ExperimentalDiffSchemaResponse:
        """Compare a schema with the one in force."""
        reply = await self._schemas.diff(as_newer(request, schemas.DiffSchemaRequest), context)
        return as_older(reply, pb.ExperimentalDiffSchemaResponse)

    async def ExperimentalRegisterRelationshipCounter(
        self, request: pb.ExperimentalRegisterRelationshipCounterRequest, context: Context
    ) -> pb.ExperimentalRegisterRelationshipCounterResponse:
        """Count tuples under a name from now on."""
        return await self._counters.register(request, context)

    async def ExperimentalCountRelationships(
        self, request: pb.ExperimentalCountRelationshipsRequest, context: Context
    ) -> pb.ExperimentalCountRelationshipsResponse:
        """Count by a name."""
        return await self._counters.count(request, context)

    async def ExperimentalUnregisterRelationshipCounter(
        self, request: pb.ExperimentalUnregisterRelationshipCounterRequest, context: Context
    ) -> pb.ExperimentalUnregisterRelationshipCounterResponse:
        """Forget a counter."""
        return await self._counters.unregister(request, context)
