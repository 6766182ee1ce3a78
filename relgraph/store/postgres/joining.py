"""An application's own connection, as far as a write inside its transaction may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from relgraph.errors import InvalidInput
from relgraph.store.postgres.faults import fault, named
from relgraph.store.postgres.link import PostgresLink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from relgraph.store.postgres.urls import Place
    from relgraph.store.sql.link import Row

__all__ = ["JoinedLink", "joined_link"]


class JoinedLink(PostgresLink):
    """An application's connection, whatever it has set up for itself: rows come as tuples here."""

    def iterate(self, sql: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Return the rows of a query, read at once: no cursor of ours stays open in the application's transaction."""
        return iter(self.all(sql, values))

    def close(self) -> None:
        """Do nothing: it is not ours to close."""

    def _execute(self, sql: str, values: Sequence[object]) -> psycopg.Cursor[Row]:
        try:
            cursor = psycopg.Cursor(self.connection, row_factory=tuple_row)
            return cursor.execute(self._spelled(sql), values or None)
        except psycopg.Error as error:
            raise fault(error, self.where) from error


def joined_link(connection: object, place: Place) -> JoinedLink:
    """Return a link through an application's connection, with a transaction open where psycopg begins them by itself.

    Raises InvalidInput for what is no open connection of psycopg.
    """
    if not isinstance(connection, psycopg.Connection):
        kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
        raise InvalidInput(
            f"the connection is a `{kind}` and the store {named(place.where)} is on PostgreSQL; pass a "
            "`psycopg.Connection`",
            {"connection": kind},
        )
    if connection.closed:
        raise InvalidInput(f"the connection to {named(place.where)} is closed; open another one")
    link = JoinedLink(connection, place)
    if not connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE:
        link.one("SELECT 1")
    return link
