"""PermissionsService: each method, and what answers it."""

# ruff: noqa: N802 - gRPC calls a method by the name it has in the proto

from __future__ import annotations

from typing import TYPE_CHECKING

from authzed.api.v1 import permission_service_pb2 as pb
from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceServicer

from relgraph_server.authzed.checks import Checks

if TYPE_CHECKING:
    import grpc.aio
    from google.protobuf.message import Message

    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["PermissionsService"]


class PermissionsService(PermissionsServiceServicer):
    """Questions and writes."""

    def __init__(self, asking: Asking) -> None:
        self._checks = Checks(asking)

    async def CheckPermission(self, request: pb.CheckPermissionRequest, context: Context) -> pb.CheckPermissionResponse:
        """Decide one question."""
        return await self._checks.one(request, context)

    async def CheckBulkPermissions(
        self, request: pb.CheckBulkPermissionsRequest, context: Context
    ) -> pb.CheckBulkPermissionsResponse:
        """Decide many questions."""
        return await self._checks.many(request, context)
