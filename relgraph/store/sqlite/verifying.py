"""What only SQLite can verify of a file: its pages, its indexes, and that its layout is this relgraph's."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from relgraph.errors import StoreFormat
from relgraph.store.sql.verifying import told
from relgraph.store.sqlite.layout import APPLICATION_ID, FORMAT, prepare
from relgraph.store.sqlite.link import connect_memory
from relgraph.store.upkeep import FINDINGS_MAX, Checked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from relgraph.store.sql.link import Link
    from relgraph.store.sqlite.library import SQLiteModule

__all__ = ["verify_file"]

_OBJECTS: Final = "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL"


def verify_file(link: Link, library: SQLiteModule) -> list[Checked]:
    """Check the header, the layout against that of a new store, each index against its rows, and every page."""
    wanted = _new_layout(library)
    return [
        _guarded("header", lambda: _header(link)),
        _guarded("layout", lambda: _layout(link, wanted)),
        _guarded("indexes", lambda: _indexes(link)),
        _guarded("pages", lambda: _pages(link)),
    ]


def _new_layout(library: SQLiteModule) -> dict[str, str]:
    with closing(connect_memory(library)) as connection:
        prepare(connection, "in memory", bytes)
        return dict(connection.execute(_OBJECTS).fetchall())


def _guarded(what: str, check: Callable[[], tuple[int, tuple[str, ...]]]) -> Checked:
    try:
        return Checked(what, *check())
    except StoreFormat as error:
        return Checked(what, 0, (error.message,))


def _header(link: Link) -> tuple[int, tuple[str, ...]]:
    wanted = {"application_id": APPLICATION_ID, "user_version": FORMAT}
    found = {name: link.all(f"PRAGMA {name}")[0][0] for name in wanted}
    return len(wanted), tuple(
        f"{name} is {found[name]}, not {wanted[name]}" for name in wanted if found[name] != wanted[name]
    )


def _layout(link: Link, wanted: Mapping[str, str]) -> tuple[int, tuple[str, ...]]:
    # What is there besides is somebody's own: an application keeps its tables in the same file.
    found: dict[str, str] = dict(link.all(_OBJECTS))
    return len(wanted), tuple(
        f"the {name} is {'not what it was made as' if name in found else 'missing'}"
        for name, text in wanted.items()
        if found.get(name) != text
    )


def _indexes(link: Link) -> tuple[int, tuple[str, ...]]:
    texts = link.all("SELECT sql FROM sqlite_schema WHERE type = 'index' AND name GLOB 'tuples_by_*'")
    findings = []
    for (text,) in texts:
        head, mark, condition = text.partition(" WHERE ")
        name, where = head.split()[2], mark + condition
        [(rows,)] = link.all(f"SELECT count(*) FROM tuples NOT INDEXED{where}")  # noqa: S608 - our own names
        [(entries,)] = link.all(f"SELECT count(*) FROM tuples INDEXED BY {name}{where}")  # noqa: S608
        if rows != entries:
            findings.append(f"the index {name} has {entries} entries for {rows} rows")
    return len(texts), tuple(findings)


def _pages(link: Link) -> tuple[int, tuple[str, ...]]:
    [(count,)] = link.all("PRAGMA page_count")
    rows = link.all(f"PRAGMA integrity_check({FINDINGS_MAX + 1})")
    return count, () if rows == [("ok",)] else told(rows, "{}")
