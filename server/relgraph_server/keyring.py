"""The keys of a running server: read again as soon as their file changes.

Rule 1: whether the file changed is looked at with each call, so that a revoked key is refused from the next one on.
Rule 2: a file that cannot be read, or not be understood, opens nothing to anybody: the keys of before might hold one
that was just taken out.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from relgraph.errors import NotReady, RelgraphError
from relgraph_server.keyfile import read_keys
from relgraph_server.keys import find_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph_server.keys import Key

__all__ = ["Keyring"]

_log: Final = logging.getLogger(__name__)

_CHANGED: Final = 0
_TICK_NS: Final = 50_000_000


class Keyring:
    """The keys in a file. `clock` gives microseconds since 1970 UTC. Raises as `read_keys` when made."""

    def __init__(self, path: str, clock: Callable[[], int]) -> None:
        self._path = Path(path)
        self._clock = clock
        self._reading = Lock()
        self._seen: tuple[int, ...] | None = None
        self._keys: tuple[Key, ...] | None = None
        # What the log was told last: whoever calls meanwhile must not fill it.
        self._told = ""
        self._read(self._state())

    def find(self, secret: str) -> Key | None:
        """Return the valid key of a secret, None without one. Raises NotReady while the file is broken."""
        return find_key(self._current(), secret, self._clock())

    def holds(self, key: Key) -> bool:
        """Whether a key that was found is still as it was, and valid. Raises NotReady."""
        return key.valid_at(self._clock()) and key in self._current()

    @property
    def ready(self) -> bool:
        """Whether keys can be told apart at all."""
        try:
            self._current()
        except NotReady:
            return False
        return True

    def _current(self) -> tuple[Key, ...]:
        # INVARIANT: what was read belongs to the state that was seen before; two threads must not mix theirs.
        with self._reading:
            state = self._state()
            if state != self._seen:
                try:
                    self._read(state)
                except RelgraphError as problem:
                    # The failure may be the machine's (too many open files): it is read again although it is the same.
                    self._keys = self._seen = None
                    if problem.message != self._told:
                        self._told = problem.message
                        _log.error("no call is let in: %s", problem.message)
            keys = self._keys
        if keys is None:
            raise NotReady(
                "the server cannot read its keys; its log tells why, and calls are let in once that is mended"
            )
        return keys

    def _read(self, state: tuple[int, ...]) -> None:
        """Read the file, which was in that state before."""
        self._keys = read_keys(self._path)
        self._told = ""
        # A file may change twice within one tick of its clock: as long as it is that fresh, it is read each time.
        settled = bool(state) and time.time_ns() - state[_CHANGED] > _TICK_NS
        self._seen = state if settled else None
        if settled:
            _log.info("read %d keys", len(self._keys))

    def _state(self) -> tuple[int, ...]:
        """Return what tells one state of the file from another: a replaced file has another inode or change time."""
        try:
            status = os.stat(self._path)  # noqa: PTH116 - in each call
        except (OSError, ValueError):
            return ()
        return (
            status.st_ctime_ns,
            status.st_mtime_ns,
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mode,
            status.st_uid,
        )
