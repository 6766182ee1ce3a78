"""Stores on one SQLite file: many readers, each with a connection of its own, beside one writer."""

from __future__ import annotations

import os
import time
import weakref
from contextlib import closing
from threading import Lock
from typing import TYPE_CHECKING, Final

from relgraph.errors import StoreReadOnly, StoreUnavailable, quoted
from relgraph.store.sql.collecting import collect
from relgraph.store.sql.joining import JoinedTransaction
from relgraph.store.sql.link import ClosedLink
from relgraph.store.sql.measuring import measure
from relgraph.store.sql.reading import SQLSnapshot, committed_head, committed_pin, identity
from relgraph.store.sql.turns import WriterLock
from relgraph.store.sql.verifying import verify
from relgraph.store.sql.waiting import wait_by_looking
from relgraph.store.sqlite.copying import back_up
from relgraph.store.sqlite.holds import hold
from relgraph.store.sqlite.joining import joined_link
from relgraph.store.sqlite.layout import is_current, prepare
from relgraph.store.sqlite.library import PATH_SHOWN_MAX, check_version, fault
from relgraph.store.sqlite.link import SQLiteLink, connect
from relgraph.store.sqlite.log import Log
from relgraph.store.sqlite.measuring import file_condition
from relgraph.store.sqlite.verifying import verify_file
from relgraph.store.sqlite.writing import SQLiteTransaction

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from relgraph.revision import Revision
    from relgraph.store.base import Clock, Collected, Random
    from relgraph.store.sql.intake import SQLIntake
    from relgraph.store.sql.link import Link
    from relgraph.store.sqlite.holds import Hold
    from relgraph.store.sqlite.library import SQLiteModule
    from relgraph.store.upkeep import Backup, Condition, Verification

__all__ = ["FileStore"]

IDLE_MAX: Final = 8
"""How many idle connections for reading are kept; more are opened while more snapshots are open at once."""

_RETRY_S: Final = 0.01
_BUSY: Final = 5
_CANTOPEN: Final = 14


class FileStore:
    """A store on one SQLite file; see `relgraph.store.base.Store`. Opening makes or migrates the file if need be.

    `chosen` says that it was the application that named the `library`.
    """

    def __init__(
        self, path: Path, library: SQLiteModule, *, chosen: bool, clock: Clock, random: Random, wait_ms_max: int
    ) -> None:
        check_version(library.sqlite_version_info)
        self._library = library
        # Readers open the file later on, when the working directory may be another one.
        self._path = path.absolute()
        self._where = str(path)
        self._clock = clock
        self._random = random
        self._wait_ms_max = wait_ms_max
        self._guard = Lock()
        self._idle: list[Link] = []
        self._closed = False
        self._hold = hold(self._path, library, chosen=chosen)
        # A store may be dropped without being closed.
        self._release = weakref.finalize(self, self._hold.release)
        try:
            self._open_writer()
        except BaseException:
            self._release()
            raise
        self._lock = WriterLock(self._where, wait_ms_max, self._hold.turn if self._hold.alone else None)

    def _open_writer(self) -> None:
        connection = _opened(self._path, self._where, self._hold, self._random, self._wait_ms_max)
        self._writer: Link = SQLiteLink(self._library, connection, self._where)
        try:
            self._id, self._epoch = identity(self._writer)
            self._file = self._named_file()
            if self._hold.alone:
                # INVARIANT: with the WAL-reset bug no connection folds the log while another one commits, an
                # application's own (see `joining`) included. `Log` folds under the write lock, SQLite by itself not.
                self._writer.run("PRAGMA wal_autocheckpoint = 0")
            self._log = Log(self._writer, self._hold.path, self._wait_ms_max)
        except BaseException:
            self._writer.close()
            raise

    @property
    def id(self) -> bytes:
        """16 random bytes, drawn when the store was made."""
        return self._id

    @property
    def epoch(self) -> int:
        """Which life of the store this is."""
        return self._epoch

    def head(self) -> Revision:
        """The newest committed revision."""
        link = self._take()
        try:
            return committed_head(link)
        finally:
            self._give(link)

    def snapshot(self) -> SQLSnapshot:
        """Open a view of the newest committed state."""
        link = self._take()
        try:
            link.run("BEGIN")
            # The first read is what pins SQLite's view; BEGIN alone does not.
            return SQLSnapshot(link, committed_pin(link), self._leave)
        except BaseException:
            self._leave(link)
            raise

    def transaction(self) -> SQLiteTransaction:
        """Prepare a write; its `with` block begins it."""
        return SQLiteTransaction(
            self._writer, self._lock, self._clock, self._random, self._refuse_unwritable, self._tend
        )

    def intake(self) -> SQLIntake:
        """Prepare to take another store's history in."""
        return self.transaction().intake()

    def verify(self) -> Verification:
        """Look at all that the file holds, in one snapshot, and tell what is wrong with it."""
        link = self._take()
        try:
            return verify(link, lambda link: verify_file(link, self._library))
        finally:
            self._leave(link)

    def condition(self) -> Condition:
        """Tell how large the file is, what it stands on, and what of it is not safe."""
        link = self._take()
        try:
            return file_condition(measure(link), self._hold)
        finally:
            self._leave(link)

    def backup(self, path: Path) -> Backup:
        """Copy the newest committed state into a new file, while others write on."""
        # Says so when the store is closed, or no longer where it was.
        self.head()
        with closing(self._reader()) as source:
            return back_up(source, self._library, self._where, path)

    def collect(self, keep_from: int) -> Collected:
        """Forget what nobody can ask for from that instant on."""
        return collect(self.transaction, keep_from)

    def joining(self, connection: object) -> JoinedTransaction:
        """Prepare a write inside an application's own transaction."""
        link = joined_link(self._library, connection, self._where, self._file)
        self._refuse_unwritable()
        if self._hold.alone:
            # Only our writing connection folds the log, at its next write past the bound or when it closes.
            link.run("PRAGMA wal_autocheckpoint = 0")
        return JoinedTransaction(link, "BEGIN IMMEDIATE", (self._id, self._epoch), self.head, self._clock, self._random)

    def wait(self, known: Revision, timeout: float) -> bool:
        """Return True as soon as the newest revision is another than `known`, False after `timeout` seconds."""
        return wait_by_looking(self.head, known, timeout)

    def close(self) -> None:
        """Close all connections; open snapshots close theirs when they are left. Waits for a write to end."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            idle, self._idle = self._idle, []
        for link in idle:
            link.close()
        self._lock.enter(self)
        try:
            writer, self._writer = self._writer, ClosedLink("store", self._where)
            if self._hold.writes:
                self._log.fold()
            writer.close()
        finally:
            self._lock.leave(self)
            self._release()

    def _named_file(self) -> tuple[int, int]:
        """Return what file the path names now, by device and inode."""
        try:
            found = self._path.stat()
        except OSError as error:
            raise self._replaced() from error
        return found.st_dev, found.st_ino

    def _refuse_replaced(self) -> None:
        """Raise StoreUnavailable when another file has taken the path, or none is there any more.

        Connections opened before would go on with the old file, later ones with the new: two stores under one id, and
        writes that are gone at the next start.
        """
        if self._named_file() != self._file:
            raise self._replaced()

    def _refuse_unwritable(self) -> None:
        """Raise StoreUnavailable when what is written to the file would be lost, or could damage it."""
        self._refuse_replaced()
        self._hold.write(self._where, self._wait_ms_max)

    def _tend(self, _: Revision) -> None:
        self._log.tend()

    def _replaced(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"the file of the store {quoted(self._where)} was replaced or removed while it was open; "
            "put it back, or close the store and open it again",
            {"store": self._where},
        )

    def _take(self) -> Link:
        if not self._closed:
            self._refuse_replaced()
        with self._guard:
            if self._closed:
                return ClosedLink("store", self._where)
            if self._idle:
                return self._idle.pop()
        return SQLiteLink(self._library, self._reader(), self._where)

    def _reader(self) -> sqlite3.Connection:
        try:
            return connect(self._library, self._path, reader=True, wait_ms_max=self._wait_ms_max)
        except self._library.Error as error:
            raise fault(error, self._where) from error

    def _give(self, link: Link) -> None:
        with self._guard:
            if not self._closed and len(self._idle) < IDLE_MAX:
                self._idle.append(link)
                return
        link.close()

    def _leave(self, link: Link) -> None:
        """Take back a snapshot's connection, with nothing left open on it that could hold its old view."""
        try:
            link.stop()
            if link.in_transaction:
                link.run("ROLLBACK")
        except BaseException:
            link.close()
            raise
        self._give(link)


