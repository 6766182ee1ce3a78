"""The write-ahead log of a store on SQLite stays bounded, whoever reads meanwhile."""

from __future__ import annotations

import os
import threading
from contextlib import closing, contextmanager
from itertools import pairwise
from time import sleep
from typing import TYPE_CHECKING

import pytest

from relgraph.errors import StoreUnavailable
from relgraph.store import open_store
from relgraph.store.base import Commit
from relgraph.store.sqlite import log
from relgraph.store.sqlite.files import FileStore
from tests.store_kit import SAMPLE, FakeClock, many, texts, write
from tests.test_store_libraries import BUGGY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relgraph.store import SQLiteModule
    from relgraph.store.sql.reading import SQLSnapshot

BOUND = 64 * 1024


def open_file(path: Path, wait_ms_max: int = 5000, sqlite: SQLiteModule | None = None) -> FileStore:
    url = f"sqlite:///{path}"
    store = open_store(url, clock=FakeClock(), random=os.urandom, wait_ms_max=wait_ms_max, sqlite=sqlite)
    assert isinstance(store, FileStore)
    return store


def log_size(path: Path) -> int:
    file = path.with_name(path.name + "-wal")
    return file.stat().st_size if file.exists() else 0


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a store whose log is bounded tightly, and not folded by SQLite on its own."""
    monkeypatch.setattr(log, "LOG_BYTES_MAX", BOUND)
    return tmp_path / "store.db"


@contextmanager
def never_without_a_reader(store: FileStore) -> Iterator[None]:
    """Hand a snapshot from thread to thread: the next is open before the last is left."""
    turns = [threading.Semaphore(1), threading.Semaphore(0)]
    over = threading.Event()

    def read(mine: threading.Semaphore, others: threading.Semaphore) -> None:
        mine.acquire()
        while not over.is_set():
            with store.snapshot() as snapshot:
                others.release()
                assert snapshot.head.number <= store.head().number
                # Who hands over without a pause keeps the interpreter from the writer, and shows nothing more.
                sleep(0.002)
                mine.acquire()
        others.release()

    threads = [threading.Thread(target=read, args=(turns[n], turns[1 - n])) for n in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("tended", [True, False])
def test_the_log_is_bounded_under_overlapping_readers(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, tended: bool
) -> None:
    """With a snapshot open at every moment the log stays within a few times its bound; untended, it grows on."""
    # A machine under load hands over slowly: writers are not to give up waiting for that.
    monkeypatch.setattr(log, "WAIT_MS_MAX", 60_000)
    if not tended:
        monkeypatch.setattr(log.Log, "tend", lambda _: None)
    with closing(open_file(path, 60_000)) as store, never_without_a_reader(store):
        sizes = []
        for number in range(300):
            write(store, create=[f"report:r{number}#viewer@user:u{n}" for n in range(20)])
            sizes.append(log_size(path))
    assert tended == (max(sizes) < 8 * BOUND)
    if tended:
        assert any(later < earlier for earlier, later in pairwise(sizes))


def test_a_writer_waits_for_old_snapshots_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots opened while a writer waits do not hold it up, though they take the place of the one it waits for."""
    monkeypatch.setattr(log, "WAIT_MS_MAX", 20_000)
    waits, written = threading.Event(), threading.Event()
    fold = log.Log.fold

    def folding(self: log.Log, *, wait_ms: int = 0) -> bool:
        if wait_ms:
            waits.set()
        return fold(self, wait_ms=wait_ms)

    def read(old: SQLSnapshot) -> None:
        assert waits.wait(60)
        # By then SQLite looks whether the place is free every 100 ms alone, and this leaves and takes it in between.
        sleep(0.5)
        old.close()
        new = store.snapshot()
        while not written.wait(0.002):
            newer = store.snapshot()
            new.close()
            new = newer
        new.close()

    monkeypatch.setattr(log.Log, "fold", folding)
    with closing(open_file(path, 20_000)) as store:
        write(store, create=SAMPLE)
        reader = threading.Thread(target=read, args=(store.snapshot(),))
        reader.start()
        while not waits.is_set():
            write(store, touch=[f"report:r{store.head().number}#viewer@user:u{n}" for n in range(20)])
        written.set()
        reader.join()
        assert log_size(path) == 0


def test_with_the_bug_the_log_is_folded_under_the_lock_alone(path: Path) -> None:
    """Where a SQLite has the WAL-reset bug it never folds by itself, and the log stays bounded all the same."""
    with closing(open_file(path, sqlite=BUGGY)) as store:
        sizes = []
        for number in range(100):
            write(store, create=[f"report:r{number}#viewer@user:u{n}" for n in range(20)])
            sizes.append(log_size(path))
        assert [(0,)] == store._writer.all("PRAGMA wal_autocheckpoint")
    assert BOUND // 2 < max(sizes) < 4 * BOUND


def test_one_long_reader_lets_the_log_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one snapshot stays the log grows and writes go on; once it is left, the next writes bring the log back."""
    monkeypatch.setattr(log, "WAIT_MS_MAX", 10)
    with closing(open_file(path)) as store:
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot:
            for number in range(60):
                write(store, create=[f"report:r{number}#viewer@user:u{n}" for n in range(20)])
            assert snapshot.head.number == 1
            grown = log_size(path)
        assert grown > 8 * BOUND
        while log_size(path) <= 2 * grown and log_size(path) > BOUND:
            write(store, touch=[f"report:x{store.head().number}#viewer@user:u{n}" for n in range(20)])
        assert log_size(path) <= BOUND


def test_a_large_import_leaves_no_large_log(path: Path) -> None:
    """What an import has put into the log is in the file when it returns."""
    with closing(open_file(path)) as store:
        transaction = store.transaction()
        transaction.stage(many(*(f"report:q{n}#viewer@user:u{n}" for n in range(30_000))))
        with transaction:
            transaction.load()
            transaction.seal(Commit())
            transaction.commit()
        assert log_size(path) == 0
        assert path.stat().st_size > 10 * BOUND


def test_closing_empties_the_log(path: Path) -> None:
    """A store that has written leaves an empty log when it is closed, though others have the file open."""
    with closing(open_file(path)) as reader:
        with closing(open_file(path)) as store:
            write(store, create=SAMPLE)
            assert log_size(path) > 0
        assert log_size(path) == 0
        assert set(SAMPLE) == texts(reader)
    assert not path.with_name(path.name + "-wal").exists()


def test_a_log_that_cannot_be_folded_fails_no_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that is durable is acknowledged, whatever befalls the log behind it."""
    with closing(open_file(path)) as store:
        monkeypatch.setattr(log, "LOG_BYTES_MAX", 1)
        store._log._next = 1
        before = store._writer.all

        def failing(sql: str, values: tuple[()] = ()) -> list[tuple[object, ...]]:
            if "checkpoint" in sql:
                raise StoreUnavailable("the disk is full")
            return before(sql, values)

        monkeypatch.setattr(store._writer, "all", failing)
        assert 1 == write(store, create=SAMPLE).number
        assert set(SAMPLE) == texts(store)
