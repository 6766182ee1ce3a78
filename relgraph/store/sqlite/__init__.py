"""The store on SQLite: one file in WAL mode, or one in memory.

    library    which SQLite module, and its errors in relgraph's words
    holds      which files this process has open, and who may write them; `locks` is the system's lock
    layout     tables, format and migrations
    link       connections and the ways statements run
    log        the write-ahead log, kept short
    copying    backups, and stores restored from them
    verifying  a file's pages, indexes and layout
    writing    how a transaction begins and ends; what it does in between is `relgraph.store.sql`
    files, memory   the two kinds of store

Here lives the meaning of a URL, and nothing else.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from relgraph.errors import InvalidSetting, StoreUnavailable, quoted
from relgraph.store.sqlite.copying import restore
from relgraph.store.sqlite.files import FileStore
from relgraph.store.sqlite.library import SQLiteModule, sqlite3
from relgraph.store.sqlite.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.store.base import Clock, Random, Store
    from relgraph.store.upkeep import Backup

__all__ = ["SQLiteModule", "open_sqlite", "require_sqlite", "restore_sqlite", "sqlite3"]

_SCHEME = "sqlite://"


def open_sqlite(
    url: str, *, clock: Clock, random: Random, wait_ms_max: int, sqlite: SQLiteModule | None = None
) -> Store:
    """Open `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, or `sqlite://` for one in memory.

    The path is taken as it stands: nothing is decoded, and there are no parameters. `sqlite` is the module to open it
    with. Raises InvalidSetting, StoreFormat or StoreUnavailable.
    """
    _check_module(sqlite)
    library = sqlite or sqlite3
    path = _path_of(url)
    if path is None:
        return MemoryStore(library, clock=clock, random=random, wait_ms_max=wait_ms_max)
    with _looking_at(path):
        return FileStore(path, library, chosen=sqlite is not None, clock=clock, random=random, wait_ms_max=wait_ms_max)


def require_sqlite(url: str) -> None:
    """Raise StoreUnavailable where opening `url` would make a new store, InvalidSetting for one in memory."""
    path = _path_of(url)
    if path is None:
        raise InvalidSetting(f"{quoted(url)} is a store in memory, which nobody else can look at; name a file")
    with _looking_at(path):
        if not path.exists() or (path.is_file() and not path.stat().st_size):
            raise StoreUnavailable(f"there is no store at {quoted(url)}; correct the path", {"url": url})


def restore_sqlite(
    backup: Path, url: str, *, replace: bool, clock: Clock, random: Random, sqlite: SQLiteModule | None = None
) -> Backup:
    """Make the store at `url` of a backup; see `relgraph.store.restore_store`."""
    _check_module(sqlite)
    path = _path_of(url)
    if path is None:
        raise InvalidSetting(f"{quoted(url)} is a store in memory, which ends with its process; name a file")
    with _looking_at(path):
        return restore(
            backup, path, sqlite or sqlite3, chosen=sqlite is not None, replace=replace, clock=clock, random=random
        )


def _path_of(url: str) -> Path | None:
    """Return the path that a URL names, None for memory."""
    rest = url.removeprefix(_SCHEME)
    if not rest:
        return None
    path = rest[1:]
    if not rest.startswith("/") or not path or path.endswith("/") or "\0" in path or "?" in path or ":memory:" in path:
        raise InvalidSetting(
            f"{quoted(url)} does not name a file; write `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, "
            "or `sqlite://` for a store in memory",
            {"url": url},
        )
    try:
        path.encode()
    except UnicodeEncodeError:
        raise InvalidSetting(f"{quoted(url)} holds half a character; name a file", {"url": url}) from None
    return Path(path)


@contextmanager
def _looking_at(path: Path) -> Iterator[None]:
    """Tell when it is not the driver but the file system that cannot make anything of a path."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or "no such path").lower()
        raise StoreUnavailable(
            f"the store {quoted(str(path))} cannot be looked at: {reason}; check the path and its rights",
            {"store": str(path)},
        ) from error


def _check_module(sqlite: object) -> None:
    """Raise InvalidSetting for what has not the face of a SQLite module."""
    missing = [name for name in ("connect", "Connection", "Error", "sqlite_version_info") if not hasattr(sqlite, name)]
    if sqlite is not None and missing:
        raise InvalidSetting(
            f"{quoted(repr(sqlite))} is not a SQLite module: it has no {quoted(missing[0])}; "
            "pass `sqlite3`, or a module with its face"
        )
