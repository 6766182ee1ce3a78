"""An application's own connection, as far as a write inside its transaction may use it.

Rule 1: whatever the application has set up for itself, rows come as tuples and values as they are stored here: each
statement runs through a cursor of our own. What we set for the transaction is set back before we return.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.pq import Format, TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.numeric import Int8Dumper

from relgraph.errors import InvalidInput, quoted
from relgraph.store.postgres.faults import fault, named
from relgraph.store.postgres.layout import add_indexes
from relgraph.store.postgres.link import PostgresLink
from relgraph.store.sql.joining import JoinedTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from relgraph.revision import Revision
    from relgraph.store.base import Clock, Random
    from relgraph.store.postgres.urls import Place
    from relgraph.store.sql.link import Link, Row, Values

__all__ = ["JoinedLink", "PostgresJoinedTransaction", "joined_link"]

_HOW: Final = "BEGIN"
_SET: Final = "SELECT current_setting('lock_timeout'), set_config('lock_timeout', ?, true)"
_LOCK: Final = "SELECT indexed FROM meta FOR UPDATE"
_TYPES: Final = ("bool", "bytea", "int4", "int8", "numeric", "text")


class JoinedLink(PostgresLink):
    """An application's connection, inside a transaction that the application ends."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, or is begun by the first statement."""
        status = self._connection.info.transaction_status
        return super().in_transaction or (status == TransactionStatus.IDLE and not self._connection.autocommit)

    def add_rows(self, table: str, columns: Sequence[str], rows: Iterable[Values]) -> None:
        """Insert rows one by one: a write has few."""
        marks = ", ".join("?" * len(columns))
        for row in rows:
            self.run(f"INSERT INTO {table}({', '.join(columns)}) VALUES ({marks})", row)  # noqa: S608 - constants

    def run_many(self, sql: str, rows: Iterable[Values]) -> None:
        """Run a statement once for each of `rows`."""
        for row in rows:
            self.run(sql, row)

    def iterate(self, sql: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Return the rows of a query, read at once: no cursor of ours may stay in somebody else's transaction."""
        return iter(self.all(sql, values))

    def close(self) -> None:
        """Do nothing: it is not ours to close."""

    def _execute(self, sql: str, values: Sequence[object]) -> psycopg.Cursor[Row]:
        try:
            cursor = psycopg.Cursor(self._connection, row_factory=tuple_row)
            cursor.adapters.register_dumper(int, Int8Dumper)
            for name in _TYPES:
                known = psycopg.adapters.types[name].oid
                loader = psycopg.adapters.get_loader(known, Format.TEXT)
                assert loader is not None  # the driver's own
                cursor.adapters.register_loader(known, loader)
            return cursor.execute(self._spelled(sql), values or None)
        except psycopg.Error as error:
            raise fault(error, self.where) from error


class PostgresJoinedTransaction(JoinedTransaction):
    """One write in a transaction that is somebody else's; it waits for other writers as long as the store's own do."""

    def __init__(
        self,
        link: JoinedLink,
        known: tuple[bytes, int],
        head: Callable[[], Revision],
        clock: Clock,
        random: Random,
        wait_ms_max: int,
    ) -> None:
        super().__init__(link, _HOW, known, head, clock, random)
        self._joined = link
        self._wait_ms_max = wait_ms_max

    def _take_lock(self, link: Link) -> None:
        theirs = link.one(_SET, (f"{self._wait_ms_max}ms",))
        assert theirs is not None  # a query without a table has one row
        found = link.one(_LOCK)
        link.one(_SET, (theirs[0],))
        if found is not None and not found[0]:
            add_indexes(self._joined)


def joined_link(connection: object, place: Place) -> JoinedLink:
    """Return a link through an application's connection. Raises InvalidInput for what is no open one of psycopg."""
    if not isinstance(connection, psycopg.Connection):
        kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
        raise InvalidInput(
            f"the connection is a {quoted(kind)}, and {named(place.where)} is a store on PostgreSQL; pass a "
            "`psycopg.Connection`",
            {"connection": kind},
        )
    if connection.closed:
        raise InvalidInput(f"the connection to {named(place.where)} is closed; open another one")
    return JoinedLink(connection, place)
