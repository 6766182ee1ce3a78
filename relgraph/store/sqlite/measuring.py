"""What only SQLite can tell of a store: its library, its file and log, and whether these are safe."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from relgraph.answers import Fact, Problem
from relgraph.store.sqlite.library import has_reset_bug
from relgraph.store.sqlite.log import LOG_BYTES_MAX
from relgraph.store.upkeep import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from relgraph.store.sqlite.holds import Hold
    from relgraph.store.sqlite.library import SQLiteModule

__all__ = ["FREE_BYTES_MIN", "file_condition", "library_facts"]

FREE_BYTES_MIN: Final = 256 * 1024 * 1024
"""With less room on the disk a store is told to be in danger."""

_LOG_LONG: Final = 8 * LOG_BYTES_MAX


def library_facts(library: SQLiteModule) -> list[Fact]:
    """Tell which SQLite it is, and by which module."""
    return [
        Fact("versions", "SQLite", library.sqlite_version),
        Fact("versions", "SQLite module", library.__name__.partition(".")[0]),
    ]


def file_condition(counted: Iterable[Fact], hold: Hold) -> Condition:
    """Tell of a file what was counted in it, its sizes and its locks, and what of it is not safe."""
    path = hold.path
    log, lock = _size(path.with_name(f"{path.name}-wal")), path.with_name(f"{path.name}-lock")
    free = shutil.disk_usage(path.parent).free
    bug = has_reset_bug(hold.library.sqlite_version_info)
    facts = (
        *library_facts(hold.library),
        Fact("store", "kind", "SQLite file"),
        Fact("store", "file", str(path)),
        Fact("store", "file bytes", _size(path)),
        Fact("store", "log bytes", log),
        Fact("store", "free bytes", free),
        Fact("store", "lock file", f"{lock.name}, {'taken by this process' if hold.writes else 'not taken here'}"
             if lock.exists() else "not there yet"),
        Fact("store", "writers", "one process" if bug else "any number of processes"),
        *counted,
    )  # fmt: skip
    problems = []
    if bug:
        problems.append(
            Problem(
                "versions",
                f"SQLite {hold.library.sqlite_version} has the WAL-reset bug, so only one process may write the file",
                "install the package `pysqlite3`, or a Python whose SQLite is 3.51.3 or newer",
            )
        )
    if log > _LOG_LONG:
        problems.append(
            Problem(
                "store",
                f"the log beside the file has grown to {log:,} bytes, since something reads an old state all the time",
                "end what holds a snapshot or an open transaction on the file; the next write folds the log",
            )
        )
    if free < FREE_BYTES_MIN:
        problems.append(
            Problem(
                "store",
                f"only {free:,} bytes are free on the disk; writes are refused when it is full",
                "make room, or move the store with `relgraph migrate`",
            )
        )
    return Condition(facts, tuple(problems))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
