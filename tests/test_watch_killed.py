"""SIGKILL of servers and of who watches through them, while others write: no revision is missed or comes twice."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

import relgraph
from tests.killing import KILLS, Forks, wait_for_lines
from tests.serving import lasting_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres_kit import Server

SCHEMA = "definition user {}\ndefinition doc { relation viewer: user }"

SERVE = """
import relgraph_server.app, relgraph.store.postgres.stores
from relgraph_server.settings import load_settings
def work(url, port):
    relgraph_server.app.run(load_settings({"store": url, "listen": f"127.0.0.1:{port}"}, {}))
"""

# Keeps what it was told and begins behind that, as an application would that keeps both in one transaction.
CONSUME = """
import select
from relgraph.answers import LogEntry
from relgraph.client import Client
from relgraph.errors import ServerUnavailable
def work(port, kept, until):
    with open(kept) as lines:
        told = [line.split() for line in lines.read().splitlines()]
    token = told[-1][1]
    out = os.open(kept, os.O_WRONLY | os.O_APPEND)
    while int(told[-1][0]) < until:
        try:
            with Client(f"127.0.0.1:{port}") as client, client.watch(token) as watch:
                for event in watch:
                    if not isinstance(event, LogEntry):
                        continue
                    facts = ",".join(str(each) for each in event.created) or "-"
                    os.write(out, f"{event.revision} {event.token} {facts}\\n".encode())
                    token = event.token
                    told.append([event.revision])
                    if event.revision >= until:
                        break
        except ServerUnavailable:
            select.select([], [], [], 0.02)
"""
FOR_EVER = 10**9


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with a schema."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.url()


def test_no_gap_and_no_repeat(url: str, tmp_path: Path) -> None:
    """Server and consumer are killed again and again; what was kept is the log, each revision once, in order."""
    kept, port = tmp_path / "kept", lasting_port()
    over = threading.Event()
    with relgraph.open(url) as authorizer, Forks(SERVE) as server, Forks(CONSUME) as consumer:
        start = authorizer.write_schema(SCHEMA)
        kept.write_text(f"{start.revision} {start.token} -\n")

        def write() -> None:
            number = 0
            # A pause between two writes, or the consumer would have an endless way to go.
            while not over.wait(0.002):
                authorizer.write(touch=[f"doc:d{number}#viewer@user:u{n}" for n in range(number % 3 + 1)])
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            server.start(url, port)
            consumer.start(port, str(kept), FOR_EVER)
            for number in range(KILLS):
                if number % 2:
                    # One kill may come before anything is told, the next one may not.
                    wait_for_lines(kept, number + 2)
                # Whichever is killed, the other one goes on without it.
                assert not server.kill_after(random.uniform(0, 0.3))
                server.start(url, port)
                assert not consumer.kill_after(random.uniform(0, 0.3))
                consumer.start(port, str(kept), FOR_EVER)
        finally:
            over.set()
            writer.join()
        assert not consumer.kill_after(0)
        assert len(kept.read_text().splitlines()) > KILLS
        head = authorizer.log(start.token, limit=1).revision
        consumer.timed(port, str(kept), head)
        assert not server.kill_after(0)
        told = [line.split() for line in kept.read_text().splitlines()[1:]]
        assert list(range(start.revision + 1, head + 1)) == [int(revision) for revision, _, _ in told]
        assert head > KILLS
        token = start.token
        logged: list[str] = []
        while token:
            page = authorizer.log(token, limit=1_000)
            logged += [",".join(map(str, entry.created)) or "-" for entry in page.entries]
            token = page.cursor
        assert logged == [facts for _, _, facts in told]
