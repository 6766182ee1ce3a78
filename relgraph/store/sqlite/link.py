"""Connections: how one is opened, and the few ways in which statements run through it.

Driver errors become relgraph's here, so nothing above sees one. No statement's text lives here beyond pragmas.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Final

from relgraph.store.sqlite.library import fault

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from relgraph.store.sql.link import Row, Values
    from relgraph.store.sqlite.library import SQLiteModule

__all__ = ["SQLiteLink", "SharedLink", "connect", "connect_memory", "connect_source"]

CACHE_KIB_MAX: Final = 65536
_READER_PRAGMAS = ("PRAGMA query_only = ON", "PRAGMA wal_autocheckpoint = 0")
# FULL syncs at every commit: NORMAL may lose an acknowledged write on power loss. fullfsync is what makes it true on
# macOS, and is ignored elsewhere.
_WRITER_PRAGMAS = ("PRAGMA synchronous = FULL", "PRAGMA fullfsync = ON")


def connect(
    library: SQLiteModule, path: Path, *, create: bool = False, reader: bool = False, wait_ms_max: int
) -> sqlite3.Connection:
    """Open a connection to the file at an absolute path, making it only with `create`. Raises the driver's errors.

    It may be handed from thread to thread, but is used by one at a time. Transactions begin only when told.
    """
    uri = f"{path.as_uri()}?mode={'rwc' if create else 'rw'}"
    connection = library.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=wait_ms_max / 1000
    )
    return _tuned(connection, _READER_PRAGMAS if reader else _WRITER_PRAGMAS)


def connect_source(library: SQLiteModule, path: Path) -> sqlite3.Connection:
    """Open a file to copy or verify it, whoever may write it. Raises the driver's errors."""
    return _tuned(library.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None), ())


def connect_memory(library: SQLiteModule) -> sqlite3.Connection:
    """Open a private database in memory."""
    return _tuned(library.connect(":memory:", isolation_level=None, check_same_thread=False), ())


def _tuned(connection: sqlite3.Connection, pragmas: tuple[str, ...]) -> sqlite3.Connection:
    try:
        for pragma in (*pragmas, f"PRAGMA cache_size = -{CACHE_KIB_MAX}", "PRAGMA trusted_schema = OFF"):
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


class SQLiteLink:
    """One connection, used by one thread at a time; see `relgraph.store.sql.link.Link`."""

    def __init__(self, library: SQLiteModule, connection: sqlite3.Connection, where: str) -> None:
        self._errors = (library.Error, UnicodeDecodeError)
        self._connection = connection
        self._cursors: set[sqlite3.Cursor] = set()
        self.where = where

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open on the connection; never on a closed one."""
        try:
            return self._connection.in_transaction
        except self._errors:
            return False

    def run(self, sql: str, values: Values = ()) -> None:
        """Run a statement."""
        try:
            self._connection.execute(sql, values)
        except self._errors as error:
            raise fault(error, self.where) from error

    def run_many(self, sql: str, rows: Iterable[Values]) -> None:
        """Run a statement once for each of `rows`."""
        try:
            self._connection.executemany(sql, rows)
        except self._errors as error:
            raise fault(error, self.where) from error

    def add_rows(self, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        """Insert many rows; `columns` names what their values are."""
        marks = ", ".join("?" * len(columns))
        self.run_many(f"INSERT INTO {table}({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608 - our own names

    def all(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a query."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except self._errors as error:
            raise fault(error, self.where) from error

    def one(self, sql: str, values: Values = ()) -> Row | None:
        """Return the row of a query that has at most one."""
        # fetchall, not fetchone: it runs the statement to its end, so that no read lock outlives this call.
        rows = self.all(sql, values)
        return rows[0] if rows else None

    def iterate(self, sql: str, values: Values = ()) -> Iterator[Row]:
        """Run a query now and read its rows as they are asked for, until `stop`."""
        try:
            cursor = self._connection.execute(sql, values)
        except self._errors as error:
            raise fault(error, self.where) from error
        self._cursors.add(cursor)
        return self._drain(cursor)

    def _drain(self, cursor: sqlite3.Cursor) -> Iterator[Row]:
        try:
            yield from cursor
        except self._errors as error:
            raise fault(error, self.where) from error
        finally:
            self._cursors.discard(cursor)
            cursor.close()

    def stop(self) -> None:
        """End all iterations: an open one would keep its old view of the file beyond the end of the transaction."""
        while self._cursors:
            self._cursors.pop().close()

    def close(self) -> None:
        """Close the connection."""
        self.stop()
        self._connection.close()


class SharedLink(SQLiteLink):
    """The one connection of a store in memory, used by many threads: each statement runs alone and to its end."""

    def __init__(self, library: SQLiteModule, connection: sqlite3.Connection, where: str) -> None:
        super().__init__(library, connection, where)
        self._lock = RLock()

    def run(self, sql: str, values: Values = ()) -> None:
        """Run a statement."""
        with self._lock:
            super().run(sql, values)

    def run_many(self, sql: str, rows: Iterable[Values]) -> None:
        """Run a statement once for each of `rows`."""
        with self._lock:
            super().run_many(sql, rows)

    def all(self, sql: str, values: Values = ()) -> list[Row]:
        """Return all rows of a query."""
        with self._lock:
            return super().all(sql, values)

    def iterate(self, sql: str, values: Values = ()) -> Iterator[Row]:
        """Return the rows of a query, read at once: a rollback by another thread must not cut them short."""
        return iter(self.all(sql, values))
