"""The store on SQLite: one file in WAL mode, or one in memory.

    library    which SQLite module, and its errors in relgraph's words
    layout     tables, format and migrations
    link       connections and the ways statements run
    writing    how a transaction begins and ends; what it does in between is `relgraph.store.sql`
    files, memory   the two kinds of store

Here lives the meaning of a URL, and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from relgraph.errors import InvalidSetting, StoreUnavailable, quoted
from relgraph.store.sqlite.files import FileStore
from relgraph.store.sqlite.memory import MemoryStore

if TYPE_CHECKING:
    from relgraph.store.base import Clock, Random, Store

__all__ = ["open_sqlite"]

_SCHEME = "sqlite://"


def open_sqlite(url: str, *, clock: Clock, random: Random, wait_ms_max: int) -> Store:
    """Open `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, or `sqlite://` for one in memory.

    The path is taken as it stands: nothing is decoded, and there are no parameters. Raises InvalidSetting,
    StoreFormat or StoreUnavailable.
    """
    rest = url.removeprefix(_SCHEME)
    if not rest:
        return MemoryStore(clock=clock, random=random, wait_ms_max=wait_ms_max)
    path = rest[1:]
    if not rest.startswith("/") or not path or path.endswith("/") or "\0" in path or "?" in path or ":memory:" in path:
        raise InvalidSetting(
            f"{quoted(url)} does not name a file; write `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, "
            "or `sqlite://` for a store in memory",
            {"url": url},
        )
    try:
        path.encode()
        return FileStore(Path(path), clock=clock, random=random, wait_ms_max=wait_ms_max)
    except UnicodeEncodeError:
        raise InvalidSetting(f"{quoted(url)} holds half a character; name a file", {"url": url}) from None
    except OSError as error:
        # Not the driver's: the path itself cannot be looked at.
        reason = (error.strerror or "no such path").lower()
        raise StoreUnavailable(
            f"the store {quoted(path)} cannot be looked at: {reason}; check the path and its rights", {"store": path}
        ) from error
