"""A machine that does what it likes to a store and to a naive one, and finds no difference, on every backend.

What it likes: transactions of several writes with savepoints that fail and seals that are never committed, loads,
schema versions, request ids used again, clocks that go back and forth, views kept open across all of it, followers that
lag behind, and stores closed and opened again. A backend is a class of a few lines at the end.
"""

from __future__ import annotations

import os
from itertools import pairwise
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from relgraph.errors import AlreadyExists, RequestIdReused, RevisionUnavailable
from relgraph.store import open_store
from tests.machine_plans import (
    INSTANTS,
    KEYS,
    Deliberate,
    Step,
    Write,
    check_told,
    commits,
    fail,
    filters,
    naively,
    really,
    steps,
    tuples,
    writes,
)
from tests.machine_views import Follower, kept_number, key_numbers, object_number, spelled, told_of, version_of
from tests.naive_store import Naive, NaiveExists, NaiveReused, NaiveWrite, bare, living, matches, objects_in
from tests.store_kit import ALL, FakeClock

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from relgraph.store.base import Commit, NumberedRow, Snapshot, Store, Transaction
    from relgraph.tuples import RelationTuple, TupleFilter
    from tests.naive_store import Row
    from tests.postgres_kit import Server

Versioned: TypeAlias = "tuple[RelationTuple, int, str, str, int | None] | Row"

LONG = bool(os.environ.get("RELGRAPH_LONG"))
VIEWS_MAX = 3
PAGE_SIZES = (1, 2, 3, 100)


