"""A stand-in for SpiceDB as far as moving needs it: a schema and tuples in memory, over the stubs of `authzed`.

It knows no language: what is written stands. Each thing that can go wrong on the way is a switch.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, NoReturn

import grpc
from authzed.api.v1 import core_pb2, permission_service_pb2, schema_service_pb2
from authzed.api.v1.permission_service_pb2_grpc import (
    PermissionsServiceServicer,
    add_PermissionsServiceServicer_to_server,
)
from authzed.api.v1.schema_service_pb2_grpc import SchemaServiceServicer, add_SchemaServiceServicer_to_server

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXPORT", "IMPORT", "KEY", "Double", "served"]

EXPORT = "ExportBulkRelationships"
IMPORT = "ImportBulkRelationships"
KEY = "canary-preshared-key"


@dataclass
class Double:
    """What the stand-in holds, and how it misbehaves."""

    schema: str = ""
    tuples: list[core_pb2.Relationship] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)
    """The ZedTokens that exports were asked at; empty for the newest state."""
    ends_after: int | None = None
    """The page behind which an export breaks off."""
    refuses_import: bool = False
    refuses_taking_back: bool = False
    loses_answer: bool = False
    """Whether an import ends with an error once all of it is there."""
    loses: bool = False
    """Whether the first tuple of an import is dropped without a word."""
    stalls: bool = False
    """Whether an export or an import comes to a halt in the middle, until the call is broken off."""
    halted: Event = field(default_factory=Event)
    """Set when one did."""


class _Schemas(SchemaServiceServicer):
    def __init__(self, double: Double) -> None:
        self._double = double

    def ReadSchema(  # noqa: N802  (the stubs' name)
        self, request: schema_service_pb2.ReadSchemaRequest, context: grpc.ServicerContext
    ) -> schema_service_pb2.ReadSchemaResponse:
        del request
        _judge(self._double, "ReadSchema", context)
        if not self._double.schema:
            _end(context, grpc.StatusCode.NOT_FOUND, "No schema has been defined; please call WriteSchema to start")
        return schema_service_pb2.ReadSchemaResponse(
            schema_text=self._double.schema, read_at=core_pb2.ZedToken(token="at-seven")
        )

    def WriteSchema(  # noqa: N802  (the stubs' name)
        self, request: schema_service_pb2.WriteSchemaRequest, context: grpc.ServicerContext
    ) -> schema_service_pb2.WriteSchemaResponse:
        _judge(self._double, "WriteSchema", context)
        if not request.schema and self._double.refuses_taking_back:
            _end(context, grpc.StatusCode.UNAVAILABLE, "gone")
        self._double.schema = request.schema
        return schema_service_pb2.WriteSchemaResponse(written_at=core_pb2.ZedToken(token="at-eight"))


class _Permissions(PermissionsServiceServicer):
    def __init__(self, double: Double) -> None:
        self._double = double

    def ExportBulkRelationships(  # noqa: N802  (the stubs' name)
        self, request: permission_service_pb2.ExportBulkRelationshipsRequest, context: grpc.ServicerContext
    ) -> Iterator[permission_service_pb2.ExportBulkRelationshipsResponse]:
        _judge(self._double, EXPORT, context)
        self._double.snapshots.append(request.consistency.at_exact_snapshot.token)
        size = min(request.optional_limit, 2)
        for number, start in enumerate(range(0, len(self._double.tuples), size)):
            if number == self._double.ends_after:
                _end(context, grpc.StatusCode.UNAVAILABLE, "the connection was lost")
            yield permission_service_pb2.ExportBulkRelationshipsResponse(
                relationships=self._double.tuples[start : start + size]
            )
            if self._double.stalls:
                _halt(self._double, context)

    def ImportBulkRelationships(  # noqa: N802  (the stubs' name)
        self,
        request_iterator: Iterator[permission_service_pb2.ImportBulkRelationshipsRequest],
        context: grpc.ServicerContext,
    ) -> permission_service_pb2.ImportBulkRelationshipsResponse:
        _judge(self._double, IMPORT, context)
        brought = [each for request in request_iterator for each in request.relationships]
        if self._double.stalls:
            _halt(self._double, context)
            return permission_service_pb2.ImportBulkRelationshipsResponse()
        if self._double.refuses_import:
            _end(context, grpc.StatusCode.ALREADY_EXISTS, "could not CREATE it")
        self._double.tuples += brought[1:] if self._double.loses else brought
        if self._double.loses_answer:
            _end(context, grpc.StatusCode.INTERNAL, "the answer was lost")
        return permission_service_pb2.ImportBulkRelationshipsResponse(num_loaded=len(brought))


def _judge(double: Double, method: str, context: grpc.ServicerContext) -> None:
    double.calls.append(method)
    if ("authorization", f"Bearer {KEY}") not in [(key, value) for key, value in context.invocation_metadata()]:
        _end(context, grpc.StatusCode.PERMISSION_DENIED, "invalid preshared key: invalid token")


def _halt(double: Double, context: grpc.ServicerContext) -> None:
    """Go on when the call is over."""
    over = Event()
    if context.add_callback(over.set):
        double.halted.set()
        over.wait()


def _end(context: grpc.ServicerContext, code: grpc.StatusCode, text: str) -> NoReturn:
    context.abort(code, text)


@contextmanager
def served(double: Double) -> Iterator[str]:
    """Serve the stand-in on a free port of loopback; gives the URL, key included."""
    server = grpc.server(ThreadPoolExecutor(4))
    add_SchemaServiceServicer_to_server(_Schemas(double), server)
    permissions = _Permissions(double)  # type: ignore[abstract]  # moving needs no more
    add_PermissionsServiceServicer_to_server(permissions, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"spicedb://127.0.0.1:{port}?token={KEY}"
    finally:
        server.stop(None).wait(10)
