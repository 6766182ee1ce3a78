"""SIGKILL of PostgreSQL's own process in the middle of a commit: nobody knows, until the request id tells."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import psycopg
import pytest

import relgraph
from relgraph.errors import OutcomeUnknown, StoreUnavailable
from relgraph.store import open_store
from relgraph.store.base import Commit, Store
from tests.killing import KILLS
from tests.postgres_kit import Server, serving
from tests.store_kit import FakeClock, done, many, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

SCHEMA = "definition user {}\ndefinition doc { relation viewer: user }"
PATIENCE_S = 60
# A commit waits for that long before it is synced, as it would for others; that needs syncing to be on.
_SETTINGS = ("fsync = on", "commit_delay = 100000", "commit_siblings = 0")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own: when one of its processes is killed, it ends all connections and recovers."""
    with serving(tmp_path) as server:
        with psycopg.connect(server.admin, autocommit=True) as connection:
            for setting in _SETTINGS:
                connection.execute(f"ALTER SYSTEM SET {setting}".encode())
            connection.execute("SELECT pg_reload_conf()")
        yield server


def looking(server: Server) -> psycopg.Connection[tuple[int]]:
    """Open a connection that sees what the others do; while the server recovers it takes none."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with suppress(psycopg.OperationalError):
            return psycopg.connect(server.admin, autocommit=True)
        assert time.monotonic() < deadline


def kill_in_commit(connection: psycopg.Connection[tuple[int]], written: Future[T]) -> bool:
    """Kill a process of the server while it commits, unless the write is over before one is met; say whether."""
    while not written.done():
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'relgraph%' AND query = 'COMMIT'"
            " AND state = 'active'"
        ).fetchone()
        if row is not None:
            os.kill(row[0], signal.SIGKILL)
            return True
    return False


def patiently(what: Callable[[], T]) -> T:
    """Do something as often as the store cannot be reached."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return what()
        except OutcomeUnknown:
            raise
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise


def pair(number: int) -> list[str]:
    return [f"doc:d{number}#viewer@user:{user}" for user in ("left", "right")]


def write(store: Store, number: int) -> int:
    """Write a pair under its request id, unless that is on record; return its revision."""
    with store.transaction() as transaction:
        known = transaction.request(f"w{number}")
        if known is not None:
            return known.revision.number
        transaction.apply(create=many(*pair(number)))
        return done(transaction, Commit(request_id=f"w{number}")).number


def test_a_backend_killed_in_a_commit(server: Server) -> None:
    """A commit whose process is killed has an unknown outcome; asked again, each write is there once, in its turn."""
    url = server.url()
    unknown = met = number = 0
    with (
        closing(open_store(url, clock=FakeClock(), random=os.urandom)) as store,
        ThreadPoolExecutor(1) as threads,
    ):
        with store.transaction() as transaction:
            transaction.write_schema(SCHEMA, ["user", "doc", "viewer"])
            done(transaction)
        # On a busy machine a commit may be over before it is met.
        while met < KILLS // 4 and number < KILLS:
            with closing(looking(server)) as connection:
                written = threads.submit(patiently, partial(write, store, number))
                met += kill_in_commit(connection, written)
            try:
                assert 2 + number == written.result(PATIENCE_S)
            except OutcomeUnknown:
                unknown += 1
            # Nothing is written in between, so the number tells whether there was one write or two.
            assert 2 + number == patiently(partial(write, store, number))
            number += 1
        assert texts(store) == {text for each in range(number) for text in pair(each)}
    assert met == KILLS // 4
    assert unknown > 0
    assert relgraph.verify(url).findings == ()


def test_an_authorizer_finds_out(server: Server) -> None:
    """An Authorizer looks for what became of a commit that was killed: it tells what is so, or that it cannot."""
    with relgraph.open(server.url()) as authorizer, ThreadPoolExecutor(1) as threads:
        authorizer.write_schema(SCHEMA)
        met = number = 0
        while met < KILLS // 4 and number < KILLS:
            again = partial(authorizer.write, create=pair(number), request_id=f"w{number}")
            with closing(looking(server)) as connection:
                written = threads.submit(again)
                met += kill_in_commit(connection, written)
            try:
                assert 2 + number == written.result(PATIENCE_S).revision
            except OutcomeUnknown:
                pass
            except StoreUnavailable:
                # It was not made, and will not be.
                assert 2 * number == len(patiently(partial(authorizer.read, limit=1000)).tuples)
            assert 2 + number == patiently(again).revision
            number += 1
        assert met == KILLS // 4
        assert number * 2 == len(authorizer.read(limit=1000).tuples)
