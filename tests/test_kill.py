"""SIGKILL in the middle of writes: what was acknowledged is there after a restart, and nothing is there by half."""

from __future__ import annotations

import os
import random
import signal
import threading
from itertools import count
from typing import TYPE_CHECKING

from relgraph.client import Client
from relgraph.errors import RelgraphError
from relgraph.revision import Consistency
from relgraph.tuples import TupleFilter
from tests.killing import KILLS
from tests.serving import program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres_kit import Server

PAIR = ("left", "right")
SCHEMA = "definition user {}\ndefinition doc { relation viewer: user }"


class Writer(threading.Thread):
    """Writes pairs of tuples until the server is gone; `acknowledged` holds the number and token of each."""

    def __init__(self, address: str, numbers: count[int]) -> None:
        super().__init__()
        self._address = address
        self._numbers = numbers
        self.acknowledged: list[tuple[int, str]] = []
        self.enough = threading.Event()
        self.wanted = random.randint(1, 25)

    def run(self) -> None:
        with Client(self._address, timeout=20) as client:
            while True:
                number = next(self._numbers)
                try:
                    written = client.write(touch=[f"doc:d{number}#viewer@user:{each}" for each in PAIR])
                except RelgraphError:
                    return
                self.acknowledged.append((number, written.token))
                if len(self.acknowledged) >= self.wanted:
                    self.enough.set()


def _docs(client: Client, token: str) -> dict[int, set[str]]:
    """Return the users of each document, in a state that has the token's write."""
    found: dict[int, set[str]] = {}
    page = client.read(TupleFilter("doc"), consistency=Consistency.at_least(token))
    while True:
        for each in page.tuples:
            found.setdefault(int(each.resource.id[1:]), set()).add(each.subject.id)
        if not page.cursor:
            return found
        page = client.read(TupleFilter("doc"), cursor=page.cursor)


def test_a_killed_server_loses_nothing(tmp_path: Path) -> None:
    """Again and again, a server is killed while two clients write; every acknowledged pair is there, none is half."""
    kill_servers(f"sqlite:///{tmp_path / 'access.db'}", KILLS)


def test_a_killed_server_loses_nothing_on_postgres(postgres: Server) -> None:
    """The same with the store on PostgreSQL, which learns of the end of its client by itself."""
    kill_servers(postgres.url(), KILLS // 4)


def kill_servers(store: str, kills: int) -> None:
    numbers = count()
    acknowledged: list[tuple[int, str]] = []
    with program(store) as (address, _), Client(address) as client:
        last = client.write_schema(SCHEMA).token
    for _ in range(kills):
        with program(store) as (address, process):
            writers = [Writer(address, numbers) for _ in range(2)]
            for writer in writers:
                writer.start()
            assert writers[0].enough.wait(60)
            os.kill(process.pid, signal.SIGKILL)
            for writer in writers:
                writer.join(60)
                assert not writer.is_alive()
        fresh = [each for writer in writers for each in writer.acknowledged]
        assert len(fresh) >= writers[0].wanted
        acknowledged += fresh
        last = fresh[-1][1]
    with program(store) as (address, _), Client(address) as client:
        docs = _docs(client, last)
        assert {number for number, _ in acknowledged} <= set(docs)
        assert {frozenset(PAIR)} == set(map(frozenset, docs.values()))
        # A write may be committed without its acknowledgement having arrived: at most one a writer and kill.
        assert len(docs) - len(acknowledged) <= kills * 2
        for _, token in acknowledged[::50]:
            client.read(consistency=Consistency.at_exactly(token))
