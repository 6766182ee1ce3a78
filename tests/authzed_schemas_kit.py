"""A server with SpiceDB's dialect over a store in memory, its stubs, and failed calls as what they tell."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import grpc
from authzed.api.v1 import permission_service_pb2
from authzed.api.v1 import schema_service_pb2 as pb
from authzed.api.v1.experimental_service_pb2_grpc import ExperimentalServiceStub
from authzed.api.v1.schema_service_pb2_grpc import SchemaServiceStub
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed
from grpc_status import rpc_status

from relgraph.api import open_authorizer
from relgraph_server.settings import Settings
from tests.serving import in_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.message import Message

    from relgraph.api import Authorizer

__all__ = ["FULL", "Door", "Told", "door", "refused"]

FULL = permission_service_pb2.Consistency(fully_consistent=True)


@dataclass(frozen=True)
class Door:
    """What a test asks: the stubs of two services, and the Authorizer behind them."""

    schemas: SchemaServiceStub
    experimental: ExperimentalServiceStub
    authorizer: Authorizer

    def ask(self, request: Message) -> Message:
        """Send a request to SchemaService; what the package tells type checkers of its stub is behind the stub."""
        name = type(request).__name__.removesuffix("Request")
        return cast("Message", getattr(self.schemas, name)(request))

    def reflect(self, request: pb.ReflectSchemaRequest) -> pb.ReflectSchemaResponse:
        """Reflect."""
        return cast("pb.ReflectSchemaResponse", self.ask(request))

    def diff(self, text: str) -> pb.DiffSchemaResponse:
        """Compare."""
        request = pb.DiffSchemaRequest(consistency=FULL, comparison_schema=text)
        return cast("pb.DiffSchemaResponse", self.ask(request))

    def write(self, text: str) -> str:
        """Write a schema; return its ZedToken."""
        return str(self.schemas.WriteSchema(pb.WriteSchemaRequest(schema=text)).written_at.token)

    def read(self) -> str:
        """Return the schema's text."""
        return str(self.schemas.ReadSchema(pb.ReadSchemaRequest()).schema_text)


@dataclass(frozen=True)
class Told:
    """What a failed call tells."""

    code: str
    reason: str
    message: str
    metadata: dict[str, str]


@contextmanager
def door(url: str = "sqlite://", request_bytes_max: int = 4 << 20) -> Iterator[Door]:
    """Serve a store from this process."""
    with (
        open_authorizer(url) as authorizer,
        in_process(
            authorizer, Settings("unused:", listen="127.0.0.1:0", request_bytes_max=request_bytes_max)
        ) as address,
        grpc.insecure_channel(address) as channel,
    ):
        yield Door(SchemaServiceStub(channel), ExperimentalServiceStub(channel), authorizer)


def refused(call: Callable[[], object]) -> Told:
    """Return what a call that fails tells."""
    try:
        reply = call()
    except grpc.RpcError as problem:
        status = rpc_status.from_call(cast("grpc.Call", problem))
        assert status is not None
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.domain == "authzed.com"
        reason = info.reason.removeprefix("ERROR_REASON_")
        return Told(problem.code().name, reason, str(status.message), dict(info.metadata))
    raise AssertionError(reply)
