"""The contract of stores through PgBouncer in transaction mode, where each transaction may have another session.

PgBouncer comes in no wheel, so this runs where the program is installed (on Debian and Ubuntu `apt-get install
pgbouncer`, then `make test PYTEST_ARGS="-k pgbouncer"`), or where RELGRAPH_PGBOUNCER names it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from relgraph.store import open_store
from tests.store_kit import FakeClock, FakeRandom
from tests.test_store_contract import StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relgraph.store.base import Store
    from tests.postgres_kit import Server

PROGRAM = os.environ.get("RELGRAPH_PGBOUNCER") or shutil.which("pgbouncer")

CONFIGURATION = """
[databases]
postgres = host={host} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 40
max_client_conn = 500
"""


@pytest.fixture(scope="module")
def pooler(postgres: Server) -> Iterator[int]:
    """The port of a PgBouncer before the tests' server; ended at the end of this module."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    host = psycopg.conninfo.conninfo_to_dict(postgres.admin)["host"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "pgbouncer.ini").write_text(CONFIGURATION.format(host=host, port=port), encoding="utf-8")
        # It refuses to run as root, and so does the server, which has a user of its own then.
        user = Path(str(host)).owner() if os.geteuid() == 0 else None
        process = subprocess.Popen([str(PROGRAM), "-q", str(folder / "pgbouncer.ini")], user=user)
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert time.monotonic() < deadline, "pgbouncer does not listen"
        else:
            return


if PROGRAM:

    class TestThroughPgBouncer(StoreContract):
        """PostgreSQL behind PgBouncer keeps the contract."""

        @pytest.fixture
        def store(self, clock: FakeClock, postgres: Server, pooler: int) -> Iterator[Store]:
            parameters = postgres.url("&relgraph_pgbouncer=on").partition("&")[2]
            store = open_store(
                f"postgresql://postgres@127.0.0.1:{pooler}/postgres?{parameters}", clock=clock, random=FakeRandom()
            )
            yield store
            store.close()

else:

    def test_through_pgbouncer() -> None:
        """PostgreSQL behind PgBouncer keeps the contract, where there is a PgBouncer."""
        pytest.skip("needs the program pgbouncer: `apt-get install pgbouncer`")
