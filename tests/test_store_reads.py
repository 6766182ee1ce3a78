"""The contract of stores, second part: what is read. Run through `test_store_contract.py`."""

from __future__ import annotations

from random import Random

import pytest

from relgraph.errors import (
    InvalidCursor,
    StoreUnavailable,
)
from relgraph.store.base import Commit, SchemaVersion, Store
from relgraph.tuples import RelationTuple, TupleFilter
from tests.store_kit import ALL, NOW, SAMPLE, done, many, numbers, pages, texts, write


class ReadsContract:
    """Reading by numbers and by filter, schema versions, and snapshots."""

    # --- reading by numbers

    def test_tuples_and_holders(self, store: Store) -> None:
        """Rows are found from the resource's side and from the subject's side."""
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot:
            resource, relation, anna, none = numbers(snapshot, "report:q1#viewer@user:anna")
            assert {anna, numbers(snapshot, "report:q1#viewer@user:*")[2]} == {
                row.subject for row in snapshot.tuples(resource, relation, 1)
            }
            assert [] == list(snapshot.tuples(resource, relation, 1, usersets=True))
            admin = numbers(snapshot, "report:q1#admin@group:board#member")
            (userset,) = snapshot.tuples(admin[0], admin[1], 1, usersets=True)
            assert admin == (userset.resource, userset.relation, userset.subject, userset.subject_relation)
            assert {"report:q1", "report:q2", "group:board"} == {
                f"{snapshot.name(type_)}:{key}"
                for type_, key in (snapshot.object(row.resource) for row in snapshot.holders(anna, none, 1))
            }
            board = numbers(snapshot, "report:q1#admin@group:board#member")
            assert 2 == len(list(snapshot.holders(board[2], board[3], 1)))
            assert [] == list(snapshot.holders(board[2], 0, 1))

    def test_tuple(self, store: Store) -> None:
        """One exact tuple is found, and a neighbour is not."""
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot:
            resource, relation, subject, _ = key = numbers(snapshot, SAMPLE[2])
            row = snapshot.tuple(*key, 1)
            assert row is not None
            assert (*key, 1, None, 0, None, None) == tuple(row)
            assert snapshot.tuple(resource, relation, subject, 0, 1) is None

    def test_numbers_and_names(self, store: Store) -> None:
        """Names and objects turn into numbers and back; an unknown one is None there, and KeyError back."""
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot:
            type_id = snapshot.name_id("report")
            assert type_id is not None
            object_id = snapshot.object_id(type_id, "q1")
            assert object_id is not None
            assert ("report", (type_id, "q1")) == (snapshot.name(type_id), snapshot.object(object_id))
            assert snapshot.name_id("unheard") is None
            assert snapshot.object_id(type_id, "Q1") is None
            with pytest.raises(KeyError):
                snapshot.name(10**9)
            with pytest.raises(KeyError):
                snapshot.object(10**9)

    def test_every_revision_can_be_read(self, store: Store) -> None:
        """Each kept revision reads as it was, from both sides and by filter, after random writes."""
        random, states = Random(3), [frozenset[str]()]
        pool = [f"report:q{n % 5}#viewer@user:u{n // 5}" for n in range(25)]
        for _ in range(40):
            chosen = set(random.sample(pool, 6))
            living = states[-1]
            write(store, delete=chosen & living, create=chosen - living)
            states.append((living | chosen) - (chosen & living))
        with store.snapshot() as snapshot:
            for at, state in enumerate(states):
                assert state == set(map(str, snapshot.read(ALL, at, NOW, None, 1000)))
                anna = {text for text in state if text.endswith("user:u3")}
                by_subject = TupleFilter(subject_type="user", subject_id="u3")
                assert anna == {str(t) for page in pages(snapshot, by_subject, 2, at) for t in page}
                _, relation, subject, none = numbers(snapshot, "report:q1#viewer@user:u3")
                assert len(anna) == len(list(snapshot.holders(subject, none, at)))
                resource = numbers(snapshot, "report:q2#viewer@user:u3")[0]
                expected = sum(text.startswith("report:q2#") for text in state)
                assert expected == len(list(snapshot.tuples(resource, relation, at)))

    # --- reading by filter

    @pytest.mark.parametrize(
        ("filter", "expected"),
        [
            (TupleFilter(resource_type="report"), SAMPLE[1:6]),
            (TupleFilter(resource_type="report", resource_id="q1"), SAMPLE[2:5]),
            (TupleFilter(resource_type="report", resource_id="*"), SAMPLE[1:2]),
            (TupleFilter(relation="member"), SAMPLE[6:]),
            (TupleFilter(subject_type="user"), SAMPLE[3:8]),
            (TupleFilter(subject_type="user", subject_id="*"), SAMPLE[3:4]),
            (TupleFilter(subject_type="user", subject_id="anna"), SAMPLE[4:7]),
            (TupleFilter(resource_type="group", subject_type="user", subject_id="anna"), SAMPLE[6:7]),
            (TupleFilter(subject_type="group", subject_id="board", subject_relation="member"), (SAMPLE[2], SAMPLE[8])),
            (TupleFilter(subject_type="group", subject_id="board", subject_relation=""), ()),
            (TupleFilter(subject_type="group", subject_relation="member"), (SAMPLE[1], SAMPLE[2], SAMPLE[8])),
            (TupleFilter(subject_type="folder", subject_relation=""), SAMPLE[:1]),
            (TupleFilter("report", "q1", "viewer", "user", "anna", ""), SAMPLE[4:5]),
            (TupleFilter(resource_type="unheard"), ()),
            (TupleFilter(resource_type="report", resource_id="Q1"), ()),
            (TupleFilter(relation="unheard"), ()),
            (TupleFilter("report", resource_id_prefix="q"), SAMPLE[2:6]),
            (TupleFilter("report", resource_id_prefix="q1"), SAMPLE[2:5]),
            (TupleFilter("report", resource_id_prefix="Q"), ()),
            (TupleFilter(resource_id_prefix="bo"), SAMPLE[6:8]),
            (TupleFilter(subject_type="user", subject_id="anna", resource_id_prefix="q"), SAMPLE[4:6]),
        ],
    )
    def test_filters(self, store: Store, filter: TupleFilter, expected: tuple[str, ...]) -> None:
        """A filter selects exactly what it names; `*` is a literal id."""
        write(store, create=SAMPLE)
        assert set(expected) == texts(store, filter)
        universal = sum(RelationTuple.parse(text).universal for text in expected)
        with store.snapshot() as snapshot:
            counted = [snapshot.count(filter, 1, NOW, universal=alone) for alone in (False, True)]
            assert ([len(expected), universal], 0) == (counted, snapshot.count(filter, 0, NOW))

    @pytest.mark.parametrize(
        "filter",
        [
            ALL,
            TupleFilter(resource_type="report"),
            TupleFilter(resource_type="report", resource_id="q1"),
            TupleFilter(subject_type="user", subject_id="u1"),
            TupleFilter(relation="viewer", subject_type="user"),
            TupleFilter(resource_type="report", resource_id_prefix="q"),
        ],
    )
    @pytest.mark.parametrize("size", [1, 3, 7, 1000])
    def test_pages(self, store: Store, filter: TupleFilter, size: int) -> None:
        """Pages of any size neither gap nor repeat, and are full but for the last."""
        tuples = [f"{kind}:q{n}#{relation}@user:u{(n * 7 + m) % 9}"
                  for kind in ("report", "folder") for relation in ("viewer", "owner")
                  for n in range(6) for m in range(3)]  # fmt: skip
        write(store, create=tuples)
        write(store, delete=tuples[::4])
        with store.snapshot() as snapshot:
            for at in (1, 2):
                whole = snapshot.read(filter, at, NOW, None, 1000)
                found = pages(snapshot, filter, size, at)
                assert whole == [tuple_ for page in found for tuple_ in page]
                assert len(whole) == len(set(whole)) == snapshot.count(filter, at, NOW)
                assert {size} >= {len(page) for page in found[:-1]}

    def test_pages_ascend_by_resource_id(self, store: Store) -> None:
        """Without a subject id, tuples of one type ascend by resource id, as bytes."""
        ids = ["b", "a", "B", "_", "0", "aa", "a-", "10", "9"]
        write(store, create=[f"report:{id_}#viewer@user:anna" for id_ in ids])
        with store.snapshot() as snapshot:
            found = snapshot.read(TupleFilter(resource_type="report"), 1, NOW, None, 100)
        assert sorted(ids) == [tuple_.resource.id for tuple_ in found]

    def test_pages_stay_at_their_revision(self, store: Store) -> None:
        """Reading on at the same revision is not disturbed by what was written since."""
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot:
            whole = snapshot.read(ALL, 1, NOW, None, 100)
        write(store, delete=[str(whole[3]), str(whole[4])], create=["report:q1a#viewer@user:new"])
        with store.snapshot() as snapshot:
            assert whole == [tuple_ for page in pages(snapshot, ALL, 2, at=1) for tuple_ in page]

    def test_cursor_of_nothing(self, store: Store) -> None:
        """A cursor at a tuple whose names the store does not know is refused."""
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot, pytest.raises(InvalidCursor, match=r"`report:q9#viewer@user:nobody`"):
            snapshot.read(ALL, 1, NOW, RelationTuple.parse("report:q9#viewer@user:nobody"), 10)

    # --- schemas

    def test_schema_versions(self, store: Store) -> None:
        """A schema is in force from its revision on, and the older ones stay readable."""
        for text in ("definition user {}", "definition users {}"):
            with store.transaction() as transaction:
                transaction.write_schema(text, ["user"])
                done(transaction)
            write(store, touch=SAMPLE)
        with store.snapshot() as snapshot:
            first, second = SchemaVersion(1, "definition user {}"), SchemaVersion(3, "definition users {}")
            assert [None, first, first, second, second] == [snapshot.schema(n) for n in range(5)]
            assert (first, second) == snapshot.image().schemas

    def test_schema_names_have_numbers(self, store: Store) -> None:
        """Every name of a committed schema has a number, even before the first tuple."""
        with store.transaction() as transaction:
            transaction.write_schema("…", ["user", "report", "viewer", "user"])
            done(transaction)
        with store.snapshot() as snapshot:
            found = {snapshot.name_id(name) for name in ("user", "report", "viewer")}
            assert ["report", "user", "viewer"] == sorted(name for _, name in snapshot.image().names)
        assert 3 == len(found - {None, 0})

    def test_the_same_schema_changes_nothing(self, store: Store) -> None:
        """Writing the schema that is in force is no change; another text is."""
        with store.transaction() as transaction:
            transaction.write_schema("definition user {}", ["user"])
            assert transaction.changed
            done(transaction)
        with store.transaction() as transaction:
            transaction.write_schema("definition user {}", ["user"])
            assert not transaction.changed
            transaction.write_schema("definition user {} ", ["user"])
            assert transaction.changed

    def test_kinds(self, store: Store) -> None:
        """Kinds count the living tuples, this write's own included, each with an example of its own."""
        write(store, create=SAMPLE)
        with store.transaction() as transaction:
            transaction.apply(delete=many("report:q2#viewer@user:anna"), create=many("report:q3#viewer@user:bob"))
            found = list(transaction.kinds())
        counts = {kind[:7]: kind.living for kind in found}
        assert {
            ("folder", "parent", "folder", "", False, False, False): 1,
            ("report", "admin", "group", "member", False, True, False): 1,
            ("report", "admin", "group", "member", False, False, False): 1,
            ("report", "viewer", "user", "", True, False, False): 1,
            ("report", "viewer", "user", "", False, False, False): 2,
            ("group", "member", "user", "", False, False, False): 2,
            ("group", "member", "group", "member", False, False, False): 1,
        } == counts
        examples = {str(kind.example) for kind in found}
        assert len(found) == len(examples)
        assert examples < {*SAMPLE, "report:q3#viewer@user:bob"}

    # --- snapshots

    def test_snapshots_are_pinned(self, store: Store) -> None:
        """A snapshot shows nothing of what is committed after it was opened: rows, names, schema or head."""
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot:
            key = numbers(snapshot, SAMPLE[0])
            with store.transaction() as transaction:
                transaction.apply(delete=many(SAMPLE[0]), create=many("fresh:one#fresh@fresh:two"))
                transaction.write_schema("definition fresh {}", ["fresh"])
                done(transaction, Commit(request_id="later"))
            assert 2 == store.head().number
            assert 1 == snapshot.head.number
            assert snapshot.revision(2) is None
            assert snapshot.name_id("fresh") is None
            assert snapshot.schema(2) is None
            assert snapshot.request("later") is None
            row = snapshot.tuple(*key, 2)
            assert row is not None
            assert row.deleted is None
            assert set(SAMPLE) == set(map(str, snapshot.read(ALL, 2, NOW, None, 100)))
            assert len(SAMPLE) == len(list(snapshot.image().rows))
            assert "fresh" not in {name for _, name in snapshot.changes(0, 0, 0).names}

    def test_snapshots_do_not_see_a_write_in_the_making(self, store: Store) -> None:
        """Before its commit a write shows nowhere, in snapshots opened before it or during it."""
        write(store, create=SAMPLE)
        with store.transaction() as transaction:
            transaction.apply(delete=many(SAMPLE[0]), create=many("fresh:one#fresh@fresh:two"))
            with store.snapshot() as snapshot:
                assert store.head() == snapshot.head
                assert set(SAMPLE) == set(map(str, snapshot.read(ALL, 2, NOW, None, 100)))
                assert snapshot.name_id("fresh") is None
                changes = snapshot.changes(0, 0, 0)
                assert {None} == {row.deleted for row in changes.rows}
                assert "fresh" not in {name for _, name in changes.names}
                assert len(SAMPLE) == len(list(snapshot.image().rows))
                assert ("fresh", "one") not in [
                    (snapshot.name(type_), key) for _, type_, key in snapshot.image().objects
                ]

    def test_a_transaction_reads_before_and_after_itself(self, store: Store) -> None:
        """A transaction reads the state before its own rows at its head, and with them at its number."""
        write(store, create=SAMPLE[:2])
        with store.transaction() as transaction:
            transaction.apply(delete=many(SAMPLE[0]), create=many(SAMPLE[4]))
            before, after = (
                set(map(str, transaction.read(ALL, at, NOW, None, 10)))
                for at in (transaction.head.number, transaction.number)
            )
        assert (set(SAMPLE[:2]), {SAMPLE[1], SAMPLE[4]}) == (before, after)

    def test_left_snapshots_refuse(self, store: Store) -> None:
        """A snapshot that was left refuses, and closing it again is fine."""
        write(store, create=SAMPLE)
        with store.snapshot() as snapshot:
            pass
        snapshot.close()
        with pytest.raises(StoreUnavailable, match="snapshot"):
            snapshot.name_id("report")

    def test_half_read_iterations_hold_nothing(self, store: Store) -> None:
        """A snapshot left in the middle of an iteration does not make later ones see old data."""
        write(store, create=SAMPLE)
        for n in range(3):
            with store.snapshot() as snapshot:
                rows = snapshot.image().rows
                next(rows)
            write(store, create=[f"report:new#viewer@user:u{n}"])
            with store.snapshot() as snapshot:
                assert len(SAMPLE) + n + 1 == len(list(snapshot.image().rows))

    def test_many_snapshots_at_once(self, store: Store) -> None:
        """Any number of snapshots may be open together, each at its own revision."""
        opened = []
        for n in range(20):
            write(store, create=[f"report:q{n}#viewer@user:anna"])
            opened.append(store.snapshot())
        for n, snapshot in enumerate(opened):
            assert n + 1 == len(snapshot.read(ALL, n + 1, NOW, None, 100))
            snapshot.close()
