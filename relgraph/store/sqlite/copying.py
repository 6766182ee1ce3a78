"""Backups of a store on SQLite, and stores restored from them.

Rule 1: a backup is wholly there or not at all: it is written beside its place, verified and synced, and then moved.
Rule 2: a restored store begins a new epoch, later than any that the backup or the store in its place has seen, so that
no token of before is honoured, not even for a revision that both have.
Rule 3: nothing is written over but a store that its owner gave up, and that nobody has open.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager, suppress
from dataclasses import replace as replaced
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidSetting, StoreFormat, StoreUnavailable, quoted
from relgraph.store.sql.verifying import verify
from relgraph.store.sqlite.holds import hold
from relgraph.store.sqlite.layout import is_current, prepare
from relgraph.store.sqlite.library import PATH_SHOWN_MAX, fault
from relgraph.store.sqlite.link import SQLiteLink, connect, connect_source
from relgraph.store.sqlite.verifying import verify_file
from relgraph.store.upkeep import Backup

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from relgraph.store.base import Clock, Random
    from relgraph.store.sqlite.holds import Hold
    from relgraph.store.sqlite.library import SQLiteModule

__all__ = ["back_up", "restore"]

WAIT_MS_MAX: Final = 1000
"""How long a restore waits for somebody to close the store in its place."""

_BUSY: Final = 5
_RIGHTS: Final = 0o666
_LEFTOVERS: Final = ("-journal", "-wal", "-shm")


def back_up(source: sqlite3.Connection, library: SQLiteModule, where: str, target: Path) -> Backup:
    """Copy what a connection sees at this moment into a new file, while others write on. `where` is the store.

    Raises InvalidSetting when there is such a file already, StoreUnavailable when it cannot be made, StoreFormat when
    the copy is not sound.
    """
    with _made(target) as (place, partial):
        with _told(library, where, target), closing(_connected(library, partial)) as copy:
            source.backup(copy)
            _make_plain(copy)
        made = _verified(library, partial, place)
        _move(partial, place)
    return made


def restore(
    backup: Path, target: Path, library: SQLiteModule, *, chosen: bool, replace: bool, clock: Clock, random: Random
) -> Backup:
    """Make a store of a backup, in a new file or, with `replace`, in the place of a store that nobody has open.

    Raises InvalidSetting for a backup that is not there or a place that is taken, StoreFormat for what is no sound
    store, StoreUnavailable where the place is in use or cannot be written.
    """
    _require_backup(backup, target)
    with _holding(backup, library, chosen=chosen), _holding(target, library, chosen=chosen) as held:
        if held.stores > 1:
            raise _in_use(target, "this")
        if target.exists():
            if not replace:
                raise InvalidSetting(
                    f"there is a file {quoted(str(target), PATH_SHOWN_MAX)} already; name a new one, or replace it",
                    {"store": str(target)},
                )
            if target.stat().st_size:
                return _restore_over(backup, target, library, clock, random)
            target.unlink()
        _clear_leftovers(target, replace=replace)
        with _made(target) as (place, partial):
            made = _prepared(backup, partial, place, library, random)
            made = _renewed(made, partial, library, 0, clock, random)
            _move(partial, place)
        return made


@contextmanager
def _holding(path: Path, library: SQLiteModule, *, chosen: bool) -> Iterator[Hold]:
    held = hold(path, library, chosen=chosen)
    try:
        yield held
    finally:
        held.release()


def _restore_over(backup: Path, target: Path, library: SQLiteModule, clock: Clock, random: Random) -> Backup:
    """Write a backup over a store, in one transaction of that file: whoever opens it finds the one or the other."""
    partial = _partial(target)
    _remove(partial)
    try:
        made = _prepared(backup, partial, target, library, random)
        with _told(library, str(target), target), closing(_connected(library, target)) as store:
            is_current(store, str(target))
            _take_alone(store, target)
            made = _renewed(made, partial, library, _epoch_of(store), clock, random)
            with closing(connect_source(library, partial)) as copy:
                copy.backup(store)
    finally:
        _remove(partial)
    return made


def _take_alone(store: sqlite3.Connection, target: Path) -> None:
    """Shut everybody else out of a file. Raises StoreUnavailable when somebody has it open."""
    try:
        store.execute("PRAGMA locking_mode = EXCLUSIVE")
        # Leaving WAL mode folds the log in, and takes the file for itself alone: idle readers hold it, too.
        [(mode,)] = store.execute("PRAGMA journal_mode = DELETE").fetchall()
        store.execute("BEGIN EXCLUSIVE")
        store.execute("COMMIT")
    except Exception as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == _BUSY:
            raise _in_use(target, "another") from error
        raise
    if mode != "delete":
        raise _in_use(target, "another")


def _prepared(backup: Path, partial: Path, place: Path, library: SQLiteModule, random: Random) -> Backup:
    """Make a sound store of a backup at `partial`, still in the backup's epoch."""
    where = str(backup)
    with (
        closing(_source(library, backup)) as source,
        _told(library, where, place),
        closing(_connected(library, partial)) as copy,
    ):
        source.backup(copy)
        if not copy.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchall():
            raise StoreFormat(f"the backup {quoted(where, PATH_SHOWN_MAX)} holds no store; name another one")
        if not is_current(copy, where):
            prepare(copy, where, random)
        _make_plain(copy)
    return _verified(library, partial, place)


