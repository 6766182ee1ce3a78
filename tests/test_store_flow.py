"""The contract of stores, third part: many rows and many users. Run through `test_store_contract.py`."""

from __future__ import annotations

import threading
from itertools import pairwise
from random import Random

import pytest

from relgraph.errors import (
    AlreadyExists,
    RevisionUnavailable,
    StoreUnavailable,
)
from relgraph.store.base import EMPTY, SchemaVersion, Store
from relgraph.tuples import TupleFilter
from tests.store_kit import ALL, NOW, SAMPLE, done, loading, many, numbers, pages, texts, write


class FlowContract:
    """Following, loading in bulk, threads, and closing."""

    # --- following

    def test_image(self, store: Store) -> None:
        """An image holds the living rows with every name and object they use, in the order of their numbers."""
        write(store, create=SAMPLE)
        write(store, delete=SAMPLE[:2])
        with store.snapshot() as snapshot:
            image = snapshot.image()
            names, rows = dict(image.names), list(image.rows)
            objects = {id_: f"{names[type_]}:{key}" for id_, type_, key in image.objects}
            head = image.head
        assert store.head() == head
        spelled = {
            f"{objects[row.resource]}#{names[row.relation]}@{objects[row.subject]}"
            + (f"#{names[row.subject_relation]}" if row.subject_relation else "")
            for row in rows
        }
        assert set(SAMPLE[2:]) == spelled
        keys = [row[:4] for row in rows]
        assert sorted(keys) == keys
        assert sorted(objects) == list(objects)

    def test_changes(self, store: Store) -> None:
        """Changes hold each row created or deleted since, once, and only the names that are new to the follower."""
        write(store, create=SAMPLE[:3])
        with store.snapshot() as snapshot:
            image = snapshot.image()
            name_max = max(id_ for id_, _ in image.names)
            object_max = max(id_ for id_, _, _ in image.objects)
        write(store, delete=SAMPLE[:1], create=["fresh:one#fresh@user:anna"])
        last = write(store, delete=["fresh:one#fresh@user:anna"], create=SAMPLE[4:5])
        with store.snapshot() as snapshot:
            changes = snapshot.changes(1, name_max, object_max)
        assert last == changes.head
        assert [2, 3] == [revision.number for revision, _ in changes.chain]
        assert [(1, 2), (2, 3), (3, None)] == sorted((row.created, row.deleted) for row in changes.rows)
        assert {"fresh", "user", "viewer"} == {name for _, name in changes.names}
        assert {"one", "anna", "q1"} >= {key for _, _, key in changes.objects} >= {"one", "anna"}

    def test_changes_of_schemas(self, store: Store) -> None:
        """Changes hold the schema versions since."""
        for text in ("one", "two"):
            with store.transaction() as transaction:
                transaction.write_schema(text, [])
                done(transaction)
        with store.snapshot() as snapshot:
            assert (SchemaVersion(2, "two"),) == snapshot.changes(1, 0, 0).schemas

    def test_no_changes(self, store: Store) -> None:
        """At the head there is nothing to follow."""
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot:
            changes = snapshot.changes(1, 10**6, 10**6)
        assert ((), [], [], [], ()) == (
            changes.chain, changes.rows, changes.names, changes.objects, changes.schemas,
        )  # fmt: skip

    @pytest.mark.parametrize("after", [2, -1, 2**63])
    def test_changes_that_cannot_be_told(self, store: Store, after: int) -> None:
        """Following from a revision that the store does not have is refused."""
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot, pytest.raises(RevisionUnavailable):
            snapshot.changes(after, 0, 0)

    def test_following_equals_reading(self, store: Store) -> None:
        """An image with all later changes applied is the image of the head."""
        random = Random(5)
        pool = [f"report:q{n % 6}#viewer@user:u{n // 6}" for n in range(36)]
        write(store, create=pool[:10])
        with store.snapshot() as snapshot:
            mine = {row[:4]: row for row in snapshot.image().rows}
            at = snapshot.head.number
        for _ in range(30):
            write(store, delete=random.sample(pool, 5), touch=random.sample(pool, 3))
            if random.random() < 0.5:
                with store.snapshot() as snapshot:
                    rows = snapshot.changes(at, 0, 0).rows
                    at = snapshot.head.number
                for row in sorted(rows, key=lambda row: row.created):
                    if row.deleted is None:
                        mine[row[:4]] = row
                    elif row[:4] in mine and mine[row[:4]].created <= row.created:
                        del mine[row[:4]]
        with store.snapshot() as snapshot:
            for row in sorted(snapshot.changes(at, 0, 0).rows, key=lambda row: row.created):
                if row.deleted is None:
                    mine[row[:4]] = row
                else:
                    mine.pop(row[:4], None)
            assert {row[:4]: row for row in snapshot.image().rows} == mine

    def test_objects_in_history(self, store: Store) -> None:
        """History names objects of deleted tuples too, and `*` is no object."""
        write(store, create=SAMPLE)
        write(store, delete=SAMPLE)
        with store.snapshot() as snapshot:
            found = [
                f"{snapshot.name(type_)}:{key}" for type_, key in snapshot.objects_in_history(snapshot.head.number)
            ]
        assert sorted(
            ["folder:a", "folder:root", "report:q1", "report:q2", "group:board", "group:root", "user:anna", "user:Anna"]
        ) == sorted(found)

    # --- bulk

    def test_load(self, store: Store) -> None:
        """A load creates all its tuples, as one revision."""
        with loading(store, many(*SAMPLE)) as transaction:
            assert len(SAMPLE) == transaction.load()
            done(transaction)
        assert set(SAMPLE) == texts(store)
        assert 1 == store.head().number

    def test_load_beside_others(self, store: Store) -> None:
        """A load into a store that knows some of the names and objects already uses them."""
        write(store, create=SAMPLE[:5])
        with loading(store, many(*SAMPLE[5:])) as transaction:
            transaction.load()
            transaction.apply(create=many("report:q7#viewer@user:anna"))
            done(transaction)
        assert {*SAMPLE, "report:q7#viewer@user:anna"} == texts(store)
        with store.snapshot() as snapshot:
            objects = [(type_, key) for _, type_, key in snapshot.image().objects]
        assert len(set(objects)) == len(objects)

    def test_load_of_an_existing_tuple(self, store: Store) -> None:
        """With "error" a living tuple is refused by its text, and nothing stays."""
        write(store, create=SAMPLE[2:3])
        with (
            loading(store, many(*SAMPLE)) as transaction,
            pytest.raises(AlreadyExists, match=r"`report:q1#admin@group:board#m"),
        ):
            transaction.load()
        assert set(SAMPLE[2:3]) == texts(store)

    def test_load_of_a_repetition(self, store: Store) -> None:
        """With "error" a tuple that the input names twice is refused by its text."""
        with (
            loading(store, many(*SAMPLE, SAMPLE[0])) as transaction,
            pytest.raises(AlreadyExists, match=r"`folder:a#parent@folder:root`"),
        ):
            transaction.load()
        assert EMPTY == store.head()

    @pytest.mark.parametrize("on_duplicate", ["touch", "skip"])
    def test_load_over_duplicates(self, store: Store, on_duplicate: str) -> None:
        """Otherwise duplicates count once, and living tuples keep their row."""
        assert on_duplicate in {"touch", "skip"}
        write(store, create=SAMPLE[:2])
        with loading(store, many(*SAMPLE, *SAMPLE)) as transaction:
            loaded = transaction.load("touch" if on_duplicate == "touch" else "skip")
            done(transaction)
        assert (len(SAMPLE) - 2, set(SAMPLE)) == (loaded, texts(store))
        with store.snapshot() as snapshot:
            row = snapshot.tuple(*numbers(snapshot, SAMPLE[0]), 2)
        assert row is not None
        assert 1 == row.created

    def test_load_after_deletes(self, store: Store) -> None:
        """A tuple that was deleted may be loaded again, and its past stays."""
        write(store, create=SAMPLE)
        write(store, delete=SAMPLE)
        with loading(store, many(*SAMPLE)) as transaction:
            transaction.load()
            done(transaction)
        assert [set(SAMPLE), set(), set(SAMPLE)] == [texts(store, at=n) for n in (1, 2, 3)]

    def test_load_that_fails(self, store: Store) -> None:
        """A load that raises leaves nothing behind, and the transaction refuses to go on."""
        with loading(store, many(*SAMPLE, SAMPLE[3])) as transaction:
            with pytest.raises(AlreadyExists):
                transaction.load()
            with pytest.raises(StoreUnavailable):
                transaction.apply(create=many(SAMPLE[0]))
        assert EMPTY == store.head()
        assert set() == texts(store)

    def test_load_of_many(self, store: Store) -> None:
        """70,000 tuples with long ids and case pairs are exact, from both sides, at both revisions around a change."""
        pad = "x" * 1000
        wide = [f"report:{pad if n % 100 == 0 else ''}{'R' if n % 2 else 'r'}{n // 2}#viewer@user:u{n % 50}"
                for n in range(70_000)]  # fmt: skip
        with loading(store, many(*wide)) as transaction:
            assert 70_000 == transaction.load()
            done(transaction)
        assert set(wide) == texts(store)
        by_subject = TupleFilter(subject_type="user", subject_id="u7")
        assert {text for text in wide if text.endswith("@user:u7")} == texts(store, by_subject)
        with store.transaction() as transaction:
            assert 35_000 == transaction.apply(delete=many(*wide[::2]))
            done(transaction)
        assert set(wide[1::2]) == texts(store)
        with store.snapshot() as snapshot:
            assert 35_000 == len(snapshot.changes(1, 0, 0).rows)
            assert 70_000 == sum(len(page) for page in pages(snapshot, ALL, 9_999, at=1))

    # --- threads and closing

    def test_threads(self, store: Store) -> None:
        """Writers and readers in many threads: no revision is lost, and each view is one whole revision."""
        problems: list[object] = []

        def writer(name: str) -> None:
            for n in range(15):
                write(store, create=[f"report:{name}{n}#viewer@user:a", f"report:{name}{n}#viewer@user:b"])

        def reader() -> None:
            last = 0
            while last < 60:
                with store.snapshot() as snapshot:
                    head = snapshot.head.number
                    found = len(snapshot.read(ALL, head, NOW, None, 1000))
                    if found != 2 * head or head < last:
                        problems.append((head, found, last))
                last = max(head, store.head().number)

        threads = [threading.Thread(target=writer, args=(name,)) for name in "abcd"]
        threads += [threading.Thread(target=reader) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert ([], 60) == (problems, store.head().number)
        with store.snapshot() as snapshot:
            chain = snapshot.changes(0, 0, 0).chain
        assert all(left.nonce == predecessor for (left, _), (_, predecessor) in pairwise(chain))

    def test_waiting(self, store: Store) -> None:
        """Who waits for a commit hears of it, at once where it has happened already, and of silence at the end."""
        known = store.head()
        assert not store.wait(known, 0)
        assert not store.wait(known, 0.01)
        revision = write(store, create=SAMPLE)
        assert store.wait(known, 60)
        heard: list[bool] = []
        threads = [threading.Thread(target=lambda: heard.append(store.wait(revision, 60))) for _ in range(3)]
        for thread in threads:
            thread.start()
        write(store, delete=SAMPLE)
        for thread in threads:
            thread.join(60)
        assert [True] * 3 == heard

    def test_readers_do_not_wait(self, store: Store) -> None:
        """While a write is in the making, another thread opens a snapshot and reads it to the end."""
        write(store, create=SAMPLE)
        found: list[set[str]] = []
        with store.transaction() as transaction:
            transaction.apply(delete=many(*SAMPLE))
            thread = threading.Thread(target=lambda: found.append(texts(store)))
            thread.start()
            thread.join(30)
            assert not thread.is_alive()
        assert [set(SAMPLE)] == found

    def test_close(self, store: Store) -> None:
        """A closed store refuses everything, and closing again is fine."""
        write(store, create=SAMPLE)
        snapshot = store.snapshot()
        snapshot.close()
        store.close()
        store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            store.head()
        with pytest.raises(StoreUnavailable, match="closed"):
            store.snapshot()
        with pytest.raises(StoreUnavailable, match="closed"), store.transaction():
            pass
