"""Backups made while others write, and stores restored from them, which honour no token of before."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

import relgraph
from relgraph.cli import main
from relgraph.errors import InvalidSetting, RevisionUnavailable, StoreFormat, StoreUnavailable, Unsupported
from relgraph.revision import Consistency, Token
from relgraph.store import open_store
from relgraph.store.sqlite import copying
from relgraph.store.sqlite.library import sqlite3
from tests.store_kit import SAMPLE, FakeClock, FakeRandom, texts, write
from tests.test_store_sqlite import take_back

if TYPE_CHECKING:
    from pathlib import Path

    from relgraph.store.base import Store

SCHEMA = "definition user {} definition report { relation viewer: user; permission view = viewer }"
ANNA = "report:q1#viewer@user:anna"
CARL = "report:q1#viewer@user:carl"

Screen = pytest.CaptureFixture[str]


def opened(path: Path) -> Store:
    return open_store(f"sqlite:///{path}", clock=FakeClock(), random=os.urandom, wait_ms_max=100)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with a schema and a tuple."""
    path = tmp_path / "store.db"
    with relgraph.open(url(path)) as authorizer:
        authorizer.write_schema(SCHEMA)
        authorizer.write(touch=[ANNA])
    return path


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()} - {"store.db-lock"}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- backups


def test_a_backup_while_others_write(tmp_path: Path) -> None:
    """Each backup is the store as it was at one revision, whatever is written meanwhile, and verifies."""
    path, over = tmp_path / "store.db", threading.Event()

    def write_on(store: Store) -> None:
        number = 0
        while not over.is_set():
            write(store, create=[f"report:r{number}#viewer@user:{each}" for each in "ab"])
            number += 1

    with closing(opened(path)) as store:
        write(store, create=[f"report:x{n}#viewer@user:u{n}" for n in range(2_000)])
        writer = threading.Thread(target=write_on, args=(store,))
        writer.start()
        try:
            heads = []
            for number in range(5):
                before = store.head().number
                made = store.backup(tmp_path / f"{number}.bak")
                heads.append(made.head.number)
                assert before <= made.head.number <= store.head().number
        finally:
            over.set()
            writer.join()
        chain = {}
        with store.snapshot() as snapshot:
            for head in heads:
                chain[head] = snapshot.revision(head)
    assert len(set(heads)) > 1
    for number, head in enumerate(heads):
        with closing(opened(tmp_path / f"{number}.bak")) as copy:
            assert (chain[head], 2_000 + 2 * (head - 1)) == (copy.head(), len(texts(copy)))
            assert () == copy.verify().findings


def test_a_backup_is_one_plain_file(path: Path) -> None:
    """A backup needs no log beside it and leaves nothing else behind."""
    made = relgraph.backup(url(path), path.parent / "store.bak")
    assert (path.parent / "store.bak", 2, 1) == (made.path, made.head.number, made.epoch)
    assert made.size == made.path.stat().st_size
    assert {"store.db", "store.bak"} == names(path.parent)
    with closing(sqlite3.connect(made.path)) as connection:
        assert [("delete",)] == connection.execute("PRAGMA journal_mode").fetchall()


def test_a_backup_never_replaces_a_file(path: Path) -> None:
    """A file that exists is left alone, be it another backup or the store itself."""
    other = path.parent / "other"
    other.write_bytes(b"mine")
    before = digest(path)
    for target in (other, path):
        with pytest.raises(InvalidSetting, match="already; name a new one"):
            relgraph.backup(url(path), target)
    assert (b"mine", before) == (other.read_bytes(), digest(path))
    assert {"store.db", "other"} == names(path.parent)


