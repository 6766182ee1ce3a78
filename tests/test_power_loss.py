"""Power loss: what a store on SQLite acknowledged is there, whatever unsynced bytes are lost; syncing less loses it."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from relgraph.store import open_store
from tests import house
from tests.power import WRITES, Event, expected, images
from tests.store_kit import FakeClock, texts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

IMAGES = 2_000 if os.environ.get("RELGRAPH_LONG") else 24


def recorded(folder: Path, level: str) -> tuple[bytes, Sequence[Event]]:
    """What happened to the files of a new store while it was written with that level of syncing."""
    path = folder / "store.db"
    open_store(f"sqlite:///{path}", clock=FakeClock(), random=os.urandom).close()
    before = path.read_bytes()
    program = (
        "import sys; from pathlib import Path; from tests.power import record; record(Path(sys.argv[1]), sys.argv[2])"
    )
    command = [sys.executable, "-c", program, str(path), level]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(house.ROOT), *sys.path])}
    found = subprocess.run(command, cwd=house.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert 0 == found.returncode, found.stderr
    events: Sequence[Event] = pickle.loads((folder / "events").read_bytes())
    return before, events


def losses(folder: Path, level: str) -> list[int]:
    """How many acknowledged revisions each image lacks; each is sound, and no revision is there by half."""
    before, events = recorded(folder, level)
    assert WRITES + 1 == sum(event.kind == "acknowledged" for event in events)
    # The log was written, and folded into the file, which was synced for that.
    assert {("", "sync"), ("", "write"), ("-wal", "sync"), ("-wal", "truncate")} <= {(e.file, e.kind) for e in events}
    lost = []
    for number, (image, acknowledged) in enumerate(images(before, events, IMAGES, seed=len(level))):
        place = folder / f"image{number}"
        place.mkdir()
        for name, content in image.items():
            (place / f"store.db{name}").write_bytes(content)
        with closing(open_store(f"sqlite:///{place / 'store.db'}", clock=FakeClock(), random=os.urandom)) as store:
            head = store.head().number
            assert () == store.verify().findings, f"image {number}"
            assert expected(head) == texts(store), f"image {number}"
        lost.append(max(0, acknowledged - head))
        shutil.rmtree(place)
    return lost


def test_what_was_acknowledged_survives_power_loss(tmp_path: Path) -> None:
    """Whatever unsynced bytes are dropped or torn, each acknowledged revision is there, whole and chained."""
    assert [0] * IMAGES == losses(tmp_path, "FULL")


def test_without_a_sync_at_each_commit_acknowledged_writes_are_lost(tmp_path: Path) -> None:
    """The same disks at `synchronous = NORMAL` lose acknowledged revisions: the test above can fail."""
    assert any(losses(tmp_path, "NORMAL"))
