"""Collecting what is not kept: the history from before an instant.

Rule 1: the floor first, in a transaction of its own. From then on no view that is opened can ask below it, so what only
such a view could see goes in small steps, and another writer has its turn between two of them.
Rule 2: what a step may take follows from the floor that is written down, never from what a step before it did: a
collection that was broken off leaves nothing but work for the next.
Rule 3: a row that has expired may go although nobody deleted it, since every read from the floor on has an instant at
or behind the floor's stamp. One created behind the floor stays: the changes since the floor have to tell of it.
"""

# ruff: noqa: S608 - the SQL is put together from the constants beside it; every value is bound

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.store.base import Collected

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.store.sql.link import Values
    from relgraph.store.sql.writing import SQLTransaction

__all__ = ["STEP_ROWS_MAX", "collect"]

STEP_ROWS_MAX: Final = 1_000
"""How many rows go while the write lock is held."""

_KEY: Final = ("resource", "relation", "subject", "subject_relation", "created")
_ROWS = f"SELECT {', '.join(_KEY)} FROM tuples WHERE"
_ENDED = f"{_ROWS} deleted IS NOT NULL AND deleted <= ? LIMIT ?"
_EXPIRED = f"{_ROWS} deleted IS NULL AND expires IS NOT NULL AND expires <= ? AND created <= ? LIMIT ?"
_FORGET_ROW = f"DELETE FROM tuples WHERE {' AND '.join(f'{name} = ?' for name in _KEY)}"
_PASSED = "SELECT number FROM revisions WHERE number < ? AND (request_id IS NULL OR not_after < ?) LIMIT ?"
_FORGET_REVISION = "DELETE FROM revisions WHERE number = ?"
_FORGET_SCHEMAS = "DELETE FROM schemas WHERE revision < (SELECT max(revision) FROM schemas WHERE revision <= ?)"
_RAISE = "UPDATE meta SET floor = ?"


def collect(
    begin: Callable[[], SQLTransaction], keep_from: int, hold: Callable[[int], int] = lambda floor: floor
) -> Collected:
    """Forget what nobody can ask for from an instant on. `hold` says which floor open views allow, up to the wanted."""
    with begin() as transaction:
        wanted = transaction.revision_at(keep_from)
        floor = transaction.floor if wanted is None else max(transaction.floor, hold(wanted.number))
        kept = transaction.revision(floor)
        assert kept is not None  # the floor itself is always kept
        transaction.link.run(_RAISE, (floor,))
        transaction.link.run(_FORGET_SCHEMAS, (floor,))
        transaction.commit()
        now = transaction.stamp
    rows = _in_steps(begin, _ENDED, (floor,), _FORGET_ROW) + _in_steps(
        begin, _EXPIRED, (kept.stamp, floor), _FORGET_ROW
    )
    return Collected(kept, rows, _in_steps(begin, _PASSED, (floor, now), _FORGET_REVISION))


def _in_steps(begin: Callable[[], SQLTransaction], find: str, values: Values, forget: str) -> int:
    """Delete what `find` finds, step by step; return how many rows that were."""
    count = 0
    while True:
        with begin() as transaction:
            found = transaction.link.all(find, (*values, STEP_ROWS_MAX))
            if found:
                transaction.link.run_many(forget, found)
                transaction.commit()
        count += len(found)
        if len(found) < STEP_ROWS_MAX:
            return count
