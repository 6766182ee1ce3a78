"""Reading rows: what a snapshot and a transaction have in common, and the snapshot itself.

Rule 1: every query is bounded by what its view may see: revisions up to `seen`, names and objects up to the numbers
known when it was opened. A database's own snapshot says the same; in SQLite's memory, where all share one connection
with the writer, these bounds are the snapshot, and a row that a write in the making has ended shows as living.
"""

# ruff: noqa: S608 - the SQL is put together from the constants beside it; every value is bound

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from relgraph.errors import RevisionUnavailable, StoreFormat, StoreUnavailable, quoted
from relgraph.revision import Revision
from relgraph.store.base import Changes, Image, NumberedRow, Request, SchemaVersion
from relgraph.store.sql import changelog, paging
from relgraph.store.sql.history import SQLHistory
from relgraph.store.sql.link import ClosedLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from relgraph.store.base import LogEntry
    from relgraph.store.sql.link import Link
    from relgraph.tuples import RelationTuple, TupleFilter

__all__ = [
    "NUMBER_MAX",
    "UNFINISHED",
    "Pin",
    "Reader",
    "SQLSnapshot",
    "committed_head",
    "committed_pin",
    "identity",
    "unfinished",
]

NUMBER_MAX: Final = 2**63 - 1
"""The largest number that a column holds: as a bound, none."""

UNFINISHED: Final = -1
"""The head of a store that is still taking in another one's history: no revision has that number."""

_ROW = (
    "resource, relation, subject, subject_relation, created, CASE WHEN deleted <= ? THEN deleted END, caveat, expires,"
    " context"
)
_AT = "created <= ? AND (deleted IS NULL OR deleted > ?)"

_HEAD = "SELECT number, nonce, stamp FROM revisions WHERE number = (SELECT head FROM meta)"
_PIN = _HEAD.replace("stamp FROM", "stamp, (SELECT floor FROM meta) FROM")
_REVISION = "SELECT number, nonce, stamp FROM revisions WHERE number = ?"
# Stamps never go back, so the newest stamp's newest revision is the last one.
# The signs keep SQLite from walking along the numbers instead.
_REVISION_AT = (
    "SELECT number, nonce, stamp FROM revisions WHERE stamp <= ? AND +number >= ? AND +number <= ?"
    " ORDER BY stamp DESC, number DESC LIMIT 1"
)
_CHAIN = "SELECT number, nonce, stamp, predecessor FROM revisions WHERE number > ? AND number <= ? ORDER BY number"
_SCHEMA = "SELECT revision, text FROM schemas WHERE revision <= ? ORDER BY revision DESC LIMIT 1"
_SCHEMAS = "SELECT revision, text FROM schemas WHERE revision > ? AND revision <= ? ORDER BY revision"
_REQUEST = (
    "SELECT number, nonce, stamp, principal, payload, not_after, answer FROM revisions"
    " WHERE request_id = ? AND number <= ?"
)
_COUNTERS = "SELECT name, filter FROM counters ORDER BY name"
_NAME_ID = "SELECT id FROM names WHERE name = ? AND id <= ?"
_NAME = "SELECT name FROM names WHERE id = ? AND id <= ?"
_NAMES = "SELECT id, name FROM names WHERE id > ? AND id <= ? ORDER BY id"
_OBJECT_ID = "SELECT id FROM objects WHERE type = ? AND key = ? AND id <= ?"
_OBJECT = "SELECT type, key FROM objects WHERE id = ? AND id <= ?"
_OBJECTS_OF = "SELECT id FROM objects WHERE type = ? AND id <= ?"
_OBJECTS = "SELECT id, type, key FROM objects WHERE id > ? AND id <= ? ORDER BY id"
_TUPLE = (
    f"SELECT {_ROW} FROM tuples WHERE resource = ? AND relation = ? AND subject = ? AND subject_relation = ? AND {_AT}"
)
_TUPLES = f"SELECT {_ROW} FROM tuples WHERE resource = ? AND relation = ? AND {_AT} ORDER BY subject, subject_relation"
_USERSETS = _TUPLES.replace(" ORDER BY", " AND subject_relation > 0 ORDER BY")
# Two halves, so that each has an index of its own: the living, and those that died after `at`.
_HOLDERS = (
    f"SELECT {_ROW} FROM tuples WHERE subject = ? AND subject_relation = ? AND deleted IS NULL AND created <= ?"
    f" UNION ALL SELECT {_ROW} FROM tuples"
    " WHERE subject = ? AND subject_relation = ? AND deleted IS NOT NULL AND deleted > ? AND created <= ?"
)
_LIVING = f"SELECT {_ROW} FROM tuples WHERE {_AT} ORDER BY resource, relation, subject, subject_relation"
_CHANGED = (
    f"SELECT {_ROW} FROM tuples WHERE created > ? AND created <= ?"
    f" UNION ALL SELECT {_ROW} FROM tuples"
    " WHERE deleted IS NOT NULL AND deleted > ? AND deleted <= ? AND created <= ?"
)
_MENTIONED = (
    "SELECT type, key FROM objects WHERE key <> '*' AND id IN ("
    "SELECT resource FROM tuples WHERE created <= ? UNION SELECT subject FROM tuples WHERE created <= ?"
    ") ORDER BY type, key"
)


