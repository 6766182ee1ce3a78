"""One SQLite library a file and process, and who may write a file together with whom."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.errors import InvalidSetting, StoreUnavailable
from relgraph.store import open_store
from relgraph.store.sqlite.files import FileStore
from relgraph.store.sqlite.library import has_reset_bug
from tests.store_kit import FakeClock, texts, write

if TYPE_CHECKING:
    from pathlib import Path

    from relgraph.store import SQLiteModule

DEFAULT = relgraph.sqlite3
SCHEMA = "definition user {} definition report { relation viewer: user; permission view = viewer }"
ANNA = "report:q1#viewer@user:anna"
CARL = "report:q1#viewer@user:carl"

two_libraries = pytest.mark.skipif(DEFAULT is sqlite3, reason="there is one SQLite library here")


def _version_of(module: SQLiteModule, *version: int) -> SQLiteModule:
    """That module, saying that it has another version."""
    return SimpleNamespace(  # a face is all that is asked for
        __name__=module.__name__,
        connect=module.connect,
        Connection=module.Connection,
        Error=module.Error,
        sqlite_version=".".join(map(str, version)),
        sqlite_version_info=version,
    )


BUGGY = sqlite3 if has_reset_bug(sqlite3.sqlite_version_info) else _version_of(sqlite3, 3, 40, 1)
SOUND = DEFAULT if not has_reset_bug(DEFAULT.sqlite_version_info) else _version_of(DEFAULT, 3, 51, 3)

PROGRAM = """
import os, sqlite3, sys
import relgraph
from relgraph.errors import RelgraphError
from tests.test_store_libraries import BUGGY, SOUND
path = sys.argv[1]
url = "sqlite:///" + path
def attempt(action):
    try:
        print("done", action(), flush=True)
    except RelgraphError as error:
        print("refused", error.message, flush=True)
"""


def started(path: Path, program: str) -> subprocess.Popen[str]:
    """Start a program in a process of its own; it says what it has done line by line."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def output(path: Path, program: str) -> list[str]:
    with started(path, program) as process:
        lines = process.communicate(timeout=60)[0].splitlines()
    assert 0 == process.returncode, lines
    return lines


def open_file(path: Path, sqlite: SQLiteModule | None = None, wait_ms_max: int = 50) -> FileStore:
    clock = FakeClock()
    store = open_store(f"sqlite:///{path}", clock=clock, random=os.urandom, wait_ms_max=wait_ms_max, sqlite=sqlite)
    assert isinstance(store, FileStore)
    return store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with a schema and a tuple."""
    path = tmp_path / "store.db"
    with relgraph.open(f"sqlite:///{path}") as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=[ANNA])
    return path


# --- which module


def test_the_module_in_use(path: Path) -> None:
    """A store uses `relgraph.sqlite3`, or the module that it is opened with."""
    with closing(open_file(path)) as store:
        assert isinstance(store._writer._connection, DEFAULT.Connection)  # type: ignore[attr-defined]
    with closing(open_file(path, sqlite3)) as store, store.snapshot() as snapshot:
        assert isinstance(store._writer._connection, sqlite3.Connection)  # type: ignore[attr-defined]
        assert isinstance(snapshot._link._connection, sqlite3.Connection)  # type: ignore[attr-defined]
        assert {ANNA} == texts(store)
    with relgraph.open("sqlite://", sqlite=sqlite3) as authorizer:
        authorizer.write_schema(SCHEMA)


def test_errors_of_the_module_are_told(path: Path) -> None:
    """What goes wrong in the module that was named becomes relgraph's own error."""
    with closing(open_file(path, sqlite3)) as first, closing(open_file(path, sqlite3)) as second:
        with first.transaction(), pytest.raises(StoreUnavailable, match=r"locked by another|another write"):
            write(second, touch=[CARL])
        with pytest.raises(StoreUnavailable, match="failed"):
            first._writer.run("NONSENSE")


def test_no_module(path: Path) -> None:
    """What is no SQLite module is refused when it is named."""
    with pytest.raises(InvalidSetting, match="is not a SQLite module: it has no `Connection`"):
        relgraph.open(f"sqlite:///{path}", sqlite=SimpleNamespace(connect=1))


def test_an_old_module(path: Path) -> None:
    """A module whose SQLite is too old for a store is refused with the version needed."""
    with pytest.raises(StoreUnavailable, match=r"needs SQLite `3\.37\.0` or newer and this one is `3\.34\.1`"):
        open_file(path, _version_of(sqlite3, 3, 34, 1))


# --- one library a file and process


@two_libraries
def test_two_stores_through_two_modules(path: Path) -> None:
    """A store is not opened through a second module while the process has it open through a first one."""
    with closing(open_file(path)):
        with pytest.raises(StoreUnavailable, match="another SQLite library"):
            open_file(path, sqlite3)
        with closing(open_file(path, DEFAULT)) as second:
            assert {ANNA} == texts(second)
    with closing(open_file(path, sqlite3)) as store:
        assert {ANNA} == texts(store)