def test_a_backup_that_fails_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup that cannot be finished takes everything away again, and can be made later under the same name."""
    target = path.parent / "store.bak"
    with pytest.raises(StoreUnavailable, match="cannot be made: no such file"):
        relgraph.backup(url(path), path.parent / "none" / "store.bak")
    with monkeypatch.context() as patch:
        patch.setattr(copying, "_make_plain", lambda copy: copy.execute("NONSENSE"))
        with pytest.raises(StoreUnavailable, match="NONSENSE"):
            relgraph.backup(url(path), target)
    assert {"store.db"} == names(path.parent)
    # What a killed one left is in nobody's way.
    (path.parent / "store.bak-partial").write_bytes(b"half")
    assert 2 == relgraph.backup(url(path), target).head.number
    assert {"store.db", "store.bak"} == names(path.parent)


def test_a_damaged_store_is_not_backed_up(path: Path) -> None:
    """What would be no sound store is not reported as a backup, and not left as one."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM objects WHERE key = 'anna'")
        connection.commit()
    with pytest.raises(StoreFormat, match=r"is not sound: .* names a subject that does not exist; nothing was made"):
        relgraph.backup(url(path), path.parent / "store.bak")
    assert {"store.db"} == names(path.parent)


def test_a_missing_store_is_not_backed_up(tmp_path: Path) -> None:
    """A mistyped path is an error: no empty store is made, to be backed up or verified."""
    for empty in (False, True):
        if empty:
            (tmp_path / "none.db").touch()
        with pytest.raises(StoreUnavailable, match="there is no store at"):
            relgraph.backup(url(tmp_path / "none.db"), tmp_path / "none.bak")
        with pytest.raises(StoreUnavailable, match="there is no store at"):
            relgraph.verify(url(tmp_path / "none.db"))
    with pytest.raises(InvalidSetting, match="in memory"):
        relgraph.verify("sqlite://")
    assert {"none.db"} == names(tmp_path)


def test_a_store_in_memory_is_backed_up(tmp_path: Path) -> None:
    """A store in memory can be kept in a file, without what is not committed."""
    with closing(open_store("sqlite://", clock=FakeClock(), random=FakeRandom())) as store:
        write(store, create=SAMPLE)
        assert 1 == store.backup(tmp_path / "kept.db").head.number
        store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            store.backup(tmp_path / "other.db")
    with closing(opened(tmp_path / "kept.db")) as copy:
        assert set(SAMPLE) == texts(copy)
    assert {"kept.db", "kept.db-lock"} >= names(tmp_path)


def test_a_closed_store_is_not_backed_up(path: Path) -> None:
    """A store that was closed, or whose file was taken away, makes no backup."""
    with closing(opened(path)) as store, closing(opened(path)) as other:
        store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            store.backup(path.parent / "store.bak")
        path.rename(path.parent / "moved.db")
        with pytest.raises(StoreUnavailable, match="replaced or removed"):
            other.backup(path.parent / "store.bak")


# --- restoring


def test_a_restored_store_refuses_tokens_of_before(path: Path) -> None:
    """Neither tokens of before the backup nor of after it are honoured, though number and nonce may match."""
    copy = path.parent / "store.bak"
    with relgraph.open(url(path)) as authorizer:
        before = authorizer.read(limit=1)
        cursor = authorizer.write(touch=[CARL])
        page = authorizer.read(limit=1)
        relgraph.backup(url(path), copy)
        after = authorizer.write(delete=[CARL])
    made = relgraph.restore(copy, url(path), replace=True)
    assert 3 == made.head.number
    with relgraph.open(url(path)) as authorizer:
        assert authorizer.check("user:carl", "view", "report:q1")
        for token in (before.token, cursor.token, page.token, after.token):
            for consistency in (Consistency.at_least(token), Consistency.at_exactly(token)):
                with pytest.raises(RevisionUnavailable, match="from before the store was restored"):
                    authorizer.check("user:carl", "view", "report:q1", consistency=consistency)
        assert page.cursor
        with pytest.raises(RevisionUnavailable, match="from before the store was restored"):
            authorizer.read(limit=1, cursor=page.cursor)
        written = authorizer.write(touch=["report:q2#viewer@user:anna"])
        assert (4, made.epoch) == (written.revision, Token.parse(written.token).epoch)
        assert authorizer.check("user:anna", "view", "report:q2", consistency=Consistency.at_exactly(written.token))


