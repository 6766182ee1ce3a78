"""The file of keys: one key a line, as JSON, written whole by `relgraph key` and read by the server.

Rule 1: a file that others can read or write, or that is not understood to the last field, is an error: it holds no key.
Rule 2: a revoked key stays in the file, so that its name, which stands in the history, never means another key.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidFile, InvalidInput, InvalidSetting, RelgraphError, did_you_mean, quoted
from relgraph_server.keys import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from relgraph_server.keys import Key

__all__ = ["create_key", "read_keys", "revoke_key"]

_BYTES_MAX: Final = 16 << 20


def read_keys(path: str | Path) -> tuple[Key, ...]:
    """Return the keys of a file. Raises InvalidSetting for one that others could use, InvalidFile for a bad line."""
    try:
        data = _content(path)
    except (OSError, ValueError) as problem:
        why = (getattr(problem, "strerror", None) or "not a path").lower()
        raise InvalidSetting(
            f"the keys in {quoted(str(path))} cannot be read: {why}; make the file with `relgraph key create`",
            {"file": str(path)},
        ) from None
    if len(data) > _BYTES_MAX:
        raise InvalidFile(f"{quoted(str(path))} is larger than any file of keys; check its path")
    return _parsed(str(path), data)


def _content(path: str | Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        # Of the very file that is read, which need not be the one that the path leads to a moment later.
        _check_rights(path, os.fstat(descriptor))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_BYTES_MAX + 1)
    finally:
        os.close(descriptor)


def _check_rights(path: str | Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise InvalidSetting(f"{quoted(str(path))} is not a file; name one of keys", {"file": str(path)})
    if status.st_uid not in (0, os.geteuid()):
        raise InvalidSetting(
            f"the keys in {quoted(str(path))} are another user's, who could add one; own the file", {"file": str(path)}
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise InvalidSetting(
            f"the keys in {quoted(str(path))} are open to others (mode {stat.S_IMODE(status.st_mode):o}); run "
            f"`chmod 600` on it, and replace them if somebody may have written there",
            {"file": str(path)},
        )


def _parsed(path: str, data: bytes) -> tuple[Key, ...]:
    keys: list[Key] = []
    names: set[str] = set()
    digests: set[str] = set()
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            key = key_of(json.loads(line.decode("utf-8"), object_pairs_hook=_once))
        except (ValueError, TypeError, RecursionError, RelgraphError) as problem:
            # Neither the line nor json's complaint about it is shown: somebody may have pasted a secret there.
            why = problem.message if isinstance(problem, RelgraphError) else "it is not one JSON object"
            raise InvalidFile(
                f"{quoted(path)}, line {number}: {why}; mend it there, or let `relgraph key` write the file",
                {"file": path, "line": str(number)},
            ) from None
        if key.name in names or key.digest in digests:
            raise InvalidFile(
                f"{quoted(path)}, line {number}: the key {quoted(key.name)} stands there twice; take one out",
                {"file": path, "line": str(number)},
            )
        names.add(key.name)
        digests.add(key.digest)
        keys.append(key)
    return tuple(keys)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    shape = dict(pairs)
    if len(shape) != len(pairs):
        raise InvalidInput("a field stands there twice")
    return shape


def create_key(path: Path, key: Key) -> None:
    """Add a key to a file, which is made if need be. Raises InvalidInput for a name that is taken, ever so long ago."""

    def added(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        if any(each.name == key.name for each in keys):
            raise InvalidInput(
                f"there is a key {quoted(key.name)} already, and names are not used again; give another name",
                {"name": key.name},
            )
        return (*keys, key)

    _change(path, added, may_be_new=True)


def revoke_key(path: Path, name: str, now: datetime) -> Key:
    """Revoke the key of that name, for good; one that is revoked already stays as it is. Raises InvalidInput."""

    def revoked(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        if not any(each.name == name for each in keys):
            raise InvalidInput(
                f"there is no key {quoted(name)}{did_you_mean(name, (each.name for each in keys))}", {"name": name}
            )
        return tuple(
            replace(each, revoked=now) if each.name == name and each.revoked is None else each for each in keys
        )

    return next(each for each in _change(path, revoked, may_be_new=False) if each.name == name)


def _change(path: Path, change: Callable[[tuple[Key, ...]], tuple[Key, ...]], *, may_be_new: bool) -> tuple[Key, ...]:
    """Put a changed file in the old one's place, whole or not at all, while nobody else does."""
    path = path.resolve()
    try:
        with _locked(path):
            keys = change(() if may_be_new and not path.exists() else read_keys(path))
            _replace(path, "".join(key.line for key in keys))
    except OSError as problem:
        raise InvalidSetting(
            f"the keys in {quoted(str(path))} cannot be written: {(problem.strerror or 'no reason given').lower()}; "
            "check the folder and its rights",
            {"file": str(path)},
        ) from None
    return keys


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the right to replace a file. The folder is locked: the file itself is about to be another one."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
