"""A store on SQLite whose disk is full, or that may not be written: clear errors, nothing by half, reads go on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.errors import StoreReadOnly, StoreUnavailable
from relgraph.store import open_store
from relgraph.store.sqlite.files import FileStore
from tests.store_kit import SAMPLE, FakeClock, texts, write

if TYPE_CHECKING:
    from collections.abc import Iterator

DISK_KIB = 2048
SCHEMA = "definition user {} definition report { relation viewer: user; permission view = viewer }"


def open_file(path: Path) -> FileStore:
    store = open_store(f"sqlite:///{path}", clock=FakeClock(), random=os.urandom, wait_ms_max=100)
    assert isinstance(store, FileStore)
    return store


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    command = [str(mount), "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "tmpfs", str(folder)]
    if mount is None or umount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a file system")
    yield folder
    subprocess.run([umount, "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no room on that disk; return the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert 0 == shutil.disk_usage(folder).free
    return ballast


def write_until_full(authorizer: relgraph.Authorizer) -> int:
    """Write until there is no room, which the log may have for a while; return which write did not fit."""
    for number in range(10_000):
        try:
            authorizer.write(touch=batch(number))
        except StoreUnavailable as error:
            if "is full; nothing was written, make room and try again" in error.message:
                return number
            raise
    raise AssertionError("the disk has no end")


def batch(number: int) -> list[str]:
    return [f"report:q{number}#viewer@user:u{n}" for n in range(100)]


# --- a full disk


def test_single_writes_on_a_full_disk(disk: Path) -> None:
    """On a full disk a write says so and changes nothing, reading goes on, and with room again so does writing."""
    url = f"sqlite:///{disk / 'store.db'}"
    with relgraph.open(url) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=["report:q0#viewer@user:anna"])
        ballast = fill(disk)
        failed = write_until_full(authorizer)
        head = authorizer.read(limit=1).revision
        for number in (failed, failed + 1):
            with pytest.raises(StoreUnavailable, match="is full"):
                authorizer.write(touch=batch(number))
        assert authorizer.check("user:anna", "view", "report:q0")
        assert not authorizer.check("user:u99", "view", f"report:q{failed}")
        with relgraph.open(url) as second:
            assert second.check("user:anna", "view", "report:q0")
        ballast.unlink()
        assert head + 1 == authorizer.write(touch=[f"report:q{failed}#viewer@user:u99"]).revision
        assert authorizer.check("user:u99", "view", f"report:q{failed}")
        assert not authorizer.check("user:u98", "view", f"report:q{failed}")


def test_an_import_on_a_full_disk(disk: Path) -> None:
    """An import that does not fit is undone as a whole; what fits can be imported afterwards, without reopening."""
    path = disk / "store.db"
    with relgraph.open(f"sqlite:///{path}") as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=["report:q0#viewer@user:anna"])
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="is full; nothing was written"):
                authorizer.load(f"report:r{n}#viewer@user:{'x' * 60}{n}" for n in range(40_000))
            page = authorizer.read(limit=10)
            assert (2, ["report:q0#viewer@user:anna"]) == (page.revision, list(map(str, page.tuples)))
        assert 3 == authorizer.load(f"report:r{n}#viewer@user:u{n}" for n in range(500)).revision
    with relgraph.open(f"sqlite:///{path}") as authorizer:
        assert 501 == len(authorizer.read(limit=1_000).tuples)


def test_a_store_is_not_made_on_a_full_disk(disk: Path) -> None:
    """Where there is no room for a new store, opening says so."""
    ballast = fill(disk)
    with pytest.raises(StoreUnavailable, match="is full"):
        open_file(disk / "store.db")
    ballast.unlink()
    with closing(open_file(disk / "store.db")) as store:
        assert 1 == write(store, create=SAMPLE).number


def test_a_disk_full_behind_a_commit(disk: Path) -> None:
    """What was acknowledged stays readable when there is no room to fold the log into the file, and after reopening."""
    path = disk / "store.db"
    store = open_file(path)
    write(store, create=SAMPLE)
    known = {f"report:r{n}#viewer@user:u{n}" for n in range(2_000)}
    with store.snapshot():
        write(store, create=known)
        ballast = fill(disk)
    assert {*SAMPLE, *known} == texts(store)
    store.close()
    ballast.unlink()
    with closing(open_file(path)) as store:
        assert {*SAMPLE, *known} == texts(store)


def test_a_backup_onto_a_full_disk(disk: Path, tmp_path: Path) -> None:
    """A backup for which there is no room says whose disk is full, and takes away what it has made of it."""
    path = tmp_path / "store.db"
    with closing(open_file(path)) as store:
        write(store, create=[f"report:r{n}#viewer@user:{'x' * 60}{n}" for n in range(10_000)])
        with pytest.raises(StoreUnavailable, match=r"store\.bak` is full; nothing was written, make room"):
            store.backup(disk / "store.bak")
        assert [] == list(disk.iterdir())
        with pytest.raises(StoreUnavailable, match=r"disk/other\.db` is full"):
            relgraph.restore(store.backup(tmp_path / "store.bak").path, f"sqlite:///{disk / 'other.db'}")
        assert [] == list(disk.iterdir())


# --- what may not be written


PROGRAM = """
import os, sys
import relgraph
from relgraph.errors import RelgraphError
def attempt(action):
    try:
        print("done", action())
    except RelgraphError as error:
        print(type(error).__name__, error.message)