def test_each_restored_life_is_one_of_its_own(path: Path) -> None:
    """Restored again and again from one backup, a store never takes the epoch of a life before, known or lost."""
    copy = path.parent / "store.bak"
    relgraph.backup(url(path), copy)
    epochs = [1]
    for replace in (True, False, True, False):
        if not replace:
            path.unlink()
        epochs.append(relgraph.restore(copy, url(path), replace=replace).epoch)
        with closing(opened(path)) as store:
            assert epochs[-1] == store.epoch
            if replace:
                assert epochs[-1] > epochs[-2]
    assert len(epochs) == len(set(epochs))


def test_epochs_go_on_from_the_latest_known(path: Path) -> None:
    """Where clocks were ahead, a new epoch is later all the same than those of the backup and of the store."""
    ahead = 4_000_000_000
    copy = path.parent / "store.bak"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET epoch = ?", (ahead,))
        connection.commit()
    relgraph.backup(url(path), copy)
    first = relgraph.restore(copy, url(path.parent / "other.db")).epoch
    second = relgraph.restore(copy, url(path.parent / "other.db"), replace=True).epoch
    assert ahead < first < second


def test_a_place_that_is_taken(path: Path) -> None:
    """An existing store is replaced only when that is said, and never what is not a store."""
    copy = path.parent / "store.bak"
    relgraph.backup(url(path), copy)
    with closing(opened(path)) as store:
        write(store, touch=[CARL])
    before = digest(path)
    with pytest.raises(InvalidSetting, match="already; name a new one, or replace it"):
        relgraph.restore(copy, url(path))
    assert before == digest(path)
    theirs = path.parent / "theirs.db"
    with closing(sqlite3.connect(theirs)) as connection:
        connection.execute("CREATE TABLE theirs(a)")
    text = path.parent / "text"
    text.write_text("resource,relation,subject\n" * 100)
    for other, hint in ((theirs, "of another program"), (text, "is not a relgraph store")):
        content = digest(other)
        with pytest.raises(StoreFormat, match=hint):
            relgraph.restore(copy, url(other), replace=True)
        assert content == digest(other)
    assert {"store.db", "store.bak", "theirs.db", "text"} == names(path.parent)


def test_an_empty_place(path: Path) -> None:
    """An empty file is a place that is taken, too: somebody may be about to fill it."""
    copy, place = path.parent / "store.bak", path.parent / "empty.db"
    relgraph.backup(url(path), copy)
    place.touch()
    with pytest.raises(InvalidSetting, match="already; name a new one, or replace it"):
        relgraph.restore(copy, url(place))
    assert 2 == relgraph.restore(copy, url(place), replace=True).head.number
    with closing(opened(place)) as store:
        assert {ANNA} == texts(store)


def test_a_place_out_of_reach(path: Path) -> None:
    """A place that cannot be written is told, and where a step fails nothing is left."""
    copy = path.parent / "store.bak"
    relgraph.backup(url(path), copy)
    with pytest.raises(StoreUnavailable, match="no such file"):
        relgraph.restore(copy, url(path.parent / "none" / "new.db"))
    (path.parent / "new.db-partial").mkdir()
    with pytest.raises(StoreUnavailable, match=r"new\.db` cannot be made: is a directory"):
        relgraph.restore(copy, url(path.parent / "new.db"))
    assert {"store.db", "store.bak", "new.db-partial"} == names(path.parent)


