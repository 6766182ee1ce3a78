"""Looking after a store from outside: backups, stores restored from them, and verifying."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from relgraph.errors import RelgraphError, Unsupported
from relgraph.schema import parse
from relgraph.store import open_store, require_store, restore_store
from relgraph.store.upkeep import Checked

if TYPE_CHECKING:
    from relgraph.store import SQLiteModule
    from relgraph.store.base import Store
    from relgraph.store.upkeep import Backup, Verification

__all__ = ["backup", "restore", "verify"]

_SCHEMAS_MAX = 1_000_000


def backup(url: str, file: str | Path, *, sqlite: SQLiteModule | None = None) -> Backup:
    """Copy the store at `url` into a new file, as it is at this moment, while others write on.

    The file is verified and synced to the disk when this returns. `sqlite` as in `relgraph.open`. Raises InvalidSetting
    when there is such a file already, StoreUnavailable when it cannot be made, StoreFormat when the store is damaged.
    """
    with closing(_opened(url, sqlite)) as store:
        return store.backup(Path(file))


def restore(file: str | Path, url: str, *, replace: bool = False, sqlite: SQLiteModule | None = None) -> Backup:
    """Make the store at `url` of a backup; with `replace` also in the place of a store that nobody has open.

    The store begins a new epoch: tokens and cursors of before are refused, since what was written after the backup is
    gone. Raises InvalidSetting, StoreFormat, StoreUnavailable.
    """
    return restore_store(Path(file), url, replace=replace, clock=_now, random=os.urandom, sqlite=sqlite)


def verify(url: str, *, sqlite: SQLiteModule | None = None) -> Verification:
    """Look at all that the store at `url` holds, and tell what writing it by the rules cannot have left.

    Raises Unsupported where a schema has caveats and no library for them is installed.
    """
    with closing(_opened(url, sqlite)) as store:
        found = store.verify()
        # What is not sound as a store is not looked at any closer.
        return found if found.findings else replace(found, checks=(*found.checks, _rules(store)))


def _rules(store: Store) -> Checked:
    """Check that every schema can be read, and that there is one where there are tuples: a store knows no language."""
    findings = []
    with store.snapshot() as snapshot:
        history = snapshot.history(snapshot.head.number)
        versions = history.rows("schemas", (0,), _SCHEMAS_MAX)
        if not versions and history.rows("tuples", (0,) * 5, 1):
            findings.append("there are tuples, and no schema that admits them")
    for number, text in versions:
        try:
            parse(str(text))
        except Unsupported:
            # It is this installation that lacks something, not the store.
            raise
        except RelgraphError as error:
            findings.append(f"the schema of revision {number!r} cannot be read: {error.message.splitlines()[0]}")
    return Checked("rules", len(versions), tuple(findings))


def _opened(url: str, sqlite: SQLiteModule | None) -> Store:
    require_store(url)
    return open_store(url, clock=_now, random=os.urandom, sqlite=sqlite)


def _now() -> int:
    return time.time_ns() // 1000
