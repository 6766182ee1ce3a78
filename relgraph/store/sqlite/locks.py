"""A lock of the operating system on a file of its own: shared or exclusive between processes, gone with its process.

Rule 1: one `FileLock` a file and process (see `holds`): a POSIX lock belongs to the process, and closing any descriptor
of the file drops it.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FileLock"]

# Windows locks ranges of bytes, and exclusively only: one byte of the range is a share, the whole range is all of them.
_SHARES = 64


class FileLock:
    """A lock on the file at `path`, which is made if it is not there, and stays.

    It is made for whoever may use `like`, whoever makes it.
    """

    def __init__(self, path: Path, like: Path) -> None:
        self._path = path
        self._like = like
        self._file: int | None = None

    @property
    def taken(self) -> bool:
        """Whether this process has the lock."""
        return self._file is not None

    def take(self, *, shared: bool) -> bool:
        """Take the lock; say whether that succeeded. Never waits. Raises OSError when the file cannot be made."""
        if self._file is not None:
            return True
        file = self._opened()
        if _locked(file, shared=shared):
            self._file = file
            return True
        os.close(file)
        return False

    def release(self) -> None:
        """Let the lock go."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def _opened(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR)
        except FileNotFoundError:
            found = self._like.stat()
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, stat.S_IMODE(found.st_mode))
            if sys.platform != "win32":
                # As SQLite does with its log: the administrator's first write must not lock the service out.
                with suppress(OSError):
                    os.fchmod(file, stat.S_IMODE(found.st_mode))
                    os.fchown(file, found.st_uid, found.st_gid)
            return file


if sys.platform == "win32":

    def _locked(file: int, *, shared: bool) -> bool:
        for offset in range(_SHARES if shared else 1):
            os.lseek(file, offset, os.SEEK_SET)
            try:
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1 if shared else _SHARES)
            except OSError:
                continue
            return True
        return False

else:

    def _locked(file: int, *, shared: bool) -> bool:
        try:
            fcntl.lockf(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True
