"""Which files this process holds open as stores: through which library, and whether it may write them.

Rule 1: one library a file (see `library`). A store that would be the second is refused when it is opened: where the
first is a store too by what is kept here, otherwise by what the operating system shows of this process's descriptors
(on Linux and macOS; elsewhere nothing is seen, and nothing refused).
Rule 2: where a SQLite with the WAL-reset bug writes a file, nobody else does. Whoever writes holds a lock on the file
`<name>-lock` beside it until the store is closed: shared, so that healthy ones write together, or exclusive with the
bug. Stores of one process on one file then take turns through `turn`, checkpoints included.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Final

from relgraph.errors import StoreReadOnly, StoreUnavailable, quoted
from relgraph.store.sql.turns import WriterTurn
from relgraph.store.sqlite.library import PATH_SHOWN_MAX, has_reset_bug
from relgraph.store.sqlite.locks import FileLock

if TYPE_CHECKING:
    import sqlite3
    from types import ModuleType

    from relgraph.store.sqlite.library import SQLiteModule

__all__ = ["Hold", "hold"]

_RETRY_S: Final = 0.01

_FORBIDDEN: Final = (errno.EACCES, errno.EPERM, errno.EROFS)

# The modules that bring a SQLite library into a process.
_LIBRARIES: Final = ("_sqlite3", "pysqlite3._sqlite3", "sqlean._sqlite3", "apsw")
_DESCRIPTORS: Final = ("/proc/self/fd", "/dev/fd")


@dataclass(eq=False)
class Hold:
    """One file and the stores of this process on it. `path` is the file's own, without symbolic links."""

    path: Path
    library: SQLiteModule
    stores: int = 1
    turn: WriterTurn = field(default_factory=WriterTurn)
    _lock: FileLock = field(init=False)

    def __post_init__(self) -> None:
        self._lock = FileLock(self.path.with_name(f"{self.path.name}-lock"), self.path)

    @property
    def alone(self) -> bool:
        """Whether this process has to be the only one that writes, one store at a time."""
        return has_reset_bug(self.library.sqlite_version_info)

    @property
    def writes(self) -> bool:
        """Whether this process writes the file."""
        return self._lock.taken

    def check_library(self, connection: sqlite3.Connection) -> None:
        """Raise StoreUnavailable when another SQLite library of this process has the file open, whatever was chosen.

        Has `connection` read the file, and keeps it forever where that is so: closing it would drop the other's locks.
        """
        # What is wrong with the file itself is told by whoever uses it next.
        with suppress(self.library.Error):
            connection.execute("PRAGMA schema_version").fetchall()
        # Each library opens a file's -shm once, however many connections it has.
        if _descriptors(_index_of(self.path)) > 1:
            _KEPT.append(connection)
            raise _second_library(self.path, self.library)

    def write(self, where: str, wait_ms_max: int) -> None:
        """Make sure that this process may write the file. Raises StoreUnavailable or StoreReadOnly."""
        deadline = time.monotonic() + wait_ms_max / 1000
        while not self._taken(where):
            if time.monotonic() >= deadline:
                raise self._shut_out(where)
            time.sleep(_RETRY_S)

    def release(self) -> None:
        """One store less; the last one lets the file go."""
        with _GUARD:
            self.stores -= 1
            if not self.stores and self in _HOLDS:
                _HOLDS.remove(self)
                self._lock.release()

    def _taken(self, where: str) -> bool:
        try:
            with _GUARD:
                return self._lock.take(shared=not self.alone)
        except OSError as error:
            if error.errno in _FORBIDDEN:
                raise StoreReadOnly(
                    f"the store {quoted(where, PATH_SHOWN_MAX)} cannot be written: the lock file beside it can be "
                    "neither made nor opened; check the rights of its directory",
                    {"store": where},
                ) from error
            reason = (error.strerror or "the lock file cannot be made").lower()
            raise StoreUnavailable(
                f"the lock file beside the store {quoted(where, PATH_SHOWN_MAX)} cannot be made: {reason}; "
                "make that possible and try again",
                {"store": where},
            ) from error

    def _shut_out(self, where: str) -> StoreUnavailable:
        whose = f"this one's SQLite {quoted(self.library.sqlite_version)}" if self.alone else "whose SQLite"
        return StoreUnavailable(
            f"the store {quoted(where, PATH_SHOWN_MAX)} is open for writing in another process, {'and ' * self.alone}"
            f"{whose} can damage a file that two processes write; close one of them, or give "
            f"{'this' if self.alone else 'that'} one SQLite 3.51.3 or newer, as the package `pysqlite3` brings it",
            {"store": where, "version": self.library.sqlite_version},
        )


