"""Hearing of commits: NOTIFY after each, LISTEN on a connection of its own, and looking as the net below.

Rule 1: what is heard is a reason to look and nothing else. A notification may be lost, late or about nothing: it is
sent behind the commit, so that commits of other stores on the server do not queue behind this one's disk.
Rule 2: behind a pooler there is nothing to listen on; there the net is all.
"""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Final

import psycopg

from relgraph.store.postgres.link import Connection, PostgresLink, connect
from relgraph.store.sql.waiting import LOOK_S, wait_by_looking

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.revision import Revision
    from relgraph.store.postgres.urls import Place

__all__ = ["Ear", "announce"]

NET_S: Final = 1.0
"""How long to trust the silence before looking all the same."""

_CHANNEL_MAX: Final = 63


def _channel(schema: str) -> str:
    return f"relgraph_{schema}"[:_CHANNEL_MAX]


def announce(link: PostgresLink, schema: str) -> None:
    """Tell whoever listens that something was committed; inside a transaction, once it is."""
    link.run(f'NOTIFY "{_channel(schema)}"')


class Ear:
    """Waits for commits, with one connection for as many threads as wait at once; all but one of these look."""

    def __init__(self, place: Place, wait_ms_max: int) -> None:
        self._place = place
        self._wait_ms_max = wait_ms_max
        self._turn = Lock()
        self._connection: Connection | None = None

    def wait(self, head: Callable[[], Revision], known: Revision, timeout: float) -> bool:
        """Return True as soon as the head is another than `known`, False when it still is after `timeout` seconds."""
        if self._place.pooled or not self._turn.acquire(blocking=False):
            return wait_by_looking(head, known, timeout)
        try:
            # Listening before the first look, so that nothing is committed between the two unheard.
            self._listen()
            return wait_by_looking(head, known, timeout, self.hear, NET_S)
        finally:
            self._turn.release()

    def hear(self, timeout: float) -> bool:
        """Wait for a notification; say whether there was one."""
        if self._connection is not None:
            try:
                return any(True for _ in self._connection.notifies(timeout=timeout, stop_after=1))
            except psycopg.Error:
                self._hang_up()
        # Whatever became of the server, the next look finds out.
        time.sleep(min(timeout, LOOK_S))
        return False

    def close(self) -> None:
        """Close the connection, once nobody waits."""
        with self._turn:
            self._hang_up()

    def _listen(self) -> None:
        if self._connection is None:
            self._connection = connect(self._place, self._wait_ms_max)
            try:
                self._connection.execute(f'LISTEN "{_channel(self._place.schema)}"'.encode())
            except psycopg.Error:
                self._hang_up()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
