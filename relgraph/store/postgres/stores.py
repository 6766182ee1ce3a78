"""Stores on PostgreSQL: one PostgreSQL schema, many readers beside one writer, in as many processes as there are.

Rule 1: a snapshot is one transaction, REPEATABLE READ and READ ONLY, pinned by its first read.
Rule 2: nothing is believed of a database that is not this store any more: its id and epoch are read with each head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from relgraph.answers import Fact
from relgraph.errors import StoreUnavailable, Unsupported, quoted
from relgraph.revision import Revision
from relgraph.store.postgres.faults import named
from relgraph.store.postgres.hearing import Ear
from relgraph.store.postgres.joining import PostgresJoinedTransaction, joined_link
from relgraph.store.postgres.layout import index_findings, is_current, prepare, require
from relgraph.store.postgres.link import PostgresLink, connect
from relgraph.store.postgres.pool import Pool
from relgraph.store.postgres.writing import PostgresTransaction
from relgraph.store.sql.collecting import collect
from relgraph.store.sql.measuring import measure
from relgraph.store.sql.reading import Pin, SQLSnapshot, identity, unfinished
from relgraph.store.sql.turns import WriterLock
from relgraph.store.sql.verifying import verify
from relgraph.store.upkeep import Checked, Condition

if TYPE_CHECKING:
    from pathlib import Path

    from relgraph.store.base import Clock, Collected, Random
    from relgraph.store.postgres.urls import Place
    from relgraph.store.sql.intake import SQLIntake
    from relgraph.store.sql.link import Link, Row
    from relgraph.store.upkeep import Verification

__all__ = ["PostgresStore", "require_postgres_store"]

_HEAD = (
    "SELECT m.store, m.epoch, m.floor, r.number, r.nonce, r.stamp FROM meta AS m"
    " LEFT JOIN revisions AS r ON r.number = m.head"
)
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SNAPSHOT = f"{_BEGIN}; {_HEAD}"
_BYTES = (
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class AS c"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = ? AND c.relkind = 'r'"
)


class PostgresStore:
    """A store in one PostgreSQL schema; see `relgraph.store.base.Store`. Opening makes or migrates it if need be."""

    def __init__(self, place: Place, *, clock: Clock, random: Random, wait_ms_max: int) -> None:
        self._place = place
        self._clock = clock
        self._random = random
        self._wait_ms_max = wait_ms_max
        # Not from the pool, which keeps the reason to itself when there is no way to connect.
        link = PostgresLink(connect(place, wait_ms_max), place)
        try:
            if not is_current(link, place):
                prepare(link, place, random, wait_ms_max)
            self._id, self._epoch = identity(link)
        finally:
            link.close()
        self._lock = WriterLock(place.where, wait_ms_max)
        self._pool = Pool(place, wait_ms_max)
        self._ear = Ear(place, wait_ms_max)

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
        link, row = self._pool.begin(_HEAD)
        self._pool.give(link)
        return self._seen(row).head

    def snapshot(self) -> SQLSnapshot:
        """Open a view of the newest committed state."""
        link, row = self._pool.begin(_SNAPSHOT)
        try:
            pin = self._seen(row)
        except BaseException:
            self._pool.give(link)
            raise
        return SQLSnapshot(link, pin, lambda _: self._pool.give(link))

    def transaction(self) -> PostgresTransaction:
        """Prepare a write; its `with` block begins it."""
        return PostgresTransaction(
            self._pool, self._lock, self._check, self._clock, self._random, self._place, self._wait_ms_max
        )

    def intake(self) -> SQLIntake:
        """Prepare to take another store's history in."""
        return self.transaction().intake()

    def joining(self, connection: object) -> PostgresJoinedTransaction:
        """Prepare a write inside an application's own transaction."""
        link = joined_link(connection, self._place)
        return PostgresJoinedTransaction(
            link, self._place.schema, (self._id, self._epoch), self.head, self._clock, self._random, self._wait_ms_max
        )

    def collect(self, keep_from: int) -> Collected:
        """Forget what nobody can ask for from that instant on."""
        return collect(self.transaction, keep_from)

    def verify(self) -> Verification:
        """Look at all that the store holds, in one snapshot, and tell what is wrong with it."""
        link, row = self._pool.begin(_HEAD)
        try:
            self._check(row)
            return verify(link, self._verify_indexes, _BEGIN)
        finally:
            self._pool.give(link)

    def condition(self) -> Condition:
        """Tell how large the store is and what it stands on."""
        link, row = self._pool.begin(_HEAD)
        try:
            self._check(row)
            counted = measure(link, _BEGIN)
            [(version,)] = link.all("SHOW server_version")
            [(size,)] = link.all(_BYTES, (self._place.schema,))
        finally:
            self._pool.give(link)
        return Condition(
            (
                Fact("versions", "PostgreSQL", str(version)),
                Fact("store", "kind", "PostgreSQL schema"),
                Fact("store", "schema", self._place.schema),
                Fact("store", "bytes", int(size)),
                *counted,
            )
        )

    def _verify_indexes(self, link: Link) -> list[Checked]:
        assert isinstance(link, PostgresLink)  # the one that `verify` was given
        count, findings = index_findings(link, self._place.schema)
        return [Checked("indexes", count, tuple(findings))]

    def backup(self, path: Path) -> NoReturn:
        """Raise Unsupported: PostgreSQL brings its own tools."""
        raise Unsupported(
            f"relgraph makes no backup of {named(self._place.where)} in {quoted(str(path))}; PostgreSQL does, with "
            f"`pg_dump --schema={self._place.schema}` or continuous archiving",
            {"store": self._place.where},
        )

    def wait(self, known: Revision, timeout: float) -> bool:
        """Return True as soon as the newest revision is another than `known`, False after `timeout` seconds."""
        return self._ear.wait(self.head, known, timeout)

    def close(self) -> None:
        """Close all connections; one in use closes when its snapshot is left. Waits for a write to end."""
        self._lock.enter(self)
        try:
            self._pool.close()
            self._ear.close()
        finally:
            self._lock.leave(self)

    def _seen(self, row: Row | None) -> Pin:
        """What a view opened now may see. Raises StoreUnavailable where the head is no revision."""
        self._check(row)
        if row is None or row[3] is None:
            raise unfinished(self._place.where)
        return Pin(Revision(*row[3:]), row[2])

    def _check(self, row: Row | None) -> None:
        """Raise StoreUnavailable when a row does not begin with the id and the epoch of this store."""
        if row is None or (row[0], row[1]) != (self._id, self._epoch):
            raise StoreUnavailable(
                f"another store answers at {named(self._place.where)} than the one that was opened, "
                "or the same one restored from a backup; close the store and open it again",
                {"store": self._place.where},
            )


def require_postgres_store(place: Place, wait_ms_max: int) -> None:
    """Raise StoreUnavailable where opening the store would make a new one."""
    link = PostgresLink(connect(place, wait_ms_max), place)
    try:
        require(link, place)
    finally:
        link.close()