def hold(path: Path, library: SQLiteModule, *, chosen: bool) -> Hold:
    """Take hold of the file at `path` for one more store, until `release`.

    `chosen` says that the application named the module, and so knows who else in it opens the file. Raises
    StoreUnavailable for what would be a second library on the file, as far as that can be seen before it is opened.
    """
    path = Path(os.path.realpath(path))
    with _GUARD:
        for each in tuple(_HOLDS):
            if each.path == path or _is_same(each.path, path):
                # Two names of one module are one library.
                if each.library.Error is not library.Error:
                    raise _second_library(path, library)
                each.stores += 1
                return each
        _refuse_second(path, library, chosen=chosen)
        made = Hold(path, library)
        _HOLDS.append(made)
        return made


_HOLDS: list[Hold] = []
_KEPT: list[sqlite3.Connection] = []
# A store may be collected, and so released, in the middle of anything that its thread does here.
_GUARD = RLock()


def _after_fork() -> None:
    """Forget what the parent holds: its locks are not the child's. Its connections must not be closed here either."""
    global _GUARD  # noqa: PLW0603 - another thread of the parent may have had it
    _GUARD = RLock()
    _HOLDS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _refuse_second(path: Path, library: SQLiteModule, *, chosen: bool) -> None:
    if not _descriptors(path):
        return
    # INVARIANT: not found out by opening it. A library that sees no other process at the file takes the log's index for
    # a leftover, and cuts it off under the other library's hands.
    if _descriptors(_index_of(path)) > 1 or (not chosen and _others_connect(library)):
        raise _second_library(path, library)


def _others_connect(library: SQLiteModule) -> bool:
    """Whether another SQLite library than that one may have a connection in this process."""
    loaded = (sys.modules[name] for name in _LIBRARIES if name in sys.modules)
    return any(_may_connect(each) for each in loaded if getattr(each, "Error", None) is not library.Error)


def _may_connect(module: ModuleType) -> bool:
    """Whether a module may have a connection now: some list theirs with the garbage collector."""
    kind = getattr(module, "Connection", None)
    if kind is None:
        return True
    with closing(kind(":memory:")) as sample:
        if not gc.is_tracked(sample):
            return True
    return any(issubclass(type(each), kind) and _is_open(each) for each in gc.get_objects())


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes >= 0
    except Exception:  # noqa: BLE001 - which class says "closed" is the other library's affair
        return False


def _second_library(path: Path, library: SQLiteModule) -> StoreUnavailable:
    return StoreUnavailable(
        f"this process has the file {quoted(str(path), PATH_SHOWN_MAX)} open already, and {quoted(library.__name__)} "
        "may be another SQLite library than the one it uses: each would drop the other's locks; name the module that "
        "the file was opened with, as in `relgraph.open(url, sqlite=sqlite3)`, or close the file first",
        {"store": str(path), "module": library.__name__},
    )


def _index_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-shm")


def _is_same(left: Path, right: Path) -> bool:
    try:
        return left.samefile(right)
    except OSError:
        return False


def _descriptors(path: Path) -> int:
    """Count this process's descriptors of the file at `path`; 0 where that cannot be seen."""
    try:
        wanted = path.stat()
    except OSError:
        return 0
    count = 0
    for name in _descriptor_names():
        # Others come and go meanwhile.
        with suppress(OSError, ValueError):
            count += os.path.samestat(os.fstat(int(name)), wanted)
    return count


def _descriptor_names() -> list[str]:
    for folder in _DESCRIPTORS:
        with suppress(OSError):
            return [each.name for each in Path(folder).iterdir()]
    return []
