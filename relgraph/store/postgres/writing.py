"""Transactions on PostgreSQL: how one begins and ends, and how many tuples come in at once.

Rule 1: judge after the lock. A transaction is READ COMMITTED, so each statement sees all that was committed before it
began; the row of `meta` is locked by the first one, and whatever is read later is what the writer before has left.
Rule 2: what is acknowledged is durable: where a role or a database turned `synchronous_commit` off, it is on here.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from relgraph.errors import StoreUnavailable
from relgraph.store.postgres.batch import Batch, numbers_of
from relgraph.store.postgres.hearing import announce
from relgraph.store.postgres.layout import add_indexes
from relgraph.store.postgres.link import PostgresLink
from relgraph.store.postgres.staging import Loader, Staging
from relgraph.store.sql.interning import Interner
from relgraph.store.sql.link import ClosedLink
from relgraph.store.sql.writing import SQLTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from relgraph.revision import Revision
    from relgraph.store.base import Clock, OnDuplicate, Random
    from relgraph.store.postgres.pool import Pool
    from relgraph.store.postgres.urls import Place
    from relgraph.store.sql.interning import Numbers, Traits
    from relgraph.store.sql.link import Link, Row
    from relgraph.store.sql.reading import Pin
    from relgraph.store.sql.turns import WriterLock
    from relgraph.tuples import RelationTuple

__all__ = ["PostgresTransaction"]

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_LOCK = (
    "SET LOCAL lock_timeout = {wait}; SELECT set_config('synchronous_commit', 'on', true)"
    " WHERE current_setting('synchronous_commit') = 'off'; SELECT store, epoch, indexed FROM meta FOR UPDATE"
)


class PostgresTransaction(SQLTransaction):
    """Writes in the making; see `relgraph.store.base.Transaction`.

    `lock` lets one writer of this process in at a time, so that the ones that wait hold no connection; `check` raises
    where another store than ours answers.
    """

    def __init__(
        self,
        pool: Pool,
        lock: WriterLock,
        check: Callable[[Row | None], None],
        clock: Clock,
        random: Random,
        place: Place,
        wait_ms_max: int,
    ) -> None:
        super().__init__(place.where, clock, random, self._tell)
        self._schema = place.schema
        self._pool = pool
        self._lock = lock
        self._check = check
        self._locking = _LOCK.replace("{wait}", str(wait_ms_max))
        self._taken: PostgresLink | None = None
        self._staging: Staging | None = None
        self._batch: Batch | None = None
        self._was_indexed = self._indexed = False

    def _begin(self) -> Link:
        if self._staged:
            # Sent before the locks are taken: others write meanwhile.
            self._taken, _ = self._pool.begin(f"{_BEGIN}; SELECT 1")
        try:
            if self._taken is not None:
                self._staging = Staging(self._taken, self._staged)
            self._lock.enter(self)
            try:
                row: Row | None
                if self._taken is None:
                    self._taken, row = self._pool.begin(f"{_BEGIN}; {self._locking}")
                else:
                    row = self._taken.script(self._locking)
                self._check(row)
                self._was_indexed = row is not None and bool(row[2])
            except BaseException:
                self._lock.leave(self)
                raise
        except BaseException:
            self._give()
            raise
        return self._taken

    def _return_to(self, pin: Pin, changes: int) -> None:
        super()._return_to(pin, changes)
        # What a savepoint undid may have been the indexes.
        self._indexed = self._was_indexed

    def _prepare_intake(self, link: Link) -> None:
        assert isinstance(link, PostgresLink)
        self._indexed = self._was_indexed
        self._index(link)

    def _index(self, link: PostgresLink) -> None:
        if not self._indexed:
            add_indexes(link)
            self._indexed = True

    def _open_link(self) -> PostgresLink:
        """The transaction's link. Raises StoreUnavailable when all is committed or undone.

        What was undone has given its place to a link that refuses. Its connection is still there, outside of any
        transaction, where each statement would be a write of its own.
        """
        link = self._link
        if isinstance(link, ClosedLink):
            link.run("")
        assert isinstance(link, PostgresLink)
        return link

    def _tell(self, head: Revision) -> None:
        """Say that there is a new head. It is committed: that nobody hears of it yet is no reason to fail."""
        del head
        if self._taken is not None:
            with suppress(StoreUnavailable):
                announce(self._taken, self._schema)

    def _let_go(self) -> None:
        try:
            self._give()
        finally:
            self._lock.leave(self)

    @contextmanager
    def _together(self, gone: Sequence[RelationTuple], made: Sequence[RelationTuple]) -> Iterator[None]:
        link = self._open_link()
        self._index(link)
        with self._interner.told(*numbers_of(link, (*gone, *made))):
            # In the order in which they will be made, so that objects get the numbers that they get one by one.
            keys, _ = self._interner.rows(made)
            keys += [key for key in map(self._interner.known_key, gone) if key is not None]
            self._batch = Batch(link, self.number, keys)
            try:
                yield
                self._batch.send()
            finally:
                self._batch = None

    def _row_of(self, key: Numbers) -> Row | None:
        return super()._row_of(key) if self._batch is None else self._batch.standing(key)

    def _add(self, key: Numbers, traits: Traits) -> None:
        if self._batch is None:
            super()._add(key, traits)
        else:
            self._batch.add(key, traits)

    def _end(self, key: Numbers, created: int) -> None:
        if self._batch is None:
            super()._end(key, created)
        else:
            self._batch.end(key, created)

    def _give(self) -> None:
        taken, self._taken, self._staging = self._taken, None, None
        if taken is not None:
            self._pool.give(taken)

    def _bring_in(self, staged: Sequence[RelationTuple], on_duplicate: OnDuplicate) -> int:
        link = self._open_link()
        staging, self._staging = self._staging, None
        if staging is None or staging.tuples is not staged:
            staging = Staging(link, staged)
        loader = Loader(self.number, self.stamp, self._interner.name, self._distinct, self._existing)
        try:
            changed = staging.bring_in(loader, on_duplicate)
            self._index(link)
            staging.refresh(changed)
        finally:
            # Objects got their numbers behind the interner's back.
            self._interner = Interner(self._link)
        return changed
