"""The contract of stores, fourth part: tuples that expire, and the revision of a time. See `test_store_contract.py`."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from relgraph.errors import AlreadyExists
from relgraph.store.base import EMPTY, NumberedRow
from relgraph.tuples import TupleFilter
from tests.store_kit import ALL, MICROSECOND, NOW, done, loading, many, numbers, pages, texts, until, write

if TYPE_CHECKING:
    from relgraph.revision import Revision
    from relgraph.store.base import OnDuplicate, Store
    from tests.store_kit import FakeClock

PLAIN = "report:q1#viewer@user:anna"
SOON = until(PLAIN, NOW + 10)
LATER = until(PLAIN, NOW + 20)
GONE = until(PLAIN, NOW - 10)


def rows(store: Store) -> list[NumberedRow]:
    """Every version of every tuple, in order."""
    with store.snapshot() as snapshot:
        return sorted(snapshot.changes(0, 0, 0).rows, key=lambda row: row.created)


def versions(store: Store) -> list[tuple[int, int | None, int | None]]:
    """When each version was created and deleted, and how far from NOW it expires."""
    return [(row.created, row.deleted, None if row.expires is None else row.expires - NOW) for row in rows(store)]


class ExpirationsContract:
    """Writing, deleting, loading, counting and reading what expires; finding revisions by time."""

    # --- writing

    def test_an_expiration_is_kept(self, store: Store) -> None:
        """A tuple comes back with its expiration, to the microsecond, in every way of reading."""
        exact = until(PLAIN, NOW + 1_234_567)
        write(store, create=[exact])
        assert {exact} == texts(store)
        assert {exact} == texts(store, TupleFilter(subject_type="user", subject_id="anna"))
        with store.snapshot() as snapshot:
            key = numbers(snapshot, PLAIN)
            row = snapshot.tuple(*key, 1)
            assert row is not None
            assert NOW + 1_234_567 == row.expires
            assert [row] == list(snapshot.image().rows)
            assert [row] == list(snapshot.tuples(*key[:2], 1))
            assert [row] == list(snapshot.holders(*key[2:], 1))
            assert [row] == snapshot.changes(0, 0, 0).rows

    @pytest.mark.parametrize("there", [PLAIN, SOON])
    @pytest.mark.parametrize("new", [PLAIN, SOON, LATER, GONE])
    def test_create_over_a_living_tuple(self, store: Store, there: str, new: str) -> None:
        """Creating what lives is refused, whatever either expiration is, even one that has passed."""
        write(store, create=[there])
        with store.transaction() as transaction, pytest.raises(AlreadyExists) as caught:
            transaction.apply(create=many(new))
        assert {"tuple": new} == caught.value.details
        assert {there} == texts(store)

    @pytest.mark.parametrize("new", [PLAIN, SOON, LATER, GONE])
    def test_create_over_an_expired_tuple(self, store: Store, clock: FakeClock, new: str) -> None:
        """Creating over an expired tuple succeeds: the old row ends in this revision, and its past stays."""
        write(store, create=[SOON])
        clock.now = NOW + 10
        with store.transaction() as transaction:
            assert 1 == transaction.apply(create=many(new))
            done(transaction)
        assert [(1, 2), (2, None)] == [version[:2] for version in versions(store)]
        assert {SOON} == texts(store, at=1, now=NOW + 9)

    def test_an_expired_tuple_is_absent_at_its_instant(self, store: Store, clock: FakeClock) -> None:
        """A tuple counts before its instant only: a microsecond earlier it lives, at that instant it can be created."""
        write(store, create=[SOON])
        clock.now = NOW + 9
        with store.transaction() as transaction, pytest.raises(AlreadyExists):
            transaction.apply(create=many(PLAIN))
        clock.now = NOW + 10
        assert 2 == write(store, create=[PLAIN]).number

    @pytest.mark.parametrize(
        ("there", "new"),
        [pair for pair in product([PLAIN, SOON, LATER, GONE], repeat=2) if pair[0] != pair[1]],
    )
    def test_touch_with_another_expiration(self, store: Store, there: str, new: str) -> None:
        """Touching with another expiration, or none, replaces the tuple and counts, one that has passed included."""
        write(store, touch=[there])
        with store.transaction() as transaction:
            assert 1 == transaction.apply(touch=many(new))
            done(transaction)
        assert [(1, 2), (2, None)] == [version[:2] for version in versions(store)]
        assert {new} - {GONE} == texts(store)
        assert {there} - {GONE} == texts(store, at=1)

    @pytest.mark.parametrize("text", [PLAIN, SOON, GONE])
    def test_touch_with_the_same_expiration(self, store: Store, text: str) -> None:
        """Touching with an equal expiration changes nothing, passed or not."""
        write(store, touch=[text])
        with store.transaction() as transaction:
            assert 0 == transaction.apply(touch=many(text))
            assert not transaction.changed

    def test_delete_of_what_expires_later(self, store: Store) -> None:
        """Deleting a tuple that expires later takes it away, named with or without its expiration."""
        write(store, create=[SOON, "report:q2#viewer@user:anna"])
        with store.transaction() as transaction:
            assert 2 == transaction.apply(delete=many(PLAIN, until("report:q2#viewer@user:anna", NOW)))
            done(transaction)
        assert set() == texts(store)

    def test_delete_of_an_expired_tuple(self, store: Store, clock: FakeClock) -> None:
        """Deleting an expired tuple changes nothing and counts nothing, and its row stays for the past."""
        write(store, create=[SOON])
        clock.now = NOW + 10
        with store.transaction() as transaction:
            assert 0 == transaction.apply(delete=many(SOON))
            assert not transaction.changed
            done(transaction)
        assert [(1, None, 10)] == versions(store)

    def test_absent_from_birth(self, store: Store) -> None:
        """A tuple already expired may be written, counts as a change, and is never seen but as a row."""
        with store.transaction() as transaction:
            assert 1 == transaction.apply(create=many(GONE))
            done(transaction)
        assert set() == texts(store)
        assert [(1, None, -10)] == versions(store)
        assert 2 == write(store, create=[PLAIN]).number

    def test_replaced_within_one_write(self, store: Store) -> None:
        """What one write puts and replaces leaves one row; what it deletes and creates with another end leaves two."""
        with store.transaction() as transaction:
            transaction.apply(create=many(SOON))
            assert 1 == transaction.apply(touch=many(LATER))
            done(transaction)
        assert [(1, None, 20)] == versions(store)
        write(store, delete=[PLAIN], create=[SOON])
        assert [(1, 2, 20), (2, None, 10)] == versions(store)

    def test_the_stamp_judges(self, store: Store, clock: FakeClock) -> None:
        """Whether a tuple has expired is judged by the write's stamp, which does not go back with the clock."""
        write(store, create=[SOON])
        clock.now = NOW + 15
        write(store, create=["report:q2#viewer@user:anna"])
        clock.now = NOW
        assert 3 == write(store, create=[PLAIN]).number

    # --- loading

    @pytest.mark.parametrize(
        ("on_duplicate", "there", "new", "changed", "after"),
        [
            ("touch", SOON, LATER, 1, LATER),
            ("touch", SOON, PLAIN, 1, PLAIN),
            ("touch", PLAIN, SOON, 1, SOON),
            ("touch", SOON, SOON, 0, SOON),
            ("touch", GONE, SOON, 1, SOON),
            ("touch", GONE, GONE, 0, None),
            ("skip", SOON, LATER, 0, SOON),
            ("skip", PLAIN, SOON, 0, PLAIN),
            ("skip", GONE, SOON, 1, SOON),
            ("skip", GONE, GONE, 0, None),
            ("error", GONE, SOON, 1, SOON),
        ],
    )
    def test_load_over_what_is_there(
        self, store: Store, on_duplicate: OnDuplicate, there: str, new: str, changed: int, after: str | None
    ) -> None:
        """A load touches, skips or creates as a write would: what has expired is no duplicate."""
        write(store, create=[there])
        with loading(store, many(new)) as transaction:
            assert changed == transaction.load(on_duplicate)
            done(transaction)
        assert ({after} if after else set()) == texts(store)

    def test_load_over_a_living_tuple_is_refused(self, store: Store) -> None:
        """With "error", a living tuple refuses the load by the new tuple's text, whatever the expirations."""
        write(store, create=[SOON])
        with loading(store, many(LATER)) as transaction, pytest.raises(AlreadyExists) as caught:
            transaction.load()
        assert {"tuple": LATER} == caught.value.details

    @pytest.mark.parametrize("filled", [False, True])
    @pytest.mark.parametrize(
        ("on_duplicate", "given", "after"),
        [
            ("touch", (SOON, LATER), LATER),
            ("touch", (LATER, PLAIN, SOON), SOON),
            ("touch", (SOON, PLAIN), PLAIN),
            ("skip", (SOON, LATER), SOON),
            ("skip", (PLAIN, SOON), PLAIN),
            ("skip", (GONE, SOON, LATER), SOON),
        ],
    )
    def test_load_of_one_key_twice(
        self, store: Store, on_duplicate: OnDuplicate, given: tuple[str, ...], after: str, filled: bool
    ) -> None:
        """Of one key with several expirations, touch keeps the last and skip the first that lives; it counts once."""
        if filled:
            write(store, create=["report:q2#viewer@user:anna"])
        with loading(store, many(*given)) as transaction:
            assert 1 == transaction.load(on_duplicate)
            done(transaction)
        assert {after} == texts(store, TupleFilter("report", "q1"))

    @pytest.mark.parametrize("given", [(SOON, LATER), (PLAIN, SOON), (GONE, SOON)])
    def test_load_of_one_key_twice_is_refused(self, store: Store, given: tuple[str, str]) -> None:
        """With "error", one key with two expirations is refused by the second's text, and nothing stays."""
        with loading(store, many(*given)) as transaction, pytest.raises(AlreadyExists) as caught:
            transaction.load()
        assert {"tuple": given[1]} == caught.value.details
        assert EMPTY == store.head()

    # --- counting

    def test_kinds_of_what_expires(self, store: Store, clock: FakeClock) -> None:
        """Kinds tell tuples that expire from those that do not, with examples that say so, and count no expired one."""
        others = [until(f"report:q{n}#viewer@user:bob", NOW + 100) for n in range(3)]
        write(store, create=[SOON, GONE.replace("q1", "q0"), "report:q2#viewer@user:anna", *others])
        for now, expiring in ((NOW, 4), (NOW + 10, 3)):
            clock.now = now
            with store.transaction() as transaction:
                kinds = {kind.expiration: kind for kind in transaction.kinds()}
            assert {False: 1, True: expiring} == {each: kind.living for each, kind in kinds.items()}
            assert "report:q2#viewer@user:anna" == str(kinds[False].example)
            assert str(kinds[True].example) in {*others, SOON}
        clock.now = NOW + 100
        with store.transaction() as transaction:
            assert [False] == [kind.expiration for kind in transaction.kinds()]

    # --- reading

    @pytest.mark.parametrize("by_subject", [False, True])
    @pytest.mark.parametrize("size", [1, 2, 7, 100])
    def test_pages_of_one_instant(self, store: Store, by_subject: bool, size: int) -> None:
        """At each instant pages hold what lives then, once each, full but for the last."""
        tuples = {n: until(f"report:q{n:02}#viewer@user:anna", NOW + n) for n in range(1, 20)}
        write(store, create=tuples.values())
        write(store, delete=[tuples[5], tuples[6]])
        filter_ = TupleFilter(subject_type="user", subject_id="anna") if by_subject else ALL
        with store.snapshot() as snapshot:
            for at, now in product((1, 2), (0, 4, 9, 19)):
                found = pages(snapshot, filter_, size, at, NOW + now)
                expected = [text for n, text in tuples.items() if n > now and not (at == 2 and n in (5, 6))]
                assert sorted(expected) == sorted(str(tuple_) for page in found for tuple_ in page)
                assert {size} >= {len(page) for page in found[:-1]}

    def test_a_page_may_end_at_what_expires(self, store: Store) -> None:
        """A page goes on behind a tuple that expires, was replaced, or has meanwhile been written without an end."""
        write(store, create=[until(f"report:q{n}#viewer@user:anna", NOW + 10) for n in range(4)])
        with store.snapshot() as snapshot:
            last = snapshot.read(ALL, 1, NOW, None, 2)[-1]
        write(store, touch=["report:q1#viewer@user:anna"])
        with store.snapshot() as snapshot:
            ids = [tuple_.resource.id for tuple_ in snapshot.read(ALL, 1, NOW, last, 10)]
            assert ["q2", "q3"] == ids
            assert [] == snapshot.read(ALL, 1, NOW + 10, last, 10)

    def test_rows_leave_expirations_to_their_reader(self, store: Store) -> None:
        """Rows are handed out whether or not they have expired."""
        write(store, create=[GONE])
        with store.snapshot() as snapshot:
            key = numbers(snapshot, PLAIN)
            assert snapshot.tuple(*key, 1) is not None
            assert 1 == len(list(snapshot.tuples(*key[:2], 1)))
            assert 1 == len(list(snapshot.holders(*key[2:], 1)))
            assert 1 == len(list(snapshot.image().rows))

    # --- revisions by time

    def test_revision_at(self, store: Store, clock: FakeClock) -> None:
        """The revision of a time is the last one stamped up to it, and the empty store before the first."""
        made: list[Revision] = []
        for step in (0, 0, 5 * MICROSECOND, -MICROSECOND, MICROSECOND):
            clock.now += step
            made.append(write(store, touch=[f"report:q{len(made)}#viewer@user:anna"]))
        with store.snapshot() as snapshot:
            for instant, expected in (
                (NOW - 1, EMPTY),
                (NOW, made[1]),
                (NOW + 1, made[1]),
                (NOW + 5 * MICROSECOND - 1, made[1]),
                (NOW + 5 * MICROSECOND, made[4]),
                (NOW + 99 * MICROSECOND, made[4]),
            ):
                assert expected == snapshot.revision_at(instant)
            assert snapshot.revision_at(-1) is None

    def test_revision_at_of_a_pinned_view(self, store: Store, clock: FakeClock) -> None:
        """A snapshot, and a transaction, find no revision beyond their head."""
        first = write(store, touch=["report:q1#viewer@user:anna"])
        with store.snapshot() as snapshot:
            clock.now += 1
            write(store, touch=["report:q2#viewer@user:anna"])
            assert first == snapshot.revision_at(clock.now)
        with store.transaction() as transaction:
            assert 2 == transaction.head.number
            assert transaction.head == transaction.revision_at(clock.now + 1)
