"""The contract of stores, fifth part: several writes in one transaction. Run through `test_store_contract.py`."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from relgraph.errors import AlreadyExists, RequestIdReused
from relgraph.store.base import EMPTY, Commit
from tests.store_kit import NOW, SAMPLE, loading, many, texts, write

if TYPE_CHECKING:
    from relgraph.store.base import Store
    from tests.store_kit import FakeClock


class SealsContract:
    """Sealing, and savepoints."""

    def test_each_seal_is_a_revision(self, store: Store) -> None:
        """Writes sealed in one transaction are revisions of their own, chained, each readable as it was."""
        with store.transaction() as transaction:
            sealed = [EMPTY]
            for text in SAMPLE:
                assert len(sealed) == transaction.number
                transaction.apply(create=many(text))
                before = transaction.changed
                sealed.append(transaction.seal(Commit(reason=text)))
                assert (True, False, sealed[-1]) == (before, transaction.changed, transaction.head)
            transaction.commit()
        assert sealed[-1] == store.head()
        assert [set(SAMPLE[:n]) for n in range(len(SAMPLE) + 1)] == [texts(store, at=n) for n in range(len(sealed))]
        with store.snapshot() as snapshot:
            chain = snapshot.changes(0, 0, 0).chain
        assert sealed[1:] == [revision for revision, _ in chain]
        assert [before.nonce for before, _ in pairwise(sealed)] == [predecessor for _, predecessor in chain]

    def test_a_later_write_sees_the_earlier_ones(self, store: Store) -> None:
        """What was sealed before in the transaction is living for the next write, and can be deleted by it."""
        with store.transaction() as transaction:
            transaction.apply(create=many(*SAMPLE[:2]))
            transaction.seal(Commit())
            assert 1 == transaction.apply(delete=many(SAMPLE[0]), touch=many(SAMPLE[1]))
            transaction.seal(Commit())
            transaction.commit()
        assert [set(SAMPLE[:2]), {SAMPLE[1]}] == [texts(store, at=n) for n in (1, 2)]

    def test_seals_without_commit_are_nothing(self, store: Store) -> None:
        """Leaving without a commit undoes every sealed write; their numbers are taken again by others."""
        write(store, create=SAMPLE[:1])
        with store.transaction() as transaction:
            transaction.apply(create=many(SAMPLE[1]))
            lost = transaction.seal(Commit(request_id="lost"))
        assert (1, {SAMPLE[0]}) == (store.head().number, texts(store))
        taken = write(store, create=SAMPLE[2:3], commit=Commit(request_id="lost"))
        assert (lost.number, False) == (taken.number, lost.nonce == taken.nonce)

    def test_each_seal_has_its_own_instant(self, store: Store, clock: FakeClock) -> None:
        """The stamp of a write is taken when the one before is sealed, and never goes back."""
        with store.transaction() as transaction:
            stamps = []
            for step in (5, -9, 7):
                clock.now += step
                stamps.append(transaction.seal(Commit()).stamp)
            transaction.commit()
        assert [NOW, NOW + 5, NOW + 5] == stamps

    def test_a_request_id_counts_within_the_transaction(self, store: Store) -> None:
        """A request id that an earlier write of the same transaction carried is on record already."""
        with store.transaction() as transaction:
            transaction.seal(Commit(request_id="once"))
            known = transaction.request("once")
            assert known is not None
            assert 1 == known.revision.number
            with pytest.raises(RequestIdReused):
                transaction.seal(Commit(request_id="once"))

    def test_a_savepoint_undoes_its_own_write_alone(self, store: Store) -> None:
        """A write that fails in a savepoint is gone with all it brought; those around it are as if it had not been."""
        write(store, create=SAMPLE[:1])
        with store.transaction() as transaction:
            with transaction.savepoint():
                transaction.apply(create=many(SAMPLE[1]))
                first = transaction.seal(Commit())
            with pytest.raises(AlreadyExists), transaction.savepoint():  # noqa: PT012 - both are undone
                transaction.write_schema("definition fresh {}", ["fresh"])
                transaction.apply(create=many("fresh:thing#owner@user:someone", SAMPLE[0]))
            assert (first, 3, False) == (transaction.head, transaction.number, transaction.changed)
            assert (None, None) == (transaction.name_id("fresh"), transaction.schema(3))
            with transaction.savepoint():
                transaction.apply(create=many("other:thing#keeper@user:other"))
                transaction.seal(Commit())
            transaction.commit()
        assert 3 == store.head().number
        assert {*SAMPLE[:2], "other:thing#keeper@user:other"} == texts(store)
        with store.snapshot() as snapshot:
            assert {"owner", "fresh"}.isdisjoint(name for _, name in snapshot.image().names)

    def test_a_savepoint_undoes_a_seal(self, store: Store) -> None:
        """What raises behind the seal of a savepoint takes the sealed write with it."""
        with store.transaction() as transaction:
            with pytest.raises(KeyboardInterrupt), transaction.savepoint():  # noqa: PT012 - what was done is undone
                transaction.apply(create=many(SAMPLE[0]))
                transaction.seal(Commit(request_id="id"))
                raise KeyboardInterrupt
            assert (EMPTY, 1, None) == (transaction.head, transaction.number, transaction.request("id"))
            transaction.apply(create=many(SAMPLE[1]))
            transaction.seal(Commit(request_id="id"))
            transaction.commit()
        assert {SAMPLE[1]} == texts(store)

    def test_a_load_in_a_savepoint(self, store: Store) -> None:
        """A load that fails in a savepoint leaves nothing, and the transaction goes on."""
        write(store, create=SAMPLE[4:5])
        with loading(store, many(*SAMPLE)) as transaction:
            with pytest.raises(AlreadyExists), transaction.savepoint():
                transaction.load()
            transaction.apply(create=many(SAMPLE[0]))
            transaction.seal(Commit())
            transaction.commit()
        assert {SAMPLE[0], SAMPLE[4]} == texts(store)
