"""What every store must do, whatever holds it. A backend inherits `StoreContract` and says how it is opened.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, ...) -> Iterator[Store]: ...

The tests stand in `test_store_writes.py`, `test_store_reads.py`, `test_store_flow.py`, `test_store_seals.py`,
`test_store_expirations.py`, `test_store_caveats.py`, `test_store_verify.py`, `test_store_collect.py`,
`test_store_changelog.py` and `test_store_counters.py`, and hold only what the protocol promises; what is special to one
backend has a test file of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from relgraph.errors import InvalidSetting
from relgraph.store import open_store
from tests.store_kit import FakeClock, FakeRandom
from tests.test_store_caveats import CaveatsContract
from tests.test_store_changelog import LogContract
from tests.test_store_collect import CollectContract
from tests.test_store_counters import CountersContract
from tests.test_store_expirations import ExpirationsContract
from tests.test_store_flow import FlowContract
from tests.test_store_reads import ReadsContract
from tests.test_store_seals import SealsContract
from tests.test_store_verify import VerifyContract
from tests.test_store_writes import WritesContract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relgraph.store.base import Store
    from tests.postgres_kit import Server


class StoreContract(
    WritesContract,
    ReadsContract,
    FlowContract,
    SealsContract,
    ExpirationsContract,
    CaveatsContract,
    VerifyContract,
    CollectContract,
    LogContract,
    CountersContract,
):
    """The tests that every backend inherits. `store` is an empty one, opened with `clock`."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def store(self, clock: FakeClock, tmp_path: Path) -> Iterator[Store]:
        raise NotImplementedError


class TestFileStore(StoreContract):
    """SQLite on a file keeps the contract."""

    @pytest.fixture
    def store(self, clock: FakeClock, tmp_path: Path) -> Iterator[Store]:
        store = open_store(f"sqlite:///{tmp_path / 'store.db'}", clock=clock, random=FakeRandom())
        yield store
        store.close()


class TestMemoryStore(StoreContract):
    """SQLite in memory keeps the contract."""

    @pytest.fixture
    def store(self, clock: FakeClock) -> Iterator[Store]:
        store = open_store("sqlite://", clock=clock, random=FakeRandom())
        yield store
        store.close()


class TestPostgresStore(StoreContract):
    """PostgreSQL keeps the contract."""

    @pytest.fixture
    def store(self, clock: FakeClock, postgres: Server) -> Iterator[Store]:
        with postgres.store(clock, FakeRandom()) as store:
            yield store


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("access.db", "as in `sqlite:///access.db`"),
        ("sqllite:///access.db", "did you mean `sqlite`?"),
        ("mysql://host/db", "known here: `postgres`, `postgresql`, `sqlite`"),
        ("sqlite://access.db", "`sqlite:///relative/path.db`"),
        ("sqlite:///", "for a store in memory"),
        ("sqlite:///:memory:", "for a store in memory"),
        ("sqlite:///access.db?mode=ro", "does not name a file"),
    ],
)
def test_urls(url: str, hint: str) -> None:
    """A URL that names no store is refused with the way to write one."""
    with pytest.raises(InvalidSetting) as caught:
        open_store(url, clock=FakeClock(), random=FakeRandom())
    assert hint in caught.value.message
