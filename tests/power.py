"""Power loss, simulated: a store writes through a recording file system, and images of its disk are built from that.

In a process of its own `record` uses a store through apsw, whose library has the recording file system and the file for
itself; nobody opens an image before that process has ended. What a disk promises is what is modelled: bytes that were
synced are there, and of those that were not any part may be, down to the sector.
"""

from __future__ import annotations

import os
import pickle
import random
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal

from relgraph.store import open_store
from relgraph.store.base import Commit
from relgraph.store.sqlite import link, log
from tests.store_kit import FakeClock, done, loading, many

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import apsw

    from relgraph.store import SQLiteModule
    from relgraph.store.base import Store

SECTOR = 512
WRITES = 120
SCHEMA = "definition user {}\ndefinition report { relation viewer: user }"


@dataclass(frozen=True)
class Event:
    """What happened to a file, or that a revision was acknowledged (`offset` is its number)."""

    kind: Literal["write", "truncate", "delete", "sync", "acknowledged"]
    file: str = ""
    offset: int = 0
    data: bytes = b""


# --- the workload


def tuples_of(number: int) -> list[str]:
    """What revision `number` creates: many tuples now and then, so that the log is folded in between."""
    return [f"report:r{number}#viewer@user:u{each}" for each in range(200 if number % 25 == 0 else 3)]


def expected(head: int) -> set[str]:
    """What is living at revision `head`: each third revision deletes what the one before it made, and makes its own."""
    living: set[str] = set()
    for number in range(2, head + 1):
        if number % 3 == 0:
            living -= set(tuples_of(number - 1))
        living |= set(tuples_of(number))
    return living


def write_all(store: Store, acknowledge: list[Event]) -> None:
    """Write a schema and then revision after revision, telling of each when it is acknowledged."""
    with store.transaction() as transaction:
        transaction.write_schema(SCHEMA, ["user", "report", "viewer"])
        acknowledge.append(Event("acknowledged", offset=done(transaction).number))
    for number in range(2, WRITES + 2):
        create = many(*tuples_of(number))
        with loading(store, create) as transaction:
            if number % 3 == 0:
                transaction.apply(delete=many(*tuples_of(number - 1)))
            transaction.load()
            acknowledge.append(Event("acknowledged", offset=done(transaction, Commit()).number))


def record(path: Path, level: str) -> None:
    """Write the store at `path` with that `PRAGMA synchronous`, and leave what happened in `events` beside it."""
    events: list[Event] = []
    # The log is folded often here, and not only at the end.
    log.LOG_BYTES_MAX = 256 * 1024  # type: ignore[misc]
    link._WRITER_PRAGMAS = (f"PRAGMA synchronous = {level}",)  # type: ignore[assignment]
    library = recording_library(path, events)
    store = open_store(f"sqlite:///{path}", clock=FakeClock(), random=os.urandom, sqlite=library)
    write_all(store, events)
    path.with_name("events").write_bytes(pickle.dumps(events))
    # The power fails now: nothing is closed in good order.
    os._exit(0)


def recording_library(path: Path, events: list[Event]) -> SQLiteModule:
    """Give apsw the face of a DB-API module, over a file system that records what happens to the files at `path`."""
    import apsw

    class RecordedFile(apsw.VFSFile):
        def __init__(self, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
            told = name.filename() if isinstance(name, apsw.URIFilename) else name
            self._name = Path(told or "").name.removeprefix(path.name)
            super().__init__("", name, flags)

        def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
            events.append(Event("write", self._name, offset, bytes(data)))
            super().xWrite(data, offset)

        def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
            events.append(Event("truncate", self._name, newsize))
            super().xTruncate(newsize)

        def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
            super().xSync(flags)
            events.append(Event("sync", self._name))

    class RecordedFiles(apsw.VFS):
        def __init__(self) -> None:
            self.name = "recorded"
            super().__init__(self.name, "")

        def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
            return RecordedFile(name, flags)

        def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
            events.append(Event("delete", Path(filename).name.removeprefix(path.name)))
            super().xDelete(filename, syncdir)

    files = RecordedFiles()

    def connect(name: str, *, timeout: float = 5, **_: object) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(name, flags=flags, vfs=files.name)
        connection.set_busy_timeout(int(timeout * 1000))
        return connection

    version = apsw.sqlite_lib_version()
    return SimpleNamespace(
        __name__="apsw",
        connect=connect,
        Connection=apsw.Connection,
        Error=apsw.Error,
        sqlite_version=version,
        sqlite_version_info=tuple(map(int, version.split("."))),
    )


# --- the images


@dataclass
class _File:
    """One file of a disk: what is surely there, and what may be."""

    synced: bytearray | None
    pending: list[Event]


def images(before: bytes, events: Sequence[Event], count: int, seed: int) -> Iterator[tuple[dict[str, bytes], int]]:
    """Build disks as they may be when the power fails, with the newest revision acknowledged by then.

    Half of them in the moment before a sync, where the most is at stake; the others anywhere.
    """
    chance = random.Random(seed)
    syncs = [index for index, event in enumerate(events) if event.kind == "sync"]
    moments = sorted(chance.choice(syncs) if number % 2 else chance.randrange(len(events)) for number in range(count))
    disk = {"": _File(bytearray(before), [])}
    acknowledged = at = 0
    for moment in moments:
        for event in events[at:moment]:
            if event.kind == "acknowledged":
                acknowledged = event.offset
            elif event.kind == "sync":
                file = disk.setdefault(event.file, _File(None, []))
                file.synced, file.pending = _applied(file.synced, file.pending), []
            else:
                disk.setdefault(event.file, _File(None, [])).pending.append(event)
        at = moment
        share = chance.choice([0.0, 0.3, 0.7, 1.0])
        found = {name: _applied(file.synced, _survivors(file.pending, share, chance)) for name, file in disk.items()}
        yield {name: bytes(content) for name, content in found.items() if content is not None}, acknowledged


def _survivors(pending: Iterable[Event], share: float, chance: random.Random) -> Iterator[Event]:
    """Choose what of the unsynced reached the disk; a write may be torn between two sectors."""
    for event in pending:
        if chance.random() >= share:
            continue
        if event.kind == "write" and len(event.data) > SECTOR and chance.random() < 0.3:
            first = chance.randrange(0, len(event.data), SECTOR)
            last = chance.randrange(first, len(event.data) + 1, SECTOR)
            yield Event("write", event.file, event.offset + first, event.data[first:last])
        else:
            yield event


def _applied(content: bytearray | None, events: Iterable[Event]) -> bytearray | None:
    """Return what a file is after those events; None where there is none."""
    result = None if content is None else bytearray(content)
    for event in events:
        if event.kind == "delete":
            result = None
            continue
        result = bytearray() if result is None else result
        if event.kind == "truncate":
            del result[event.offset :]
            result.extend(bytes(event.offset - len(result)))
        else:
            result.extend(bytes(max(0, event.offset - len(result))))
            result[event.offset : event.offset + len(event.data)] = event.data
    return result