class StoreMachine(RuleBasedStateMachine):
    """Does the same to a real store and to a naive one. A backend says where its store is and how many may open it."""

    handles_max = 2
    reopens = True

    def place(self) -> str:
        """The URL of a store that does not exist yet."""
        raise NotImplementedError

    def remove(self) -> None:
        """Take the store away again."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.naive = Naive()
        self.stores: list[Store] = []
        self.views: list[Snapshot] = []
        self.followers = [Follower(), Follower()]
        self.turn = 0

    @initialize()
    def found(self) -> None:
        self.url = self.place()
        self.stores = [self.opened() for _ in range(self.handles_max)]
        assert 1 == len({each.id for each in self.stores})

    def opened(self) -> Store:
        return open_store(self.url, clock=self.clock, random=os.urandom)

    def teardown(self) -> None:
        for view in self.views:
            self._image_stands(view)
            view.close()
        for store in self.stores:
            store.close()
        if self.stores:
            self.remove()

    def any_store(self) -> Store:
        self.turn += 1
        return self.stores[self.turn % len(self.stores)]

    # --- what happens

    @rule(by=st.sampled_from([-20, -1, 1, 5, 20]))
    def the_clock_steps(self, by: int) -> None:
        self.clock.now += by

    @rule(plan=st.lists(writes, min_size=1, max_size=3), staged=st.lists(tuples, max_size=8), commits=st.booleans())
    def a_transaction(self, plan: list[Write], staged: list[RelationTuple], commits: bool) -> None:
        self._transact(plan, staged, commits=commits)

    @rule(back=st.integers(0, 6))
    def the_past_is_collected(self, back: int) -> None:
        """What is older than a revision is forgotten; in memory as far as no open view needs it."""
        wanted = self.naive.moments[max(0, self.naive.head - back)].stamp
        expected = max(self.naive.floor, self.naive.revision_at(wanted) or 0)
        collected = self.any_store().collect(wanted)
        assert (self.naive.floor if self.views and not self.reopens else expected) <= collected.floor.number <= expected
        self.naive.collect(collected.floor.number)
        with self.any_store().snapshot() as view:
            self._rows_stand(view, view.floor)

    @rule(step=steps, staged=st.lists(tuples, max_size=8), commit=commits)
    def a_write(self, step: Step, staged: list[RelationTuple], commit: Commit) -> None:
        self._transact([Write((step,), commit, guarded=False, fails="")], staged, commits=True)

    def _transact(self, plan: list[Write], staged: list[RelationTuple], *, commits: bool) -> None:
        self.clock.now += self.turn % 2
        mine = NaiveWrite(self.naive, self.clock.now)
        transaction = self.any_store().transaction()
        transaction.stage(staged)
        todo = [list(staged)]
        with transaction:
            for write in plan:
                if not self._write(transaction, mine, write, todo):
                    break
            else:
                self._nothing_is_seen()
                if commits:
                    transaction.commit()
                    mine.commit()
        self._heads_are_equal()

    def _write(self, transaction: Transaction, mine: NaiveWrite, write: Write, todo: list[list[RelationTuple]]) -> bool:
        """Do a write to both; say whether the transaction is good for more."""
        if not write.guarded:
            try:
                self._attempt(transaction, mine, write, todo)
            except (AlreadyExists, RequestIdReused):
                return False
            return True
        saved = mine.saved()
        try:
            with transaction.savepoint():
                self._attempt(transaction, mine, write, todo)
                if write.fails:
                    fail()
        except (AlreadyExists, RequestIdReused, Deliberate):
            mine.undo(saved)
        self._stand_alike(transaction, mine)
        return True

    def _attempt(
        self, transaction: Transaction, mine: NaiveWrite, write: Write, todo: list[list[RelationTuple]]
    ) -> None:
        """Do a write's steps to both and seal it. Raises what both raised."""
        for step in write.steps:
            self._step(transaction, mine, step, todo)
            self._stand_alike(transaction, mine)
        if write.guarded and write.fails == "before":
            return
        reused = None
        try:
            mine.seal(write.commit)
        except NaiveReused as error:
            reused = error
        try:
            revision = transaction.seal(write.commit)
        except RequestIdReused:
            assert reused is not None
            raise
        assert reused is None
        assert (mine.number - 1, mine.moments[-1].stamp) == (revision.number, revision.stamp)
        self._stand_alike(transaction, mine)

    def _step(self, transaction: Transaction, mine: NaiveWrite, step: Step, todo: list[list[RelationTuple]]) -> None:
        """Do a step to both. Raises AlreadyExists where both do."""
        staged = todo.pop() if step.load and todo else []
        wanted: int | NaiveExists
        try:
            wanted = naively(mine, step, staged)
        except NaiveExists as error:
            wanted = error
        try:
            changed = really(transaction, step)
        except AlreadyExists as error:
            check_told(error, wanted)
            raise
        assert wanted == changed

    def _stand_alike(self, transaction: Transaction, mine: NaiveWrite) -> None:
        """A transaction sees its own write beside the state before it."""
        number = mine.number
        assert (number, mine.stamp, mine.changes > 0) == (transaction.number, transaction.stamp, transaction.changed)
        assert number - 1 == transaction.head.number
        for at, state in ((number - 1, mine.moments[-1].state), (number, mine.draft.state)):
            found = transaction.read(ALL, at, mine.stamp, None, 10**6)
            assert matches(state, ALL, mine.stamp) == set(map(str, found))
            version = transaction.schema(at)
            schemas = {n: text for n, text in mine.draft.schemas.items() if n <= at}
            assert max(schemas, default=None) == (version and version.revision)

    def _nothing_is_seen(self) -> None:
        """Nobody else sees what is not committed."""
        for store in self.stores:
            assert self.naive.head == store.head().number
            with store.snapshot() as snapshot:
                self._image_stands(snapshot)

    @invariant()
    def _heads_are_equal(self) -> None:
        for store in self.stores:
            head = store.head()
            assert (self.naive.head, self.naive.moments[-1].stamp) == (head.number, head.stamp)

    # --- who comes and goes

    @precondition(lambda self: len(self.views) < VIEWS_MAX)
    @rule()
    def a_view_is_opened(self) -> None:
        self.views.append(self.any_store().snapshot())
        assert self.naive.head == self.views[-1].head.number

    @precondition(lambda self: self.views)
    @rule(which=st.integers(0, VIEWS_MAX))
    def a_view_is_closed(self, which: int) -> None:
        self.views.pop(which % len(self.views)).close()

    @precondition(lambda self: self.reopens)
    @rule(leaving_views=st.booleans())
    def a_store_is_opened_again(self, leaving_views: bool) -> None:
        index = self.turn % len(self.stores)
        identity = (self.stores[index].id, self.stores[index].epoch)
        if leaving_views:
            self.views, views = [], self.views
            for view in views:
                view.close()
        self.stores[index].close()
        self.stores[index] = self.opened()
        assert identity == (self.stores[index].id, self.stores[index].epoch)

    @rule(which=st.booleans())
    def a_follower_catches_up(self, which: bool) -> None:
        follower = self.followers[which]
        after = follower.at
        with self.any_store().snapshot() as snapshot:
            if after < snapshot.floor:
                with pytest.raises(RevisionUnavailable):
                    follower.ask(snapshot)
                follower.start_over(snapshot)
                after = follower.at
            changes = follower.ask(snapshot)
        follower.learn(changes)
        head = self.naive.head
        assert head == follower.at
        told = follower.told(changes)
        self._same(self.naive.changed_rows(after, head), told)
        schemas = {number: text for number, text in self.naive.moments[-1].schemas.items() if number > after}
        assert schemas == {version.revision: version.text for version in changes.schemas}
        state = {follower.spelled(row): follower.version_of(row) for row in follower.rows.values()}
        wanted = self.naive.moments[-1].state
        self._same({(key, *v) for key, v in wanted.items()}, {(key, *v) for key, v in state.items()}, more=True)

    def _same(self, wanted: AbstractSet[Versioned], told: AbstractSet[Versioned], *, more: bool = False) -> None:
        """Nothing is told that is not so, and nothing left out but what had expired by the floor.

        With `more`, what had expired may be told although it was forgotten.
        """
        # The creation stands second and the expiration last.
        assert {each for each in told - wanted if not (more and self.naive.passed(each[1], each[-1]))} == set()
        assert {each for each in wanted - told if not self.naive.passed(each[1], each[-1])} == set()

    # --- what is asked

    def _looking(self, kept: int | None) -> Snapshot:
        """A view that was kept, or a new one."""
        return self.views[kept % len(self.views)] if kept is not None and self.views else self.any_store().snapshot()

    def _release(self, view: Snapshot) -> None:
        if view not in self.views:
            view.close()

    @rule(
        kept=st.none() | st.integers(0, VIEWS_MAX),
        ahead=st.integers(0, 8),
        now=st.sampled_from(INSTANTS),
        wanted=filters,
        size=st.sampled_from(PAGE_SIZES),
    )
    def pages_are_read(self, kept: int | None, ahead: int, now: int, wanted: TupleFilter, size: int) -> None:
        view = self._looking(kept)
        at = kept_number(view, ahead)
        # Nobody asks for a revision at an instant before its own stamp.
        now = max(now, self.naive.moments[at].stamp)
        whole = view.read(wanted, at, now, None, 10**6)
        assert matches(self.naive.moments[at].state, wanted, now) == set(map(str, whole))
        assert len(set(whole)) == len(whole)
        paged: list[RelationTuple] = []
        while page := view.read(wanted, at, now, paged[-1] if paged else None, size):
            assert len(page) <= size
            paged += page
        assert whole == paged
        if wanted.subject_id is None or wanted.resource_id is not None:
            types = [each.resource.type for each in whole]
            assert len(set(types)) == 1 + sum(a != b for a, b in pairwise(types)) if types else True
            assert all(
                a.resource.id.encode() <= b.resource.id.encode()
                for a, b in pairwise(whole)
                if a.resource.type == b.resource.type
            )
        self._release(view)

    @rule(kept=st.none() | st.integers(0, VIEWS_MAX), ahead=st.integers(0, 8))
    def rows_are_read(self, kept: int | None, ahead: int) -> None:
        view = self._looking(kept)
        self._rows_stand(view, kept_number(view, ahead))
        self._release(view)

    def _rows_stand(self, view: Snapshot, at: int) -> None:
        """Every key, resource and subject that can be asked for stands as it did at that revision."""
        state, schemas, schema = self.naive.moments[at].state, self.naive.moments[at].schemas, view.schema(at)
        assert max(schemas, default=None) == (schema and schema.revision)
        wanted = {(key, *version) for key, version in state.items()}
        found = {key: view.tuple(*numbers, at) for key in KEYS if (numbers := key_numbers(view, key)) is not None}
        self._same(wanted, {(key, *version_of(view, row)) for key, row in found.items() if row is not None})
        for resource, relation in {(key.resource, key.relation) for key in KEYS}:
            id_, name = object_number(view, resource.type, resource.id), view.name_id(relation)
            for usersets in (False, True):
                rows = [] if id_ is None or name is None else list(view.tuples(id_, name, at, usersets=usersets))
                assert sorted(rows, key=lambda row: row[2:4]) == rows
                self._rows_told(
                    view,
                    rows,
                    {
                        each
                        for each in wanted
                        if (each[0].resource, each[0].relation) == (resource, relation)
                        and (each[0].subject.relation or not usersets)
                    },
                )
        for subject in {key.subject for key in KEYS}:
            id_ = object_number(view, subject.type, subject.id)
            name = view.name_id(subject.relation) if subject.relation else 0
            rows = [] if id_ is None or name is None else list(view.holders(id_, name, at))
            self._rows_told(view, rows, {each for each in wanted if each[0].subject == subject})

    def _rows_told(self, view: Snapshot, rows: list[NumberedRow], wanted: AbstractSet[Versioned]) -> None:
        told = {(spelled(view, row), *version_of(view, row)) for row in rows}
        assert len(told) == len(rows)
        self._same(wanted, told)

    @rule(kept=st.none() | st.integers(0, VIEWS_MAX))
    def an_image_is_taken(self, kept: int | None) -> None:
        view = self._looking(kept)
        self._image_stands(view)
        self._release(view)

    def _image_stands(self, view: Snapshot) -> None:
        now = self.naive.moments[view.head.number]
        image = view.image()
        names = {0: "", **dict(image.names)}
        assert len(set(names.values())) == len(names)
        rows = list(image.rows)
        found = [(number, names[type_], key) for number, type_, key in image.objects]
        assert sorted(found) == found
        objects = {number: f"{type_}:{key}" for number, type_, key in found}
        assert len(set(objects.values())) == len(objects)
        assert now.mentioned == {*names.values(), *objects.values()} - {""}
        self._rows_told(view, rows, {(key, *version) for key, version in now.state.items()})
        assert sorted(rows) == rows
        in_force = max((number for number in now.schemas if number <= view.floor), default=0)
        schemas = {number: text for number, text in now.schemas.items() if number >= in_force}
        assert schemas == {version.revision: version.text for version in image.schemas}

    @rule(kept=st.none() | st.integers(0, VIEWS_MAX), instant=st.sampled_from(INSTANTS), ahead=st.integers(0, 8))
    def the_log_is_asked(self, kept: int | None, instant: int, ahead: int) -> None:
        view = self._looking(kept)
        head = view.head.number
        seen = Naive(self.naive.moments[: head + 1], view.floor)
        at = kept_number(view, ahead)
        revision, last = view.revision(at), view.revision_at(instant)
        assert (at, seen.moments[at].stamp) == (revision and revision.number, revision and revision.stamp)
        found = seen.revision_at(instant)
        assert (found if found is not None and found >= view.floor else None) == (last and last.number)
        assert (None, None) == (view.revision(head + 1), view.revision(view.floor - 1))
        for request_id in ("once", "twice", "Once", "never"):
            request = view.request(request_id)
            assert seen.request(request_id) == (request and request.revision.number)
            if request is not None:
                commit = seen.moments[request.revision.number].commit
                assert (commit.principal, commit.payload) == (request.principal, request.payload)
        assert view.name_id("stranger") is None
        changes = view.changes(at, 0, 0)
        told = told_of(view, changes)
        self._same(seen.changed_rows(at, head), told)
        for after in (head + 1, view.floor - 1):
            with pytest.raises(RevisionUnavailable):
                view.changes(after, 0, 0)
        named = {f"{view.name(type_)}:{key}" for type_, key in view.objects_in_history(at)}
        rows = seen.changed_rows(-1, head)
        kept_rows = {
            row
            for row in rows
            if (row[2] is None or row[2] > self.naive.floor) and not self.naive.passed(row[1], row[-1])
        }
        assert objects_in(kept_rows, at) <= named <= objects_in(rows, at)
        self._release(view)

    @rule()
    def kinds_are_counted(self) -> None:
        state = self.naive.moments[-1].state
        with self.any_store().transaction() as transaction:
            stamp = transaction.stamp
            counted = list(transaction.kinds())
        standing = [key for key in state if living(state, key, stamp)]
        assert len(standing) == sum(kind.living for kind in counted)
        for kind in counted:
            alike = {
                key
                for key in standing
                if (kind.resource_type, kind.relation, kind.subject_type, kind.subject_relation)
                == (key.resource.type, key.relation, key.subject.type, key.subject.relation)
                and (kind.universal, kind.wildcard) == (key.resource.id == "*", key.subject.id == "*")
                and (kind.expiration, kind.caveat) == (state[key].expires is not None, state[key].caveat)
            }
            assert kind.living == len(alike)
            assert bare(kind.example) in alike
            assert (kind.caveat, str(kind.example.context)) == state[bare(kind.example)][1:3]


