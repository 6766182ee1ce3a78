"""Keys and calls for tests: files of keys made as the terminal makes them, and calls that show one over a channel."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import grpc

from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.failures import error_from
from relgraph_server.keyfile import create_key
from relgraph_server.keys import new_key
from relgraph_server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from google.protobuf.message import Message

    from relgraph.errors import RelgraphError

__all__ = ["METHODS", "add_key", "call", "guarded", "shown"]

SERVICE = pb.DESCRIPTOR.services_by_name["AuthorizerService"]
METHODS = {method.name: method for method in SERVICE.methods}


def add_key(
    path: Path, name: str, scopes: Iterable[str], actor: str = "optional", *, expires: datetime | None = None
) -> str:
    """Add a key to a file, as `relgraph key create` does; gives its secret."""
    made, secret = new_key(name, list(scopes), actor, now=datetime(2026, 1, 1, tzinfo=UTC), expires=expires)
    create_key(path, made)
    return secret


def guarded(keys: Path | None = None, audit: Path | None = None, **others: str | int | bool) -> Settings:
    """Settings of a server on a free port of loopback."""
    given: dict[str, str | int | bool] = {"listen": "127.0.0.1:0", **others}
    return Settings("unused:", keys=str(keys or ""), audit=str(audit or ""), **given)  # type: ignore[arg-type]


def shown(secret: str | None) -> tuple[tuple[str, str], ...]:
    """The metadata that shows a key."""
    return () if secret is None else (("authorization", f"Bearer {secret}"),)


def call(
    channel: grpc.Channel,
    method: str,
    message: Message | bytes,
    metadata: tuple[tuple[str, str | bytes], ...] = (),
) -> tuple[grpc.StatusCode, RelgraphError | None]:
    """Make one call of whatever kind, to its first answer; gives the status, and the error unless it is OK."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    path, kind = f"/{SERVICE.full_name}/{method}", METHODS[method]
    try:
        if kind.client_streaming:
            sends: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(path)
            sends(iter([data]), timeout=20, metadata=metadata)
        elif kind.server_streaming:
            tells: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
            stream = tells(data, timeout=20, metadata=metadata)
            next(iter(stream), None)
            stream.cancel()
        else:
            asks: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
            asks(data, timeout=20, metadata=metadata)
    except grpc.RpcError as problem:
        return problem.code(), error_from(problem, "test")
    return grpc.StatusCode.OK, None
