"""Moving a store: the target holds all that the source keeps, or refuses to be anything until it does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from relgraph.api import Authorizer
from relgraph.errors import InvalidSetting, RevisionUnavailable, StoreUnavailable
from relgraph.instants import moment
from relgraph.revision import Consistency
from relgraph.store import open_store
from relgraph.store.base import Commit
from relgraph.store.history import PARTS
from relgraph.store.migration import Migrated, digest, migrate
from relgraph.tuples import Object, RelationTuple, Subject, TupleFilter
from tests.serving import program_environment
from tests.store_kit import ALL, MICROSECOND, NOW, SAMPLE, FakeClock, FakeRandom, texts, until, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from relgraph.store.base import Store
    from relgraph.store.migration import Digest
    from tests.postgres_kit import Server

SCHEMA = "definition user {} definition doc { relation viewer: user; permission view = viewer }"


def opened(url: str, clock: FakeClock | None = None) -> Store:
    return open_store(url, clock=clock or FakeClock(), random=os.urandom)


def file(path: Path) -> str:
    return f"sqlite:///{path}"


def kept(store: Store) -> Digest:
    with store.snapshot() as snapshot:
        floor = snapshot.revision(snapshot.floor)
        assert floor is not None
        return digest(snapshot.history(snapshot.head.number), floor)


def fill(store: Store, clock: FakeClock, seed: int, writes: int) -> None:
    """Write a random history of tuples that come, go, expire and come back, with schemas and request ids between."""
    chance = random.Random(seed)
    keys = [
        RelationTuple(Object("doc", r), "viewer", Subject("user", s, "" if s != "team" else "member"))
        for r in ("a", "A", "b" * 500, "*")
        for s in ("anna", "*", "team", "x|y")
    ]
    for _ in range(writes):
        clock.now += chance.randint(-3, 9)
        picked = chance.sample(keys, 6)
        ends = [None, clock.now + chance.randint(-2, 30)]
        made = [
            RelationTuple(*each.key, None if (end := chance.choice(ends)) is None else moment(end)) for each in picked
        ]
        with store.transaction() as transaction:
            commit = Commit(
                principal=chance.choice(["", "app"]),
                actor=chance.choice(["", "user:anna"]),
                reason=chance.choice(["", "né \N{GRINNING FACE}"]),
                request_id=f"r{transaction.number}" if chance.random() < 0.5 else "",
                payload=chance.randbytes(chance.choice([0, 32])),
                metadata=chance.choice(["", '{"a": "\\t"}']),
                not_after=chance.choice([0, clock.now]),
                answer=chance.choice(["", "4"]),
            )
            if chance.random() < 0.2:
                transaction.write_schema(f"{SCHEMA} // {chance.randint(0, 2)}", ["user", "doc", "viewer", "view"])
            transaction.apply(delete=picked[:2], touch=made[2:])
            transaction.seal(commit)
            transaction.commit()


def check_alike(source: Store, target: Store) -> None:
    """Whatever is asked of both at a revision gets one answer."""
    assert kept(source) == kept(target)
    with source.snapshot() as ours, target.snapshot() as theirs:
        head = ours.head.number
        for view in (ours, theirs):
            assert view.head == ours.head
        assert [ours.revision(n) for n in range(head + 1)] == [theirs.revision(n) for n in range(head + 1)]
        floor = ours.floor
        assert floor == theirs.floor
        mine, yours = (view.changes(floor, 0, 0) for view in (ours, theirs))
        mine.rows.sort(key=lambda row: row[:5])
        yours.rows.sort(key=lambda row: row[:5])
        assert mine == yours
        for at in range(floor, head + 1):
            assert ours.schema(at) == theirs.schema(at)
            for wanted in (ALL, TupleFilter(subject_type="user", subject_id="anna")):
                # Nobody asks for a revision at an instant before its own stamp.
                for now in (ours.head.stamp, ours.head.stamp + 9):
                    assert ours.read(wanted, at, now, None, 100) == theirs.read(wanted, at, now, None, 100)
            assert ours.request(f"r{at}") == theirs.request(f"r{at}")
        for instant in range(NOW - 10, NOW + 300, 7):
            assert ours.revision_at(instant) == theirs.revision_at(instant)


class Interrupted(Exception):
    """Ends a migration where a test wants it to end."""


class Ears:
    """Hears how a migration comes along, and ends it at the last of so many calls."""

    def __init__(self, calls: int | None = None, then: Callable[[str], None] | None = None) -> None:
        self.heard: list[str] = []
        self._calls = calls
        self._then = then

    def __call__(self, what: str, done: int) -> None:
        del done
        self.heard.append(what)
        if self._then is not None:
            self._then(what)
        if len(self.heard) == self._calls:
            raise Interrupted


class MigrationContract:
    """What holds between a store of any backend and another. `source` was filled, `target` is empty."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    @pytest.fixture
    def source(self, clock: FakeClock, tmp_path: Path) -> Iterator[Store]:
        with closing(opened(file(tmp_path / "source.db"), clock)) as store:
            fill(store, clock, 7, 40)
            yield store

    @pytest.fixture
    def target(self, clock: FakeClock, tmp_path: Path) -> Iterator[Store]:
        raise NotImplementedError

    @pytest.mark.parametrize("seed", range(3))
    def test_everything_moves(self, source: Store, target: Store, clock: FakeClock, seed: int) -> None:
        """The target answers as the source does, at every revision and instant, and goes on from there by itself."""
        fill(source, clock, seed, 30)
        result = migrate(source, target, batch=7)
        assert Migrated(source.head().number, kept(source), continued=False) == result
        check_alike(source, target)
        assert source.id != target.id
        assert source.head().number + 1 == write(target, touch=SAMPLE).number
        with target.snapshot() as snapshot:
            [_, (_, predecessor)] = snapshot.changes(snapshot.head.number - 2, 0, 0).chain
            assert source.head().nonce == predecessor

    def test_there_and_back(self, source: Store, target: Store, clock: FakeClock, tmp_path: Path) -> None:
        """What moved back again has the digest that it had."""
        migrate(source, target)
        with closing(opened(file(tmp_path / "back.db"), clock)) as back:
            assert kept(source) == migrate(target, back).digest
            check_alike(source, back)

    def test_interrupted_anywhere(self, source: Store, target: Store) -> None:
        """Ended at any point it goes on from there; until it is done the target refuses whatever else is asked."""
        ears = Ears()
        for calls in range(1, 20):
            ears = Ears(calls)
            try:
                assert migrate(source, target, told=ears, batch=40).continued
                break
            except Interrupted:
                for refused in (
                    target.head,
                    target.snapshot,
                    lambda: Authorizer(target),
                    lambda: write(target, touch=SAMPLE),
                ):
                    with pytest.raises(StoreUnavailable, match="was not finished"):
                        refused()
                assert any("was not finished" in finding for finding in target.verify().findings)
        assert ["followed", "comparing"] == ears.heard
        check_alike(source, target)

    def test_the_source_is_written_meanwhile(self, source: Store, target: Store, clock: FakeClock) -> None:
        """What is written while the copying goes on is followed, deletions of what was copied included."""
        seeds = iter(range(100))

        def write_on(what: str) -> None:
            if what in PARTS:
                fill(source, clock, next(seeds), 5)

        ears = Ears(then=write_on)
        assert source.head().number < migrate(source, target, told=ears, batch=10).revision
        assert {*PARTS, "followed", "comparing"} == set(ears.heard)
        check_alike(source, target)

    def test_a_collected_source(self, source: Store, target: Store, clock: FakeClock) -> None:
        """What the source keeps no longer is not asked for, and the target's floor is the source's."""
        collected = source.collect(clock.now - 60)
        assert 0 < collected.floor.number < source.head().number
        migrate(source, target, batch=9)
        check_alike(source, target)
        assert collected.floor == target.collect(clock.now - 60).floor
        head = source.head()
        clock.now += 9
        fill(source, clock, 3, 9)
        assert head == source.collect(head.stamp).floor
        migrate(source, target)
        check_alike(source, target)
        assert () == target.verify().findings

    def test_the_source_collects_meanwhile(self, source: Store, target: Store, clock: FakeClock) -> None:
        """What was copied and then collected by the source is gone from the target too, at the latest at the end."""
        write(source, create=[until("doc:gone#viewer@user:anna", clock.now + 40)])
        clock.now += 50
        head = write(source, touch=["doc:other#viewer@user:anna"])

        def collect(what: str) -> None:
            if what == "tuples":
                # What has expired was copied; now it goes, and its key is taken again.
                assert source.collect(clock.now).tuples > 0
                write(source, create=["doc:gone#viewer@user:anna"])

        migrate(source, target, told=Ears(then=collect))
        with target.snapshot() as snapshot:
            assert head.number == snapshot.floor
        check_alike(source, target)
        clock.now += 1
        write(source, touch=["doc:more#viewer@user:anna"])
        source.collect(clock.now)
        with pytest.raises(InvalidSetting, match="keeps no longer"):
            migrate(source, target)
        write(target, delete=["doc:gone#viewer@user:anna"])
        assert "doc:gone#viewer@user:anna" not in texts(target, now=clock.now)
        assert () == target.verify().findings

    def test_brought_up_to_date(self, source: Store, target: Store, clock: FakeClock) -> None:
        """A finished target takes up what the source wrote since, until the target is written itself."""
        before = migrate(source, target).revision
        fill(source, clock, 11, 5)
        again = migrate(source, target)
        assert (before + 5, True) == (again.revision, again.continued)
        check_alike(source, target)
        assert again == migrate(source, target)
        write(target, touch=SAMPLE)
        for _ in range(2):
            with pytest.raises(InvalidSetting, match="holds a revision 46 that the source has not"):
                migrate(source, target)
            fill(source, clock, 12, 1)
        assert set(SAMPLE) < texts(target)

    def test_many_revisions_are_followed_in_steps(
        self, source: Store, target: Store, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
    ) -> None:
        """What is far ahead is followed in many transactions, and those that are done are not done again."""
        monkeypatch.setattr("relgraph.store.migration._STEP", 2)
        migrate(source, target)
        fill(source, clock, 3, 9)
        with pytest.raises(Interrupted):
            migrate(source, target, told=Ears(3))
        ears = Ears()
        migrate(source, target, told=ears)
        assert ["followed"] * 3 + ["comparing"] == ears.heard
        check_alike(source, target)

    def test_an_empty_source(self, target: Store) -> None:
        """Nothing moves, too; and the target is the source's from then on only as long as it is empty."""
        with closing(opened("sqlite://")) as source:
            assert 0 == migrate(source, target).revision
            write(source, touch=SAMPLE)
            assert 1 == migrate(source, target).revision
        assert set(SAMPLE) == texts(target)

    def test_a_wrong_target(self, source: Store, target: Store) -> None:
        """A store with facts of its own, the half of another migration, or the source itself are no targets."""
        write(target, touch=SAMPLE)
        with pytest.raises(InvalidSetting, match="holds a revision 1 that the source has not"):
            migrate(source, target)
        assert set(SAMPLE) == texts(target)
        with pytest.raises(InvalidSetting, match="are one store"):
            migrate(target, target)

    def test_the_half_of_another_migration(self, source: Store, target: Store) -> None:
        """What was begun from one store is not finished from another."""
        with closing(opened("sqlite://")) as other:
            write(other, touch=SAMPLE)
            with pytest.raises(Interrupted):
                migrate(other, target, told=Ears(1))
            with pytest.raises(InvalidSetting, match="migration from another store"):
                migrate(source, target)
            migrate(other, target)
        assert set(SAMPLE) == texts(target)

    def test_tokens_of_the_source_are_refused(self, source: Store, target: Store) -> None:
        """A token that the source returned names nothing in the target, although the revision is the same."""
        with closing(opened("sqlite://")) as other:
            token = Authorizer(other).write_schema(SCHEMA).token
            migrate(other, target)
        moved = Authorizer(target, clock=lambda: NOW)
        with pytest.raises(RevisionUnavailable, match="of another store"):
            moved.read(consistency=Consistency.at_exactly(token))
        assert SCHEMA == moved.schema().text
        assert source.id != target.id


