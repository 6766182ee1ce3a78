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
from tests.serving import lasting_port
from tests.test_watch_killed import SCHEMA, SERVE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.postgres_kit import Server

PATIENCE_S = 120.0
STEPS_MAX = 10
STUBBORN = Retries(attempts_max=1_000_000, first_pause_s_max=0.05, pause_s_max=0.2, own_ids=True)


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

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._work()
                self._done.release()
        except BaseException as problem:  # noqa: BLE001  (told by the test)
            self.problem = problem
            self._done.release(KILLS * STEPS_MAX)


class Use:
    """What three threads do with one client: write and read that, import, and watch."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.watch = client.watch(heartbeat=0.5, resume=True)
        self.written: list[int] = []
        self.imports = 0
        self.told: list[LogEntry] = []
        self.done = threading.Semaphore(0)
        self._over = threading.Event()
        steps = [(self._write, self.done), (self._load, self.done), (self.follow, threading.Semaphore(0))]
        self._workers = [Worker(work, self._over, done) for work, done in steps]
        for each in self._workers:
            each.start()

    def _write(self) -> None:
        fact = f"doc:d{len(self.written)}#viewer@user:anna"
        self.written.append(self.client.write(create=[fact]).revision)
        assert self.client.check(fact)

    def _load(self) -> None:
        assert 2 == self.client.load([f"doc:l{self.imports}#viewer@user:u{n}" for n in range(2)]).changed
        self.imports += 1

    def follow(self) -> None:
        event = next(iter(self.watch))
        if isinstance(event, LogEntry):
            self.told.append(event)

    def end(self) -> list[BaseException]:
        """End the threads; return what went wrong."""
        self._over.set()
        for each in self._workers:
            each.join(PATIENCE_S)
            assert not each.is_alive()
        return [each.problem for each in self._workers if each.problem is not None]


def logged(url: str) -> list[LogEntry]:
    """What the store itself says was done."""
    with relgraph.open(url) as authorizer:
        entries: list[LogEntry] = []
        token: str | None = None
        while token != "":
            page = authorizer.log(token, limit=1_000)
            entries += page.entries
            token = page.cursor
    return entries


@pytest.mark.parametrize("opens", [Client, awaited], ids=["threads", "tasks"])
def test_a_killed_server_is_not_noticed(url: str, opens: Callable[..., AbstractContextManager[Client]]) -> None:
    """Server after server is killed: no caller sees an error, no write is lost or made twice, none is told twice."""
    port = lasting_port()
    with (
        Forks(SERVE) as server,
        opens(f"127.0.0.1:{port}", timeout=PATIENCE_S, retries=STUBBORN, read_your_writes=True) as client,
    ):
        server.start(url, port)
        use = Use(client)
        try:
            for _ in range(KILLS // 2):
                for _ in range(random.randint(1, STEPS_MAX)):
                    assert use.done.acquire(timeout=PATIENCE_S)
                assert not server.kill_after(random.uniform(0, 0.02))
                server.start(url, port)
        finally:
            problems = use.end()
        assert [] == problems
        head = client.read(limit=1).revision
        while use.watch.revision < head:
            use.follow()
        use.watch.close()
        server.kill_after(0)
    entries = logged(url)
    made = Counter(str(fact.resource) for each in entries for fact in each.created)
    docs = {f"doc:d{n}": 1 for n in range(len(use.written))}
    assert made == Counter(docs | {f"doc:l{n}": 2 for n in range(use.imports)})
    assert len(use.written) + use.imports >= KILLS // 2
    assert use.written == sorted(set(use.written))
    # A token carries the instant at which it was given out.
    told = [replace(each, token="") for each in use.told]
    assert [replace(each, token="") for each in entries if each.revision > 1] == told
    ids = [each.request_id for each in told]
    assert len(set(ids)) == len(ids)
    assert "" not in ids