@dataclass(frozen=True, slots=True)
class Pin:
    """What a view may see: everything from `floor` up to `head`, and names and objects up to these numbers."""

    head: Revision
    floor: int
    name_id_max: int = NUMBER_MAX
    object_id_max: int = NUMBER_MAX


def committed_head(link: Link) -> Revision:
    """Read the newest revision. Raises StoreUnavailable where a migration was not finished."""
    row = link.one(_HEAD)
    if row is None:
        raise unfinished(link.where)
    return Revision(*row)


def unfinished(where: str) -> StoreUnavailable:
    """The error about a store whose head is no revision."""
    return StoreUnavailable(
        f"a migration to the store {quoted(where, 400)} was not finished, so it may hold too little or too much; "
        "run `relgraph migrate` once more with the same two stores",
        {"store": where},
    )


def committed_pin(link: Link) -> Pin:
    """Read what a view opened now may see: the newest revision and the oldest that is kept."""
    row = link.one(_PIN)
    if row is None:
        raise unfinished(link.where)
    return Pin(Revision(*row[:3]), row[3])


def identity(link: Link) -> tuple[bytes, int]:
    """Read the store's id and epoch. Raises StoreFormat where somebody took them away."""
    row = link.one("SELECT store, epoch FROM meta")
    if row is None:
        raise StoreFormat(
            f"the store {quoted(link.where, 400)} has lost its identity; restore it from a backup",
            {"store": link.where},
        )
    return row[0], row[1]


class Reader:
    """Answers `relgraph.store.base.Reads` through one link, as far as its pin allows."""

    def __init__(self, link: Link, pin: Pin, seen: int) -> None:
        self._link = link
        self._pin = pin
        self._seen = seen
        self._names: dict[int, str] = {}

    @property
    def head(self) -> Revision:
        """The newest committed revision when this view was opened."""
        return self._pin.head

    @property
    def floor(self) -> int:
        """The oldest revision that is kept."""
        return self._pin.floor

    def revision(self, number: int) -> Revision | None:
        """The revision of that number, or None where it does not exist or is no longer kept."""
        if not self._pin.floor <= number <= self._pin.head.number:
            return None
        row = self._link.one(_REVISION, (number,))
        return Revision(*row) if row else None

    def revision_at(self, instant: int) -> Revision | None:
        """The last revision stamped at or before that instant, or None where it is no longer kept."""
        row = self._link.one(_REVISION_AT, (instant, self._pin.floor, self._pin.head.number))
        return Revision(*row) if row else None

    def schema(self, revision: int) -> SchemaVersion | None:
        """The newest schema version at or before `revision`."""
        row = self._link.one(_SCHEMA, (min(revision, self._seen),))
        return SchemaVersion(*row) if row else None

    def request(self, request_id: str) -> Request | None:
        """The committed write that carried `request_id`."""
        row = self._link.one(_REQUEST, (request_id, self._pin.head.number))
        return Request(Revision(*row[:3]), *row[3:]) if row else None

    def counters(self) -> dict[str, str]:
        """What is registered to be counted, by name; sorted."""
        return dict(self._link.all(_COUNTERS))

    def name_id(self, name: str) -> int | None:
        """The number of a type or relation name."""
        row = self._link.one(_NAME_ID, (name, self._pin.name_id_max))
        return row[0] if row else None

    def name(self, id: int) -> str:
        """The name of that number. Raises KeyError when there is none."""
        name = self._names.get(id)
        if name is None:
            row = self._link.one(_NAME, (id, self._pin.name_id_max))
            if row is None:
                raise KeyError(id)
            name = self._names[id] = str(row[0])
        return name

    def object_id(self, type_id: int, key: str) -> int | None:
        """The number of an object."""
        row = self._link.one(_OBJECT_ID, (type_id, key, self._pin.object_id_max))
        return row[0] if row else None

    def objects(self, type_id: int) -> Iterator[int]:
        """The numbers of all objects of a type."""
        return (row[0] for row in self._link.iterate(_OBJECTS_OF, (type_id, self._pin.object_id_max)))

    def read(
        self, filter: TupleFilter, at: int, now: int, after: RelationTuple | None, limit: int
    ) -> list[RelationTuple]:
        """At most `limit` tuples that match, living at revision `at` and instant `now`, strictly after `after`."""
        try:
            return paging.read(self._link, self, filter, min(at, self._seen), now, after, limit)
        except KeyError as error:
            raise StoreFormat(
                f"the store {quoted(self._link.where, 400)} is damaged: a tuple names {quoted(str(error))}, which is "
                "not there; verify it, and restore it from a backup",
                {"store": self._link.where},
            ) from error

    def count(self, filter: TupleFilter, at: int, now: int, *, universal: bool = False) -> int:
        """How many tuples match, living at revision `at` and instant `now`; or how many universal ones."""
        return paging.count(self._link, self, filter, min(at, self._seen), now, universal=universal)

    def tuples(self, resource: int, relation: int, at: int, *, usersets: bool = False) -> Iterator[NumberedRow]:
        """The rows of one relation of one resource living at `at`, of usersets alone if so wanted."""
        at = min(at, self._seen)
        query = _USERSETS if usersets else _TUPLES
        return map(NumberedRow._make, self._link.iterate(query, (self._seen, resource, relation, at, at)))

    def holders(self, subject: int, subject_relation: int, at: int) -> Iterator[NumberedRow]:
        """The rows that name exactly this subject, living at `at`."""
        at, seen = min(at, self._seen), self._seen
        values = (seen, subject, subject_relation, at, seen, subject, subject_relation, at, at)
        return map(NumberedRow._make, self._link.iterate(_HOLDERS, values))

    def object(self, id: int) -> tuple[int, str]:
        """The type's number and the key of that object. Raises KeyError when there is none."""
        row = self._link.one(_OBJECT, (id, self._pin.object_id_max))
        if row is None:
            raise KeyError(id)
        return row[0], row[1]

    def tuple(self, resource: int, relation: int, subject: int, subject_relation: int, at: int) -> NumberedRow | None:
        """The row of exactly that tuple, living at `at`."""
        at = min(at, self._seen)
        row = self._link.one(_TUPLE, (self._seen, resource, relation, subject, subject_relation, at, at))
        return NumberedRow._make(row) if row else None


