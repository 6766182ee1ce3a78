"""Group commit: what many threads write at once is what they would have written one after the other."""

from __future__ import annotations

import os
import threading
import time
import uuid
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Self, TypeAlias

import pytest

import relgraph
from relgraph.api.grouping import SIZE_MAX, Group
from relgraph.errors import AlreadyExists, DeadlineExceeded, OutcomeUnknown, RelgraphError, StoreUnavailable
from relgraph.store import open_store
from relgraph.store.base import Commit
from tests.api_kit import SCHEMA, opened
from tests.store_kit import FakeClock, many, texts, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from types import TracebackType

    from relgraph.answers import Written
    from relgraph.api.grouping import Outcome, Work
    from relgraph.revision import Revision
    from relgraph.store.base import Store, Transaction
    from tests.postgres_kit import Server

PATIENCE_S = 60

Request: TypeAlias = tuple[list[str], ...]
"""What to touch, create and delete."""


@pytest.fixture(params=["file", "memory", "PostgreSQL"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "PostgreSQL":
        postgres: Server = request.getfixturevalue("postgres")
        with postgres.store(FakeClock(), os.urandom) as made:
            yield made
        return
    url = "sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'store.db'}"
    made = open_store(url, clock=FakeClock(), random=os.urandom)
    yield made
    made.close()


def grouped(begin: Callable[[], Transaction], size_max: int = SIZE_MAX) -> Group:
    """A group whose commit is the transaction's own."""
    return Group(begin, lambda transaction, _: transaction.commit(), size_max=size_max)


def creating(*tuples: str) -> Work:
    def work(transaction: Transaction) -> Outcome:
        transaction.apply(create=many(*tuples))
        return transaction.seal(Commit()), tuples[0]

    return work


class Tampered:
    """A transaction that does, at its n-th step counted over all of them, what it is told; see `Tampering`."""

    def __init__(self, real: Transaction, step: Callable[[str], AbstractContextManager[None]]) -> None:
        self._real = real
        self._step = step

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def __enter__(self) -> Self:
        entered = False
        try:
            with self._step("begin"):
                self._real.__enter__()
                entered = True
        except BaseException as error:
            # What raises while a transaction begins has let go of everything.
            if entered:
                self._real.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._real.__exit__(kind, error, trace)

    def apply(self, *, create: Sequence[relgraph.RelationTuple]) -> None:
        with self._step("apply"):
            self._real.apply(create=create)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        with self._step("savepoint"), self._real.savepoint():
            yield

    def seal(self, commit: Commit) -> Revision:
        with self._step("seal"):
            return self._real.seal(commit)

    def commit(self) -> None:
        with self._step("commit"):
            self._real.commit()


class Tampering:
    """Hands out transactions of a store and raises `error` at a step: before it, or when it is done."""

    def __init__(
        self, store: Store, error: BaseException | None = None, name: str = "", *, after: bool = False
    ) -> None:
        self._store = store
        self.error = error
        self.name = name
        self.after = after
        self.at = 0
        self.steps: list[str] = []

    def __call__(self) -> Transaction:
        return Tampered(self._store.transaction(), self._step)  # type: ignore[return-value]

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self.steps.append(name)
        hit = self.error is not None and name in (self.name, self.name or name)
        if hit:
            self.at -= 1
            hit = self.at < 0
        error = self.error
        if hit:
            self.error = None
        if hit and not self.after:
            assert error is not None
            raise error
        yield
        if hit:
            assert error is not None
            raise error


def together(store: Store, group: Group, works: Sequence[Work]) -> list[object]:
    """Let one thread for each work wait while the store is held, so that the first leads all; return what each got."""
    found: list[object] = [None] * len(works)

    def run(place: int) -> None:
        try:
            found[place] = group.run(works[place])
        except BaseException as error:  # noqa: BLE001 - shown to the test
            found[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    with store.transaction():
        for count, thread in enumerate(threads, 1):
            thread.start()
            while len(group._queue) < count:
                time.sleep(0)
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    return found


def numbers(found: Sequence[object]) -> list[int]:
    return [each[0].number for each in found if isinstance(each, tuple)]


TUPLES = [f"report:q{n}#viewer@user:anna" for n in range(6)]


def test_one_commit_for_all(store: Store) -> None:
    """Writes that wait together are committed together, each a revision of its own, in the order they came."""
    begin = Tampering(store)
    found = together(store, grouped(begin), [creating(text) for text in TUPLES])
    assert ([1, 2, 3, 4, 5, 6], 1) == (numbers(found), begin.steps.count("commit"))
    assert [set(TUPLES[:n]) for n in range(7)] == [texts(store, at=n) for n in range(7)]


def test_a_group_is_bounded(store: Store) -> None:
    """More writes than a group holds are committed in several."""
    begin = Tampering(store)
    found = together(store, grouped(begin, size_max=4), [creating(text) for text in TUPLES])
    assert ([1, 2, 3, 4, 5, 6], 2) == (sorted(numbers(found)), begin.steps.count("commit"))


def test_a_single_caller_has_no_savepoint(store: Store) -> None:
    """A write that is alone pays nothing for groups, and a refusal of it leaves the next one unharmed."""
    begin = Tampering(store)
    group = grouped(begin)
    group.run(creating(TUPLES[0]))
    with pytest.raises(AlreadyExists):
        group.run(creating(TUPLES[0]))
    group.run(creating(TUPLES[1]))
    assert (set(TUPLES[:2]), 0) == (texts(store), begin.steps.count("savepoint"))


def test_a_refusal_undoes_its_own_write_alone(store: Store) -> None:
    """A write that is refused, also because of one before it in the group, takes no other with it."""
    works = [creating(*TUPLES[:2]), creating(TUPLES[2], TUPLES[1]), creating(TUPLES[2]), creating(TUPLES[3])]
    begin = Tampering(store)
    found = together(store, grouped(begin), works)
    assert ([1, 2, 3], 1) == (numbers(found), begin.steps.count("commit"))
    assert isinstance(found[1], AlreadyExists)
    assert set(TUPLES[:4]) == texts(store)


def test_a_failing_commit_fails_all(store: Store) -> None:
    """When the commit fails nothing was written, everybody is told so, and the next write is made."""
    group = grouped(Tampering(store, StoreUnavailable("the disk is full"), "commit"))
    found = together(store, group, [creating(TUPLES[0]), creating(TUPLES[0]), creating(TUPLES[1])])
    assert ["the disk is full"] * 3 == [each.message for each in found if type(each) is StoreUnavailable]
    assert len(set(map(id, found))) == len(found)
    assert (set(), 0) == (texts(store), store.head().number)
    assert 1 == group.run(creating(TUPLES[0]))[0].number


@pytest.mark.parametrize("after", [False, True])
def test_a_lost_answer_is_looked_up(store: Store, after: bool) -> None:
    """When the commit's answer is lost, the store says what became of it: all made, or all not made."""
    group = grouped(Tampering(store, OutcomeUnknown("lost"), "commit", after=after))
    found = together(store, group, [creating(TUPLES[0]), creating(TUPLES[1]), creating(TUPLES[1])])
    if after:
        assert ([1, 2], set(TUPLES[:2])) == (numbers(found), texts(store))
        assert isinstance(found[2], AlreadyExists)
    else:
        assert [StoreUnavailable] * 3 == [type(each) for each in found]
        assert set() == texts(store)
    assert 3 - 2 * (not after) == group.run(creating(TUPLES[2]))[0].number


class Cut(Tampering):
    """Loses the store at a commit that was made, and cannot reach it once afterwards."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, OutcomeUnknown("lost"), "commit", after=True)
        self.cut = True

    def __call__(self) -> Transaction:
        if self.error is None and self.cut:
            self.cut = False
            raise StoreUnavailable("still away")
        return super().__call__()


def test_an_unknown_outcome_is_unknown_for_all(store: Store) -> None:
    """When nobody can look, everybody is told that the outcome is unknown; a request id resolves it."""
    group = grouped(Cut(store))

    def once(name: str) -> Work:
        def work(transaction: Transaction) -> Outcome:
            known = transaction.request(name)
            if known is not None:
                return known.revision, known.answer
            transaction.apply(create=many(f"report:{name}#viewer@user:anna"))
            return transaction.seal(Commit(request_id=name, answer="made")), "made"

        return work

    works = [once(name) for name in ("one", "two", "three")]
    assert [OutcomeUnknown] * 3 == [type(each) for each in together(store, group, works)]
    assert [(3, "made"), (1, "made"), (2, "made")] == [
        (revision.number, answer) for revision, answer in map(group.run, (works[2], *works[:2]))
    ]
    assert 3 == store.head().number


class Overtaken(Tampering):
    """Loses the answer of a commit, which is collected before anybody looks."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        super().__init__(store, OutcomeUnknown("lost"), "commit", after=True)
        self._clock = clock

    def __call__(self) -> Transaction:
        if self.error is None:
            write(self._store, create=TUPLES[5:])
            self._clock.now += 1
            self._store.collect(self._clock.now)
        return super().__call__()


def test_a_lost_answer_that_is_no_longer_kept(tmp_path: Path) -> None:
    """A revision below the floor is not taken for one that was never made: the outcome stays unknown."""
    clock = FakeClock()
    store = open_store(f"sqlite:///{tmp_path / 's.db'}", clock=clock, random=os.urandom)
    with pytest.raises(OutcomeUnknown):
        grouped(Overtaken(store, clock)).run(creating(TUPLES[0]))
    assert {TUPLES[0], TUPLES[5]} == texts(store, now=clock.now)
    store.close()


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    """When the lock cannot be had in time, all who waited for it are told, and nobody waits once more."""
    with_lock = open_store(f"sqlite:///{tmp_path / 's.db'}", clock=FakeClock(), random=os.urandom, wait_ms_max=300)
    group = grouped(with_lock.transaction)
    found: list[RelgraphError] = []

    def run(text: str) -> None:
        with pytest.raises(StoreUnavailable) as caught:
            group.run(creating(text))
        found.append(caught.value)

    threads = [threading.Thread(target=run, args=(text,)) for text in TUPLES]
    with with_lock.transaction():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert len(TUPLES) == len(found)
    with_lock.close()


@pytest.mark.parametrize("after", [False, True])
def test_an_interrupt_anywhere(tmp_path: Path, after: bool) -> None:
    """Whatever step a leader is interrupted at, the others' writes are made once each, and nobody waits for ever."""
    steps = ["begin", *["savepoint", "apply", "seal"] * 4, "commit"]
    for step, name in enumerate(steps):
        store = open_store(f"sqlite:///{tmp_path / str(step)}.db", clock=FakeClock(), random=os.urandom)
        begin = Tampering(store, KeyboardInterrupt(), after=after)
        begin.at = step
        found = together(store, grouped(begin), [creating(text) for text in TUPLES[:4]])
        assert steps[: step + 1] == begin.steps[: step + 1]
        interrupted = [place for place, each in enumerate(found) if isinstance(each, KeyboardInterrupt)]
        assert (1, 3) == (len(interrupted), len(set(numbers(found))))
        told = {TUPLES[place] for place, each in enumerate(found) if isinstance(each, tuple)}
        assert told <= texts(store) <= set(TUPLES[:4])
        assert store.head().number == len(texts(store))
        for each in found:
            if isinstance(each, tuple):
                assert each[1] in texts(store, at=each[0].number) - texts(store, at=each[0].number - 1)
        store.close()
        assert name in begin.steps[step + 1 :] or (name, after) == ("commit", True)


def test_a_write_that_waited_too_long(store: Store) -> None:
    """A write whose deadline passes before it is begun is not made, then or later."""
    group = grouped(store.transaction)
    found: list[type[Exception]] = []

    def run(deadline: float, text: str) -> None:
        with pytest.raises(DeadlineExceeded) as caught:
            group.run(creating(text), deadline)
        found.append(caught.type)

    with store.transaction():
        leader = threading.Thread(target=run, args=(time.monotonic() + 0.1, TUPLES[0]))
        leader.start()
        while not group._queue:
            time.sleep(0)
        follower = threading.Thread(target=run, args=(time.monotonic() + 0.01, TUPLES[1]))
        follower.start()
        follower.join(PATIENCE_S)
        while leader.is_alive() and not group._queue[0].late:
            time.sleep(0.01)
    leader.join(PATIENCE_S)
    run(time.monotonic(), TUPLES[2])
    group.run(creating(TUPLES[3]), time.monotonic() + PATIENCE_S)
    assert ([DeadlineExceeded] * 3, {TUPLES[3]}) == (found, texts(store))


def test_a_defect_fails_its_own_write(store: Store) -> None:
    """An error that is none of relgraph's goes to the one whose write raised it; the others are made."""

    def broken(transaction: Transaction) -> Outcome:
        transaction.apply(create=many(TUPLES[5]))
        raise ZeroDivisionError

    found = together(store, grouped(store.transaction), [creating(TUPLES[0]), broken, creating(TUPLES[1])])
    assert (ZeroDivisionError, set(TUPLES[:2])) == (type(found[1]), texts(store))


def sent(authorizer: relgraph.Authorizer, request: Request) -> Written:
    touch, create, delete = request
    # Under a request id, a write that changes nothing takes a revision too.
    return authorizer.write(touch=touch, create=create, delete=delete, request_id=str(uuid.uuid4()))


@pytest.mark.parametrize("seed", range(3))
def test_threads_write_as_one_after_the_other(tmp_path: Path, seed: int) -> None:
    """Replayed in the order of their revisions, the writes of many threads do the same to another store."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    made: list[tuple[int, Request]] = []
    refused: list[tuple[int, str, int]] = []

    def run(authorizer: relgraph.Authorizer, random: Random) -> None:
        for _ in range(25):
            pool = [f"doc:d{random.randrange(6)}#viewer@user:u{random.randrange(4)}" for _ in range(3)]
            word = random.choice(["touch", "create", "delete"])
            chosen = sorted(set(pool))
            request: Request = tuple(chosen if each == word else [] for each in ("touch", "create", "delete"))
            before = authorizer.schema().revision
            try:
                written = sent(authorizer, request)
            except AlreadyExists as error:
                refused.append((before, error.details["tuple"], authorizer.schema().revision))
            else:
                made.append((written.revision, request))

    with relgraph.open(url) as authorizer:
        authorizer.write_schema(SCHEMA)
        threads = [threading.Thread(target=run, args=(authorizer, Random(seed * 100 + n))) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        end = authorizer.schema().revision
        living = sorted(map(str, authorizer.read().tuples))
    changing = dict(made)
    with relgraph.open("sqlite://") as again:
        again.write_schema(SCHEMA)
        for revision in range(2, end + 1):
            assert revision == sent(again, changing[revision]).revision
        assert living == sorted(map(str, again.read().tuples))
    store = open_store(url, clock=FakeClock(), random=os.urandom)
    for before, text, after in refused:
        assert any(text in texts(store, at=at) for at in range(before, after + 1))
    store.close()


def test_a_write_with_a_deadline() -> None:
    """`write` takes a deadline: one that has passed is refused, and nothing is written."""
    with opened() as authorizer:
        revision = authorizer.schema().revision
        with pytest.raises(DeadlineExceeded):
            authorizer.write(touch=["doc:two#viewer@user:anna"], deadline=0)
        assert revision == authorizer.schema().revision
        assert revision + 1 == authorizer.write(touch=["doc:two#viewer@user:anna"], deadline=60).revision


def test_a_write_beside_others(store: Store) -> None:
    """Whoever writes to the store itself stands between groups, not inside one."""
    group = grouped(store.transaction)
    threads = [threading.Thread(target=group.run, args=(creating(text),)) for text in TUPLES[:3]]
    for thread in threads:
        thread.start()
    write(store, create=TUPLES[3:])
    for thread in threads:
        thread.join(PATIENCE_S)
    assert (4, set(TUPLES)) == (store.head().number, texts(store))