def _renewed(made: Backup, partial: Path, library: SQLiteModule, known: int, clock: Clock, random: Random) -> Backup:
    """Give the store at `partial` a new epoch, later than its own and than one that is `known`."""
    epoch = _new_epoch(max(known, made.epoch), clock, random)
    with _told(library, str(partial), made.path), closing(_connected(library, partial)) as store:
        store.execute("UPDATE meta SET epoch = ?", (epoch,))
    return replaced(made, epoch=epoch)


def _epoch_of(connection: sqlite3.Connection) -> int:
    [(epoch,)] = connection.execute("SELECT epoch FROM meta").fetchall()
    return int(epoch)


def _new_epoch(known: int, clock: Clock, random: Random) -> int:
    """Return the epoch of a new life, later than all that are known.

    Lives that left nothing behind are not known, and their epochs must not be taken again: so it is the time in
    seconds, and a little chance for two restores within one.
    """
    return max(known + 1, clock() // 1_000_000) + int.from_bytes(random(2), "big")


def _verified(library: SQLiteModule, partial: Path, place: Path) -> Backup:
    with _told(library, str(place), place), closing(connect_source(library, partial)) as connection:
        link = SQLiteLink(library, connection, str(place))
        found = verify(link, lambda link: verify_file(link, library))
        [(epoch,)] = link.all("SELECT epoch FROM meta")
    if found.findings:
        raise StoreFormat(
            f"what would become {quoted(str(place), PATH_SHOWN_MAX)} is not sound: {found.findings[0]}; nothing was "
            "made; verify the store it comes from",
            {"store": str(place)},
        )
    return Backup(place, found.head, epoch, partial.stat().st_size)


# --- files


@contextmanager
def _made(target: Path) -> Iterator[tuple[Path, Path]]:
    """Keep a place for a new file, and give another one beside it to be written first; both go when the block fails."""
    place = Path(os.path.realpath(target))
    try:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _RIGHTS))
    except FileExistsError:
        raise InvalidSetting(
            f"there is a file {quoted(str(target), PATH_SHOWN_MAX)} already; name a new one", {"file": str(target)}
        ) from None
    except OSError as error:
        raise _unwritable(target, error) from error
    partial = _partial(place)
    try:
        # Whatever lies there was left by a crash.
        _remove(partial)
        _clear_leftovers(place, replace=False)
        yield place, partial
    except BaseException as error:
        place.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(target, error) from error
        raise
    finally:
        with suppress(OSError):
            _remove(partial)


def _partial(place: Path) -> Path:
    """Return where a file is written before it stands in its place."""
    return place.with_name(f"{place.name}-partial")


def _remove(path: Path) -> None:
    for name in ("", *_LEFTOVERS):
        path.with_name(path.name + name).unlink(missing_ok=True)


def _move(partial: Path, place: Path) -> None:
    """Put a finished file into its place, for good."""
    _sync(partial)
    partial.replace(place)
    if os.name == "posix":
        _sync(place.parent)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _clear_leftovers(target: Path, *, replace: bool) -> None:
    """Remove what a store that is gone left beside its file: SQLite would fold an old log into the new file."""
    left = [path for name in _LEFTOVERS if (path := target.with_name(target.name + name)).exists()]
    if left and not replace:
        raise InvalidSetting(
            f"{quoted(str(left[0]), PATH_SHOWN_MAX)} was left by a store that is gone; remove it",
            {"file": str(left[0])},
        )
    for path in left:
        path.unlink()


def _require_backup(backup: Path, target: Path) -> None:
    problem = "is not a file"
    with suppress(OSError):
        if backup.is_file():
            problem = "" if backup.stat().st_size else "is empty"
        if target.exists() and backup.samefile(target):
            problem = "is the store that it would be restored to"
    if problem:
        raise InvalidSetting(
            f"the backup {quoted(str(backup), PATH_SHOWN_MAX)} {problem}; name another one", {"file": str(backup)}
        )


# --- connections


def _source(library: SQLiteModule, backup: Path) -> sqlite3.Connection:
    """Open a backup. Raises StoreFormat for what cannot be one, StoreUnavailable when it cannot be read."""
    with _told(library, str(backup), backup):
        source = connect_source(library, backup)
        try:
            is_current(source, str(backup))
        except BaseException:
            source.close()
            raise
    return source


def _connected(library: SQLiteModule, path: Path) -> sqlite3.Connection:
    return connect(library, path.absolute(), create=True, wait_ms_max=WAIT_MS_MAX)


def _make_plain(copy: sqlite3.Connection) -> None:
    """Make a copy one plain file, which can be read where nothing can be written."""
    copy.execute("PRAGMA journal_mode = DELETE").fetchall()


@contextmanager
def _told(library: SQLiteModule, source: str, target: Path) -> Iterator[None]:
    """Turn the driver's errors into relgraph's: damage is the source's, all else is the target's."""
    try:
        yield
    except library.Error as error:
        problem = fault(error, source)
        raise (problem if isinstance(problem, StoreFormat) else fault(error, str(target))) from error


def _in_use(target: Path, whose: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the store {quoted(str(target), PATH_SHOWN_MAX)} is open in {whose} process; close it there, and try again",
        {"store": str(target)},
    )


def _unwritable(path: Path, error: OSError) -> StoreUnavailable:
    reason = (error.strerror or str(error)).lower()
    return StoreUnavailable(
        f"the file {quoted(str(path), PATH_SHOWN_MAX)} cannot be made: {reason}; check the path, its rights and the "
        "room on its disk",
        {"file": str(path)},
    )
