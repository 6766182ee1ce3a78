"""Which SQLite this process uses, and its errors in relgraph's words.

Rule 1: one SQLite library per process. Two of them do not see each other's POSIX locks: closing a file in one drops
the locks of the other, and another process then writes inside our transaction. So whatever in relgraph opens a
store's file imports `sqlite3` from here, and nothing opens the file by other means, not even to read its first bytes.

The wheel of pysqlite3 comes first because SQLite 3.7.0 to 3.51.2, inside most Pythons, can damage a WAL file that
several connections write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.errors import StoreFormat, StoreReadOnly, StoreUnavailable, quoted

if TYPE_CHECKING:
    import sqlite3
else:
    try:
        from pysqlite3 import dbapi2 as sqlite3
    except ImportError:
        import sqlite3

__all__ = ["PATH_SHOWN_MAX", "VERSION_MIN", "check_version", "fault", "sqlite3"]

VERSION_MIN = (3, 37, 0)
"""The first SQLite with STRICT tables."""

_BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 6, 8, 10, 11, 13, 14, 26

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


def fault(error: sqlite3.Error, where: str) -> StoreUnavailable:
    """Return relgraph's error for one of the driver's. `where` is the path of the file, for people."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    kind, text = _TEXTS.get(code, (StoreUnavailable, "the store {where} failed: {problem}"))
    told = text.format(where=quoted(where, PATH_SHOWN_MAX), problem=quoted(str(error)))
    return kind(told, {"store": where, "problem": str(error)})


def check_version(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Raise StoreUnavailable when the SQLite at hand is too old to hold a store."""
    if version < VERSION_MIN:
        have, need = (".".join(map(str, numbers)) for numbers in (version, VERSION_MIN))
        raise StoreUnavailable(
            f"a store needs SQLite `{need}` or newer and this Python has `{have}`; install the package `pysqlite3`",
            {"version": have},
        )
