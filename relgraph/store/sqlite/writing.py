"""Transactions on SQLite: how one begins and ends, and how many tuples come in at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.store.sql.writing import SQLTransaction
from relgraph.store.sqlite.layout import LATE_INDEXES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from relgraph.revision import Revision
    from relgraph.store.base import Clock, OnDuplicate, Random
    from relgraph.store.sql.link import Link
    from relgraph.store.sql.turns import WriterLock
    from relgraph.tuples import RelationTuple

__all__ = ["SQLiteTransaction"]

LATE_ROWS_MIN: Final = 20_000
"""From this many rows on, a load into an empty table builds indexes afterwards, which is faster."""

_ANY = "SELECT 1 FROM tuples LIMIT 1"
_COLUMNS = ("resource", "relation", "subject", "subject_relation", "created", "expires", "caveat", "context")


class SQLiteTransaction(SQLTransaction):
    """Writes in the making; see `relgraph.store.base.Transaction`.

    `lock` lets one writer of this process in at a time, `standing` raises when the store is no longer where it was
    opened.
    """

    def __init__(
        self,
        link: Link,
        lock: WriterLock,
        clock: Clock,
        random: Random,
        standing: Callable[[], None],
        committed: Callable[[Revision], None],
    ) -> None:
        super().__init__(link.where, clock, random, committed)
        self._writer = link
        self._lock = lock
        self._standing = standing

    def _begin(self) -> Link:
        entered = False
        try:
            self._lock.enter(self)
            entered = True
            self._standing()
            self._end_leftover()
            self._writer.run("BEGIN IMMEDIATE")
        except BaseException:
            if entered:
                self._end_leftover()
            self._lock.leave(self)
            raise
        return self._writer

    def _end_leftover(self) -> None:
        """Undo what an interrupted transaction left open on the writer's connection: it is nobody's but ours now."""
        if self._writer.in_transaction:
            self._writer.stop()
            self._writer.run("ROLLBACK")

    def _let_go(self) -> None:
        self._lock.leave(self)

    def _check_standing(self) -> None:
        self._standing()

    def _bring_in(self, staged: Sequence[RelationTuple], on_duplicate: OnDuplicate) -> int:
        wanted = self._distinct(*self._interner.rows(staged), on_duplicate)
        # Sorted by primary key, rows fill page after page; at random each costs a page of the log.
        keys = sorted(wanted)
        if self._link.one(_ANY) is not None:
            return sum(self._put(key, wanted[key], on_duplicate) for key in keys)
        late = LATE_INDEXES if len(keys) >= LATE_ROWS_MIN else {}
        for name in late:
            self._link.run(f"DROP INDEX {name}")
        number = self.number
        self._link.add_rows("tuples", _COLUMNS, ((*key, number, *wanted[key]) for key in keys))
        for statement in late.values():
            self._link.run(statement)
        return len(keys)
