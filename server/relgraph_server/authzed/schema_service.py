"""SchemaService: each method, and what answers it."""

# ruff: noqa: N802 - gRPC calls a method by the name it has in the proto

from __future__ import annotations

from typing import TYPE_CHECKING

from authzed.api.v1.schema_service_pb2_grpc import SchemaServiceServicer

from relgraph_server.authzed.schemas import Schemas

if TYPE_CHECKING:
    import grpc.aio
    from authzed.api.v1 import schema_service_pb2 as pb
    from google.protobuf.message import Message

    from relgraph_server.asking import Asking

    Context = grpc.aio.ServicerContext[Message, Message]

__all__ = ["SchemaService"]


class SchemaService(SchemaServiceServicer):
    """Schemas read, written, reflected and compared."""

    def __init__(self, asking: Asking) -> None:
        self._schemas = Schemas(asking)

    async def ReadSchema(self, request: pb.ReadSchemaRequest, context: Context) -> pb.ReadSchemaResponse:
        """Return the newest schema."""
        return await self._schemas.read(request, context)

    async def WriteSchema(self, request: pb.WriteSchemaRequest, context: Context) -> pb.WriteSchemaResponse:
        """Put a schema in force."""
        return await self._schemas.write(request, context)

    async def ReflectSchema(self, request: pb.ReflectSchemaRequest, context: Context) -> pb.ReflectSchemaResponse:
        """Return a schema as messages."""
        return await self._schemas.reflect(request, context)

    async def ComputablePermissions(
        self, request: pb.ComputablePermissionsRequest, context: Context
    ) -> pb.ComputablePermissionsResponse:
        """Return what a subject could get into."""
        return await self._schemas.computable(request, context)

    async def DependentRelations(
        self, request: pb.DependentRelationsRequest, context: Context
    ) -> pb.DependentRelationsResponse:
        """Return what a permission reads."""
        return await self._schemas.dependent(request, context)

    async def DiffSchema(self, request: pb.DiffSchemaRequest, context: Context) -> pb.DiffSchemaResponse:
        """Compare a schema with the one in force."""
        return await self._schemas.diff(request, context)