class SQLSnapshot(Reader):
    """A view of the committed state, pinned when opened. `leave` gets its link back."""

    def __init__(self, link: Link, pin: Pin, leave: Callable[[Link], None]) -> None:
        super().__init__(link, pin, pin.head.number)
        self._leave: Callable[[Link], None] | None = leave

    def image(self) -> Image:
        """Everything living at the head."""
        head, pin = self.head.number, self._pin
        rows = self._link.iterate(_LIVING, (head, head, head))
        objects = self._link.iterate(_OBJECTS, (0, pin.object_id_max))
        return Image(
            head=self.head,
            names=[(row[0], row[1]) for row in self._link.all(_NAMES, (0, pin.name_id_max))],
            objects=((row[0], row[1], row[2]) for row in objects),
            rows=map(NumberedRow._make, rows),
            schemas=self._schemas(-1),
        )

    def changes(self, after: int, name_id_max: int, object_id_max: int) -> Changes:
        """What happened since revision `after`. Raises RevisionUnavailable when that cannot be told."""
        head, pin = self.head.number, self._pin
        found = self._link.all(_CHAIN, (after, head)) if pin.floor <= after <= head else []
        if len(found) != head - after:
            raise self._not_kept(after)
        rows = self._link.all(_CHANGED, (head, after, head, head, after, head, after))
        return Changes(
            head=self.head,
            chain=tuple((Revision(*row[:3]), row[3]) for row in found),
            rows=[NumberedRow._make(row) for row in rows],
            names=[(row[0], row[1]) for row in self._link.all(_NAMES, (name_id_max, pin.name_id_max))],
            objects=[(row[0], row[1], row[2]) for row in self._link.all(_OBJECTS, (object_id_max, pin.object_id_max))],
            schemas=self._schemas(after),
        )

    def log(self, after: int, limit: int) -> list[LogEntry]:
        """What the revisions behind `after` did. Raises RevisionUnavailable when that cannot be told."""
        if not self._pin.floor <= after <= self.head.number:
            raise self._not_kept(after)
        return changelog.entries(self._link, self, after, self.head.number, limit)

    def _not_kept(self, after: int) -> RevisionUnavailable:
        head = self.head.number
        return RevisionUnavailable(
            f"the changes since revision {after} are not kept; the store is at {head}, start over from there",
            {"revision": str(after), "head": str(head)},
        )

    def objects_in_history(self, until: int) -> Iterator[tuple[int, str]]:
        """Every object that a kept row created at or before `until` names, once each, by type's number and key."""
        bound = min(until, self.head.number)
        return ((row[0], row[1]) for row in self._link.iterate(_MENTIONED, (bound, bound)))

    def history(self, until: int) -> SQLHistory:
        """All that is kept, as it stood at a revision."""
        pin = self._pin
        return SQLHistory(self._link, min(until, pin.head.number), pin.name_id_max, pin.object_id_max)

    def close(self) -> None:
        """Let the view go."""
        leave, self._leave = self._leave, None
        if leave is not None:
            link, self._link = self._link, ClosedLink("snapshot", self._link.where)
            leave(link)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def _schemas(self, after: int) -> tuple[SchemaVersion, ...]:
        return tuple(SchemaVersion(*row) for row in self._link.all(_SCHEMAS, (after, self.head.number)))
