"""Connections: how one is opened, and the few ways in which statements run through it.

Rule 1: a connection carries no state from one transaction to the next but prepared statements, and behind PgBouncer
not even these: no `SET`, no session locks, no temporary tables, no `LISTEN`. So a pooler between may give each
transaction another session.
Rule 2: driver errors become relgraph's here, so nothing above sees one.
Rule 3: a commit is told from a rollback by what the server says it did, and where its answer is lost the outcome is
unknown: that is an error of its own.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo, TransactionStatus
from psycopg.types.numeric import Int8Dumper

from relgraph.errors import InvalidSetting, OutcomeUnknown, StoreUnavailable, did_you_mean, quoted
from relgraph.store.postgres.faults import fault, lost, named, problem_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from relgraph.store.postgres.urls import Place
    from relgraph.store.sql.link import Row, Values

__all__ = ["Connection", "PostgresLink", "arguments", "connect"]

Connection = psycopg.Connection[tuple[Any, ...]]

ROWS_AT_ONCE: Final = 1000
"""How many rows a reader gets at once; a longer result is read through a cursor in the server, twice as many a time."""

# A server that vanished without a word is given up after half a minute; systems by themselves wait for hours.
_PATIENCE: Final = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
# All whole numbers are one type: a statement would otherwise be prepared anew for each size of a number.
_ADAPTERS: Final = AdaptersMap(psycopg.adapters)
_ADAPTERS.register_dumper(int, Int8Dumper)

COPIED_MIN: Final = 9
"""From this many rows on they are copied."""

_TABLE: Final = re.compile(r"\b(FROM|JOIN|INTO|UPDATE|ON) (meta|names|objects|tuples|revisions|schemas|counters)\b")
_PREPARED_AFTER: Final = 3
# Transaction resolution unknown, statement completion unknown.
_UNRESOLVED: Final = frozenset({"08007", "40003"})


def arguments(place: Place, wait_ms_max: int) -> dict[str, Any]:
    """What the driver is told of each connection beside its URL, which comes first where both say something."""
    wanted = {"connect_timeout": max(2, -(-wait_ms_max // 1000)), **_PATIENCE}
    given = conninfo_to_dict(place.conninfo)
    return {
        **{name: value for name, value in wanted.items() if name not in given},
        "autocommit": True,
        "client_encoding": "utf8",
        "context": _ADAPTERS,
        "fallback_application_name": "relgraph",
        "prepare_threshold": None if place.pooled else _PREPARED_AFTER,
    }


def connect(place: Place, wait_ms_max: int) -> Connection:
    """Open a connection. Raises StoreUnavailable, and InvalidSetting for a URL that libpq cannot read."""
    _check_readable(place)
    try:
        return psycopg.connect(place.conninfo, **arguments(place, wait_ms_max))
    except psycopg.Error as error:
        raise fault(error, place.where) from error


def _check_readable(place: Place) -> None:
    try:
        conninfo_to_dict(place.conninfo)
    except psycopg.Error as error:
        # INVARIANT: libpq's own text is not shown, it may quote any part of the URL.
        known = [option.keyword.decode() for option in Conninfo.get_defaults()]
        names = [part.partition("=")[0] for part in place.conninfo.partition("?")[2].split("&")]
        unknown = next((name for name in names if name and name not in known), None)
        reason = "check what is encoded with `%` in it"
        if unknown is not None:
            reason = f"libpq has no parameter {quoted(unknown)}{did_you_mean(unknown, known)}"
        raise InvalidSetting(
            f"the URL {named(place.where)} cannot be read: {reason}", {"store": place.where}
        ) from error


class PostgresLink:
    """One connection, used by one thread at a time. Every method may raise StoreUnavailable."""

    def __init__(self, connection: Connection, place: Place) -> None:
        self._connection = connection
        self._place = place
        self._cursors: set[psycopg.ServerCursor[Row]] = set()
        self._count = 0

    @property
    def connection(self) -> Connection:
        """The driver's connection."""
        return self._connection

    @property
    def where(self) -> str:
        """The store it leads to, for people: without a password."""
        return self._place.where

    @property
    def alive(self) -> bool:
        """Whether the connection can still be used."""
        return not self._connection.closed

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open on the connection, be it one that failed."""
        status = self._connection.info.transaction_status
        return status in {TransactionStatus.INTRANS, TransactionStatus.INERROR, TransactionStatus.ACTIVE}

    def run(self, sql: str, values: Sequence[object] = ()) -> None:
        """Run a statement."""
        if sql == "COMMIT":
            self._commit()
        else:
            self._execute(sql, values)

    def run_many(self, sql: str, rows: Iterable[Values]) -> None:
        """Run a statement once for each of `rows`."""
        try:
            with self._cursor() as cursor:
                cursor.executemany(self._spelled(sql), rows)
        except psycopg.Error as error:
            raise fault(error, self.where) from error

    def add_rows(self, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        """Insert many rows the fast way: a COPY, or for a few one statement, which is one journey instead of two."""
        names = ", ".join(columns)
        rows = iter(rows)
        begin = list(islice(rows, COPIED_MIN))
        if len(begin) == COPIED_MIN:
            self.copy_in(f'COPY "{self._place.schema}".{table}({names}) FROM STDIN', chain(begin, rows))
        elif begin:
            marks = ", ".join([f"({', '.join('?' * len(columns))})"] * len(begin))
            values = [value for row in begin for value in row]
            self.run(f"INSERT INTO {table}({names}) VALUES {marks}", values)  # noqa: S608 - constants and marks

    def copy_in(self, statement: str, rows: Iterable[Values]) -> None:
        """Send rows to a COPY statement, which is spelled as PostgreSQL has it."""
        try:
            with self._cursor() as cursor, cursor.copy(statement.encode()) as copy:
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as error:
            raise fault(error, self.where) from error

    def copy_blocks(self, statement: str, blocks: Iterable[bytes]) -> None:
        """Send what is in COPY's own form already."""
        try:
            with self._cursor() as cursor, cursor.copy(statement.encode()) as copy:
                for block in blocks:
                    copy.write(block)
        except psycopg.Error as error:
            raise fault(error, self.where) from error

    def count(self, sql: str, values: Sequence[object] = ()) -> int:
        """Run a statement and return how many rows it changed."""
        return self._execute(sql, values).rowcount

    def analyze(self, *tables: str) -> None:
        """Let the planner look at tables anew."""
        schema = self._place.schema
        self.run("ANALYZE " + ", ".join(f'"{schema}".{table}' for table in tables))

    def all(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Return all rows of a query."""
        return self._execute(sql, values).fetchall()

    def one(self, sql: str, values: Sequence[object] = ()) -> Row | None:
        """Return the row of a query that has at most one."""
        return self._execute(sql, values).fetchone()

    def iterate(self, sql: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Run a query now and read its rows as they are asked for, until `stop`.

        Most results are short: these come at once, by a prepared statement. A long one is asked for again, through a
        cursor in the server, so that it is never held in memory as a whole.
        """
        rows = self.all(f"{sql} LIMIT {ROWS_AT_ONCE + 1}", values)
        if len(rows) <= ROWS_AT_ONCE:
            return iter(rows)
        self._count += 1
        cursor = psycopg.ServerCursor(self._connection, f"relgraph_{self._count}")
        cursor.itersize = ROWS_AT_ONCE * 2
        try:
            cursor.execute(self._spelled(sql), values)
        except psycopg.Error as error:
            raise fault(error, self.where) from error
        self._cursors.add(cursor)
        return self._drain(cursor)

    def _drain(self, cursor: psycopg.ServerCursor[Row]) -> Iterator[Row]:
        try:
            yield from cursor
        except psycopg.Error as error:
            raise fault(error, self.where) from error
        finally:
            self._close_cursor(cursor)

    def stop(self) -> None:
        """End all iterations."""
        for cursor in list(self._cursors):
            self._close_cursor(cursor)

    def _close_cursor(self, cursor: psycopg.ServerCursor[Row]) -> None:
        self._cursors.discard(cursor)
        # The end of the transaction closes it anyhow, and a connection that failed has none any more.
        with suppress(psycopg.Error):
            cursor.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def script(self, sql: str) -> Row | None:
        """Run several statements in one message, and return the row of the last."""
        try:
            cursor = self._cursor().execute(self._spelled(sql), prepare=False)
            while cursor.nextset():
                pass
            return cursor.fetchone() if cursor.description else None
        except psycopg.Error as error:
            raise fault(error, self.where) from error

    def _spelled(self, sql: str) -> bytes:
        return _spelled(self._place.schema, sql).encode()

    def _cursor(self) -> psycopg.Cursor[Row]:
        return self._connection.cursor()

    def _execute(self, sql: str, values: Sequence[object]) -> psycopg.Cursor[Row]:
        try:
            return self._cursor().execute(self._spelled(sql), values or None)
        except psycopg.Error as error:
            raise fault(error, self.where) from error

    def _commit(self) -> None:
        if not self.alive:
            raise StoreUnavailable(
                f"the connection to the store {named(self.where)} was lost before the commit; "
                "nothing was written, try again",
                {"store": self.where},
            )
        try:
            done = self._connection.execute("COMMIT", prepare=False).statusmessage
        except psycopg.Error as error:
            # INVARIANT: from here on, nobody may call it failed or done who did not hear so from the server.
            if self._connection.broken or lost(error) or error.sqlstate in _UNRESOLVED:
                raise OutcomeUnknown(
                    f"the connection to the store {named(self.where)} was lost during the commit, so "
                    "the write may be done or not; send it again with the same request id to find out",
                    {"store": self.where, "problem": problem_of(error)},
                ) from error
            raise fault(error, self.where) from error
        if done != "COMMIT":
            # A transaction that failed before is rolled back by COMMIT, and the server calls that no error.
            raise StoreUnavailable(
                f"the database undid the transaction on {named(self.where)}; try again",
                {"store": self.where},
            )


@lru_cache(maxsize=1024)
def _spelled(schema: str, sql: str) -> str:
    """The statement as PostgreSQL and its driver spell it; statements are constants, so each is spelled once."""
    assert "%" not in sql, sql
    qualified = _TABLE.sub(rf'\1 "{schema}".\2', sql)
    return qualified.replace("CROSS JOIN", "JOIN").replace("?", "%s")