class TestFileToFile(MigrationContract):
    """From a SQLite file to another."""

    @pytest.fixture
    def target(self, clock: FakeClock, tmp_path: Path) -> Iterator[Store]:
        with closing(opened(file(tmp_path / "target.db"), clock)) as store:
            yield store


class TestMemoryToFile(TestFileToFile):
    """From memory to a SQLite file."""

    @pytest.fixture
    def source(self, clock: FakeClock) -> Iterator[Store]:
        with closing(opened("sqlite://", clock)) as store:
            fill(store, clock, 7, 40)
            yield store


class TestFileToPostgres(MigrationContract):
    """From a SQLite file to PostgreSQL."""

    @pytest.fixture
    def target(self, clock: FakeClock, postgres: Server) -> Iterator[Store]:
        with postgres.store(clock, os.urandom) as store:
            yield store


class TestPostgresToFile(TestFileToFile):
    """From PostgreSQL to a SQLite file."""

    @pytest.fixture
    def source(self, clock: FakeClock, postgres: Server) -> Iterator[Store]:
        with postgres.store(clock, os.urandom) as store:
            fill(store, clock, 7, 40)
            yield store


# --- what is special to files


def test_every_column_moves(tmp_path: Path) -> None:
    """A history tells every column that a table has: one that is added later has to be told of, too."""
    from relgraph import sqlite3

    opened(file(tmp_path / "store.db")).close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        for part, columns in PARTS.items():
            found = [row[1] for row in connection.execute(f"PRAGMA table_info({part})")]
            assert sorted(found) == sorted(columns.names)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tuples SET expires = 5 WHERE created = 3",
        "DELETE FROM tuples WHERE created = 3",
        "UPDATE revisions SET reason = 'none' WHERE number = 3",
        "UPDATE objects SET key = 'other' WHERE key = 'anna'",
        "UPDATE schemas SET text = text || ' '",
    ],
)
def test_a_difference_is_found(tmp_path: Path, damage: str) -> None:
    """A target that lost or changed something on the way is not opened, by this migration or the next."""
    from relgraph import sqlite3

    clock = FakeClock()
    source, target = (opened(file(tmp_path / name), clock) for name in ("source.db", "target.db"))
    fill(source, clock, 5, 20)

    def spoil(what: str) -> None:
        if what == "tuples":
            with closing(sqlite3.connect(tmp_path / "target.db")) as connection:
                assert connection.execute(damage).rowcount
                connection.commit()

    with closing(source), closing(target):
        with pytest.raises(StoreUnavailable, match="does not hold what the source does"):
            migrate(source, target, told=Ears(then=spoil))
        with pytest.raises(StoreUnavailable, match="does not hold what the source does"):
            migrate(source, target)
        with pytest.raises(StoreUnavailable, match="was not finished"):
            target.head()


