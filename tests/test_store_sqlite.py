"""What is special to the store on SQLite: the file, its format and refusals, durability, many processes on one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from relgraph.errors import StoreFormat, StoreReadOnly, StoreUnavailable
from relgraph.instants import instant_of, parse_moment
from relgraph.store import open_store
from relgraph.store.base import Commit, Store
from relgraph.store.sql import paging, reading
from relgraph.store.sqlite import layout
from relgraph.store.sqlite.files import FileStore
from relgraph.store.sqlite.library import VERSION_MIN, check_version, has_reset_bug, sqlite3
from relgraph.store.sqlite.writing import LATE_ROWS_MIN
from relgraph.tuples import RelationTuple, TupleFilter
from tests.store_kit import MICROSECOND, NOW, SAMPLE, FakeClock, FakeRandom, done, loading, many, texts, until, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

several_writers = pytest.mark.skipif(
    has_reset_bug(sqlite3.sqlite_version_info), reason="the SQLite here lets one store at a time write a file"
)


def open_file(path: Path, wait_ms_max: int = 5000) -> FileStore:
    store = open_store(f"sqlite:///{path}", clock=FakeClock(), random=os.urandom, wait_ms_max=wait_ms_max)
    assert isinstance(store, FileStore)
    return store


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def python(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", *arguments], stdout=subprocess.PIPE, text=True)


WRITER = """
import os, sys
from relgraph.store import open_store
from relgraph.store.base import Commit
from relgraph.tuples import RelationTuple
store = open_store("sqlite:///" + sys.argv[1], clock=lambda: 1, random=os.urandom, wait_ms_max=60000)
for n in range(int(sys.argv[3])):
    with store.transaction() as transaction:
        transaction.apply(create=[RelationTuple.parse(f"report:{sys.argv[2]}{n}#viewer@user:{u}") for u in "ab"])
        revision = transaction.seal(Commit())
        transaction.commit()
    print(revision.number, n, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[FileStore]:
    store = open_file(path)
    yield store
    store.close()


# --- the file


def test_header(store: Store, path: Path) -> None:
    """The file carries relgraph's application id and its format version, and is in WAL mode."""
    assert store.head().number == 0
    assert [(0x72656C67,)] == ask(path, "PRAGMA application_id")
    assert [(layout.FORMAT,)] == ask(path, "PRAGMA user_version")
    assert [("wal",)] == ask(path, "PRAGMA journal_mode")


def test_every_commit_is_synced(store: FileStore) -> None:
    """The writing connection syncs at every commit (FULL), and reading ones cannot write."""
    assert [(2,)] == store._writer.all("PRAGMA synchronous")
    with store.snapshot() as snapshot:
        assert [(1,)] == snapshot._link.all("PRAGMA query_only")


def test_reopened(path: Path) -> None:
    """What was committed is there after reopening, under the same identity, and the chain goes on."""
    with closing(open_file(path)) as store:
        identity, revision = store.id, write(store, create=SAMPLE)
    with closing(open_file(path)) as store:
        assert (identity, revision) == (store.id, store.head())
        assert set(SAMPLE) == texts(store)
        assert revision.number + 1 == write(store, delete=SAMPLE).number


def test_paths_are_taken_as_they_stand(tmp_path: Path) -> None:
    """Blanks, percent signs, hashes and letters beyond ASCII in a path mean themselves."""
    path = tmp_path / "a b%20c#d é.db"
    with closing(open_file(path)) as store:
        write(store, create=SAMPLE)
        assert set(SAMPLE) == texts(store)
    assert path.is_file()


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is meant from the directory where the store was opened, even when that changes later."""
    monkeypatch.chdir(tmp_path)
    with closing(open_store("sqlite:///here.db", clock=FakeClock(), random=FakeRandom())) as store:
        monkeypatch.chdir("/")
        assert 0 == store.head().number
    assert (tmp_path / "here.db").is_file()


def test_memory_touches_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store in memory makes no file."""
    monkeypatch.chdir(tmp_path)
    with closing(open_store("sqlite://", clock=FakeClock(), random=FakeRandom())) as store:
        write(store, create=SAMPLE)
    assert [] == list(tmp_path.iterdir())


def test_an_administrator_looks_inside(store: Store, path: Path) -> None:
    """The view `living_tuples` shows the living tuples in words."""
    write(store, create=SAMPLE)
    write(store, delete=SAMPLE[:1])
    found = ask(
        path,
        "SELECT resource_type || ':' || resource_id || '#' || relation || '@' || subject_type || ':' || subject_id"
        " || CASE subject_relation WHEN '' THEN '' ELSE '#' || subject_relation END FROM living_tuples",
    )
    assert set(SAMPLE[1:]) == {row[0] for row in found}


def test_the_administrators_view_tells_expirations(path: Path) -> None:
    """The view tells when tuples expire, to the microsecond, and hides what has, by the clock and by the stamps."""
    future = "2999-12-31T23:59:59.000001Z"
    gone = until("report:q2#viewer@user:anna", NOW + 1)
    view = "SELECT resource_id, expires_at FROM living_tuples ORDER BY 1"
    clock = FakeClock()
    with closing(open_store(f"sqlite:///{path}", clock=clock, random=FakeRandom())) as store:
        write(store, create=["report:q1#viewer@user:anna", gone, f"report:q3#viewer@user:anna[expiration:{future}]"])
        assert [("q1", None), ("q3", future)] == ask(path, view)
        clock.now = instant_of(parse_moment(future))
        write(store, commit=Commit())
        assert [("q1", None)] == ask(path, view)


def test_the_administrators_view_tells_caveats(store: Store, path: Path) -> None:
    """The view tells under which caveat a tuple counts, and with which context: it may not count at all."""
    key = "report:q1#viewer@user:anna"
    write(
        store, create=[key, "report:q2#viewer@user:anna[near]", 'report:q3#viewer@user:anna[near:{"site":"n\\u00f6"}]']
    )
    assert [("q1", "", None), ("q2", "near", None), ("q3", "near", '{"site":"n\\u00f6"}')] == ask(
        path, "SELECT resource_id, caveat, context FROM living_tuples ORDER BY 1"
    )


def test_integrity(store: Store, path: Path) -> None:
    """After a large load, deletes and a rollback SQLite finds the file sound, with every index in place."""
    indexes = ask(path, "SELECT name, sql FROM sqlite_schema WHERE type = 'index' ORDER BY name")
    tuples = [RelationTuple.parse(f"report:q{n}#viewer@user:u{n % 100}") for n in range(LATE_ROWS_MIN)]
    with loading(store, tuples) as transaction:
        transaction.load()
    assert indexes == ask(path, "SELECT name, sql FROM sqlite_schema WHERE type = 'index' ORDER BY name")
    with loading(store, tuples) as transaction:
        transaction.load()
        done(transaction)
    with store.transaction() as transaction:
        transaction.apply(delete=tuples[::3])
        done(transaction)
    assert indexes == ask(path, "SELECT name, sql FROM sqlite_schema WHERE type = 'index' ORDER BY name")
    assert [("ok",)] == ask(path, "PRAGMA integrity_check")


@pytest.mark.parametrize(
    "sql",
    [
        reading._TUPLE,
        reading._TUPLES,
        reading._HOLDERS,
        reading._CHANGED,
        reading._REVISION_AT,
        paging._BY_RESOURCE + " AND r.type = ?" + paging._BY_RESOURCE_ORDER,
        paging._BY_RESOURCE + " AND (r.type, r.key) > (?, ?)" + paging._BY_RESOURCE_ORDER,
        paging._BY_RESOURCE + " AND t.resource = ?" + paging._BY_RESOURCE_ORDER,
        paging._BY_SUBJECT + " AND t.deleted IS NULL AND t.subject = ?",
    ],
)
def test_query_plans(store: Store, path: Path, sql: str) -> None:
    """No hot query reads a whole table, and no page is sorted."""
    assert store.head().number == 0
    plan = "\n".join(str(row[3]) for row in ask(path, f"EXPLAIN QUERY PLAN {sql.replace('?', '1')}"))
    assert "SCAN" not in plan, plan
    assert "TEMP B-TREE" not in plan, plan


# --- format and refusals


def test_a_newer_format_is_refused(path: Path) -> None:
    """A store of a newer relgraph is refused by its format, and not touched."""
    open_file(path).close()
    ask(path, f"PRAGMA user_version = {layout.FORMAT + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreFormat, match=f"has format {layout.FORMAT + 1} and this relgraph knows {layout.FORMAT}"):
        open_file(path)
    assert before == path.read_bytes()


def test_another_programs_database_is_refused(path: Path) -> None:
    """A SQLite file of another program is refused, and not touched."""
    ask(path, "CREATE TABLE theirs(a)")
    before = path.read_bytes()
    with pytest.raises(StoreFormat, match="of another program"):
        open_file(path)
    assert before == path.read_bytes()


@pytest.mark.parametrize("content", [b"resource,relation,subject\n" * 100, b"xy", bytes(5000)])
def test_no_database_is_refused(path: Path, content: bytes) -> None:
    """A file that is no SQLite database is refused by its name, and not touched."""
    path.write_bytes(content)
    with pytest.raises(StoreFormat, match=r"store\.db"):
        open_file(path)
    assert content == path.read_bytes()


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    """An empty file, as `mktemp` makes it, becomes a store."""
    path.touch()
    with closing(open_file(path)) as store:
        assert 1 == write(store, create=SAMPLE).number


def test_a_missing_directory(tmp_path: Path) -> None:
    """A path in a directory that does not exist is refused, with what to do."""
    with pytest.raises(StoreUnavailable, match="make the directory first"):
        open_file(tmp_path / "none" / "store.db")


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    """The path of a directory is refused."""
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        open_file(tmp_path)


def test_damage_is_told(path: Path) -> None:
    """A damaged file is refused when the damage is met, and never answers instead."""
    with closing(open_file(path)) as store:
        write(store, create=[f"report:q{n}#viewer@user:u{n}" for n in range(2000)])
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreFormat, match="damaged"), closing(open_file(path)) as store:
        texts(store)


def test_a_full_disk(store: FileStore) -> None:
    """When the disk is full the write is refused and leaves nothing; with room again, writing goes on."""
    write(store, create=SAMPLE)
    [(pages,)] = store._writer.all("PRAGMA page_count")
    store._writer.all(f"PRAGMA max_page_count = {pages + 5}")
    with (
        pytest.raises(StoreUnavailable, match="is full"),
        loading(store, many(*(f"report:q{n}#viewer@user:x{n}" for n in range(5000)))) as transaction,
    ):
        transaction.load()
    assert (set(SAMPLE), 1) == (texts(store), store.head().number)
    store._writer.all("PRAGMA max_page_count = 1000000")
    assert 2 == write(store, create=["report:q9#viewer@user:x"]).number


def test_a_read_only_store(store: FileStore) -> None:
    """A store that cannot be written says so, and can still be read."""
    write(store, create=SAMPLE)
    store._writer.run("PRAGMA query_only = ON")
    with pytest.raises(StoreReadOnly, match="cannot be written"):
        write(store, delete=SAMPLE)
    assert set(SAMPLE) == texts(store)


def test_an_old_sqlite_is_refused() -> None:
    """A SQLite without STRICT tables is refused with the version needed."""
    check_version(VERSION_MIN)
    with pytest.raises(StoreUnavailable, match=r"needs SQLite `3\.37\.0` or newer and this one is `3\.34\.1`"):
        check_version((3, 34, 1))


# --- migrations


def test_migration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older file is migrated when it is opened, once, and keeps what it holds."""
    with closing(open_file(path)) as store:
        write(store, create=SAMPLE)
    names = [(name,) for name, _ in (*layout._STEPS, ("later", ()))]
    monkeypatch.setattr(layout, "_STEPS", (*layout._STEPS, ("later", ("ALTER TABLE meta ADD COLUMN more TEXT",))))
    monkeypatch.setattr(layout, "FORMAT", len(names))
    for _ in range(2):
        with closing(open_file(path)) as store:
            assert set(SAMPLE) == texts(store)
    assert [(len(names),)] == ask(path, "PRAGMA user_version")
    assert [(None,)] == ask(path, "SELECT more FROM meta")
    assert names == ask(path, "SELECT name FROM _sqlite_migrations ORDER BY id")


def take_back(path: Path) -> None:
    """Make a file of the present format one of the first, with what it holds."""
    statements = (
        "DROP VIEW living_tuples",
        "DROP TABLE counters",
        "DROP INDEX revisions_by_stamp",
        "DROP INDEX tuples_by_expiration",
        "ALTER TABLE meta DROP COLUMN floor",
        "ALTER TABLE meta DROP COLUMN migrating",
        "ALTER TABLE revisions DROP COLUMN not_after",
        "ALTER TABLE revisions DROP COLUMN answer",
        "DELETE FROM _sqlite_migrations WHERE name <> 'first layout'",
        *(statement for statement in layout._FIRST if "VIEW" in statement),
        "PRAGMA user_version = 1",
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_the_first_format_is_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the first format, before expirations, opens with what it holds and takes tuples that expire."""
    with closing(open_file(path)) as store:
        first = write(store, create=SAMPLE, commit=Commit(request_id="first"))
    take_back(path)
    soon = until("report:q9#viewer@user:anna", NOW + 1)
    with closing(open_file(path)) as store:
        write(store, create=[soon])
        assert {*SAMPLE, soon} == texts(store)
        assert set(SAMPLE) == texts(store, now=NOW + 1)
        with store.snapshot() as snapshot:
            assert first == snapshot.revision(1)
            request = snapshot.request("first")
        assert request is not None
        assert (first, NOW + 86_400 * MICROSECOND) == (request.revision, request.not_after)
    with monkeypatch.context() as older:
        older.setattr(layout, "FORMAT", 1)
        with pytest.raises(StoreFormat, match="install a newer one"):
            open_file(path)


def test_a_failing_migration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that fails half way leaves the older file as it was."""
    with closing(open_file(path)) as store:
        write(store, create=SAMPLE)
    with monkeypatch.context() as patch:
        bad = ("bad", ("ALTER TABLE meta ADD COLUMN more TEXT", "NONSENSE"))
        patch.setattr(layout, "_STEPS", (*layout._STEPS, bad))
        patch.setattr(layout, "FORMAT", layout.FORMAT + 1)
        with pytest.raises(StoreUnavailable, match="NONSENSE"):
            open_file(path)
    with closing(open_file(path)) as store:
        assert set(SAMPLE) == texts(store)
    assert "more" not in str(ask(path, "SELECT sql FROM sqlite_schema"))


def test_migrations_are_lazy(path: Path) -> None:
    """Opening a current file does not import sqlite-utils."""
    open_file(path).close()
    program = """
import sys
from relgraph.store import open_store
open_store("sqlite:///" + sys.argv[1], clock=lambda: 1, random=bytes).head()
print("sqlite_utils" in sys.modules)
"""
    assert "False\n" == python(program, str(path)).communicate(timeout=60)[0]


# --- leaving, waiting, and other processes


def test_iterations_end_with_their_snapshot(store: Store) -> None:
    """An iteration that is asked for more after its snapshot was left raises instead of reading another state."""
    write(store, create=SAMPLE)
    with store.snapshot() as snapshot:
        rows = snapshot.image().rows
        next(rows)
        later = snapshot.image().rows
    for iteration in (rows, later):
        with pytest.raises(StoreUnavailable):
            next(iteration)


def test_a_busy_thread(path: Path) -> None:
    """A write that waits too long for another one in its process is told so."""
    with closing(open_file(path, wait_ms_max=20)) as store, store.transaction():
        second = store.transaction()
        with pytest.raises(StoreUnavailable, match="took more than 20 ms; try again"):
            second.__enter__()


@several_writers
def test_a_busy_file(path: Path) -> None:
    """A write that waits too long for another process is told so; reading does not wait."""
    with closing(open_file(path)) as first, closing(open_file(path, wait_ms_max=20)) as second:
        with first.transaction() as transaction:
            transaction.apply(create=many(*SAMPLE))
            with pytest.raises(StoreUnavailable, match="locked by another writer"), second.transaction():
                pass
            assert set() == texts(second)
            done(transaction)
        assert set(SAMPLE) == texts(second)
        assert 2 == write(second, delete=SAMPLE).number
        assert 2 == first.head().number


@several_writers
def test_a_new_file_opened_by_many(path: Path) -> None:
    """Processes that open the same new file at once all succeed, on one store."""
    processes = [python(WRITER, str(path), name, "3") for name in "abcd"]
    for process in processes:
        process.communicate(timeout=60)
    assert [0] * 4 == [process.returncode for process in processes]
    with closing(open_file(path)) as store:
        assert 12 == store.head().number
        assert 24 == len(texts(store))
    assert [(1,)] == ask(path, "SELECT count(*) FROM meta")


@several_writers
def test_two_processes(path: Path) -> None:
    """Two processes writing one file interleave without losing a revision, and the chain holds."""
    processes = [python(WRITER, str(path), name, "100") for name in "ab"]
    acknowledged = sorted(int(line.split()[0]) for p in processes for line in p.communicate(timeout=60)[0].splitlines())
    assert list(range(1, 201)) == acknowledged
    with closing(open_file(path)) as store, store.snapshot() as snapshot:
        chain = snapshot.changes(0, 0, 0).chain
        assert 400 == len(snapshot.read(TupleFilter(), 200, NOW, None, 1000))
    assert all(left.nonce == predecessor for (left, _), (_, predecessor) in pairwise(chain))


@pytest.mark.parametrize("lines", [1, 7, 40])
def test_sigkill(path: Path, lines: int) -> None:
    """After SIGKILL of a writing process every acknowledged write is there, and none is there by half."""
    process = python(WRITER, str(path), "k", "100000")
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().split() for _ in range(lines)]
    process.send_signal(signal.SIGKILL)
    acknowledged += [line.split() for line in process.communicate(timeout=60)[0].splitlines() if " " in line]
    with closing(open_file(path)) as store:
        found, head = texts(store), store.head().number
    assert {f"report:k{n}#viewer@user:{user}" for _, n in acknowledged for user in "ab"} <= found
    assert (2 * head, True) == (len(found), head >= len(acknowledged))
    assert [("ok",)] == ask(path, "PRAGMA integrity_check")
