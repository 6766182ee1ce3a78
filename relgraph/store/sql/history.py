"""Reading all that a store keeps, for another store: pages of each table, and what changed since a revision."""

# ruff: noqa: S608 - the SQL is put together from the constants beside it; every value is bound

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.store.history import PARTS, Part

if TYPE_CHECKING:
    from relgraph.store.history import HistoryRow, Key
    from relgraph.store.sql.link import Link

__all__ = ["SQLHistory"]

_KEY = ", ".join(PARTS["tuples"].names[:5])
_BOUNDS: Final[dict[Part, str]] = {
    "revisions": "number",
    "schemas": "revision",
    "names": "id",
    "objects": "id",
    "tuples": "created",
}
_COLUMNS: Final = {part: ", ".join(columns.names) for part, columns in PARTS.items()}
_TUPLE = _COLUMNS["tuples"].replace("deleted", "CASE WHEN deleted <= ? THEN deleted END")
_CREATED = f"SELECT {_TUPLE} FROM tuples WHERE created > ? AND created <= ?"
_ENDED = (
    f"SELECT {_KEY}, deleted FROM tuples WHERE deleted IS NOT NULL AND deleted > ? AND deleted <= ? AND created <= ?"
)


def _pages(part: Part) -> str:
    columns = _TUPLE if part == "tuples" else _COLUMNS[part]
    names = PARTS[part].names[: PARTS[part].key]
    key, marks = ", ".join(names), ", ".join("?" * len(names))
    return f"SELECT {columns} FROM {part} WHERE ({key}) > ({marks}) AND {_BOUNDS[part]} <= ? ORDER BY {key} LIMIT ?"


_PAGES: Final = {part: _pages(part) for part in PARTS}


class SQLHistory:
    """What one link may see of a store's history, as of revision `until`; see `relgraph.store.history.History`."""

    def __init__(self, link: Link, until: int, name_id_max: int, object_id_max: int) -> None:
        self._link = link
        self._until = until
        self._bounds = {**dict.fromkeys(PARTS, until), "names": name_id_max, "objects": object_id_max}

    def rows(self, part: Part, behind: Key, limit: int) -> list[HistoryRow]:
        """At most `limit` rows of a part, ascending, whose keys are behind that one, as they stood at `until`."""
        ends = (self._until,) if part == "tuples" else ()
        return self._link.all(_PAGES[part], (*ends, *behind, self._bounds[part], limit))

    def created(self, after: int) -> list[HistoryRow]:
        """The tuples created behind revision `after`."""
        return self._link.all(_CREATED, (self._until, after, self._until))

    def ended(self, after: int) -> list[Key]:
        """The key of each tuple created up to revision `after` and deleted behind it, and when that was."""
        return self._link.all(_ENDED, (after, self._until, after))
