"""The contract of stores, part nine: tuples under caveats, with contexts. See `test_store_contract.py`."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from relgraph.contexts import EMPTY, Context
from relgraph.errors import AlreadyExists
from relgraph.store.base import NumberedRow
from relgraph.tuples import RelationTuple, TupleFilter
from tests.store_kit import ALL, NOW, done, loading, many, numbers, pages, texts, until, write

if TYPE_CHECKING:
    from relgraph.store.base import OnDuplicate, Store
    from tests.store_kit import FakeClock

PLAIN = "report:q1#viewer@user:anna"
BARE = f"{PLAIN}[near]"
NORTH = f'{PLAIN}[near:{{"site":"north"}}]'
OTHER = f'{PLAIN}[late:{{"site":"north"}}]'
ONE = f'{PLAIN}[near:{{"site":1}}]'
TRUE = f'{PLAIN}[near:{{"site":true}}]'
ALL_KINDS = [PLAIN, BARE, NORTH, OTHER, ONE, TRUE, until(NORTH, NOW + 10)]
LONGEST = str(RelationTuple(*RelationTuple.parse(PLAIN).key, None, "near", Context.of({"text": "x" * 24_980})))


def versions(store: Store) -> list[tuple[int, int | None, str, Context]]:
    """When each version was created and deleted, and under which caveat and context it stands."""
    with store.snapshot() as snapshot:
        rows = sorted(snapshot.changes(0, 0, 0).rows, key=lambda row: row.created)
        return [
            (row.created, row.deleted, snapshot.name(row.caveat) if row.caveat else "", Context.stored(row.context))
            for row in rows
        ]


class CaveatsContract:
    """Writing, deleting, loading, reading and following what counts under a caveat."""

    @pytest.mark.parametrize("text", [*ALL_KINDS, LONGEST])
    def test_a_caveat_is_kept(self, store: Store, text: str) -> None:
        """A tuple comes back with its caveat and its context in every way of reading, an empty one as nothing."""
        write(store, create=[text])
        wanted = RelationTuple.parse(text)
        for filter_ in (ALL, TupleFilter("report", "q1"), TupleFilter(subject_type="user", subject_id="anna")):
            assert {text} == texts(store, filter_)
        with store.snapshot() as snapshot:
            key = numbers(snapshot, text)
            row = snapshot.tuple(*key, 1)
            assert row is not None
            name = snapshot.name_id(wanted.caveat) if wanted.caveat else 0
            assert NumberedRow(*key, 1, None, name or 0, wanted.expires, wanted.context.as_stored) == row
            assert [row] == list(snapshot.image().rows)
            assert [row] == list(snapshot.tuples(*key[:2], 1))
            assert [row] == list(snapshot.holders(*key[2:], 1))
            assert [row] == snapshot.changes(0, 0, 0).rows
            assert ((name, wanted.caveat) in snapshot.image().names) == bool(wanted.caveat)
            assert Context.stored(row.context) == wanted.context
            assert (row.context is None) == (wanted.context is EMPTY)

    @pytest.mark.parametrize(("there", "new"), list(product([PLAIN, NORTH], ALL_KINDS)))
    def test_create_over_another_caveat(self, store: Store, there: str, new: str) -> None:
        """Creating what lives is refused, whatever either says beside its key."""
        write(store, create=[there])
        with store.transaction() as transaction, pytest.raises(AlreadyExists) as caught:
            transaction.apply(create=many(new))
        assert {"tuple": RelationTuple.parse(new).told} == caught.value.details
        with loading(store, many(new)) as transaction, pytest.raises(AlreadyExists) as caught:
            transaction.load()
        assert {"tuple": RelationTuple.parse(new).told} == caught.value.details
        assert {there} == texts(store)

    @pytest.mark.parametrize(("there", "new"), list(product(ALL_KINDS, repeat=2)))
    @pytest.mark.parametrize("made", ["apply", "load"])
    def test_touch_with_another_caveat(self, store: Store, there: str, new: str, made: str) -> None:
        """Touching with another caveat or context alone is a change and a new version; with the same it is none."""
        write(store, touch=[there])
        transaction = loading(store, many(new)) if made == "load" else store.transaction()
        with transaction:
            changed = transaction.load("touch") if made == "load" else transaction.apply(touch=many(new))
            assert changed == (there != new)
            assert transaction.changed == (there != new)
            if there != new:
                done(transaction)
        one, other = RelationTuple.parse(there), RelationTuple.parse(new)
        wanted = [(1, 2, one.caveat, one.context), (2, None, other.caveat, other.context)]
        assert (wanted if there != new else [(1, None, one.caveat, one.context)]) == versions(store)
        assert {new} == texts(store)
        assert {there} == texts(store, at=1)

    def test_several_changes_of_one_write_leave_one_version(self, store: Store) -> None:
        """Touched again and again within one write, a tuple has one version of it: the last."""
        write(store, touch=[PLAIN])
        with store.transaction() as transaction:
            for text in (BARE, NORTH, OTHER):
                assert 1 == transaction.apply(touch=many(text))
            done(transaction)
        other = RelationTuple.parse(OTHER)
        assert [(1, 2, "", EMPTY), (2, None, "late", other.context)] == versions(store)

    def test_skip_leaves_the_caveat(self, store: Store, clock: FakeClock) -> None:
        """A load that skips leaves what lives as it is, and takes the place of what has expired."""
        soon = until(NORTH, NOW + 10)
        write(store, create=[soon, "report:q2#viewer@user:anna[near]"])
        again = many(BARE, "report:q2#viewer@user:anna")
        with loading(store, again) as transaction:
            assert 0 == transaction.load("skip")
        clock.now = NOW + 10
        with loading(store, again) as transaction:
            assert 1 == transaction.load("skip")
            done(transaction)
        assert {BARE, "report:q2#viewer@user:anna[near]"} == texts(store, now=NOW + 10)

    def test_delete_names_the_key_alone(self, store: Store) -> None:
        """Deleting takes a tuple away whatever it says, and whatever the one that names it says."""
        write(store, create=[NORTH, "report:q2#viewer@user:anna"])
        with store.transaction() as transaction:
            assert 2 == transaction.apply(delete=many(PLAIN, "report:q2#viewer@user:anna[near]"))
            done(transaction)
        assert set() == texts(store)
        assert {NORTH, "report:q2#viewer@user:anna"} == texts(store, at=1)

    def test_repeats_in_a_load(self, store: Store) -> None:
        """Of tuples with one key the last counts when touching and the first when skipping, with all that it says."""
        repeated = many(PLAIN, NORTH, OTHER, "report:q2#viewer@user:bob", BARE)
        kinds: list[tuple[OnDuplicate, str]] = [("touch", BARE), ("skip", PLAIN)]
        for on_duplicate, left in kinds:
            with loading(store, repeated) as transaction:
                assert 2 == transaction.load(on_duplicate)
                assert {left, "report:q2#viewer@user:bob"} == set(
                    map(str, transaction.read(ALL, transaction.number, NOW, None, 9))
                )
        with loading(store, repeated[1:]) as transaction, pytest.raises(AlreadyExists) as caught:
            transaction.load()
        assert {"tuple": RelationTuple.parse(OTHER).told} == caught.value.details

    def test_a_large_load_keeps_caveats(self, store: Store) -> None:
        """Many tuples loaded at once keep what each says, in an empty store and beside what is there."""
        crowd = [
            f"report:r{n}#viewer@user:u{n}" + ("", "[near]", f'[near:{{"n":{n}}}]', '[late:{"s":"\\u00e4"}]')[n % 4]
            for n in range(400)
        ]
        for part in (crowd[:200], crowd):
            with loading(store, many(*part)) as transaction:
                assert 200 == transaction.load("skip")
                done(transaction)
        assert set(crowd) == texts(store)

    def test_names_of_caveats_are_committed_names(self, store: Store) -> None:
        """A caveat's name gets a number with the write that first names it, and none where that is undone."""
        with store.transaction() as transaction:
            transaction.apply(create=many(NORTH))
        with store.transaction() as transaction:
            with pytest.raises(AlreadyExists), transaction.savepoint():
                transaction.apply(create=many("report:q9#viewer@user:bob[late]", OTHER), touch=many(PLAIN))
            transaction.apply(create=many(PLAIN))
            done(transaction)
        with store.snapshot() as snapshot:
            assert snapshot.name_id("near") is snapshot.name_id("late") is None
        write(store, touch=[NORTH, "report:q2#viewer@user:anna[viewer]"])
        with store.snapshot() as snapshot:
            # A relation's name and a caveat's are one name with one number.
            assert snapshot.name_id("near") is not None
            assert ["report", "user", "viewer", "near"] == [name for _, name in snapshot.image().names]

    def test_the_log_tells_both_versions(self, store: Store) -> None:
        """A tuple whose caveat or context changed is among the created and the deleted of that revision."""
        for text in (PLAIN, BARE, NORTH):
            write(store, touch=[text])
        write(store, delete=[PLAIN])
        with store.snapshot() as snapshot:
            told = [(list(map(str, each.created)), list(map(str, each.deleted))) for each in snapshot.log(0, 9)]
        assert [([PLAIN], []), ([BARE], [PLAIN]), ([NORTH], [BARE]), ([], [NORTH])] == told

    def test_kinds_are_told_apart_by_caveat(self, store: Store) -> None:
        """What a schema judges alike is counted by caveat too, whatever the context, with an example of each."""
        write(
            store,
            create=[PLAIN, "report:q2#viewer@user:bob[near]", 'report:q3#viewer@user:bob[near:{"site":1}]',
                    "report:q1#viewer@user:eve[late]", until("report:q2#viewer@user:eve[late]", NOW + 5)],
        )  # fmt: skip
        with store.transaction() as transaction:
            found = {(each.caveat, each.expiration): each for each in transaction.kinds()}
        counts = {("", False): 1, ("near", False): 2, ("late", False): 1, ("late", True): 1}
        assert counts == {key: each.living for key, each in found.items()}
        for (caveat, expires), each in found.items():
            assert (caveat, expires) == (each.example.caveat, each.example.expires_at is not None)

    def test_pages_neither_gap_nor_repeat(self, store: Store) -> None:
        """Tuples with caveats stand in the order of their keys, so pages of every size hold each once."""
        wanted = [f"report:r{n}#viewer@user:anna" + ("", '[near:{"a":1}]', "[late]")[n % 3] for n in range(7)]
        write(store, create=wanted)
        with store.snapshot() as snapshot:
            for filter_ in (ALL, TupleFilter(subject_type="user", subject_id="anna")):
                for size in (1, 2, 3, 10):
                    found = [str(each) for page in pages(snapshot, filter_, size) for each in page]
                    assert sorted(wanted) == sorted(found)

    def test_counting_and_preconditions_look_at_keys(self, store: Store) -> None:
        """A tuple under a caveat is one of those that a filter selects: it stands, whether it counts or not."""
        write(store, create=[NORTH, "report:q2#viewer@user:anna"])
        with store.snapshot() as snapshot:
            assert 2 == snapshot.count(TupleFilter("report"), 1, NOW)

    def test_a_sound_store_is_verified(self, store: Store) -> None:
        """A store with caveats that was written by the rules has no finding."""
        for text in ALL_KINDS:
            write(store, touch=[text])
        assert all(not check.findings for check in store.verify().checks)
