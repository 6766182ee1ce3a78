"""The server's certificate: read from files, and again when they change, without a restart.

Rule 1: new files take the old ones' place when they hold together: a key that fits its certificate, authorities that
can be read. Until they do, the old ones stay in use, and the log says why: files are rarely replaced at one stroke.
"""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc

from relgraph.errors import InvalidSetting, quoted

if TYPE_CHECKING:
    from relgraph_server.settings import Settings

__all__ = ["Certificates", "server_credentials"]

_log: Final = logging.getLogger(__name__)


class Certificates:
    """The files of a certificate, its key and, perhaps, the authorities that clients' certificates come from."""

    def __init__(self, certificate: str, key: str, authorities: str = "") -> None:
        self._files = (certificate, key, authorities)
        self._seen = self._state()
        self._told = ""
        self.first = self._read()

    def newer(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what the files hold now if that changed and holds together, None otherwise. For gRPC's own threads."""
        state = self._state()
        if state == self._seen:
            return None
        try:
            fresh = self._read()
        except InvalidSetting as problem:
            if problem.message != self._told:
                self._told = problem.message
                _log.error("the certificate in use stays: %s", problem.message)
            return None
        self._seen, self._told = state, ""
        _log.info("the certificate was read anew")
        return fresh

    def _read(self) -> grpc.ServerCertificateConfiguration:
        certificate, key, authorities = self._files
        try:
            # gRPC would take what does not fit, and then fail each handshake without a word.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key, password=_no_password)
            if authorities:
                context.load_verify_locations(authorities)
            chain, secret = Path(certificate).read_bytes(), Path(key).read_bytes()
            roots = Path(authorities).read_bytes() if authorities else None
        except (OSError, ValueError, InvalidSetting) as problem:
            raise InvalidSetting(
                f"the certificate {quoted(certificate)}, its key {quoted(key)}"
                + (f" and the authorities {quoted(authorities)}" if authorities else "")
                + f" cannot be used: {_why(problem)}; give PEM files that belong together",
                {"setting": "tls_cert"},
            ) from None
        return grpc.ssl_server_certificate_configuration([(secret, chain)], root_certificates=roots)

    def _state(self) -> tuple[object, ...]:
        found: list[object] = []
        for path in self._files:
            try:
                status = os.stat(path)  # noqa: PTH116 - in each handshake
            except (OSError, ValueError):
                found.append(None)
            else:
                found.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        return tuple(found)


def _no_password() -> str:
    raise InvalidSetting("the key is locked with a password, which a server cannot be asked for")


def _why(problem: Exception) -> str:
    """Return a reason that holds nothing of a file."""
    if isinstance(problem, InvalidSetting):
        return problem.message
    if isinstance(problem, ssl.SSLError):
        return (problem.reason or "not PEM").lower().replace("_", " ")
    return (getattr(problem, "strerror", None) or "not a path").lower()


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Return the credentials of the settings, None for plain text. Raises InvalidSetting for files that cannot be used.

    With `tls_client_ca` a client has to show a certificate from there. TLS is 1.2 or newer, as gRPC sees to.
    """
    if not settings.tls_cert:
        return None
    certificates = Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    return grpc.dynamic_ssl_server_credentials(
        certificates.first,
        certificates.newer,  # type: ignore[arg-type]  # None says that nothing changed
        require_client_authentication=bool(settings.tls_client_ca),
    )
