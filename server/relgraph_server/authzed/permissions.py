"""PermissionsService: each method, and what answers it."""

# ruff: noqa: N802 - gRPC calls a method by the name it has in the proto

from __future__ import annotations

from typing import TYPE_CHECKING

from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceServicer

from relgraph_server.authzed.bulk import Bulk
from relgraph_server.authzed.checks import Checks
from relgraph_server.authzed.expanding import Expanding
from relgraph_server.authzed.facts import Facts
from relgraph_server.authzed.lookups import Lookups

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc.aio
    from authzed.api.v1 import permission_service_pb2 as pb
    from google.protobuf.message import Message

    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["PermissionsService"]


class PermissionsService(PermissionsServiceServicer):
    """Questions and writes."""

    def __init__(self, asking: Asking) -> None:
        self._bulk = Bulk(asking)
        self._checks = Checks(asking)
        self._expanding = Expanding(asking)
        self._lookups = Lookups(asking)
        self._facts = Facts(asking)

    async def CheckPermission(self, request: pb.CheckPermissionRequest, context: Context) -> pb.CheckPermissionResponse:
        """Decide one question."""
        return await self._checks.one(request, context)

    async def CheckBulkPermissions(
        self, request: pb.CheckBulkPermissionsRequest, context: Context
    ) -> pb.CheckBulkPermissionsResponse:
        """Decide many questions."""
        return await self._checks.many(request, context)

    async def ExpandPermissionTree(
        self, request: pb.ExpandPermissionTreeRequest, context: Context
    ) -> pb.ExpandPermissionTreeResponse:
        """Show how a permission or relation comes about."""
        return await self._expanding.expand(request, context)

    async def LookupResources(self, request: pb.LookupResourcesRequest, context: Context) -> None:  # type: ignore[override]  # it writes by itself
        """Find what a subject has a permission on."""
        await self._lookups.resources(request, context)

    async def LookupSubjects(self, request: pb.LookupSubjectsRequest, context: Context) -> None:  # type: ignore[override]  # it writes by itself
        """Find who has a permission on a resource."""
        await self._lookups.subjects(request, context)

    async def ImportBulkRelationships(
        self, request_iterator: AsyncIterator[pb.ImportBulkRelationshipsRequest], context: Context
    ) -> pb.ImportBulkRelationshipsResponse:
        """Create many tuples."""
        return await self._bulk.take(request_iterator, context)

    async def ExportBulkRelationships(self, request: pb.ExportBulkRelationshipsRequest, context: Context) -> None:  # type: ignore[override]  # it writes by itself
        """Send all tuples."""
        await self._bulk.give(request, context)

    async def ReadRelationships(self, request: pb.ReadRelationshipsRequest, context: Context) -> None:  # type: ignore[override]  # it writes by itself
        """Read tuples."""
        await self._facts.read(request, context)

    async def WriteRelationships(
        self, request: pb.WriteRelationshipsRequest, context: Context
    ) -> pb.WriteRelationshipsResponse:
        """Change tuples."""
        return await self._facts.write(request, context)

    async def DeleteRelationships(
        self, request: pb.DeleteRelationshipsRequest, context: Context
    ) -> pb.DeleteRelationshipsResponse:
        """Delete tuples by filter."""
        return await self._facts.delete(request, context)
