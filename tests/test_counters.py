"""Counters at the Authorizer: what counts, what is refused, and that they are the store's own."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from relgraph.api import Authorizer, open_authorizer
from relgraph.api.upkeep import backup, restore
from relgraph.errors import (
    CannotUpdatePermission,
    CounterExists,
    InvalidName,
    LimitExceeded,
    NoSchema,
    UnknownCounter,
    UnknownDefinition,
    UnknownRelation,
)
from relgraph.store import open_store
from relgraph.store.migration import migrate
from relgraph.tuples import TupleFilter
from tests.store_kit import MICROSECOND, NOW, FakeClock, FakeRandom, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres_kit import Server

SCHEMA = """use expiration
definition user {}
definition doc {
  relation reader: user | user with expiration
  relation writer: user
  permission read = reader + writer
}"""
READERS = TupleFilter(resource_type="doc", relation="reader")


def test_a_counter_counts_what_lives() -> None:
    """A counter counts what its filter selects now: what is written, deleted and expired since counts at once."""
    clock = FakeClock()
    with Authorizer(open_store("sqlite://", clock=clock, random=FakeRandom()), clock=clock) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=["doc:a#reader@user:anna", "doc:a#writer@user:anna"])
        assert 1 == authorizer.counters.register("readers", READERS).count
        soon = until("doc:b#reader@user:bob", NOW + 10 * MICROSECOND)
        written = authorizer.write(touch=[soon, "doc:c#reader@user:bob"])
        counted = authorizer.counters.count("readers")
        assert (3, written.revision) == (counted.count, counted.revision)
        clock.now += 10 * MICROSECOND
        assert 2 == authorizer.counters.count("readers").count
        authorizer.write(delete=["doc:a#reader@user:anna"])
        assert 1 == authorizer.counters.unregister("readers").count
        with pytest.raises(UnknownCounter):
            authorizer.counters.count("readers")


def test_counters_are_refused() -> None:
    """A name is registered once, and for names that the schema has; what is not registered is not counted."""
    with open_authorizer("sqlite://") as authorizer:
        counters = authorizer.counters
        with pytest.raises(NoSchema):
            counters.register("readers", READERS)
        authorizer.write_schema(SCHEMA)
        for wanted, error in (
            (TupleFilter(resource_type="dok"), UnknownDefinition),
            (TupleFilter(resource_type="doc", relation="raeder"), UnknownRelation),
            (TupleFilter(resource_type="doc", relation="read"), CannotUpdatePermission),
        ):
            with pytest.raises(error):
                counters.register("readers", wanted)
        with pytest.raises(InvalidName):
            counters.register("Readers", READERS)
        with pytest.raises(UnknownCounter):
            counters.count("readers")
        counters.register("readers", READERS)
        with pytest.raises(CounterExists, match="`readers`"):
            counters.register("readers", TupleFilter(resource_type="doc"))
        with pytest.raises(UnknownCounter, match="did you mean `readers`"):
            counters.unregister("raeders")
        counters.unregister("readers")
        with pytest.raises(UnknownCounter):
            counters.unregister("readers")


def test_there_are_not_any_number_of_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may register counters cannot fill the store with them."""
    monkeypatch.setattr("relgraph.api.counters._COUNTERS_MAX", 2)
    with open_authorizer("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.counters.register("one", READERS)
        authorizer.counters.register("two", READERS)
        with pytest.raises(LimitExceeded):
            authorizer.counters.register("three", READERS)
        authorizer.counters.unregister("one")
        authorizer.counters.register("three", READERS)


def test_counters_outlive_their_schema() -> None:
    """A counter whose type is gone from the schema counts nothing, and counts again when it is back."""
    with open_authorizer("sqlite://") as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.counters.register("readers", READERS)
        authorizer.write_schema("definition user {}")
        assert 0 == authorizer.counters.count("readers").count
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=["doc:a#reader@user:anna"])
        authorizer.collect(timedelta(0))
        assert 1 == authorizer.counters.count("readers").count


def test_counters_are_the_stores(tmp_path: Path) -> None:
    """What one process registers every other one counts at once, also after all were closed, and in a backup."""
    url = f"sqlite:///{tmp_path / 'access.db'}"
    with open_authorizer(url) as one, open_authorizer(url) as other:
        one.write_schema(SCHEMA)
        one.counters.register("readers", READERS)
        other.write(touch=["doc:a#reader@user:anna"])
        assert [1, 1] == [each.counters.count("readers").count for each in (one, other)]
        with pytest.raises(CounterExists):
            other.counters.register("readers", READERS)
    with open_authorizer(url) as again:
        assert 1 == again.counters.count("readers").count
    backup(url, tmp_path / "copy.db")
    restored = f"sqlite:///{tmp_path / 'restored.db'}"
    restore(tmp_path / "copy.db", restored)
    with open_authorizer(restored) as there:
        assert 1 == there.counters.count("readers").count


def test_counters_move_with_their_store(tmp_path: Path, postgres: Server) -> None:
    """A migration takes the counters along, there and back, and the ones that were unregistered since away again."""
    clock = FakeClock()

    def opened(url: str) -> Authorizer:
        return Authorizer(open_store(url, clock=clock, random=os.urandom), clock=clock)

    def moved(source: str, target: str) -> None:
        with (
            closing(open_store(source, clock=clock, random=os.urandom)) as here,
            closing(open_store(target, clock=clock, random=os.urandom)) as there,
        ):
            migrate(here, there)

    file, back, server = f"sqlite:///{tmp_path / 'a.db'}", f"sqlite:///{tmp_path / 'b.db'}", postgres.url()
    with opened(file) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=["doc:a#reader@user:anna"])
        authorizer.counters.register("readers", READERS)
        authorizer.counters.register("writers", TupleFilter(resource_type="doc", relation="writer"))
    moved(file, server)
    moved(server, back)
    for url in (server, back):
        with opened(url) as authorizer:
            assert [1, 0] == [authorizer.counters.count(name).count for name in ("readers", "writers")]
    with opened(file) as authorizer:
        authorizer.counters.unregister("writers")
    moved(file, server)
    with opened(server) as authorizer, pytest.raises(UnknownCounter):
        authorizer.counters.count("writers")
