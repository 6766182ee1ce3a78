"""The contract of stores, tenth part: what is registered to be counted. Run through `test_store_contract.py`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tests.store_kit import SAMPLE, write

if TYPE_CHECKING:
    from relgraph.store.base import Store


def counters(store: Store) -> dict[str, str]:
    with store.snapshot() as snapshot:
        return snapshot.counters()


def count_under(store: Store, name: str, filter: str | None) -> None:
    with store.transaction() as transaction:
        transaction.count_under(name, filter)
        transaction.commit()


class CountersContract:
    """Counters, which no revision has."""

    def test_counters_are_kept(self, store: Store) -> None:
        """What is registered is there for all from the commit on, sorted by name, until it is forgotten."""
        assert {} == counters(store)
        count_under(store, "writers", '{"relation": "writer"}')
        count_under(store, "readers", "öffentlich")
        assert [("readers", "öffentlich"), ("writers", '{"relation": "writer"}')] == list(counters(store).items())
        count_under(store, "writers", "another")
        assert {"readers": "öffentlich", "writers": "another"} == counters(store)
        count_under(store, "readers", None)
        count_under(store, "nobody", None)
        assert {"writers": "another"} == counters(store)

    def test_counters_take_no_revision(self, store: Store) -> None:
        """Registering is no write: the head stays, and nobody who follows is told anything."""
        head = write(store, create=SAMPLE)
        count_under(store, "all", "text")
        assert head == store.head()
        with store.snapshot() as snapshot:
            assert not snapshot.log(head.number, 10)
        following = write(store, delete=SAMPLE[:1])
        assert (head.number + 1, {"all": "text"}) == (following.number, counters(store))

    def test_counters_are_seen_where_they_were_registered(self, store: Store) -> None:
        """A transaction sees its own registrations, beside a write as well as without one."""
        with store.transaction() as transaction:
            transaction.count_under("all", "text")
            assert {"all": "text"} == transaction.counters()
            transaction.commit()
        assert {"all": "text"} == counters(store)

    def test_counters_without_commit_are_nothing(self, store: Store) -> None:
        """A transaction that is left, or breaks, leaves the counters as they were."""
        count_under(store, "all", "text")
        with store.transaction() as transaction:
            transaction.count_under("all", "other")
            transaction.count_under("more", "text")
        assert {"all": "text"} == counters(store)
        with suppress(KeyError), store.transaction() as transaction:
            transaction.count_under("all", None)
            raise KeyError
        assert {"all": "text"} == counters(store)
