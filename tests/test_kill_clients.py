"""SIGKILL of processes that import and write by themselves, on both databases: all or nothing, and no loss."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.api import verify
from relgraph.revision import Consistency
from relgraph.tuples import TupleFilter
from tests.killing import KILLS, Forks, wait_for_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.postgres_kit import Server

TUPLES = 1500
PAIR = ("left", "right")
SCHEMA = "definition user {}\ndefinition doc { relation viewer: user }"

IMPORT = """
from relgraph.cli import main
import relgraph.api, relgraph.store.postgres.stores
from relgraph.store.sqlite import writing
# The indexes of an empty file are built behind its rows: a large import's way, taken by these too.
writing.LATE_ROWS_MIN = 500
def work(url, file, request_id):
    return main(["--store", url, "import", file, "--request-id", request_id])
"""

WRITE = """
import relgraph, relgraph.store.postgres.stores
def work(url, acknowledged, name):
    log = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with relgraph.open(url) as authorizer:
        for number in range(10**6):
            doc = f"doc:{name}x{number}"
            token = authorizer.write(create=[f"{doc}#viewer@user:left", f"{doc}#viewer@user:right"]).token
            os.write(log, f"{name}x{number} {token}\\n".encode())
"""


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Makes a store with a schema, by a name, and returns its URL."""

    def made(name: str) -> str:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path / name}.db"
        else:
            server: Server = request.getfixturevalue("postgres")
            url = server.url()
        with relgraph.open(url) as authorizer:
            authorizer.write_schema(SCHEMA)
        return url

    return made


def held(url: str) -> tuple[int, dict[str, set[str]]]:
    """The newest revision, and the users of each document in it."""
    found: dict[str, set[str]] = {}
    with relgraph.open(url) as authorizer:
        page = authorizer.read(TupleFilter("doc"), limit=1000)
        revision = page.revision
        while True:
            for each in page.tuples:
                found.setdefault(each.resource.id, set()).add(each.subject.id)
            if not page.cursor:
                return revision, found
            page = authorizer.read(TupleFilter("doc"), limit=1000, cursor=page.cursor)


def test_killed_imports(place: Callable[[str], str], tmp_path: Path) -> None:
    """An import that is killed is there as a whole or not at all; run again, it ends as one that nobody killed."""
    url, clean = "", place("clean")
    done, killed = 0, 0
    with Forks(IMPORT) as forks:
        seconds = 60.0
        for number in range(KILLS):
            if number % 5 == 0:
                # Now and then an empty store, which is imported into in another way.
                url, done = place(f"store{number}"), 0
            file = tmp_path / f"{number % 5}.txt"
            file.write_text("".join(f"doc:d{number % 5}x{n}#viewer@user:u{n % 7}\n" for n in range(TUPLES)))
            name = f"import {number % 5}"
            if number < 5:
                seconds = min(seconds, forks.timed(clean, str(file), name))
            forks.start(url, str(file), name)
            killed += not forks.kill_after(random.uniform(0, seconds * 1.1))
            revision, found = held(url)
            assert (revision, len(found)) in {(1 + done, done * TUPLES), (2 + done, (done + 1) * TUPLES)}
            assert verify(url).findings == ()
            forks.timed(url, str(file), name)
            done += 1
            revision, found = held(url)
            assert (revision, len(found)) == (1 + done, done * TUPLES)
            if done == 5:
                assert held(clean) == (revision, found)
    assert killed > 0


def test_killed_writers(place: Callable[[str], str], tmp_path: Path) -> None:
    """Two processes that write are killed again and again; what was acknowledged is there, and nothing by half."""
    url = place("store")
    told: list[list[str]] = []
    with Forks(WRITE) as left, Forks(WRITE) as right:
        for number in range(KILLS // 2):
            names = [f"k{number}l", f"k{number}r"]
            for forks, name in zip((left, right), names, strict=True):
                forks.start(url, str(tmp_path / name), name)
            logs = [tmp_path / name for name in names]
            if number % 2:
                # One kill may come before anything is done, the next one may not.
                for log in logs:
                    wait_for_lines(log, 3)
            for forks in (left, right):
                assert not forks.kill_after(random.uniform(0, 0.4))
            fresh = [line.split() for log in logs if log.exists() for line in log.read_text().splitlines()]
            told += [each for each in fresh if len(each) == 2]
    assert len(told) > KILLS
    _, docs = held(url)
    assert {name for name, _ in told} <= set(docs)
    assert set(map(frozenset, docs.values())) == {frozenset(PAIR)}
    # A write may be committed without its acknowledgement having been written down: at most one a killed process.
    assert len(docs) - len(told) <= 2 * (KILLS // 2)
    assert verify(url).findings == ()
    with relgraph.open(url) as authorizer:
        for _, token in told[:: max(1, len(told) // 50)]:
            authorizer.read(limit=1, consistency=Consistency.at_exactly(token))
