"""Stores in memory: one connection for all, nothing on disk, gone when closed.

Rule 1: no thread holds the connection for longer than one statement, so readers never wait for a write in the making.
What that write has done so far is on the same connection; a snapshot does not see it because its pin bounds revisions,
names and objects (see `reading`), and the pin moves only after a commit.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, NoReturn

from relgraph.answers import Fact
from relgraph.errors import InvalidInput, StoreUnavailable, quoted
from relgraph.store.base import EMPTY
from relgraph.store.sql.collecting import collect
from relgraph.store.sql.link import ClosedLink
from relgraph.store.sql.measuring import measure
from relgraph.store.sql.reading import Pin, SQLSnapshot, committed_head, identity
from relgraph.store.sql.turns import WriterLock
from relgraph.store.sql.verifying import verify
from relgraph.store.sql.waiting import wait_by_looking
from relgraph.store.sqlite.copying import back_up
from relgraph.store.sqlite.layout import prepare
from relgraph.store.sqlite.library import check_version
from relgraph.store.sqlite.link import SharedLink, connect_memory
from relgraph.store.sqlite.measuring import library_facts
from relgraph.store.sqlite.verifying import verify_file
from relgraph.store.sqlite.writing import SQLiteTransaction
from relgraph.store.upkeep import Condition

if TYPE_CHECKING:
    from pathlib import Path

    from relgraph.revision import Revision
    from relgraph.store.base import Clock, Collected, Random
    from relgraph.store.sql.intake import SQLIntake
    from relgraph.store.sql.link import Link
    from relgraph.store.sqlite.library import SQLiteModule
    from relgraph.store.upkeep import Backup, Verification

__all__ = ["MemoryStore"]

_WHERE = "in memory"


class MemoryStore:
    """A private store in memory; see `relgraph.store.base.Store`."""

    def __init__(self, library: SQLiteModule, *, clock: Clock, random: Random, wait_ms_max: int) -> None:
        check_version(library.sqlite_version_info)
        self._connection = connection = connect_memory(library)
        prepare(connection, _WHERE, random)
        self._library = library
        self._clock = clock
        self._random = random
        self._link: Link = SharedLink(library, connection, _WHERE)
        self._lock = WriterLock(_WHERE, wait_ms_max)
        self._id, self._epoch = identity(self._link)
        self._guard = Lock()
        self._pin: Pin | None = Pin(EMPTY, EMPTY.number, 0, 0)
        # How many views are open with which floor: they share our connection, so nothing they see may go.
        self._open: Counter[int] = Counter()

    @property
    def id(self) -> bytes:
        """16 random bytes, drawn when the store was made."""
        return self._id

    @property
    def epoch(self) -> int:
        """Which life of the store this is: always the first."""
        return self._epoch

    def head(self) -> Revision:
        """The newest committed revision."""
        return self._pinned().head

    def snapshot(self) -> SQLSnapshot:
        """Open a view of the newest committed state."""
        with self._guard:
            pin = self._pinned()
            self._open[pin.floor] += 1
        return SQLSnapshot(self._link, pin, lambda _: self._leave(pin.floor))

    def transaction(self) -> SQLiteTransaction:
        """Prepare a write; its `with` block begins it."""
        return SQLiteTransaction(self._link, self._lock, self._clock, self._random, self._catch_up, self._move_pin)

    def intake(self) -> SQLIntake:
        """Prepare to take another store's history in."""
        return self.transaction().intake()

    def collect(self, keep_from: int) -> Collected:
        """Forget what nobody can ask for from that instant on, and no open view sees."""
        return collect(self.transaction, keep_from, self._hold)

    def verify(self) -> Verification:
        """Look at all that the store holds, between two writes."""
        self._pinned()
        self._lock.enter(self)
        try:
            return verify(self._link, lambda link: verify_file(link, self._library))
        finally:
            self._lock.leave(self)

    def condition(self) -> Condition:
        """Tell how large the store is and what it stands on."""
        self._pinned()
        self._lock.enter(self)
        try:
            counted = measure(self._link)
        finally:
            self._lock.leave(self)
        return Condition((*library_facts(self._library), Fact("store", "kind", "SQLite in memory"), *counted))

    def backup(self, path: Path) -> Backup:
        """Copy the newest committed state into a new file, between two writes."""
        self._pinned()
        self._lock.enter(self)
        try:
            return back_up(self._connection, self._library, _WHERE, path)
        finally:
            self._lock.leave(self)

    def joining(self, connection: object) -> NoReturn:
        """Refuse: nobody else has a connection to this store."""
        raise InvalidInput(
            f"a store in memory has no connection that {quoted(repr(connection))} could share; use a store in a file"
        )

    def wait(self, known: Revision, timeout: float) -> bool:
        """Return True as soon as the newest revision is another than `known`, False after `timeout` seconds."""
        return wait_by_looking(self.head, known, timeout)

    def close(self) -> None:
        """Forget everything, after waiting for a write to end."""
        self._lock.enter(self)
        try:
            link, self._link = self._link, ClosedLink("store", _WHERE)
            self._pin = None
            link.close()
        finally:
            self._lock.leave(self)

    def _pinned(self) -> Pin:
        if self._pin is None:
            raise StoreUnavailable("the store in memory was closed before, and what it held is gone")
        return self._pin

    def _leave(self, floor: int) -> None:
        with self._guard:
            self._open[floor] -= 1

    def _hold(self, wanted: int) -> int:
        """Raise the floor of views yet to be opened as far as the open ones allow, and return it."""
        with self._guard:
            pin = self._pinned()
            floor = max(pin.floor, min([wanted, *(+self._open)]))
            self._pin = replace(pin, floor=floor)
            return floor

    def _catch_up(self) -> None:
        """Show what was committed when an interrupt kept `_move_pin` from being told. The writer's lock is held."""
        if not self._link.in_transaction:
            with suppress(StoreUnavailable):
                head = committed_head(self._link)
                if head != self._pinned().head:
                    self._move_pin(head)

    def _move_pin(self, head: Revision) -> None:
        """Let new snapshots see the revision that was just committed. The writer's lock is still held."""
        row = self._link.one(
            "SELECT (SELECT floor FROM meta), (SELECT coalesce(max(id), 0) FROM names),"
            " (SELECT coalesce(max(id), 0) FROM objects)"
        )
        assert row is not None  # a query without a table has one row
        with self._guard:
            self._pin = Pin(head, *row)