def test_two_migrations_at_once(tmp_path: Path) -> None:
    """A second migration to the same target helps with the first, or is told that it was overtaken."""
    clock = FakeClock()
    source, target = (opened(file(tmp_path / name), clock) for name in ("source.db", "target.db"))
    fill(source, clock, 5, 30)

    def help_along(what: str) -> None:
        if what == "objects":
            with closing(opened(file(tmp_path / "target.db"))) as again:
                migrate(source, again)

    with closing(source), closing(target):
        with pytest.raises(StoreUnavailable, match="has overtaken this one"):
            migrate(source, target, told=Ears(then=help_along))
        check_alike(source, target)


def test_a_source_that_went_back(tmp_path: Path) -> None:
    """A half that was copied from revisions the source has no more, after a restored backup, is not gone on with."""
    clock = FakeClock()
    path = tmp_path / "source.db"
    with closing(opened(file(path), clock)) as source:
        fill(source, clock, 5, 5)
    older = path.read_bytes()
    with closing(opened(file(tmp_path / "target.db"), clock)) as target:
        with closing(opened(file(path), clock)) as source:
            fill(source, clock, 6, 5)
            with pytest.raises(Interrupted):
                migrate(source, target, told=Ears(6))
        path.write_bytes(older)
        with closing(opened(file(path), clock)) as source:
            fill(source, clock, 8, 8)
            with pytest.raises(InvalidSetting, match="holds a revision 10 that the source has not"):
                migrate(source, target)


