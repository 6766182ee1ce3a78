"""Taking turns, with an end to the waiting, so that an interrupt anywhere leaves nobody waiting for ever.

A signal's exception may strike between any two steps, also between getting a lock and the `try` behind that. Python's
own `with lock:` is safe from it, but waits without an end; here the lock knows its owner, so that freeing it is tried
whatever happened, twice, and is nothing to whoever does not have it.
"""

from __future__ import annotations

from threading import TIMEOUT_MAX, RLock
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Turn"]

_Result = TypeVar("_Result")


class Turn:
    """One thread at a time; a thread that has its turn must not ask for another."""

    def __init__(self) -> None:
        self._lock = RLock()

    def take(self, work: Callable[[], _Result], seconds: float | None = None) -> _Result:
        """Wait for the turn, run `work` and return what it returns. Raises TimeoutError after so many seconds."""
        try:
            try:
                if not self._lock.acquire(timeout=-1 if seconds is None else min(TIMEOUT_MAX, max(0.0, seconds))):
                    raise TimeoutError
                return work()
            finally:
                self._free()
        finally:
            # INVARIANT: the interrupt may have struck in the line above.
            self._free()

    def _free(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            # It was not ours, or is not any more.
            return
