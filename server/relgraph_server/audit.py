"""The audit log of a running server: one JSON line a write or refusal, each chained to the one before by its hash.

Rule 1: an entry is on the disk (fsync) before `append` returns; entries that come at once share one.
Rule 2: the server is the file's only writer, and says so by a lock. What another hand put, cut or moved is an error.
Rule 3: after a failure the file is looked at anew, before anything else is recorded. A line that was torn by a crash or
a full disk stays where it is, and the next entry seals it with its hash.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import stat
from threading import Lock
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidSetting, NotReady, quoted
from relgraph.instants import instant_text, moment
from relgraph_server.auditing import NOTHING, bytes_hash, entry_line, entry_of, is_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["AuditLog"]

_log: Final = logging.getLogger(__name__)

TAIL_BYTES: Final = 4 << 20
"""How far back the last entry is looked for: far more than an entry can take."""

_BEGINS: Final = b'{"event":'
"""How the first entry of every log begins."""

FREE_BYTES_MIN: Final = 1 << 20
"""With less room on the disk no write is begun."""


class AuditLog:
    """An open audit log. `clock` gives microseconds since 1970 UTC. Raises InvalidSetting when it cannot be opened."""

    def __init__(self, path: str, clock: Callable[[], int]) -> None:
        self._path = path
        self._clock = clock
        self._writing = Lock()
        self._syncing = Lock()
        self._sound = False
        self._number = 0
        self._head = NOTHING
        self._end = self._synced = 0
        try:
            # Read as well, for its end.
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        except (OSError, ValueError) as problem:
            why = (getattr(problem, "strerror", None) or "not a path").lower()
            raise InvalidSetting(
                f"the audit log {quoted(path)} cannot be opened: {why}; check its path and rights", {"file": path}
            ) from None
        try:
            self._take()
            self.append({"event": "started", "nonce": secrets.token_hex(16)})
        except NotReady as problem:
            os.close(self._file)
            raise InvalidSetting(problem.message, problem.details) from None
        except BaseException:
            os.close(self._file)
            raise

    def _take(self) -> None:
        """Make sure that nobody else writes, and find the end."""
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            raise InvalidSetting(f"the audit log {quoted(self._path)} is not a file; name one", {"file": self._path})
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InvalidSetting(
                f"the audit log {quoted(self._path)} is another server's, which is running; give each its own",
                {"file": self._path},
            ) from None
        self._sync_folder()
        self._recover()

    @property
    def ready(self) -> bool:
        """Whether a write could be recorded now."""
        try:
            self.check()
        except NotReady:
            return False
        return True

    @property
    def head(self) -> tuple[int, str]:
        """The last entry's number and hash: noted elsewhere, they show when the end was cut off."""
        return self._number, self._head

    def check(self) -> None:
        """Raise NotReady unless, as far as can be told, the next entry can be written."""
        try:
            with self._writing:
                self._check_place()
                if not self._sound:
                    self._recover()
                room = os.fstatvfs(self._file)
            if room.f_bavail * room.f_frsize < FREE_BYTES_MIN:
                raise self._not_ready("the disk is full")
        except OSError as problem:
            raise self._not_ready((problem.strerror or "no reason given").lower()) from None

    def append(self, event: Mapping[str, object]) -> None:
        """Record something, on the disk. Raises NotReady when that failed: then it may or may not stand there."""
        try:
            with self._writing:
                if not self._sound:
                    self._recover()
                self._sound = False
                line = self._next(event)
                self._put(line + b"\n")
                self._sound = True
                mine = self._end
            self._sync(mine)
        except OSError as problem:
            self._sound = False
            raise self._not_ready((problem.strerror or "no reason given").lower()) from None

    def close(self) -> None:
        """Say so, and close the file."""
        try:
            self.append({"event": "stopped"})
        except NotReady as problem:
            _log.error("the end was not recorded: %s", problem.message)
        _log.info("the audit log %s ends with entry %d, hash %s", self._path, *self.head)
        with self._writing:
            os.close(self._file)
            self._file = -1  # whoever comes later is told, and never writes to another file of that number

    def _next(self, event: Mapping[str, object]) -> bytes:
        number, now = self._number + 1, instant_text(moment(self._clock()))
        line, digest = entry_line({**event, "number": number, "time": now, "previous": self._head})
        self._number, self._head = number, digest
        return line

    def _put(self, data: bytes) -> None:
        written = os.write(self._file, data)
        self._end += written
        if written < len(data):
            raise OSError(0, "the disk is full")

    def _sync(self, mine: int) -> None:
        with self._syncing:
            if self._synced < mine:
                end = self._end
                os.fsync(self._file)
                self._synced = end

    def _sync_folder(self) -> None:
        folder = os.open(os.path.dirname(os.path.abspath(self._path)), os.O_RDONLY | os.O_CLOEXEC)  # noqa: PTH100, PTH120
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _check_place(self) -> None:
        """The path still has to lead to the open file, of the size that was left."""
        there, here = os.stat(self._path), os.fstat(self._file)  # noqa: PTH116
        if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
            raise self._not_ready("it was moved away; start the server again to go on in a new one")
        if self._sound and here.st_size != self._end:
            raise self._not_ready("somebody else changed its size")

    def _recover(self) -> None:
        """Find the last entry, and seal what was torn behind it. Raises NotReady for what was not torn, but changed."""
        size = os.fstat(self._file).st_size
        data = os.pread(self._file, TAIL_BYTES, max(0, size - TAIL_BYTES))
        self._number, self._head, self._end, self._synced = 0, NOTHING, size, 0
        rest = data
        end = len(data)
        while end >= 0:
            begin = data.rfind(b"\n", 0, end) + 1
            entry = entry_of(data[begin:end])
            if entry is not None:
                assert isinstance(entry["number"], int)  # entry_of saw to it
                self._number, self._head = entry["number"], str(entry["hash"])
                rest = data[end:]
                break
            if is_object(data[begin:end]):
                raise self._not_ready("its end was changed; look with `relgraph audit verify`, and begin a new file")
            end = begin - 1
        if not self._number and not _BEGINS.startswith(data[: len(_BEGINS)]):
            raise self._not_ready("no entry was found in it; is it an audit log?")
        if self._number and not rest.startswith(b"\n"):
            self._put(b"\n")
            rest = b"\n"
        torn = rest[1:] if self._number else rest
        if torn:
            whole = torn.removesuffix(b"\n")
            _log.warning("the audit log %s was torn after entry %d: %d bytes", self._path, self._number, len(whole))
            event = {"event": "sealed", "torn_bytes": len(whole), "torn_sha256": bytes_hash(whole)}
            self._put((b"\n" if whole == torn else b"") + self._next(event) + b"\n")
        self._sound = True

    def _not_ready(self, why: str) -> NotReady:
        return NotReady(
            f"the audit log {quoted(self._path)} cannot be written, and so the store is not: {why}",
            {"file": self._path},
        )