def use(url):
    with relgraph.open(url) as authorizer:
        attempt(lambda: authorizer.check("user:anna", "view", "report:q0"))
        attempt(lambda: authorizer.write(touch=["report:q0#viewer@user:carl"]).revision)
        attempt(lambda: authorizer.write_schema("definition user {}").revision)
        attempt(lambda: authorizer.check("user:anna", "view", "report:q0"))
# All that is imported late is imported now: the next user may not be able to.
use("sqlite://")
print("begin")
# The administrator may write anything.
if not os.getuid():
    os.setgid(65534)
    os.setuid(65534)
attempt(lambda: use("sqlite:///" + sys.argv[1]))
"""


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A folder that every user can reach, with a store in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with relgraph.open(f"sqlite:///{folder / 'store.db'}") as authorizer:
            authorizer.write_schema(SCHEMA)
            authorizer.write(touch=["report:q0#viewer@user:anna"])
        yield folder
        folder.chmod(0o755)


def as_somebody(path: Path) -> list[str]:
    """What becomes of using a store as a user who owns nothing."""
    if not hasattr(os, "setuid"):
        pytest.skip("there are no other users here")
    command = [sys.executable, "-c", PROGRAM, str(path)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert 0 == found.returncode, found.stderr
    return found.stdout.partition("begin\n")[2].splitlines()


def test_a_read_only_file(shelf: Path) -> None:
    """A file that may not be written can be read where its log can be made, and every write says that it is not."""
    shelf.chmod(0o777)
    (shelf / "store.db").chmod(0o444)
    before = (shelf / "store.db").read_bytes()
    first, write, schema, second, *_ = as_somebody(shelf / "store.db")
    assert ("done True", "done True") == (first, second)
    assert write.startswith("StoreReadOnly the store")
    assert schema.startswith("StoreReadOnly the store")
    assert before == (shelf / "store.db").read_bytes()


def test_a_read_only_folder_beside_a_writer(shelf: Path) -> None:
    """While its writer has it open, a store can be read by who may write neither the file nor its folder."""
    with relgraph.open(f"sqlite:///{shelf / 'store.db'}") as authorizer:
        authorizer.write(touch=["report:q1#viewer@user:anna"])
        first, write, schema, second, *_ = as_somebody(shelf / "store.db")
    assert ("done True", "done True") == (first, second)
    assert write.startswith("StoreReadOnly the store")
    assert schema.startswith("StoreReadOnly the store")


def test_a_read_only_folder(shelf: Path) -> None:
    """Without a log to read, and without the right to make one, opening says what is missing."""
    (told,) = as_somebody(shelf / "store.db")
    assert told.startswith("StoreReadOnly the store")
    assert "cannot even be read: its folder cannot be written, and holds no log to read" in told


def test_a_missing_store_in_a_read_only_folder(shelf: Path) -> None:
    """A store cannot be made where nothing can be written."""
    (told,) = as_somebody(shelf / "other.db")
    assert told.startswith("StoreReadOnly the store")
    assert "cannot be made: its folder cannot be written" in told


def test_the_lock_file_is_for_who_may_write_the_store(shelf: Path) -> None:
    """The lock file has the rights of the file it belongs to, whoever made it."""
    (shelf / "store.db").chmod(0o664)
    (shelf / "store.db-lock").unlink()
    with closing(open_file(shelf / "store.db")) as store:
        write(store, create=SAMPLE)
    assert (shelf / "store.db").stat().st_mode == (shelf / "store.db-lock").stat().st_mode


def test_a_lock_file_out_of_reach(shelf: Path) -> None:
    """Where the lock file cannot be opened the store is not written, and says so."""
    lock = shelf / "store.db-lock"
    lock.unlink()
    lock.mkdir()
    with closing(open_file(shelf / "store.db")) as store:
        with pytest.raises((StoreUnavailable, StoreReadOnly), match="lock file beside"):
            write(store, create=SAMPLE)
        assert {"report:q0#viewer@user:anna"} == texts(store)