def test_a_store_in_use_is_not_replaced(path: Path) -> None:
    """A store that this or another process has open, if idly, is not replaced under its feet."""
    copy = path.parent / "store.bak"
    relgraph.backup(url(path), copy)
    with closing(opened(path)) as store:
        with pytest.raises(StoreUnavailable, match="is open in this process; close it there"):
            relgraph.restore(copy, url(path), replace=True)
        assert 3 == write(store, touch=[CARL]).number
    idle = "import relgraph, sys; a = relgraph.open(sys.argv[1]); print(a.read().revision, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", idle, url(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "3\n" == process.stdout.readline()
        with pytest.raises(StoreUnavailable, match="is open in another process; close it there"):
            relgraph.restore(copy, url(path), replace=True)
        process.communicate("\n", timeout=60)
    with closing(opened(path)) as store:
        assert (3, 1) == (store.head().number, store.epoch)
    assert 2 == relgraph.restore(copy, url(path), replace=True).head.number


@pytest.mark.parametrize("content", [b"", b"xy", b"resource,relation,subject\n" * 100, None])
def test_what_is_no_backup(path: Path, content: bytes | None) -> None:
    """What is no backup is refused by its name, and makes or replaces no store."""
    backup = path.parent / "x.bak"
    if content is not None:
        backup.write_bytes(content)
    before = digest(path)
    for target in (path, path.parent / "new.db"):
        with pytest.raises((InvalidSetting, StoreFormat), match=r"x\.bak"):
            relgraph.restore(backup, url(target), replace=True)
    assert not (path.parent / "new.db").exists()
    assert before == digest(path)


def test_databases_that_are_no_backup(path: Path) -> None:
    """Another program's database, an empty one, a damaged backup and the store itself are refused as backups."""
    theirs, blank, bad = (path.parent / name for name in ("theirs.db", "blank.db", "bad.bak"))
    for file, sql in ((theirs, "CREATE TABLE theirs(a)"), (blank, "VACUUM")):
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(sql)
    relgraph.backup(url(path), bad)
    with closing(sqlite3.connect(bad)) as connection:
        connection.execute("UPDATE meta SET head = 1")
        connection.commit()
    for backup, hint in ((theirs, "of another program"), (bad, "the head is revision 1 and the newest is 2")):
        with pytest.raises(StoreFormat, match=hint):
            relgraph.restore(backup, url(path.parent / "new.db"))
    with pytest.raises((StoreFormat, InvalidSetting), match=r"blank\.db"):
        relgraph.restore(blank, url(path.parent / "new.db"))
    with pytest.raises(InvalidSetting, match="is the store that it would be restored to"):
        relgraph.restore(path, url(path), replace=True)
    assert not (path.parent / "new.db").exists()


def test_what_a_lost_store_left_is_not_folded_in(path: Path) -> None:
    """The log of a store whose file is gone would become part of the new one: it has to go first."""
    copy = path.parent / "store.bak"
    relgraph.backup(url(path), copy)
    with closing(opened(path)) as store:
        write(store, touch=[CARL])
        shutil.copy(path.parent / "store.db-wal", path.parent / "kept")
    path.unlink()
    (path.parent / "kept").rename(path.parent / "store.db-wal")
    with pytest.raises(InvalidSetting, match=r"store\.db-wal` was left by a store that is gone"):
        relgraph.restore(copy, url(path))
    assert 2 == relgraph.restore(copy, url(path), replace=True).head.number
    with closing(opened(path)) as store:
        assert {ANNA} == texts(store)
        assert () == store.verify().findings


def test_an_older_backup(tmp_path: Path) -> None:
    """A backup of an older format becomes a store of the present one."""
    with closing(opened(tmp_path / "old.db")) as store:
        write(store, create=SAMPLE)
    take_back(tmp_path / "old.db")
    relgraph.restore(tmp_path / "old.db", url(tmp_path / "new.db"))
    with closing(opened(tmp_path / "new.db")) as store:
        assert set(SAMPLE) == texts(store)
        assert () == store.verify().findings


def test_a_restore_that_fails_leaves_the_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a restore cannot be finished the store in its place is what it was, in its own epoch."""
    copy = path.parent / "store.bak"
    relgraph.backup(url(path), copy)
    with closing(opened(path)) as store:
        write(store, touch=[CARL])
    with monkeypatch.context() as patch:
        patch.setattr(copying, "_make_plain", lambda copy: copy.execute("NONSENSE"))
        with pytest.raises(StoreUnavailable, match="NONSENSE"):
            relgraph.restore(copy, url(path), replace=True)
    assert {"store.db", "store.bak"} == names(path.parent)
    with relgraph.open(url(path)) as authorizer:
        assert 3 == authorizer.read().revision
        assert authorizer.check("user:carl", "view", "report:q1")


def test_a_killed_restore(path: Path) -> None:
    """A restore that is killed while it writes leaves the old store or the new one, whole."""
    copy, journal = path.parent / "store.bak", path.parent / "store.db-journal"
    with closing(opened(path)) as store:
        write(store, create=[f"report:x{n}#viewer@user:u{n}" for n in range(20_000)])
        store.backup(copy)
        write(store, touch=[CARL])
    program = "import relgraph, sys; relgraph.restore(sys.argv[1], sys.argv[2], replace=True)"
    outcomes = set()
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", program, str(copy), url(path)]) as process:
            while not journal.exists() and process.poll() is None:
                pass
            process.send_signal(signal.SIGKILL)
        with closing(opened(path)) as store:
            assert () == store.verify().findings
            outcomes.add((store.head().number, len(texts(store)), store.epoch > 1))
    assert outcomes <= {(4, 20_002, False), (3, 20_001, True)}


def test_only_sqlite_is_backed_up_by_relgraph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A database that brings its own tools is not restored by relgraph."""
    monkeypatch.setattr("relgraph.store.BACKENDS", {"other": lambda *_, **__: None})
    with pytest.raises(Unsupported, match="with the tools of its database"):
        relgraph.restore(tmp_path / "x", "other://host/db")


# --- in the terminal


def test_in_the_terminal(path: Path, capsys: Screen) -> None:
    """`backup`, `restore` and `verify` take the store as an argument or as an option, and tell what they did."""
    copy, other = path.parent / "store.bak", path.parent / "other.db"
    assert 0 == main(["backup", url(path), str(copy)])
    assert capsys.readouterr().out.startswith(f"backed up to {copy}, revision 2, ")
    assert 0 == main(["restore", str(copy), url(other)])
    assert capsys.readouterr().out.startswith(f"restored to {other}, revision 2, ")
    assert 2 == main(["restore", str(copy), "--store", url(other)])
    assert "already; name a new one, or replace it" in capsys.readouterr().err
    assert 0 == main(["restore", str(copy), "--store", url(other), "--replace", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert {"file": str(other), "revision": 2, "size": other.stat().st_size} == {
        key: value for key, value in told.items() if key != "epoch"
    }
    with closing(opened(other)) as store:
        assert told["epoch"] == store.epoch
    assert 0 == main(["--store", url(path), "backup", str(path.parent / "second.bak"), "--json"])
    assert 2 == json.loads(capsys.readouterr().out)["revision"]


def test_verify_in_the_terminal(path: Path, capsys: Screen) -> None:
    """`verify` lists what it looked at, ends with 0 for a sound store and with 4 for one that is not."""
    assert 0 == main(["verify", url(path)])
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["revisions", "3"]
    assert out.endswith("sound (revision 2)\n")
    assert 0 == main(["verify", "--store", url(path), "--json"])
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"check": "revisions", "count": 3, "findings": []} == checks[0]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE meta SET head = 1")
        connection.commit()
    assert 4 == main(["verify", url(path)])
    out = capsys.readouterr().out
    assert "\n  the head is revision 1 and the newest is 2\n" in out
    assert "findings (revision 2)" in out or "1 finding (revision 2)" in out
    assert 5 == main(["verify", url(path.parent / "none.db")])
    assert "there is no store at" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["backup", "a", "b", "c"], "3 arguments are too many"),
        (["backup"], "missing argument"),
        (["backup", "sqlite:///x.db", "b", "--store", "sqlite:///y.db"], "named twice"),
        (["backup", "b", "--server", "127.0.0.1:1"], "works on a store, not on its server"),
        (["restore", "b"], "no store and no server named"),
        (["verify", "--server", "127.0.0.1:1"], "works on a store, not on its server"),
        (["verify", "x.db"], "is not the URL of a store"),
    ],
)
def test_usage(arguments: list[str], hint: str, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not name one store and one file is refused with what to write."""
    monkeypatch.delenv("RELGRAPH_STORE", raising=False)
    assert 2 == main(arguments)
    assert hint in capsys.readouterr().err