@two_libraries
def test_two_names_of_a_file(path: Path) -> None:
    """A symbolic link or a hard link to a store is the same file to this."""
    (path.parent / "soft.db").symlink_to(path)
    (path.parent / "hard.db").hardlink_to(path)
    with closing(open_file(path)):
        for name in ("soft.db", "hard.db"):
            with pytest.raises(StoreUnavailable, match="another SQLite library"):
                open_file(path.parent / name, sqlite3)


def test_two_names_of_a_module(path: Path) -> None:
    """`sqlite3` and `sqlite3.dbapi2` are one library."""
    with closing(open_file(path, sqlite3)), closing(open_file(path, sqlite3.dbapi2)) as second:
        assert {ANNA} == texts(second)


@two_libraries
def test_a_dropped_store_lets_go(path: Path) -> None:
    """A store that was dropped without being closed holds its file no longer."""
    store = open_file(path)
    del store
    with closing(open_file(path, sqlite3)) as store:
        assert {ANNA} == texts(store)


@two_libraries
def test_the_applications_connection_through_another_library(path: Path) -> None:
    """Opening is refused while the application has the file open through another library, whose lock is not dropped."""
    holder = """
theirs = sqlite3.connect(path, isolation_level=None)
theirs.execute("BEGIN IMMEDIATE")
attempt(lambda: relgraph.open(url))
sys.stdin.readline()
theirs.execute("ROLLBACK")
attempt(lambda: relgraph.open(url))
theirs.close()
attempt(lambda: relgraph.open(url).check("report:q1#view@user:anna"))
"""
    with started(path, holder) as process:
        assert process.stdout is not None
        assert "another SQLite library" in process.stdout.readline()
        with (
            closing(sqlite3.connect(path, timeout=0)) as third,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            third.execute("BEGIN IMMEDIATE")
        rest = process.communicate("\n", timeout=60)[0].splitlines()
    assert "another SQLite library" in rest[0]
    assert "done True" == rest[1]


@two_libraries
def test_the_wrong_module_is_chosen(path: Path) -> None:
    """Naming a module does not help where another library has read the file: what shows is believed, not the name."""
    program = """
theirs = sqlite3.connect(path)
theirs.execute("SELECT * FROM meta").fetchall()
for _ in range(2):
    attempt(lambda: relgraph.open(url, sqlite=relgraph.sqlite3))
theirs.close()
attempt(lambda: relgraph.open(url, sqlite=relgraph.sqlite3).check("report:q1#view@user:anna"))
"""
    first, second, third = output(path, program)
    assert "another SQLite library" in first
    assert "another SQLite library" in second
    assert "done True" == third


@two_libraries
def test_an_idle_connection_of_the_application(path: Path) -> None:
    """A connection that has read nothing yet is one, too: the application has to name its module."""
    with closing(sqlite3.connect(path)):
        with pytest.raises(StoreUnavailable, match="name the module that the file was opened with"):
            open_file(path)
        with closing(open_file(path, sqlite3)) as store:
            assert {ANNA} == texts(store)


@pytest.mark.parametrize("chosen", [None, DEFAULT])
def test_the_applications_connection_through_the_same_library(path: Path, chosen: SQLiteModule | None) -> None:
    """A connection of `relgraph.sqlite3` to the same file is nothing to refuse, before or after opening."""
    with closing(DEFAULT.connect(path)) as before:
        assert [(2,)] == before.execute("SELECT head FROM meta").fetchall()
        with closing(open_file(path, chosen)) as store, closing(DEFAULT.connect(path)) as after:
            assert 3 == write(store, touch=[CARL]).number
            assert [(3,)] == after.execute("SELECT head FROM meta").fetchall()
            with closing(open_file(path, chosen)) as second:
                assert {ANNA, CARL} == texts(second)


# --- who may write together


@pytest.mark.parametrize(
    ("version", "bug"),
    [
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
    ],
)
def test_versions_with_the_bug(version: tuple[int, ...], *, bug: bool) -> None:
    """SQLite 3.7.0 to 3.51.2 can damage a file that two connections write, later patches of 3.44 and 3.50 excepted."""
    assert bug == has_reset_bug(version)


WRITES = """
authorizer = relgraph.open(url, sqlite={module})
for line in sys.stdin:
    attempt(lambda: authorizer.write(touch=[line.strip()]).revision)
    attempt(lambda: authorizer.check(line.strip().replace("viewer", "view")))
authorizer.close()
print("closed", flush=True)
"""


@pytest.mark.parametrize(("mine", "theirs"), [(BUGGY, "BUGGY"), (BUGGY, "SOUND"), (SOUND, "BUGGY")])
def test_a_file_with_the_bug_has_one_writer(path: Path, mine: SQLiteModule, theirs: str) -> None:
    """Where one of two processes has the bug, the second to write is refused until the first closes; both can read."""
    with started(path, WRITES.format(module=theirs)) as process, closing(open_file(path, mine)) as store:
        assert process.stdin is not None
        assert process.stdout is not None
        assert {ANNA} == texts(store)
        process.stdin.write(CARL + "\n")
        process.stdin.flush()
        assert ["done 3\n", "done True\n"] == [process.stdout.readline() for _ in range(2)]
        with pytest.raises(StoreUnavailable, match=r"open for writing in another process.*package `pysqlite3`"):
            write(store, touch=["report:q2#viewer@user:anna"])
        assert {ANNA, CARL} == texts(store)
        assert "closed\n" == process.communicate(timeout=60)[0]
        assert 4 == write(store, touch=["report:q2#viewer@user:anna"]).number
    assert ["refused", "done"] == [line.split()[0] for line in _both(path, mine, theirs)]


def _both(path: Path, mine: SQLiteModule, theirs: str) -> list[str]:
    """Write here, and then there before and after this store is closed."""
    with started(path, WRITES.format(module=theirs)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        found = []
        store = open_file(path, mine)
        write(store, touch=["report:q3#viewer@user:anna"])
        for name in ("x", "y"):
            process.stdin.write(f"report:{name}#viewer@user:anna\n")
            process.stdin.flush()
            found.append(process.stdout.readline())
            assert f"done {name == 'y'}\n" == process.stdout.readline()
            store.close()
        process.communicate(timeout=60)
    return found


def test_a_killed_writer_lets_go(path: Path) -> None:
    """The right to write a file alone ends with its process, however that ends."""
    with closing(open_file(path, BUGGY)) as store, started(path, WRITES.format(module="BUGGY")) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(CARL + "\n")
        process.stdin.flush()
        assert "done 3\n" == process.stdout.readline()
        with pytest.raises(StoreUnavailable, match="another process"):
            write(store, touch=[ANNA, CARL])
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert 4 == write(store, delete=[CARL]).number


def test_sound_processes_write_together(path: Path) -> None:
    """Without the bug several processes write one file, and each follows what the others wrote."""
    name = "DEFAULT" if SOUND is DEFAULT else "SOUND"
    program = WRITES.format(module="None" if name == "DEFAULT" else name)
    with started(path, program) as one, started(path, program) as other:
        for number in range(10):
            for process in (one, other):
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(f"report:r{number}#viewer@user:{process.pid}\n")
                process.stdin.flush()
                assert process.stdout.readline().startswith("done")
                assert "done True\n" == process.stdout.readline()
        with relgraph.open(f"sqlite:///{path}") as authorizer:
            for process in (one, other):
                assert authorizer.check(f"user:{process.pid}", "view", "report:r9")
            assert 22 == authorizer.read().revision


def test_stores_with_the_bug_take_turns_in_one_process(path: Path) -> None:
    """Two stores of one process on a file write it in turns, checkpoints included, and lose nothing."""
    with closing(open_file(path, BUGGY, 60_000)) as one, closing(open_file(path, BUGGY, 60_000)) as other:
        assert one._lock._turn is other._lock._turn
        stores = (one, other)

        def many(store: FileStore, name: str) -> None:
            for number in range(100):
                write(store, create=[f"report:{name}{number}#viewer@user:anna"])

        threads = [threading.Thread(target=many, args=(store, name)) for store, name in zip(stores, "ab", strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 202 == one.head().number
        assert 201 == len(texts(other))


def test_an_own_transaction_has_one_writer_too(path: Path) -> None:
    """A write inside the application's transaction is refused as any other is; with the bug it never folds the log."""
    with started(path, WRITES.format(module="BUGGY")) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with relgraph.open(f"sqlite:///{path}", sqlite=sqlite3) as authorizer, closing(sqlite3.connect(path)) as theirs:
            process.stdin.write(CARL + "\n")
            process.stdin.flush()
            assert "done 3\n" == process.stdout.readline()
            theirs.execute("BEGIN")
            with pytest.raises(StoreUnavailable, match="open for writing in another process"):
                authorizer.write(touch=["report:q2#viewer@user:anna"], conn=theirs)
            theirs.rollback()
            process.communicate(timeout=60)
            theirs.execute("BEGIN")
            authorizer.write(touch=["report:q2#viewer@user:anna"], conn=theirs)
            theirs.commit()
            assert authorizer.check("user:anna", "view", "report:q2")
            folds = 0 if has_reset_bug(sqlite3.sqlite_version_info) else 1_000
            assert [(folds,)] == theirs.execute("PRAGMA wal_autocheckpoint").fetchall()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_is_a_process_of_its_own(path: Path) -> None:
    """A store that a forked child opens does not write by the right of its parent."""
    program = """
parent = relgraph.open(url, sqlite=BUGGY)
parent.write(touch=["report:q1#viewer@user:dora"])
child = os.fork()
if not child:
    from relgraph.store import open_store
    store = open_store(url, clock=lambda: 1, random=os.urandom, wait_ms_max=50, sqlite=BUGGY)
    attempt(lambda: store.transaction().__enter__())
    os._exit(0)
os.waitpid(child, 0)
attempt(lambda: parent.write(touch=["report:q1#viewer@user:eve"]).revision)
"""
    refused, done = output(path, program)
    assert "open for writing in another process" in refused
    assert "done 4" == done
