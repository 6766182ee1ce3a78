"""The one place that opens what a command works on: a store through the library, or a server through the client.

Rule 1: a store that does not exist is made only by `schema write` and `serve`, since without a schema there is nothing
to write or to ask. A mistyped path is an error, not an empty store.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from relgraph.errors import InvalidSetting, StoreUnavailable, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relgraph.api import Authorizer
    from relgraph.client import Client
    from relgraph.store.base import Store

__all__ = ["ACCESS", "Door", "Target", "access_of", "open_bare", "open_target", "require_file", "target_of"]

Door: TypeAlias = "Authorizer | Client"
"""Whoever answers a command: both have the same methods."""

ACCESS: Final = {
    "tls": "RELGRAPH_TLS",
    "tls_ca": "RELGRAPH_TLS_CA",
    "tls_cert": "RELGRAPH_CLIENT_CERT",
    "tls_key": "RELGRAPH_CLIENT_KEY",
    "token_file": "RELGRAPH_TOKEN_FILE",
}
"""How a server is reached, and the variable of each; the key itself is RELGRAPH_TOKEN, never an option."""

_TOKEN_BYTES_MAX: Final = 4_096
_SQLITE_MEMORY = "sqlite://"
_SQLITE_FILE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Target:
    """What a command works on: the URL of a store, or the address of a server."""

    store: str | None = field(default=None, repr=False)
    server: str | None = None
    access: Mapping[str, str] = field(default_factory=dict)
    """How the server is reached, by the fields of `relgraph.dialing.Access`; its token is read by `open_target`."""


def target_of(
    store: str | None, server: str | None, environment: Mapping[str, str], access: Mapping[str, str] | None = None
) -> Target:
    """Return what was named by an option or else by the environment. Raises InvalidSetting unless it is exactly one."""
    target = _place_of(store, server, environment)
    if target.server is None and access:
        raise InvalidSetting(
            "how to reach a server was given, and a store is what this works on; take one of them away"
        )
    return target if target.server is None else replace(target, access=access_of(access or {}, environment))


def access_of(given: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return how a server is reached: what options gave, and the environment for all else."""
    named = {name: environment.get(variable) or "" for name, variable in ACCESS.items()} | dict(given)
    return {name: value for name, value in named.items() if value}


def _place_of(store: str | None, server: str | None, environment: Mapping[str, str]) -> Target:
    if store and server:
        raise InvalidSetting("--store and --server were both given; a command works on one of them, keep one")
    if store or server:
        return Target(store=store, server=server)
    store, server = environment.get("RELGRAPH_STORE") or None, environment.get("RELGRAPH_SERVER") or None
    if store and server:
        raise InvalidSetting("RELGRAPH_STORE and RELGRAPH_SERVER are both set; choose with --store or --server")
    if store or server:
        return Target(store=store, server=server)
    raise InvalidSetting(
        "no store and no server named; give --store URL (as in `sqlite:///access.db`) or --server HOST:PORT, "
        "or set RELGRAPH_STORE or RELGRAPH_SERVER"
    )


def open_target(target: Target, *, creates: bool = False) -> Door:
    """Open the target; the caller closes it, as a context manager. Only with `creates` may a store come into being.

    Raises InvalidSetting for what cannot be a target, StoreUnavailable for a store that is not there, and whatever the
    library or the client raises when opening.
    """
    if target.server:
        return _client(target.server, target.access)
    assert target.store is not None
    require_file(target.store, may_be_new=creates)
    from relgraph.api import open_authorizer  # noqa: PLC0415  (the engine is not needed to reach a server)

    return open_authorizer(target.store)


def open_bare(url: str, *, creates: bool = False) -> Store:
    """Open a store itself, for what moves it as a whole; the caller closes it.

    Raises as `open_target`.
    """
    require_file(url, may_be_new=creates)
    from relgraph.store import open_store  # noqa: PLC0415  (not needed to reach a server)

    return open_store(url, clock=lambda: time.time_ns() // 1000, random=os.urandom)


def require_file(url: str, *, may_be_new: bool) -> None:
    """Raise InvalidSetting for a store in memory, and StoreUnavailable for one that is not there and has to be."""
    if url == _SQLITE_MEMORY:
        raise InvalidSetting(f"{quoted(url)} is a store in memory, which ends with the command; name a file")
    if may_be_new:
        return
    path = url.removeprefix(_SQLITE_FILE)
    if path == url:
        from relgraph.store import require_store  # noqa: PLC0415  (a server is reached without a store)

        require_store(url)
        return
    try:
        file = Path(path).stat()
        # SQLite takes an empty file for a new database.
        problem = "is empty" if stat.S_ISREG(file.st_mode) and not file.st_size else ""
    except FileNotFoundError:
        problem = "does not exist"
    except (OSError, ValueError) as error:
        problem = f"cannot be looked at ({(getattr(error, 'strerror', None) or 'not a path').lower()})"
    if problem:
        raise StoreUnavailable(
            f"there is no store at {quoted(url)}: {quoted(path)} {problem}; correct the path, or make the store "
            "with `relgraph schema write`",
            {"url": url},
        )


def _client(address: str, access: Mapping[str, str]) -> Door:
    try:
        from relgraph.client import Access, Client  # noqa: PLC0415  (grpcio is slow to import, and an extra)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("relgraph"):
            raise
        raise InvalidSetting(
            f"--server needs {quoted(error.name)}, which is not installed; run `pip install 'relgraph[server]'`"
        ) from error
    token = _token(access.get("token_file", ""))
    return Client(
        address,
        retries=None,  # whoever sits before it decides
        access=Access(
            token=token,
            tls=_is_true(access.get("tls", ""), "RELGRAPH_TLS"),
            tls_ca=access.get("tls_ca", ""),
            tls_cert=access.get("tls_cert", ""),
            tls_key=access.get("tls_key", ""),
            insecure=_is_true(access.get("insecure", ""), "--insecure"),
        ),
    )


def _is_true(word: str, name: str) -> bool:
    if word.lower() in ("", "0", "false", "no"):
        return False
    if word.lower() in ("1", "true", "yes"):
        return True
    raise InvalidSetting(f"{name} cannot be {quoted(word)}; use true or false")


def _token(path: str) -> str:
    """Return the key to show: a file's, or RELGRAPH_TOKEN. What it is, is in no message."""
    if not path:
        return os.environ.get("RELGRAPH_TOKEN", "")
    try:
        with Path(path).open("rb") as file:
            data = file.read(_TOKEN_BYTES_MAX + 1)
        return data.decode("ascii").strip()
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or "it is not one line of ASCII").lower()
        raise InvalidSetting(
            f"the key in {quoted(path)} cannot be read: {why}; check the path", {"file": path}
        ) from None
