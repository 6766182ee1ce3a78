"""The contract of stores, sixth part: collecting what is not kept. Run through `test_store_contract.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest

from relgraph.errors import RevisionUnavailable
from relgraph.graph import Graph
from relgraph.store.base import EMPTY, Commit, SchemaVersion, Store
from relgraph.tuples import RelationTuple
from tests.store_kit import ALL, NOW, SAMPLE, done, loading, many, numbers, texts, until, write

if TYPE_CHECKING:
    from relgraph.revision import Revision
    from relgraph.store.base import Snapshot
    from tests.store_kit import FakeClock


@dataclass
class Model:
    """What was true when, kept for ever: the state after each revision, each tuple with when it expires."""

    revisions: list[Revision] = field(default_factory=lambda: [EMPTY])
    states: list[dict[str, int | None]] = field(default_factory=lambda: [{}])

    def living(self, at: int, now: int) -> set[str]:
        return {
            key if expires is None else until(key, expires)
            for key, expires in self.states[at].items()
            if expires is None or expires > now
        }


def written_at_random(store: Store, clock: FakeClock, model: Model, random: Random) -> None:
    """Write once: touch and delete a few tuples, some of which expire soon; the clock may stand still."""
    clock.now += random.randrange(4)
    state = dict(model.states[-1])
    keys = random.sample([f"report:q{n % 4}#viewer@user:u{n // 4}" for n in range(16)], 4)
    touched = {key: random.choice([None, clock.now + random.randrange(-2, 12)]) for key in keys[:3]}
    with store.transaction() as transaction:
        transaction.apply(
            touch=many(*(key if at is None else until(key, at) for key, at in touched.items())), delete=many(keys[3])
        )
        if random.random() < 0.2:
            transaction.write_schema(f"schema {transaction.number}", [])
        revision = done(transaction)
    state.pop(keys[3], None)
    state.update(touched)
    model.revisions.append(revision)
    model.states.append(state)


def check(snapshot: Snapshot, model: Model) -> None:
    """Everything from the floor on is as the model says, at every instant that can still be asked for."""
    floor, head = snapshot.floor, snapshot.head.number
    for number, revision in enumerate(model.revisions[: head + 1]):
        assert snapshot.revision(number) == (revision if number >= floor else None)
    for at in range(floor, head + 1):
        # Nobody asks for a revision at an instant before its own stamp.
        for now in (model.revisions[at].stamp, model.revisions[at].stamp + 3, model.revisions[head].stamp + 9):
            assert model.living(at, now) == set(map(str, snapshot.read(ALL, at, now, None, 1000)))
            assert len(model.living(at, now)) == snapshot.count(ALL, at, now)
        if at:
            assert [each.number for each, _ in snapshot.changes(at, 0, 0).chain] == list(range(at + 1, head + 1))


class CollectContract:
    """The floor, and what goes below it."""

    @pytest.mark.parametrize("seed", range(5))
    def test_nothing_that_can_be_asked_for_goes(self, store: Store, clock: FakeClock, seed: int) -> None:
        """Against a naive history: whatever is collected when, all from the floor on answers as if nothing had been."""
        random, model = Random(seed), Model()
        for _ in range(40):
            written_at_random(store, clock, model, random)
            if random.random() < 0.25:
                keep_from = clock.now - random.randrange(20)
                collected = store.collect(keep_from)
                expected = max(n for n, each in enumerate(model.revisions) if each.stamp <= keep_from)
                assert collected.floor == model.revisions[max(expected, collected.floor.number)]
            with store.snapshot() as snapshot:
                check(snapshot, model)

    @pytest.mark.parametrize("seed", range(3))
    def test_following_is_not_disturbed(self, store: Store, clock: FakeClock, seed: int) -> None:
        """A follower that is at the floor or behind it goes on; its graph says what a fresh one says."""
        random, model = Random(seed), Model()
        write(store, create=["report:q0#viewer@user:u0"])
        model.revisions.append(store.head())
        model.states.append({"report:q0#viewer@user:u0": None})
        with store.snapshot() as snapshot:
            graph = Graph(snapshot.image())
        for _ in range(30):
            for _ in range(random.randrange(3)):
                written_at_random(store, clock, model, random)
            store.collect(max(graph.head.stamp, clock.now - random.randrange(9)) if random.random() < 0.7 else 0)
            with store.snapshot() as snapshot:
                if snapshot.floor > graph.head.number:
                    with pytest.raises(RevisionUnavailable):
                        snapshot.changes(graph.head.number, 0, 0)
                    graph = Graph(snapshot.image())
                    continue
                names = graph.names
                changes = snapshot.changes(graph.head.number, names.name_max, names.object_max)
                assert graph.follows(changes)
                graph.apply(changes)
                head, now = snapshot.head.number, clock.now
                living = snapshot.read(ALL, head, now, None, 1000)
                view = graph.view(head)
                assert view is not None
                found = set()
                for resource, relation in graph.nodes:
                    for edge in view.edges(resource, relation):
                        if edge.expires is None or edge.expires > now:
                            found.add((edge.resource, edge.relation, edge.subject, edge.subject_relation))
                assert {numbers(snapshot, str(each).partition("[")[0]) for each in living} == found

    def test_what_goes(self, store: Store, clock: FakeClock) -> None:
        """Versions that ended by the floor go, and those that expired by its stamp; the counts say how many."""
        write(store, create=[*SAMPLE, until("report:q7#viewer@user:anna", NOW + 3)])
        clock.now = NOW + 5
        write(store, delete=SAMPLE[:4])
        clock.now = NOW + 9
        write(store, delete=SAMPLE[4:5])
        collected = store.collect(NOW + 8)
        assert (2, 5, 2) == (collected.floor.number, collected.tuples, collected.revisions)
        assert [set(SAMPLE[4:]), set(SAMPLE[5:])] == [texts(store, at=n, now=NOW + 5) for n in (2, 3)]
        again = store.collect(NOW + 8)
        assert (collected.floor, 0, 0) == (again.floor, again.tuples, again.revisions)
        assert (3, 1, 1) == ((last := store.collect(NOW + 9)).floor.number, last.tuples, last.revisions)

    def test_more_than_a_step(self, store: Store, clock: FakeClock) -> None:
        """More than goes at once goes in steps."""
        wide = many(*(f"report:q{n}#viewer@user:u" for n in range(2_500)))
        with loading(store, wide) as transaction:
            transaction.load()
            done(transaction)
        with store.transaction() as transaction:
            transaction.apply(delete=wide)
            done(transaction)
        clock.now += 1
        collected = store.collect(clock.now)
        assert (2_500, 2) == (collected.tuples, collected.revisions)
        assert (set(), 2) == (texts(store), store.head().number)

    def test_below_the_floor(self, store: Store, clock: FakeClock) -> None:
        """What is below the floor is not known any more, by number, by time or to a follower."""
        for n in range(4):
            clock.now = NOW + 10 * n
            write(store, create=SAMPLE[n : n + 1])
        store.collect(NOW + 25)
        with store.snapshot() as snapshot:
            assert 3 == snapshot.floor
            assert [None, None, None] == [snapshot.revision(n) for n in range(3)]
            assert (None, 3) == (
                snapshot.revision_at(NOW + 19),
                None if (at := snapshot.revision_at(NOW + 20)) is None else at.number,
            )
            with pytest.raises(RevisionUnavailable):
                snapshot.changes(2, 0, 0)
            assert 1 == len(snapshot.changes(3, 0, 0).chain)

    def test_the_floor_is_never_beyond_the_head(self, store: Store, clock: FakeClock) -> None:
        """An empty store, one that was not written since, and an instant before everything."""
        assert EMPTY == store.collect(clock.now + 10).floor
        revision = write(store, create=SAMPLE)
        assert EMPTY == store.collect(NOW - 1).floor
        assert revision == store.collect(NOW + 10).floor
        assert revision == store.collect(0).floor
        assert set(SAMPLE) == texts(store)
        assert 2 == write(store, delete=SAMPLE).number

    def test_schemas(self, store: Store, clock: FakeClock) -> None:
        """The schema in force at the floor stays; older ones go."""
        for text in ("one", "two", "three"):
            clock.now += 1
            with store.transaction() as transaction:
                transaction.write_schema(text, [])
                done(transaction)
        clock.now += 1
        write(store, create=SAMPLE)
        store.collect(NOW + 2)
        with store.snapshot() as snapshot:
            assert (None, SchemaVersion(2, "two")) == (snapshot.schema(1), snapshot.schema(2))
            assert (SchemaVersion(2, "two"), SchemaVersion(3, "three")) == snapshot.image().schemas
        store.collect(clock.now)
        with store.snapshot() as snapshot:
            assert SchemaVersion(3, "three") == snapshot.schema(4)

    def test_request_ids(self, store: Store, clock: FakeClock) -> None:
        """A request that may still be repeated is known below the floor, and not for longer."""
        for n, not_after in enumerate((NOW + 50, NOW + 5)):
            write(store, create=SAMPLE[n : n + 1], commit=Commit(request_id=f"r{n}", not_after=not_after))
        clock.now = NOW + 10
        write(store, create=SAMPLE[2:3])
        store.collect(NOW + 10)
        with store.snapshot() as snapshot:
            kept, gone = snapshot.request("r0"), snapshot.request("r1")
            assert (None, None) == (snapshot.revision(1), gone)
            assert snapshot.revision_at(NOW + 9) is None
        assert kept is not None
        assert 1 == kept.revision.number
        clock.now = NOW + 50
        store.collect(NOW + 10)
        with store.snapshot() as snapshot:
            assert kept == snapshot.request("r0")
        clock.now = NOW + 51
        store.collect(NOW + 10)
        with store.snapshot() as snapshot:
            assert snapshot.request("r0") is None

    def test_an_open_view_keeps_what_it_sees(self, store: Store, clock: FakeClock) -> None:
        """A snapshot that was opened before a collection answers at all of its revisions, also after it."""
        model, random = Model(), Random(8)
        for _ in range(12):
            written_at_random(store, clock, model, random)
        with store.snapshot() as snapshot:
            for _ in range(6):
                written_at_random(store, clock, model, random)
                store.collect(clock.now)
                check(snapshot, model)
            with store.snapshot() as later:
                check(later, model)
        store.collect(clock.now)
        with store.snapshot() as snapshot:
            assert snapshot.floor == snapshot.head.number
            check(snapshot, model)

    def test_numbers_stay(self, store: Store, clock: FakeClock) -> None:
        """Names and objects keep their numbers, whether or not any version names them."""
        write(store, create=SAMPLE)
        write(store, delete=SAMPLE)
        clock.now += 1
        with store.snapshot() as snapshot:
            before = {text: numbers(snapshot, text) for text in SAMPLE}
        store.collect(clock.now)
        write(store, create=["fresh:one#fresh@fresh:two"])
        with store.snapshot() as snapshot:
            assert before == {text: numbers(snapshot, text) for text in SAMPLE}
            assert [] == list(snapshot.holders(*before[SAMPLE[0]][2:], 2))
            spelled = {f"{snapshot.name(type_)}:{key}" for type_, key in snapshot.objects_in_history(3)}
        assert {"fresh:one", "fresh:two"} == spelled

    def test_what_expired_can_be_written_again(self, store: Store, clock: FakeClock) -> None:
        """A tuple whose expired version was collected is created like any other; followers hold it once."""
        soon = "report:q1#viewer@user:anna"
        write(store, create=[until(soon, NOW + 3)])
        clock.now = NOW + 5
        write(store, create=SAMPLE[:1])
        with store.snapshot() as snapshot:
            graph = Graph(snapshot.image())
        assert 1 == store.collect(NOW + 5).tuples
        assert 3 == write(store, create=[soon]).number
        assert {SAMPLE[0], soon} == texts(store)
        with store.snapshot() as snapshot:
            changes = snapshot.changes(2, graph.names.name_max, graph.names.object_max)
            key = numbers(snapshot, soon)
        graph.apply(changes)
        view = graph.view()
        assert view is not None
        assert [None] == [edge.expires for edge in view.edges_to(*key)]

    def test_an_expired_tuple_behind_the_floor_stays(self, store: Store, clock: FakeClock) -> None:
        """One that was written behind the floor, expired from birth, is still told to followers."""
        write(store, create=SAMPLE[:1])
        clock.now = NOW + 5
        gone = RelationTuple.parse(until("report:q1#viewer@user:anna", NOW - 5))
        with store.transaction() as transaction:
            transaction.apply(create=[gone])
            done(transaction)
        assert 0 == store.collect(NOW + 4).tuples
        with store.snapshot() as snapshot:
            assert 1 == len(snapshot.changes(1, 0, 0).rows)
        assert 1 == store.collect(NOW + 5).tuples

    def test_a_store_that_was_collected_is_sound(self, store: Store, clock: FakeClock) -> None:
        """Verification finds nothing wrong with what is left."""
        model, random = Model(), Random(4)
        for n in range(20):
            written_at_random(store, clock, model, random)
            write(store, touch=SAMPLE[:1], commit=Commit(request_id=f"r{n}", not_after=clock.now + n))
            model.revisions.append(store.head())
            model.states.append(model.states[-1])
        store.collect(clock.now - 4)
        assert () == store.verify().findings
