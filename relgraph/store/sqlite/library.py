"""Which SQLite a store uses, what that one can be trusted with, and its errors in relgraph's words.

Rule 1: one SQLite library per file and process. Two of them do not see each other's POSIX locks: closing a file in one
drops the locks of the other, and another process then writes inside our transaction. So whatever in relgraph opens a
store's file does it through the module that the store was opened with (see `holds`), and nothing opens the file by
other means, not even to read its first bytes.

The wheel of pysqlite3 comes first because the SQLite inside most Pythons can damage a file that several connections
write (`has_reset_bug`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from relgraph.errors import StoreFormat, StoreReadOnly, StoreUnavailable, quoted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
else:
    try:
        from pysqlite3 import dbapi2 as sqlite3
    except ImportError:
        import sqlite3

__all__ = ["PATH_SHOWN_MAX", "VERSION_MIN", "SQLiteModule", "check_version", "fault", "has_reset_bug", "sqlite3"]


class SQLiteModule(Protocol):
    """A module over SQLite with the face of the standard library's `sqlite3`."""

    @property
    def __name__(self) -> str:
        """The module's name."""
        ...

    @property
    def sqlite_version(self) -> str:
        """The version of the library behind it, for people."""
        ...

    @property
    def sqlite_version_info(self) -> tuple[int, ...]:
        """The version of the library behind it."""
        ...

    @property
    def Error(self) -> type[Exception]:  # noqa: N802 - the driver's name
        """The root of its errors."""
        ...

    @property
    def Connection(self) -> type[sqlite3.Connection]:  # noqa: N802 - the driver's name
        """What `connect` makes."""
        ...

    @property
    def connect(self) -> Callable[..., sqlite3.Connection]:
        """Open a connection."""
        ...


VERSION_MIN = (3, 37, 0)
"""The first SQLite with STRICT tables."""

_RESET_BUG_FIRST, _RESET_BUG_FIXED = (3, 7, 0), (3, 51, 3)
# Releases of older series that the repair was carried back to.
_RESET_BUG_FIXED_EARLIER = ((3, 44, 6), (3, 50, 7))

_BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 6, 8, 10, 11, 13, 14, 26
# What is left of a full disk where the log's index could not grow.
_IOERR_SHMSIZE = _IOERR | 19 << 8

# The driver tells what befell a backup by SQLite's own words alone.
_WORDS = {
    "database is locked": _BUSY,
    "attempt to write a readonly database": _READONLY,
    "disk I/O error": _IOERR,
    "database disk image is malformed": _CORRUPT,
    "database or disk is full": _FULL,
    "unable to open database file": _CANTOPEN,
    "file is not a database": _NOTADB,
}

PATH_SHOWN_MAX = 400
"""How much of a store's path an error shows: the name of the file stands at its end, so it is seldom cut."""

_TEXTS: dict[int, tuple[type[StoreUnavailable], str]] = {
    _BUSY: (StoreUnavailable, "the store {where} is locked by another writer for too long; try again"),
    _LOCKED: (StoreUnavailable, "the store {where} is locked by another writer for too long; try again"),
    _READONLY: (
        StoreReadOnly,
        "the store {where} cannot be written; check the rights of the file, and of its directory, which holds the log",
    ),
    _IOERR: (
        StoreUnavailable,
        "the disk under the store {where} failed: {problem}; check the disk, then open it again",
    ),
    _CORRUPT: (StoreFormat, "the store {where} is damaged: {problem}; restore it from a backup"),
    _FULL: (StoreUnavailable, "the disk under the store {where} is full; nothing was written, make room and try again"),
    _CANTOPEN: (StoreUnavailable, "the store {where} cannot be opened; check that its directory exists and is yours"),
    _NOTADB: (StoreFormat, "the file {where} is not a relgraph store; name another file"),
}


def fault(error: Exception, where: str) -> StoreUnavailable:
    """Return relgraph's error for one of a driver's. `where` is the path of the file, for people."""
    code = getattr(error, "sqlite_errorcode", None) or _WORDS.get(str(error), 0)
    kind, text = _TEXTS.get(
        _FULL if code == _IOERR_SHMSIZE else code & 0xFF, (StoreUnavailable, "the store {where} failed: {problem}")
    )
    told = text.format(where=quoted(where, PATH_SHOWN_MAX), problem=quoted(str(error)))
    return kind(told, {"store": where, "problem": str(error)})


def check_version(version: tuple[int, ...]) -> None:
    """Raise StoreUnavailable when a SQLite of that version is too old to hold a store."""
    if version < VERSION_MIN:
        have, need = (".".join(map(str, numbers)) for numbers in (version, VERSION_MIN))
        raise StoreUnavailable(
            f"a store needs SQLite `{need}` or newer and this one is `{have}`; install the package `pysqlite3`",
            {"version": have},
        )


def has_reset_bug(version: tuple[int, ...]) -> bool:
    """Whether a SQLite of that version can damage a file in WAL mode.

    Where one connection commits while another one begins a second checkpoint, a part of the log may never reach the
    file. It takes two connections that write or checkpoint, in one process or in two.
    """
    if any(version[:2] == fixed[:2] and version >= fixed for fixed in _RESET_BUG_FIXED_EARLIER):
        return False
    return _RESET_BUG_FIRST <= version < _RESET_BUG_FIXED
