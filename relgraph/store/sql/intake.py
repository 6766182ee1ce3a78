"""Taking another store's whole history in.

Rule 1: while an intake is unfinished the head names no revision, so that everybody's first read finds none and refuses;
`meta.migrating` says what is going on.
"""

# ruff: noqa: S608 - the SQL is put together from the constants beside it; every value is bound

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Self

from relgraph.store.history import PARTS, Mark, Part
from relgraph.store.sql.history import SQLHistory
from relgraph.store.sql.link import ClosedLink
from relgraph.store.sql.reading import NUMBER_MAX, UNFINISHED, committed_head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from relgraph.revision import Revision
    from relgraph.store.history import HistoryRow, Key
    from relgraph.store.sql.link import Link

__all__ = ["SQLIntake"]

_SAME = " AND ".join(f"{name} = ?" for name in PARTS["tuples"].names[:5])
_END = f"UPDATE tuples SET deleted = ? WHERE {_SAME}"
_META = "SELECT migrating FROM meta"
_NOTE = "UPDATE meta SET head = ?, migrating = ?"
_FINISH = "UPDATE meta SET head = ?, migrating = NULL"
_FLOOR = "SELECT floor FROM meta"
_RAISE = "UPDATE meta SET floor = ?"
_FORGET_ENDED = "DELETE FROM tuples WHERE deleted IS NOT NULL AND deleted <= ?"
_FORGET_EXPIRED = "DELETE FROM tuples WHERE deleted IS NULL AND expires IS NOT NULL AND expires <= ? AND created <= ?"
_FORGET_SCHEMAS = "DELETE FROM schemas WHERE revision < (SELECT max(revision) FROM schemas WHERE revision <= ?)"
_FORGET_COUNTERS = "DELETE FROM counters"
_COUNT_UNDER = "INSERT INTO counters(name, filter) VALUES (?, ?)"


def _last(part: Part) -> str:
    names = PARTS[part].names[: PARTS[part].key]
    order = ", ".join(f"{name} DESC" for name in names)
    return f"SELECT {', '.join(names)} FROM {part} ORDER BY {order} LIMIT 1"


_LAST: Final = {part: _last(part) for part in PARTS}


class SQLIntake:
    """Takes another store's history in; see `relgraph.store.history.Intake`.

    `begin` locks out other writers, `prepare` makes the tables ready for rows, `check` raises where a commit would be
    lost, `let_go` lets the next writer in, and `finished` is told of the head that everybody sees from the commit on.
    """

    def __init__(
        self,
        where: str,
        begin: Callable[[], Link],
        prepare: Callable[[Link], None],
        check: Callable[[], None],
        let_go: Callable[[], None],
        finished: Callable[[Revision], None],
    ) -> None:
        self._where = where
        self._begin = begin
        self._prepare = prepare
        self._check = check
        self._let_go = let_go
        self._finished = finished
        self._link: Link = ClosedLink("intake", where)

    @property
    def head(self) -> Revision | None:
        """The newest revision of what is here; None while there is a mark."""
        return None if self.mark else committed_head(self._link)

    @property
    def mark(self) -> Mark | None:
        """What was begun here and not finished."""
        row = self._link.one(_META)
        assert row is not None  # a store is founded with it
        if row[0] is None:
            return None
        told = json.loads(row[0])
        return Mark(bytes.fromhex(told["source"]), told["goal"], told["whole"])

    @property
    def floor(self) -> int:
        """The oldest revision that is kept here."""
        row = self._link.one(_FLOOR)
        assert row is not None  # a store is founded with it
        return int(row[0])

    @property
    def history(self) -> SQLHistory:
        """All that is here by now."""
        return SQLHistory(self._link, NUMBER_MAX, NUMBER_MAX, NUMBER_MAX)

    def note(self, mark: Mark) -> None:
        """Say how far it has come, and that it is not finished."""
        told = {"source": mark.source.hex(), "goal": mark.goal, "whole": mark.whole}
        self._link.run(_NOTE, (UNFINISHED, json.dumps(told)))

    def last(self, part: Part) -> Key:
        """The key of the last row of a part, zeros without any."""
        row = self._link.one(_LAST[part])
        return (0,) * PARTS[part].key if row is None else row

    def add(self, part: Part, rows: Sequence[HistoryRow]) -> None:
        """Add rows of a part."""
        self._link.add_rows(part, PARTS[part].names, rows)

    def end(self, keys: Sequence[Key]) -> None:
        """End tuples."""
        self._link.run_many(_END, ((deleted, *key) for *key, deleted in keys))

    def forget(self, floor: Revision) -> None:
        """Make that the oldest revision that is kept."""
        self._link.run(_RAISE, (floor.number,))
        self._link.run(_FORGET_ENDED, (floor.number,))
        self._link.run(_FORGET_EXPIRED, (floor.stamp, floor.number))
        self._link.run(_FORGET_SCHEMAS, (floor.number,))

    def count_under(self, counters: Mapping[str, str]) -> None:
        """Make these all that is registered to be counted, by name."""
        self._link.run(_FORGET_COUNTERS)
        self._link.run_many(_COUNT_UNDER, counters.items())

    def finish(self) -> None:
        """Open the store to everybody, at the mark's goal."""
        mark = self.mark
        assert mark is not None, "nothing was begun"
        self._link.run(_FINISH, (mark.goal,))

    def commit(self) -> None:
        """Make it durable."""
        self._check()
        head = self.head
        self._link.run("COMMIT")
        self._link = ClosedLink("intake", self._where)
        if head is not None:
            self._finished(head)

    def __enter__(self) -> Self:
        self._link = self._begin()
        try:
            self._prepare(self._link)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        link, self._link = self._link, ClosedLink("intake", self._where)
        try:
            link.stop()
            # A commit that failed may have rolled back by itself.
            if link.in_transaction:
                link.run("ROLLBACK")
        finally:
            self._let_go()