KILLED = """
import os, sys
from relgraph.store import open_store
from relgraph.store.migration import migrate
source, target = (open_store(url, clock=lambda: 1, random=os.urandom) for url in sys.argv[1:])
migrate(source, target, told=lambda *_: print(flush=True), batch=5)
"""


def test_killed_and_taken_up(tmp_path: Path) -> None:
    """A migration that is killed again and again comes to the same end."""
    clock = FakeClock()
    urls = [file(tmp_path / name) for name in ("source.db", "target.db")]
    with closing(opened(urls[0], clock)) as source:
        fill(source, clock, 5, 60)
        killed = 0
        for _ in range(6):
            process = subprocess.Popen(
                [sys.executable, "-c", KILLED, *urls], stdout=subprocess.PIPE, text=True, env=program_environment()
            )
            assert process.stdout is not None
            lines = random.randint(1, 4)
            assert len([process.stdout.readline() for _ in range(lines)]) == lines
            os.kill(process.pid, signal.SIGKILL)
            process.communicate(timeout=60)
            killed += process.returncode == -signal.SIGKILL
        assert killed > 0
        with closing(opened(urls[1], clock)) as target:
            migrate(source, target)
            check_alike(source, target)


def test_an_open_store_follows(tmp_path: Path) -> None:
    """Whoever had the empty target open refuses while it fills, and answers from all of it afterwards."""
    clock = FakeClock(NOW)
    url = file(tmp_path / "target.db")
    with closing(opened("sqlite://", clock)) as source, closing(opened(url, clock)) as target:
        writer = Authorizer(source, clock=clock)
        writer.write_schema(SCHEMA)
        writer.write(touch=["doc:a#viewer@user:anna"])
        reader = Authorizer(opened(url, clock), clock=clock)
        with pytest.raises(Interrupted):
            migrate(source, target, told=Ears(6))
        with pytest.raises(StoreUnavailable, match="was not finished"):
            reader.check("user:anna", "view", "doc:a")
        migrate(source, target)
        assert reader.check("user:anna", "view", "doc:a")
        reader.close()
    assert clock.now // MICROSECOND


def test_random_source_of_bytes_does_not_matter(tmp_path: Path) -> None:
    """Stores that draw the same random bytes are one store to a migration, and refused."""
    urls = [file(tmp_path / name) for name in ("a.db", "b.db")]
    with (
        closing(open_store(urls[0], clock=FakeClock(), random=FakeRandom())) as one,
        closing(open_store(urls[1], clock=FakeClock(), random=FakeRandom())) as two,
        pytest.raises(InvalidSetting, match="are one store"),
    ):
        migrate(one, two)
