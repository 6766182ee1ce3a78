"""Writers take turns within one process; between processes the database's own lock does the same.

Rule 1: one thread enters and leaves. Leaving is tried whatever happened on the way in, and is nothing to a thread that
is not inside: a signal's exception may strike between getting the lock and whatever would give it back.
Rule 2: whoever is inside is remembered weakly. Where a second exception struck in the leaving, nobody is there any
more who could leave: the thread takes its next turn over from what is gone.
"""

from __future__ import annotations

import weakref
from threading import RLock, get_ident
from typing import TYPE_CHECKING

from relgraph.errors import StoreUnavailable, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WriterLock", "WriterTurn"]


class WriterTurn:
    """Who writes now; shared by the stores of a process that must not write at the same time."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._thread = 0
        self._inside: Callable[[], object] = _nobody

    def enter(self, who: object, seconds: float) -> bool:
        """Wait for the turn; False when it did not come, or the thread has it already and would wait for itself."""
        if self._thread == get_ident() and self._inside() is not None:
            return False
        # A thread that never left gets it at once, once more; leaving makes up for it.
        if not self._lock.acquire(timeout=seconds):
            return False
        self._thread = get_ident()
        self._inside = weakref.ref(who)
        return True

    def leave(self, who: object) -> None:
        """Let the next one in, where it was the turn of this one."""
        if self._inside() not in (None, who):
            return
        self._inside = _nobody
        try:
            while True:
                self._lock.release()
        except RuntimeError:
            # Not this thread's, or not any more.
            return


def _nobody() -> None:
    """Nobody is inside."""


class WriterLock:
    """Lets one writer of this process in at a time. Several stores take turns where they are given one `turn`."""

    def __init__(self, where: str, wait_ms_max: int, turn: WriterTurn | None = None) -> None:
        self._turn = turn or WriterTurn()
        self._where = where
        self._wait_ms_max = wait_ms_max

    def enter(self, who: object) -> None:
        """Wait for the lock. Raises StoreUnavailable after `wait_ms_max` milliseconds."""
        if not self._turn.enter(who, self._wait_ms_max / 1000):
            raise StoreUnavailable(
                f"another write to {quoted(self._where)} took more than {self._wait_ms_max} ms; try again",
                {"store": self._where},
            )

    def leave(self, who: object) -> None:
        """Let the next writer in, where it was the turn of this one."""
        self._turn.leave(who)
