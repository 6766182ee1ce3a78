"""Waiting for a lock so that an exception out of a signal handler, such as KeyboardInterrupt, cannot leave it taken.

`with lock:` is as safe, and waits for ever; this is for whoever waits no longer than some time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Lock

__all__ = ["take"]


def take(lock: Lock, timeout: float = -1) -> bool:
    """Take a lock within `timeout` seconds, by default however long it takes; say whether that succeeded.

    When it raises, the lock is not taken.
    """
    taken: list[bool] = []
    try:
        # INVARIANT: one call that both takes the lock and notes it. Who waited for the lock waits for the interpreter
        # too, and a signal's exception of that time is raised right behind the call, where nobody would know of it.
        taken.extend(map(lock.acquire, (True,), (timeout,)))
    except BaseException:
        if True in taken:
            lock.release()
        raise
    return taken[0]
