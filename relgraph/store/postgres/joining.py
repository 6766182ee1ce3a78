"""Writes inside an application's own transaction on PostgreSQL, through its own connection of psycopg.

Rule 1: rows come to us as plain tuples, whatever row factory or kind of cursor the connection makes.
Rule 2: what we set for the transaction is set back; only the savepoint's own work stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from relgraph.errors import InvalidInput, quoted
from relgraph.store.postgres.faults import named
from relgraph.store.postgres.layout import add_indexes
from relgraph.store.postgres.link import PostgresLink
from relgraph.store.sql.joining import JoinedTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from relgraph.revision import Revision
    from relgraph.store.base import Clock, Random
    from relgraph.store.postgres.urls import Place
    from relgraph.store.sql.link import Link, Row

__all__ = ["PostgresJoined", "joined_link"]

_SET = "SELECT current_setting('lock_timeout'), set_config('lock_timeout', ?, true)"
_LOCK = "SELECT indexed FROM meta FOR UPDATE"


class _Plain:
    """An application's connection with cursors of ours: the part of a connection's face that a link uses."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def cursor(self) -> psycopg.Cursor[tuple[Any, ...]]:
        """Make a cursor whose rows are tuples."""
        return psycopg.Cursor(self._connection, row_factory=tuple_row)

    def execute(
        self, query: bytes, values: Any = None, *, prepare: bool | None = None
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run a statement through such a cursor."""
        return self.cursor().execute(query, values, prepare=prepare)


class _JoinedLink(PostgresLink):
    """A link through an application's connection, which begins transactions by itself unless it is in autocommit."""

    def __init__(self, connection: psycopg.Connection[Any], place: Place) -> None:
        super().__init__(_Plain(connection), place)  # type: ignore[arg-type]  # all of its face that is used
        self._theirs = connection

    @property
    def in_transaction(self) -> bool:
        """Whether there is one, or the next statement begins one."""
        if self._theirs.info.transaction_status is TransactionStatus.IDLE:
            return not self._theirs.autocommit
        return super().in_transaction

    def iterate(self, sql: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Return the rows of a query, read at once: no cursor of ours stays open in the application's transaction."""
        return iter(self.all(sql, values))

    def close(self) -> None:
        """Do nothing: it is not ours to close."""


def joined_link(connection: object, place: Place) -> PostgresLink:
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
    return _JoinedLink(connection, place)


class PostgresJoined(JoinedTransaction):
    """One write in a transaction that is somebody else's; see `relgraph.store.base.Store.joining`."""

    def __init__(
        self,
        link: PostgresLink,
        known: tuple[bytes, int],
        head: Callable[[], Revision],
        clock: Clock,
        random: Random,
        wait_ms_max: int,
    ) -> None:
        super().__init__(link, "BEGIN", known, head, clock, random)
        self._wait_ms_max = wait_ms_max
        self._link_joined = link

    def _take_lock(self, link: Link) -> None:
        row = link.one(_SET, (f"{self._wait_ms_max}ms",))
        assert row is not None  # a query without a table has one row
        found = link.one(_LOCK)
        link.one(_SET, (row[0],))
        if found is not None and not found[0]:
            add_indexes(self._link_joined)
