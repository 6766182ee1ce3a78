"""Exceptions out of signal handlers, raised right behind a wait: no lock and no transaction is left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from relgraph.store import open_store
from relgraph.store.sqlite.link import SQLiteLink
from relgraph.turns import take
from tests.store_kit import FakeClock, texts, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@pytest.fixture
def unhurried() -> Iterator[None]:
    """A thread that is running goes on for as long as it likes."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(10)
    yield
    sys.setswitchinterval(before)


@pytest.mark.skipif(sys.platform == "win32", reason="a thread that waits for a lock hears no signal there")
@pytest.mark.usefixtures("unhurried")
def test_an_interrupted_wait_takes_no_lock() -> None:
    """Whoever is interrupted while it waits for a lock, and gets it before it hears of that, does not keep it."""
    for _ in range(20):
        lock = threading.Lock()
        with lock:
            ready = threading.Event()

            def hand_over(lock: threading.Lock = lock, ready: threading.Event = ready) -> None:
                ready.wait()
                # The one who waits has the lock from here on, and runs again only when this thread has ended.
                lock.release()
                os.kill(os.getpid(), signal.SIGINT)

            thread = threading.Thread(target=hand_over)
            thread.start()
            with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - it may come this early
                ready.set()
                take(lock, 60)
            thread.join()
            # A wait that was broken off before it had the lock leaves that as it was: free as well.
            assert not lock.locked()
            lock.acquire()


def test_a_lock_is_taken_in_time_or_not() -> None:
    """A lock that is free is taken, one that is not is waited for no longer than asked."""
    lock = threading.Lock()
    assert [True, False] == [take(lock), take(lock, 0)]
    assert lock.locked()


def test_an_interrupt_behind_begin_ends_the_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that is interrupted while it waits for another process leaves no transaction open."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store, other = (open_store(url, clock=FakeClock(), random=os.urandom) for _ in range(2))
    run = SQLiteLink.run

    def interrupted(self: SQLiteLink, sql: str, values: Sequence[int | str | bytes | None] = ()) -> None:
        run(self, sql, values)
        if sql == "BEGIN IMMEDIATE":
            monkeypatch.undo()
            raise KeyboardInterrupt

    monkeypatch.setattr(SQLiteLink, "run", interrupted)
    with pytest.raises(KeyboardInterrupt), store.transaction():
        pass
    write(other, create=["report:q1#viewer@user:anna"])
    write(store, create=["report:q2#viewer@user:anna"])
    assert {"report:q1#viewer@user:anna", "report:q2#viewer@user:anna"} == texts(store)
    store.close()
    other.close()
