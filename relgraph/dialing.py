"""The way to a server: plain text or TLS, and the key that is shown with each call.

Rule 1: a key is never sent in plain text beyond this machine, unless that is spelled out.
Rule 2: no secret is ever part of a message, a representation or an error.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc
import grpc.aio

from relgraph.errors import InvalidSetting, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Access", "credentials_of", "dial", "dial_async", "host_of", "metadata_of"]

_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,4096}")


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is reached. `tls_ca`, `tls_cert` and `tls_key` are paths of PEM files, and each means TLS.

    `tls` alone trusts the authorities that gRPC brings along. `tls_cert` and `tls_key` are the client's own.
    """

    token: str = field(default="", repr=False)
    tls: bool = False
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    insecure: bool = False

    @property
    def encrypted(self) -> bool:
        """Whether the way is TLS."""
        return self.tls or bool(self.tls_ca or self.tls_cert or self.tls_key)


def host_of(target: str) -> str:
    """Return the host of `HOST:PORT`. Raises InvalidSetting for what is no such address."""
    host, colon, port = target.rpartition(":")
    if not host or not colon or not (port.isascii() and port.isdigit()):
        raise InvalidSetting(
            f"{quoted(target)} is not a server's address; write HOST:PORT, as in `127.0.0.1:50051`", {"target": target}
        )
    return host.removeprefix("[").removesuffix("]")


def credentials_of(target: str, access: Access) -> grpc.ChannelCredentials | None:
    """Return what a channel to `target` is secured with, None for plain text. Raises InvalidSetting."""
    host = host_of(target)
    if access.token and not _TOKEN.fullmatch(access.token):
        raise InvalidSetting("the key is not one line of printable ASCII; give it as `relgraph key create` showed it")
    if not access.encrypted:
        if access.token and not access.insecure and not _is_loopback(host):
            raise InvalidSetting(
                f"the key would go to {quoted(target)} in plain text, for everybody on the way to read; use TLS "
                "(`tls`, or `tls_ca` with the server's authority), or spell out that this is meant (`insecure`)",
                {"target": target},
            )
        return None
    if access.insecure:
        raise InvalidSetting("TLS and `insecure` were both asked for; keep one")
    if bool(access.tls_cert) is not bool(access.tls_key):
        raise InvalidSetting("a client's certificate needs its key, and the other way round; give both or none")
    return grpc.ssl_channel_credentials(
        _pem(access.tls_ca, b"-----BEGIN CERTIFICATE"),
        _pem(access.tls_key, b"PRIVATE KEY-----"),
        _pem(access.tls_cert, b"-----BEGIN CERTIFICATE"),
    )


def metadata_of(access: Access) -> tuple[tuple[str, str], ...]:
    """Return what is sent with each call."""
    return (("authorization", f"Bearer {access.token}"),) if access.token else ()


def dial(target: str, access: Access, options: Sequence[tuple[str, int]]) -> grpc.Channel:
    """Return a channel to a server, on which every call shows the key. Raises InvalidSetting."""
    credentials = credentials_of(target, access)
    if credentials is None:
        channel = grpc.insecure_channel(target, options=options)
    else:
        channel = grpc.secure_channel(target, credentials, options=options)
    metadata = metadata_of(access)
    return grpc.intercept_channel(channel, _Shown(metadata)) if metadata else channel


def dial_async(
    target: str, credentials: grpc.ChannelCredentials | None, options: Sequence[tuple[str, int]]
) -> grpc.aio.Channel:
    """Return a channel of the running event loop; each call has to show the key itself."""
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=options)
    return grpc.aio.secure_channel(target, credentials, options=options)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pem(path: str, mark: bytes) -> bytes | None:
    if not path:
        return None
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as problem:
        why = (getattr(problem, "strerror", None) or "not a path").lower()
        raise InvalidSetting(f"{quoted(path)} cannot be read: {why}; check its path", {"file": path}) from None
    if mark not in data:
        # gRPC would not say so, but fail each call as if nobody were there.
        raise InvalidSetting(f"{quoted(path)} is not a PEM file of the right kind; check its path", {"file": path})
    return data


class _Details(NamedTuple):
    """What gRPC reads about a call."""

    method: str
    timeout: float | None
    metadata: tuple[tuple[str, str], ...]
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _Shown(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
):
    """Shows the key with each call, of whatever kind."""

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata

    def _call(self, continuation, details, request):  # type: ignore[no-untyped-def]  # noqa: ANN001,ANN202
        shown = (*(details.metadata or ()), *self._metadata)
        return continuation(
            _Details(
                details.method, details.timeout, shown, details.credentials, details.wait_for_ready, details.compression
            ),
            request,
        )

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = _call
