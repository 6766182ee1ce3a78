"""Where tuples live: `base` says what a store is, each sub-package is one backend.

Here lives only the table of backends and the one way to open any of them. Nothing above this package imports a driver.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from relgraph.errors import InvalidSetting, Unsupported, did_you_mean, quoted
from relgraph.store.postgres import open_postgres, require_postgres
from relgraph.store.sqlite import SQLiteModule, open_sqlite, require_sqlite, restore_sqlite, sqlite3
from relgraph.store.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from relgraph.store.base import Clock, Random, Store
    from relgraph.store.upkeep import Backup

__all__ = [
    "BACKENDS",
    "WAIT_MS_MAX",
    "Opener",
    "SQLiteModule",
    "open_store",
    "require_store",
    "restore_store",
    "sqlite3",
]

WAIT_MS_MAX = 5000


class Opener(Protocol):
    """Opens a store of one backend. Raises InvalidSetting for a bad URL, StoreUnavailable when it cannot be opened."""

    def __call__(self, url: str, *, clock: Clock, random: Random, wait_ms_max: int) -> Store:
        """Open the store at `url`, whose scheme is the backend's."""
        ...


BACKENDS: Mapping[str, Opener] = MappingProxyType(
    {"sqlite": open_sqlite, "postgresql": open_postgres, "postgres": open_postgres}
)
"""The scheme of a store's URL, and what opens it."""


def open_store(
    url: str, *, clock: Clock, random: Random, wait_ms_max: int = WAIT_MS_MAX, sqlite: SQLiteModule | None = None
) -> Store:
    """Open the store at `url`, making it when it does not exist yet.

    `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, or `sqlite://` for a private one in memory;
    `postgresql://user@host/database` with any of libpq's parameters and `relgraph_schema=name`. `clock` gives
    microseconds since 1970 UTC, `random` gives that many random bytes. A writer waits at most `wait_ms_max`
    milliseconds for other writers. `sqlite` is the module to open a SQLite file with, where the application opens that
    file itself; without it, it is `relgraph.sqlite3`. Raises InvalidSetting, StoreFormat or StoreUnavailable.
    """
    opener = _of_scheme(url)
    if sqlite is None:
        return opener(url, clock=clock, random=random, wait_ms_max=wait_ms_max)
    _require_sqlite_url(url, "leave out `sqlite`")
    return open_sqlite(url, clock=clock, random=random, wait_ms_max=wait_ms_max, sqlite=sqlite)


def require_store(url: str) -> None:
    """Raise StoreUnavailable when opening the store at `url` would make a new one."""
    if _of_scheme(url) is open_sqlite:
        require_sqlite(url)
    else:
        require_postgres(url, wait_ms_max=WAIT_MS_MAX)


def restore_store(
    backup: Path, url: str, *, replace: bool, clock: Clock, random: Random, sqlite: SQLiteModule | None = None
) -> Backup:
    """Make the store at `url` of a backup, in an epoch of its own: no token of before is honoured.

    Only with `replace` in the place of another store, and never of one that somebody has open. Raises InvalidSetting
    for a backup that is not there or a place that is taken, StoreFormat for what is no sound store, StoreUnavailable
    where the place is in use or cannot be written, Unsupported for a database that brings its own tools for this.
    """
    _require_sqlite_url(url, "restore it with the tools of its database")
    return restore_sqlite(backup, url, replace=replace, clock=clock, random=random, sqlite=sqlite)


def _of_scheme(url: str) -> Opener:
    scheme, mark, _ = url.partition("://")
    shown = without_password(url)
    if not mark:
        raise InvalidSetting(
            f"{quoted(shown)} is not the URL of a store; write a scheme and a path, as in `sqlite:///access.db`",
            {"url": shown},
        )
    opener = BACKENDS.get(scheme)
    if opener is None:
        raise InvalidSetting(
            f"{quoted(shown)} names a kind of store that relgraph does not have: "
            f"{quoted(scheme)}{did_you_mean(scheme, BACKENDS)}",
            {"url": shown, "scheme": scheme},
        )
    return opener


def _require_sqlite_url(url: str, remedy: str) -> None:
    if _of_scheme(url) is not open_sqlite:
        # Never the URL itself: it may hold a password.
        scheme = url.partition("://")[0]
        raise Unsupported(f"a store of the kind {quoted(scheme)} is not on SQLite; {remedy}", {"scheme": scheme})
