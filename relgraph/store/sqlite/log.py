"""The write-ahead log of a file: keeping it short.

SQLite folds the log into the file as the writer goes along, as far as open snapshots allow, and begins it anew when
none of them needs it. Where snapshots overlap all the time that moment never comes, and the log would grow without end.

Rule 1: whoever waits is a writer. Folding waits for snapshots that are open, never the other way round, and those that
are opened meanwhile do not need the log.
Rule 2: the writing connection alone folds, under the writers' lock, and what goes wrong here is no error of the write
that came before: it is durable, in the log.
"""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from relgraph.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from relgraph.store.sql.link import Link

__all__ = ["LOG_BYTES_MAX", "Log"]

LOG_BYTES_MAX: Final = 64 * 1024 * 1024
"""From this size on, the log is folded whenever no snapshot is in the way."""

_PATIENT_FROM: Final = 4
"""So many times that size, and writers wait for the snapshots in the way."""

WAIT_MS_MAX: Final = 1000
"""How long a writer waits for them."""

_LOOK_MS_MAX: Final = 50
"""How long SQLite waits at a time: it waits for the place of an old snapshot, even when newer ones have taken it."""


class Log:
    """The log of the file at `path`, as the writing connection `link` keeps it.

    A writer waits `wait_ms_max` milliseconds for the lock of another one, and seldom longer for the log.
    """

    def __init__(self, link: Link, path: Path, wait_ms_max: int) -> None:
        self._link = link
        self._path = path.with_name(f"{path.name}-wal")
        self._wait_ms_max = wait_ms_max
        self._next = LOG_BYTES_MAX
        # A log that was begun anew keeps its old size on the disk unless told otherwise.
        link.run(f"PRAGMA journal_size_limit = {LOG_BYTES_MAX}")

    def tend(self) -> None:
        """Fold the log if it has grown too long; after a commit, with the writers' lock held."""
        size = self._size()
        if size < self._next:
            return
        patient = size >= _PATIENT_FROM * LOG_BYTES_MAX
        if self.fold(wait_ms=min(self._wait_ms_max, WAIT_MS_MAX) if patient else 0):
            self._next = LOG_BYTES_MAX
        else:
            # A snapshot that outlives the waiting must not hold up every single write.
            self._next = size * 2 if patient else size + LOG_BYTES_MAX // 4

    def fold(self, *, wait_ms: int = 0) -> bool:
        """Fold all of the log into the file and empty it; say whether that succeeded."""
        until = monotonic() + wait_ms / 1000
        with suppress(StoreUnavailable):
            try:
                while True:
                    left_ms = max(0, round((until - monotonic()) * 1000))
                    self._link.run(f"PRAGMA busy_timeout = {min(left_ms, _LOOK_MS_MAX)}")
                    [(hindered, _, _)] = self._link.all("PRAGMA wal_checkpoint(TRUNCATE)")
                    if not hindered or not left_ms:
                        return not hindered
            finally:
                self._link.run(f"PRAGMA busy_timeout = {self._wait_ms_max}")
        return False

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0
