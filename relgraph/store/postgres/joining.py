"""Writes inside an application's own transaction on PostgreSQL, through its own connection of psycopg.

Rule 1: rows come to us as plain tuples and values as they are stored, whatever the connection makes of them for the
application: each statement runs through a cursor of our own.
Rule 2: what we set for the transaction is set back; only the savepoint's own work stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import Format, TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.numeric import Int8Dumper

from relgraph.errors import InvalidInput, quoted
from relgraph.store.postgres.faults import named
from relgraph.store.postgres.hearing import announce
from relgraph.store.postgres.layout import add_indexes
from relgraph.store.postgres.link import PostgresLink
from relgraph.store.sql.joining import JoinedTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from relgraph.revision import Revision
    from relgraph.store.base import Clock, Random
    from relgraph.store.postgres.urls import Place
    from relgraph.store.sql.link import Link, Row

__all__ = ["JoinedLink", "PostgresJoinedTransaction", "joined_link"]

_TYPES = ("bool", "bytea", "int4", "int8", "numeric", "text")
_SET = "SELECT current_setting('lock_timeout'), set_config('lock_timeout', ?, true)"
_LOCK = "SELECT indexed FROM meta FOR UPDATE"


class JoinedLink(PostgresLink):
    """A link through an application's connection, which begins transactions by itself unless it is in autocommit."""

    @property
    def in_transaction(self) -> bool:
        """Whether there is one, or the next statement begins one."""
        if self.connection.info.transaction_status is TransactionStatus.IDLE:
            return not self.connection.autocommit
        return super().in_transaction

    def iterate(self, sql: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Return the rows of a query, read at once: no cursor of ours stays open in the application's transaction."""
        return iter(self.all(sql, values))

    def close(self) -> None:
        """Do nothing: it is not ours to close."""

    def _cursor(self) -> psycopg.Cursor[Row]:
        cursor = psycopg.Cursor(self.connection, row_factory=tuple_row)
        cursor.adapters.register_dumper(int, Int8Dumper)
        for name in _TYPES:
            loader = psycopg.adapters.get_loader(psycopg.adapters.types[name].oid, Format.TEXT)
            assert loader is not None  # the driver's own
            cursor.adapters.register_loader(name, loader)
        return cursor


def joined_link(connection: object, place: Place) -> JoinedLink:
    """Return a link through an application's connection. Raises InvalidInput for what is no open one of psycopg."""
    if not isinstance(connection, psycopg.Connection):
        kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
        raise InvalidInput(
            f"the connection is a {quoted(kind)} and the store {named(place.where)} is on PostgreSQL; pass a "
            "`psycopg.Connection`",
            {"connection": kind},
        )
    if connection.closed:
        raise InvalidInput(f"the connection to {named(place.where)} is closed; open another one")
    return JoinedLink(connection, place)


class PostgresJoinedTransaction(JoinedTransaction):
    """One write in a transaction that is somebody else's; see `relgraph.store.base.Store.joining`."""

    def __init__(
        self,
        link: JoinedLink,
        schema: str,
        known: tuple[bytes, int],
        head: Callable[[], Revision],
        clock: Clock,
        random: Random,
        wait_ms_max: int,
    ) -> None:
        super().__init__(link, "BEGIN", known, head, clock, random)
        self._schema = schema
        self._wait_ms_max = wait_ms_max
        self._link_joined = link

    def _finish(self) -> None:
        # Heard only once the application commits.
        announce(self._link_joined, self._schema)
        super()._finish()

    def _take_lock(self, link: Link) -> None:
        row = link.one(_SET, (f"{self._wait_ms_max}ms",))
        assert row is not None  # a query without a table has one row
        found = link.one(_LOCK)
        link.one(_SET, (row[0],))
        if found is not None and not found[0]:
            add_indexes(self._link_joined)
