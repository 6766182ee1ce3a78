"""SIGKILL of the server below clients that go on: each write is made once, and each watch tells it once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.answers import LogEntry
from relgraph.client import Client, Retries
from tests.awaited import awaited
from tests.killing import KILLS, Forks
from tests.test_watch_killed import SCHEMA, SERVE, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.postgres_kit import Server

PATIENCE_S = 120.0
STEPS_MAX = 10
STUBBORN = Retries(attempts_max=1_000_000, first_pause_s_max=0.05, pause_s_max=0.2)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with a schema."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path / 'store.db'}"
    else:
        server: Server = request.getfixturevalue("postgres")
        made = server.url()
    with relgraph.open(made) as authorizer:
        authorizer.write_schema(SCHEMA)
    return made


class Worker(threading.Thread):
    """Uses one client until it is told to stop; what goes wrong is kept."""

    def __init__(self, work: Callable[[], None], over: threading.Event, done: threading.Semaphore) -> None:
        super().__init__()
        self._work = work
        self._over = over
        self._done = done
        self.problem: BaseException | None = None
        self.steps = 0

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._work()
                self.steps += 1
                self._done.release()
        except BaseException as problem:  # noqa: BLE001  (told by the test)
            self.problem = problem
            self._done.release(KILLS * STEPS_MAX)


@pytest.mark.parametrize("opens", [Client, awaited], ids=["threads", "tasks"])
def test_a_killed_server_is_not_noticed(url: str, opens: Callable[..., AbstractContextManager[Client]]) -> None:
    """Server after server is killed: no caller sees an error, no write is lost or made twice, none is told twice."""
    port, over, done = free_port(), threading.Event(), threading.Semaphore(0)
    written: list[int] = []
    told: list[LogEntry] = []
    with (
        Forks(SERVE) as server,
        opens(f"127.0.0.1:{port}", timeout=PATIENCE_S, retries=STUBBORN, read_your_writes=True) as client,
    ):
        server.start(url, port)
        watch = client.watch(heartbeat=0.5, resume=True)

        def write() -> None:
            number = len(written)
            fact = f"doc:d{number}#viewer@user:anna"
            written.append(client.write(create=[fact]).revision)
            assert client.check(fact)

        def load() -> None:
            number = loader.steps
            assert 2 == client.load([f"doc:l{number}#viewer@user:u{n}" for n in range(2)]).changed

        def follow() -> None:
            event = next(iter(watch))
            if isinstance(event, LogEntry):
                told.append(event)

        loader = Worker(load, over, done)
        workers = [Worker(write, over, done), loader, Worker(follow, over, threading.Semaphore(0))]
        for each in workers:
            each.start()
        try:
            for _ in range(KILLS // 2):
                for _ in range(random.randint(1, STEPS_MAX)):
                    assert done.acquire(timeout=PATIENCE_S)
                assert not server.kill_after(random.uniform(0, 0.02))
                server.start(url, port)
        finally:
            over.set()
            for each in workers:
                each.join(PATIENCE_S)
                assert not each.is_alive()
        assert [None] * 3 == [each.problem for each in workers]
        head = client.read(limit=1).revision
        while watch.revision < head:
            event = next(iter(watch))
            if isinstance(event, LogEntry):
                told.append(event)
        watch.close()
        server.kill_after(0)
    with relgraph.open(url) as authorizer:
        entries: list[LogEntry] = []
        token: str | None = None
        while token != "":
            page = authorizer.log(token, limit=1_000)
            entries += page.entries
            token = page.cursor
        made = Counter(str(fact.resource) for each in entries for fact in each.created)
    assert made == Counter(
        {f"doc:d{n}": 1 for n in range(len(written))} | {f"doc:l{n}": 2 for n in range(loader.steps)}
    )
    assert len(written) + loader.steps >= KILLS // 2
    assert written == sorted(set(written))
    # A token carries the instant at which it was given out.
    assert [replace(each, token="") for each in entries if each.revision > 1] == [
        replace(each, token="") for each in told
    ]
    ids = [each.request_id for each in told]
    assert len(set(ids)) == len(ids)
    assert "" not in ids
