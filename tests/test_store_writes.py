"""The contract of stores, first part: what a write does. Run through `test_store_contract.py`."""

from __future__ import annotations

import pytest

from relgraph.errors import (
    AlreadyExists,
    RequestIdReused,
    StoreUnavailable,
)
from relgraph.store.base import EMPTY, Commit, Store
from relgraph.tuples import TupleFilter
from tests.store_kit import ALL, MICROSECOND, NOW, SAMPLE, FakeClock, done, many, numbers, texts, write


class WritesContract:
    """Revisions, creating, touching and deleting, leaving without a commit, and requests."""

    # --- identity and revisions

    def test_empty(self, store: Store) -> None:
        """A new store is at revision 0, whose nonce is zeros, and holds nothing."""
        assert EMPTY == store.head()
        with store.snapshot() as snapshot:
            assert EMPTY == snapshot.head
            assert EMPTY == snapshot.revision(0)
            assert snapshot.schema(0) is None
            assert [] == snapshot.read(ALL, 0, NOW, None, 10)
            assert [] == list(snapshot.image().rows)
            assert [] == list(snapshot.objects_in_history(snapshot.head.number))

    def test_identity(self, store: Store) -> None:
        """A store has 16 bytes of identity that are not zeros, and begins with epoch 1."""
        assert 16 == len(store.id)
        assert bytes(16) != store.id
        assert 1 == store.epoch

    def test_revisions_are_dense_and_chained(self, store: Store) -> None:
        """Each commit takes the next number, a new nonce, and names its predecessor's."""
        made = [write(store, create=[f"report:q{n}#viewer@user:anna"]) for n in range(5)]
        assert [1, 2, 3, 4, 5] == [revision.number for revision in made]
        assert 5 == len({revision.nonce for revision in made})
        with store.snapshot() as snapshot:
            chain = snapshot.changes(0, 0, 0).chain
            assert made == [snapshot.revision(n) for n in range(1, 6)]
        assert made == [revision for revision, _ in chain]
        assert [left.nonce for left in (EMPTY, *made[:-1])] == [predecessor for _, predecessor in chain]

    def test_head_is_the_last_commit(self, store: Store) -> None:
        """The head is the revision that the last commit returned."""
        revision = write(store, create=SAMPLE)
        assert revision == store.head()

    def test_unknown_revisions(self, store: Store) -> None:
        """A revision beyond the head, below zero or beyond every integer does not exist."""
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot:
            assert [None] * 4 == [snapshot.revision(number) for number in (2, -1, 2**63, 2**64 - 1)]

    def test_stamps_follow_the_clock(self, store: Store, clock: FakeClock) -> None:
        """A revision is stamped with the clock's instant."""
        clock.now += 5
        with store.transaction() as transaction:
            assert clock.now == transaction.stamp
            assert clock.now == done(transaction).stamp

    def test_stamps_never_go_back(self, store: Store, clock: FakeClock) -> None:
        """When the clock goes back, the stamp stays where it was."""
        first = write(store, touch=SAMPLE)
        clock.now -= 10 * MICROSECOND
        assert first.stamp == write(store, delete=SAMPLE).stamp

    # --- create, touch, delete

    def test_create(self, store: Store) -> None:
        """Created tuples are read back, wildcards and universal ones as they are."""
        write(store, create=SAMPLE)
        assert set(SAMPLE) == texts(store)

    def test_create_existing(self, store: Store) -> None:
        """Creating a living tuple is refused by its text, and nothing of that write stays."""
        write(store, create=SAMPLE[:5])
        with store.transaction() as transaction, pytest.raises(AlreadyExists, match=r"`report:q1#viewer@user:anna`"):
            transaction.apply(create=many("report:a9#viewer@user:zoe", *SAMPLE[4:6]))
        assert set(SAMPLE[:5]) == texts(store)
        assert 1 == store.head().number

    def test_create_names_the_first(self, store: Store) -> None:
        """Of several tuples that exist, the refusal names the first by key, whatever the order of the request."""
        write(store, create=SAMPLE)
        with store.transaction() as transaction, pytest.raises(AlreadyExists) as caught:
            transaction.apply(create=many(*reversed(SAMPLE)))
        assert {"tuple": "folder:a#parent@folder:root"} == caught.value.details

    def test_touch_counts_what_changed(self, store: Store) -> None:
        """Touching counts new tuples only; a living one is left as it is."""
        write(store, create=SAMPLE[:2])
        with store.transaction() as transaction:
            assert 1 == transaction.apply(touch=many(*SAMPLE[:3]))
            done(transaction)
        with store.snapshot() as snapshot:
            row = snapshot.tuple(*numbers(snapshot, SAMPLE[0]), snapshot.head.number)
        assert row is not None
        assert 1 == row.created

    def test_delete(self, store: Store) -> None:
        """A deleted tuple is gone from its revision on; deleting an absent one changes nothing."""
        write(store, create=SAMPLE)
        with store.transaction() as transaction:
            assert 1 == transaction.apply(delete=many(SAMPLE[0], "report:none#viewer@user:nobody"))
            done(transaction)
        assert set(SAMPLE[1:]) == texts(store)

    def test_delete_interns_nothing(self, store: Store) -> None:
        """Deleting what never was teaches the store no names."""
        write(store, delete=["unheard:of#relation@some:one"])
        with store.snapshot() as snapshot:
            assert ([], []) == (snapshot.image().names, list(snapshot.image().objects))

    def test_changed(self, store: Store) -> None:
        """A transaction says whether it changed anything."""
        write(store, create=SAMPLE)
        with store.transaction() as transaction:
            transaction.apply(touch=many(*SAMPLE), delete=many("report:none#viewer@user:anna"))
            assert not transaction.changed
            transaction.apply(delete=many(SAMPLE[0]))
            assert transaction.changed

    def test_delete_comes_before_create(self, store: Store) -> None:
        """One write may delete a tuple and create it again: the old row ends and a new one begins."""
        write(store, create=SAMPLE)
        write(store, delete=[SAMPLE[0]], create=[SAMPLE[0]])
        assert set(SAMPLE) == texts(store)
        with store.snapshot() as snapshot:
            key = numbers(snapshot, SAMPLE[0])
            before, after = snapshot.tuple(*key, 1), snapshot.tuple(*key, 2)
        assert before is not None
        assert after is not None
        assert (1, 2, 2, None) == (before.created, before.deleted, after.created, after.deleted)

    def test_created_and_deleted_in_one_write(self, store: Store) -> None:
        """What one write creates and takes back leaves no row at any revision."""
        with store.transaction() as transaction:
            transaction.apply(create=many(SAMPLE[0]))
            transaction.apply(delete=many(SAMPLE[0]))
            transaction.apply(create=many(SAMPLE[1]))
            done(transaction)
        with store.snapshot() as snapshot:
            assert 1 == len(snapshot.changes(0, 0, 0).rows)
        assert {SAMPLE[1]} == texts(store)

    def test_ids_are_bytes(self, store: Store) -> None:
        """Ids that differ in case or in a trailing character are different."""
        ids = ("anna", "Anna", "ANNA", "anna=", "0", "00", "-", "+", "|", "a/b", "a" * 1024, "a" * 1023 + "B")
        tuples = [f"report:{id_}#viewer@user:{id_}" for id_ in ids]
        write(store, create=tuples)
        assert set(tuples) == texts(store)
        for id_ in ids:
            found = texts(store, TupleFilter(resource_type="report", resource_id=id_))
            assert {f"report:{id_}#viewer@user:{id_}"} == found

    # --- leaving without a commit

    def test_rollback(self, store: Store) -> None:
        """Leaving without a commit leaves no trace: no tuples, names, objects, schema or revision."""
        with store.transaction() as transaction:
            transaction.apply(create=many(*SAMPLE))
            transaction.write_schema("definition user {}", ["user"])
        assert EMPTY == store.head()
        with store.snapshot() as snapshot:
            assert snapshot.name_id("report") is None
            assert snapshot.schema(1) is None
            assert [] == list(snapshot.image().objects)
        assert set() == texts(store)

    def test_rollback_of_deletes(self, store: Store) -> None:
        """A delete that was not committed did not happen."""
        write(store, create=SAMPLE)
        with store.transaction() as transaction:
            transaction.apply(delete=many(*SAMPLE))
        assert set(SAMPLE) == texts(store)

    def test_numbers_of_a_rollback_are_given_again(self, store: Store) -> None:
        """After a rollback, its revision number and its names' numbers belong to whoever comes next."""
        with store.transaction() as transaction:
            transaction.apply(create=many("alpha:one#first@beta:two"))
        write(store, create=["gamma:three#second@delta:four"])
        assert {"gamma:three#second@delta:four"} == texts(store)
        assert 1 == store.head().number
        with store.snapshot() as snapshot:
            assert snapshot.name_id("alpha") is None

    def test_an_error_undoes_everything(self, store: Store) -> None:
        """After an error a transaction can only be left: even a commit is refused."""
        write(store, create=SAMPLE[:1])
        with store.transaction() as transaction:
            transaction.apply(create=many(SAMPLE[1]))
            with pytest.raises(AlreadyExists):
                transaction.apply(create=many(SAMPLE[0]))
            with pytest.raises(StoreUnavailable, match="transaction"):
                done(transaction)
        assert set(SAMPLE[:1]) == texts(store)

    def test_commit_is_once(self, store: Store) -> None:
        """A committed transaction takes no second commit and no more rows."""
        with store.transaction() as transaction:
            done(transaction)
            with pytest.raises(StoreUnavailable):
                done(transaction)
        assert 1 == store.head().number

    def test_an_exception_in_the_block(self, store: Store) -> None:
        """An exception in the caller's block rolls back, and the next write goes on."""

        def broken() -> None:
            with store.transaction() as transaction:
                transaction.apply(create=many(*SAMPLE))
                raise KeyError("the caller's own")

        with pytest.raises(KeyError, match="own"):
            broken()
        assert 1 == write(store, create=SAMPLE).number

    # --- requests

    def test_request(self, store: Store) -> None:
        """A request id finds what there is to know for a repetition; an unknown or empty one finds nothing."""
        commit = Commit("backend", "user:anna", "because", "r-1", b"hash", '{"a": 1}', NOW + 5, "[1]")
        revision = write(store, create=SAMPLE, commit=commit)
        write(store, delete=SAMPLE)
        with store.snapshot() as snapshot:
            assert (revision, "backend", b"hash", NOW + 5, "[1]") == snapshot.request("r-1")
            assert snapshot.request("r-2") is None
            assert snapshot.request("") is None
        with store.transaction() as transaction:
            assert (revision, "backend", b"hash", NOW + 5, "[1]") == transaction.request("r-1")

    def test_request_id_twice(self, store: Store) -> None:
        """A request id on record takes no second revision, and the write behind it is undone."""
        write(store, create=SAMPLE[:1], commit=Commit(request_id="r-1"))
        with pytest.raises(RequestIdReused, match=r"`r-1`"):
            write(store, create=SAMPLE[1:2], commit=Commit(request_id="r-1"))
        assert (set(SAMPLE[:1]), 1) == (texts(store), store.head().number)

    def test_empty_revision(self, store: Store) -> None:
        """A commit that changed nothing still takes a revision: whether to commit is the caller's decision."""
        assert [1, 2] == [write(store, commit=Commit(request_id=id_)).number for id_ in ("a", "")]
