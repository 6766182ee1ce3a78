"""The contract of stores, seventh part: the change log. Run through `test_store_contract.py`."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest

from relgraph.errors import RevisionUnavailable
from relgraph.store.base import Commit
from tests.store_kit import NOW, SAMPLE, done, loading, many, until, write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relgraph.store.base import Store
    from relgraph.tuples import RelationTuple
    from tests.store_kit import FakeClock


def spelled(tuples: Iterable[RelationTuple]) -> set[str]:
    return set(map(str, tuples))


class LogContract:
    """What each revision did."""

    def test_all_that_a_commit_says(self, store: Store) -> None:
        """An entry holds who, why and under which request, the tuples in key order, the schema, and the chain."""
        commit = Commit("backend", "user:anna", "because", "r-1", b"hash", '{"a": 1}', NOW + 5, "[1]")
        first = write(store, create=SAMPLE, commit=commit)
        with store.transaction() as transaction:
            transaction.write_schema("definition user {}", ["user"])
            transaction.apply(delete=many(*SAMPLE[:3]))
            second = done(transaction)
        with store.snapshot() as snapshot:
            one, two = snapshot.log(0, 10)
            chain = snapshot.changes(0, 0, 0).chain
        assert [first, second] == [one.revision, two.revision]
        assert chain == tuple((each.revision, each.predecessor) for each in (one, two))
        assert (commit, Commit()) == (one.commit, two.commit)
        assert (sorted(many(*SAMPLE)), []) == (list(one.created), list(one.deleted))
        assert ([], sorted(many(*SAMPLE[:3]))) == (list(two.created), list(two.deleted))
        assert (None, "definition user {}") == (one.schema, two.schema)

    @pytest.mark.parametrize("seed", range(3))
    def test_it_tells_the_whole_history(self, store: Store, clock: FakeClock, seed: int) -> None:
        """Replayed on nothing, the entries give each revision's state, whatever was written, replaced and collected."""
        random, states = Random(seed), [set[str]()]
        pool = [f"report:q{n % 4}#viewer@user:u{n // 4}" for n in range(16)]
        for _ in range(30):
            clock.now += random.randrange(3)
            keys = random.sample(pool, 5)
            later = clock.now + random.randrange(90, 130)
            touched = [key if random.random() < 0.5 else until(key, later) for key in keys[:3]]
            write(store, touch=touched, delete=keys[3:])
            kept = {text for text in states[-1] if text.partition("[")[0] not in keys}
            states.append(kept | set(touched))
        with store.snapshot() as snapshot:
            state: set[str] = set()
            for entry in snapshot.log(0, 100):
                deleted, created = spelled(entry.deleted), spelled(entry.created)
                assert deleted <= state
                state = (state - deleted) | created
                assert states[entry.revision.number] == state
        floor = store.collect(clock.now - 10).floor.number
        with store.snapshot() as snapshot:
            state = set(states[floor])
            for entry in snapshot.log(floor, 100):
                state = (state - spelled(entry.deleted)) | spelled(entry.created)
                assert states[entry.revision.number] == state

    def test_a_replaced_expiration(self, store: Store) -> None:
        """A tuple that is touched with another expiration was deleted as it was and created as it is."""
        write(store, create=[SAMPLE[4]])
        write(store, touch=[until(SAMPLE[4], NOW + 9)])
        with store.snapshot() as snapshot:
            [entry] = snapshot.log(1, 10)
        assert ({SAMPLE[4]}, {until(SAMPLE[4], NOW + 9)}) == (spelled(entry.deleted), spelled(entry.created))

    def test_what_expired(self, store: Store, clock: FakeClock) -> None:
        """Expiring is no revision's doing; whoever writes the key again has ended the old tuple."""
        write(store, create=[until(SAMPLE[4], NOW + 3)])
        clock.now = NOW + 5
        write(store, delete=[SAMPLE[4]], commit=Commit(request_id="nothing"))
        write(store, create=[SAMPLE[4]])
        with store.snapshot() as snapshot:
            _, nothing, again = snapshot.log(0, 10)
        assert ((), ()) == (nothing.created, nothing.deleted)
        assert ({SAMPLE[4]}, {until(SAMPLE[4], NOW + 3)}) == (spelled(again.created), spelled(again.deleted))

    @pytest.mark.parametrize("size", [1, 2, 5, 100])
    def test_pages_of_the_log(self, store: Store, size: int) -> None:
        """Pages of any size neither gap nor repeat, and each entry is whole."""
        for n in range(7):
            write(store, create=[f"report:q{n}#viewer@user:u{m}" for m in range(4)])
        found, after = [], 0
        with store.snapshot() as snapshot:
            while page := snapshot.log(after, size):
                assert len(page) <= size
                found += page
                after = page[-1].revision.number
        assert list(range(1, 8)) == [entry.revision.number for entry in found]
        assert {4} == {len(entry.created) for entry in found}
        assert all(left.revision.nonce == right.predecessor for left, right in pairwise(found))

    def test_a_load_in_the_log(self, store: Store) -> None:
        """A load is one entry with all its tuples."""
        wide = many(*(f"report:q{n}#viewer@user:u" for n in range(3_000)))
        with loading(store, wide) as transaction:
            transaction.load()
            done(transaction)
        with store.snapshot() as snapshot:
            [entry] = snapshot.log(0, 1)
        assert sorted(wide) == list(entry.created)

    @pytest.mark.parametrize("after", [-1, 2, 2**63 - 1])
    def test_what_cannot_be_told(self, store: Store, after: int) -> None:
        """Behind a revision that the store does not have, there is nothing to tell."""
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot, pytest.raises(RevisionUnavailable):
            snapshot.log(after, 10)

    def test_below_the_horizon(self, store: Store, clock: FakeClock) -> None:
        """What is collected cannot be told; from the floor on it can."""
        for n in range(4):
            clock.now = NOW + n
            write(store, create=SAMPLE[n : n + 1])
        store.collect(NOW + 1)
        with store.snapshot() as snapshot:
            with pytest.raises(RevisionUnavailable):
                snapshot.log(1, 10)
            assert [3, 4] == [entry.revision.number for entry in snapshot.log(2, 10)]

    def test_the_log_of_a_pinned_view(self, store: Store) -> None:
        """A snapshot's log ends at its head, whatever is written or deleted meanwhile."""
        write(store, create=SAMPLE[:2])
        with store.snapshot() as snapshot:
            write(store, delete=SAMPLE[:1], create=SAMPLE[2:3])
            [entry] = snapshot.log(0, 10)
            assert ({*SAMPLE[:2]}, set()) == (spelled(entry.created), spelled(entry.deleted))