class FileMachine(StoreMachine):
    """SQLite on a file."""

    def place(self) -> str:
        self.folder = TemporaryDirectory()
        return f"sqlite:///{self.folder.name}/store.db"

    def remove(self) -> None:
        self.folder.cleanup()


class MemoryMachine(StoreMachine):
    """SQLite in memory: one that may open it, once."""

    handles_max = 1
    reopens = False

    def place(self) -> str:
        return "sqlite://"


class PostgresMachine(StoreMachine):
    """PostgreSQL; the server is lent by the test."""

    server: Server

    def place(self) -> str:
        return self.server.url()

    def remove(self) -> None:
        self.server.drop(self.url)


_SETTINGS = settings(
    max_examples=1500 if LONG else 40,
    stateful_step_count=40 if LONG else 25,
    suppress_health_check=list(HealthCheck),
)


def test_a_file_does_as_the_naive_store() -> None:
    """SQLite on a file, opened twice, answers as the naive store does, whatever is done to it."""
    run_state_machine_as_test(FileMachine, settings=_SETTINGS)


def test_memory_does_as_the_naive_store() -> None:
    """SQLite in memory answers as the naive store does, whatever is done to it."""
    run_state_machine_as_test(MemoryMachine, settings=_SETTINGS)


def test_postgres_does_as_the_naive_store(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL, opened twice, answers as the naive store does, whatever is done to it."""
    monkeypatch.setattr(PostgresMachine, "server", postgres, raising=False)
    run_state_machine_as_test(PostgresMachine, settings=settings(_SETTINGS, max_examples=300 if LONG else 10))