def _opened(path: Path, where: str, held: Hold, random: Random, wait_ms_max: int) -> sqlite3.Connection:
    """Open the writer's connection, on a file that is a current store in WAL mode."""
    if not path.parent.is_dir():
        raise StoreUnavailable(
            f"the store {quoted(where)} cannot be opened: its directory does not exist; make the directory first",
            {"store": where},
        )
    try:
        connection = connect(held.library, path, create=True, wait_ms_max=wait_ms_max)
    except (held.library.Error, UnicodeDecodeError) as error:
        raise _closed_door(error, path, where) from error
    held.check_library(connection)
    try:
        if not is_current(connection, where):
            held.write(where, wait_ms_max)
            prepare(connection, where, random)
        _switch_to_wal(connection, where, held.library, wait_ms_max)
    except BaseException as error:
        connection.close()
        if isinstance(error, (held.library.Error, UnicodeDecodeError)):
            raise _closed_door(error, path, where) from error
        raise
    return connection


def _closed_door(error: Exception, path: Path, where: str) -> StoreUnavailable:
    """Return why a file could not be opened: SQLite says little where it is the folder that forbids it."""
    problem = fault(error, where)
    if not isinstance(problem, StoreReadOnly) and getattr(error, "sqlite_errorcode", 0) & 0xFF != _CANTOPEN:
        return problem
    if os.access(path.parent, os.W_OK):
        return problem
    told = (
        "cannot even be read: its folder cannot be written, and holds no log to read; "
        "get the right to write there, or read while its writer has it open"
        if path.exists()
        else "cannot be made: its folder cannot be written; get the right to, or name another one"
    )
    return StoreReadOnly(f"the store {quoted(where, PATH_SHOWN_MAX)} {told}", {"store": where})


def _switch_to_wal(connection: sqlite3.Connection, where: str, library: SQLiteModule, wait_ms_max: int) -> None:
    """Make the file a WAL one, unless it is already.

    The switch needs the file for itself for a moment, and where others open it at the same time SQLite says "locked"
    at once instead of waiting: so the waiting is done here.
    """
    deadline = time.monotonic() + wait_ms_max / 1000
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchall()[0][0]
        except library.Error as error:
            problem = fault(error, where)
            if isinstance(problem, StoreReadOnly):
                return
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
            continue
        if mode != "wal":
            raise StoreUnavailable(
                f"the store {quoted(where)} cannot use a write-ahead log (its journal is {quoted(str(mode))}); "
                "put it on a local disk",
                {"store": where, "journal": str(mode)},
            )
        return
