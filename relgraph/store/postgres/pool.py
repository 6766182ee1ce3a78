"""The connections of a store: a bounded pool, and what is done first on each that is taken from it.

Rule 1: a connection that died in the pool is not an error of whoever takes it: what comes first changes nothing, so it
is tried again on another. What comes later is never tried again here.
Rule 2: the store's identity is read with every head. A connection may lead to another server than the one before it,
after a failover or a restored backup, and another store's facts must not be taken for ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from relgraph.errors import StoreUnavailable
from relgraph.store.postgres.faults import named
from relgraph.store.postgres.link import Connection, PostgresLink, arguments, connect

if TYPE_CHECKING:
    from relgraph.store.postgres.urls import Place
    from relgraph.store.sql.link import Row

__all__ = ["LINKS_MAX", "Pool"]

LINKS_MAX: Final = 32
"""How many connections one process opens to a store at most."""


class Pool:
    """Opens connections when they are needed and keeps them for a while."""

    def __init__(self, place: Place, wait_ms_max: int) -> None:
        self._place = place
        self._wait_ms_max = wait_ms_max
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            place.conninfo,
            kwargs=arguments(place, wait_ms_max),
            min_size=0,
            max_size=LINKS_MAX,
            timeout=wait_ms_max / 1000,
            # Nobody waits longer than that for a connection, so nobody is served by trying longer in the background.
            reconnect_timeout=wait_ms_max / 1000,
            num_workers=1,
            name=f"relgraph {place.schema}",
            open=True,
        )

    def begin(self, script: str) -> tuple[PostgresLink, Row]:
        """Take a link and run statements that change nothing; return it with the row of the last."""
        link = self.take()
        try:
            try:
                row = link.script(script)
            except StoreUnavailable:
                if link.alive:
                    raise
                self.give(link)
                self._weed()
                link = self.take()
                row = link.script(script)
            assert row is not None  # the scripts end with a query for a row that is always there
        except BaseException:
            self.give(link)
            raise
        return link, row

    def take(self) -> PostgresLink:
        """Take a link. Raises StoreUnavailable when there is none in time."""
        failures = self._failures()
        try:
            return PostgresLink(self._pool.getconn(), self._place)
        except PoolClosed as error:
            raise StoreUnavailable(
                f"the store {self._shown} was closed before; open it again", {"store": self._place.where}
            ) from error
        except PoolTimeout as error:
            if self._failures() > failures:
                # The pool keeps the reason to itself, so ask once more, and raise it.
                connect(self._place, self._wait_ms_max).close()
            raise StoreUnavailable(
                f"no connection to the store {self._shown} was free for {self._wait_ms_max} ms: this process uses "
                f"{LINKS_MAX} at most; leave snapshots sooner, or try again",
                {"store": self._place.where},
            ) from error

    def give(self, link: PostgresLink) -> None:
        """Take a link back, with nothing left open on it; one that cannot be cleaned is thrown away."""
        try:
            link.stop()
            if link.in_transaction:
                link.run("ROLLBACK")
        except StoreUnavailable:
            # What was open on it ends with the connection.
            link.close()
        except BaseException:
            link.close()
            raise
        finally:
            self._pool.putconn(link.connection)

    def close(self) -> None:
        """Close all connections; one that is in use closes when it is given back."""
        self._pool.close()

    @property
    def _shown(self) -> str:
        return named(self._place.where)

    def _failures(self) -> int:
        return self._pool.get_stats().get("connections_errors", 0)

    def _weed(self) -> None:
        """Throw away idle connections that died, as all do when their server is restarted."""
        try:
            self._pool.check()
        except psycopg.Error:
            # Whoever takes one finds out.
            return
