"""Many tuples at once: sent to the server before the lock is taken, brought in under it by whole sets.

What is sent are a table of the objects that the tuples name and a table of the tuples, both numbered here from 1 on in
the order in which they are met. Under the lock the objects that are new to the store take the next numbers in the same
order, so a store holds the same rows whichever way they came.

Rule 1: the tables are dropped at the end of the transaction, and named with `pg_temp`, so that no other table can stand
in for them.
"""

# ruff: noqa: S608 - the SQL is put together from the constants beside it; every value is bound

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final

from relgraph.store.base import NO_RELATION
from relgraph.store.sql.interning import PLAIN, Traits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from relgraph.errors import AlreadyExists
    from relgraph.store.base import OnDuplicate
    from relgraph.store.postgres.link import PostgresLink
    from relgraph.store.sql.interning import Numbers
    from relgraph.tuples import RelationTuple

__all__ = ["Loader", "Staging"]

ANALYZED_ROWS_MIN: Final = 20_000
"""From this many rows on, the tables are looked at again by their new contents."""

_BLOCK: Final = 8192
_WORK_MEM: Final = "SET LOCAL work_mem = '64MB'"

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"
# Seven columns, each with its size in bytes; -1 is NULL.
_KEY: Final = Struct("!hiqiqiqiq")
_NUMBER: Final = Struct("!iq")
_SIZE: Final = Struct("!i")
_NULL: Final = _SIZE.pack(-1)
_PLAIN_ROW: Final = Struct("!hiqiqiqiqiii")

_CLEAR: Final = (
    "DROP TABLE IF EXISTS pg_temp.relgraph_objects, pg_temp.relgraph_rows, pg_temp.relgraph_numbers,"
    " pg_temp.relgraph_tuples"
)
_OBJECTS: Final = 'CREATE TEMP TABLE relgraph_objects(local bigint, type bigint, key text COLLATE "C") ON COMMIT DROP'
_ROWS: Final = (
    "CREATE TEMP TABLE relgraph_rows("
    "resource bigint, relation bigint, subject bigint, subject_relation bigint, expires bigint, caveat bigint,"
    " context bytea) ON COMMIT DROP"
)
_COPY_OBJECTS: Final = "COPY pg_temp.relgraph_objects FROM STDIN"
_COPY_ROWS: Final = "COPY pg_temp.relgraph_rows FROM STDIN (FORMAT binary)"

_LAST_OBJECT: Final = "SELECT coalesce(max(id), 0) FROM objects"
_ADD_OBJECTS: Final = (
    "INSERT INTO objects(id, type, key)"
    " SELECT ? + row_number() OVER (ORDER BY s.local), (?::bigint[])[s.type], s.key FROM pg_temp.relgraph_objects AS s"
    " WHERE NOT EXISTS (SELECT FROM objects AS o WHERE o.type = (?::bigint[])[s.type] AND o.key = s.key)"
)
# From the numbers here to the numbers in the store, where some of the objects were there before.
_NUMBERS: Final = (
    "CREATE TEMP TABLE relgraph_numbers ON COMMIT DROP AS SELECT s.local, o.id FROM pg_temp.relgraph_objects AS s"
    " JOIN objects AS o ON o.type = (?::bigint[])[s.type] AND o.key = s.key"
)
_SOME_NUMBERS: Final = "SELECT local, id FROM pg_temp.relgraph_numbers WHERE local = ANY(?)"
_SETTLE: Final = (
    "UPDATE pg_temp.relgraph_rows SET expires = ?, caveat = ?, context = ?"
    " WHERE resource = ? AND relation = ? AND subject = ? AND subject_relation = ?"
)
_SHIFTED: Final = (
    "SELECT s.resource + ? AS resource, (?::bigint[])[s.relation] AS relation, s.subject + ? AS subject,"
    " coalesce((?::bigint[])[s.subject_relation], 0) AS subject_relation, s.expires,"
    " coalesce((?::bigint[])[s.caveat], 0) AS caveat, s.context FROM pg_temp.relgraph_rows AS s"
)
_MAPPED: Final = (
    "SELECT r.id AS resource, (?::bigint[])[s.relation] AS relation, o.id AS subject,"
    " coalesce((?::bigint[])[s.subject_relation], 0) AS subject_relation, s.expires,"
    " coalesce((?::bigint[])[s.caveat], 0) AS caveat, s.context FROM pg_temp.relgraph_rows AS s"
    " JOIN pg_temp.relgraph_numbers AS r ON r.local = s.resource"
    " JOIN pg_temp.relgraph_numbers AS o ON o.local = s.subject"
)
_ANY: Final = "SELECT 1 FROM tuples LIMIT 1"
_TUPLES: Final = "CREATE TEMP TABLE relgraph_tuples ON COMMIT DROP AS "
_ADD: Final = (
    "INSERT INTO tuples(resource, relation, subject, subject_relation, created, expires, caveat, context)"
    " SELECT resource, relation, subject, subject_relation, ?, expires, caveat, context FROM {source} AS s {where}"
    " ORDER BY resource, relation, subject, subject_relation"
)
_SAME: Final = (
    "t.resource = s.resource AND t.relation = s.relation AND t.subject = s.subject"
    " AND t.subject_relation = s.subject_relation AND t.deleted IS NULL"
)
_LIVING: Final = "(t.expires IS NULL OR t.expires > ?)"
_EXISTING: Final = (
    "SELECT s.resource, s.relation, s.subject, s.subject_relation, s.expires, s.caveat, s.context"
    " FROM pg_temp.relgraph_tuples AS s"
    f" JOIN tuples AS t ON {_SAME} WHERE {_LIVING} ORDER BY 1, 2, 3, 4 LIMIT 1"
)
# What stands and has to give way, by what is done with a duplicate; with "error" nothing living is left to ask about.
_OTHER: Final = "(t.expires, t.caveat, t.context) IS DISTINCT FROM (s.expires, s.caveat, s.context)"
_GIVING_WAY: Final[dict[OnDuplicate, str]] = {
    "error": f"NOT {_LIVING}",
    "skip": f"NOT {_LIVING} AND {_OTHER}",
    "touch": _OTHER,
}
# A row that this very write made never lived at any revision, and must not be kept.
_FORGET: Final = "DELETE FROM tuples AS t USING pg_temp.relgraph_tuples AS s WHERE {same} AND t.created = ? AND {way}"
_END: Final = "UPDATE tuples AS t SET deleted = ? FROM pg_temp.relgraph_tuples AS s WHERE {same} AND {way}"
_ABSENT: Final = f"WHERE NOT EXISTS (SELECT FROM tuples AS t WHERE {_SAME})"


@dataclass(frozen=True, slots=True)
class Loader:
    """What a load needs of the transaction that it is part of.

    The rows become part of revision `number`, and `stamp` is the instant by which a tuple has expired or not. `name`
    gives a name its number in the store, `distinct` says what traits each key is to have, as if its tuples were written
    one after the other, and `existing` is the error about a tuple, in the store's numbers, that is there already.
    """

    number: int
    stamp: int
    name: Callable[[str], int]
    distinct: Callable[[Sequence[Numbers], Sequence[Traits], OnDuplicate], dict[Numbers, Traits]]
    existing: Callable[[Numbers, Traits], AlreadyExists]


class Staging:
    """The tuples of one load, on their way. Making one sends them; its transaction has begun already."""

    def __init__(self, link: PostgresLink, tuples: Sequence[RelationTuple]) -> None:
        self._link = link
        self.tuples = tuples
        self._names: dict[str, int] = {"": NO_RELATION}
        self._objects: list[tuple[int, int, str]] = []
        self._keys, self._traits = self._numbered(tuples)
        self._sent = dict(zip(self._keys, self._traits, strict=True))
        for statement in (_CLEAR, _OBJECTS, _ROWS):
            link.run(statement)
        link.copy_in(_COPY_OBJECTS, self._objects)
        link.copy_blocks(_COPY_ROWS, self._blocks())

    def bring_in(self, loader: Loader, on_duplicate: OnDuplicate) -> int:
        """Make the tuples stand, under the lock. Returns how many changed."""
        link = self._link
        link.run(_WORK_MEM)
        names = [loader.name(each) for each in self._names if each]
        row = link.one(_LAST_OBJECT)
        assert row is not None  # an aggregate has one row
        last = int(row[0])
        values: tuple[object, ...]
        shifted = link.count(_ADD_OBJECTS, (last, names, names)) == len(self._objects)
        if shifted:
            source, values = _SHIFTED, (last, names, last, names, names)
        else:
            link.run(_NUMBERS, (names,))
            source, values = _MAPPED, (names, names, names)
        if len(self._sent) < len(self._keys):
            if on_duplicate == "error":
                raise self._repeated(loader, names, last if shifted else None)
            self._settle(loader, on_duplicate)
        if link.one(_ANY) is None:
            added = link.count(_ADD.format(source=f"({source})", where=""), (loader.number, *values))
        else:
            link.run(_TUPLES + source, values)
            added = self._add_beside(loader, on_duplicate)
        return added

    def refresh(self, changed: int) -> None:
        """Let the planner know of so many new rows: plans made for an empty store would serve a full one."""
        if changed >= ANALYZED_ROWS_MIN:
            self._link.analyze("objects", "tuples")

    def _numbered(self, tuples: Sequence[RelationTuple]) -> tuple[list[Numbers], list[Traits]]:
        """Number all that the tuples name; return the tuples in these numbers: their keys, and the rest."""
        names, known = self._names, dict[str, dict[str, int]]()
        keys: list[Numbers] = []
        traits: list[Traits] = []
        for tuple_ in tuples:
            resource, relation, subject = tuple_.resource, tuple_.relation, tuple_.subject
            subject_relation = subject.relation
            try:
                resource_id = known[resource.type][resource.id]
            except KeyError:
                resource_id = self._object(known, resource.type, resource.id)
            try:
                subject_id = known[subject.type][subject.id]
            except KeyError:
                subject_id = self._object(known, subject.type, subject.id)
            try:
                keys.append((resource_id, names[relation], subject_id, names[subject_relation]))
            except KeyError:
                keys.append((resource_id, self._name(relation), subject_id, self._name(subject_relation)))
            if tuple_.expires_at is None and not tuple_.caveat:
                traits.append(PLAIN)
            else:
                traits.append(Traits(tuple_.expires, self._name(tuple_.caveat), tuple_.context.as_stored))
        return keys, traits

    def _object(self, known: dict[str, dict[str, int]], type_: str, key: str) -> int:
        number = known.setdefault(type_, {})[key] = len(self._objects) + 1
        self._objects.append((number, self._name(type_), key))
        return number

    def _name(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names))

    def _blocks(self) -> Iterator[bytes]:
        """The tuples, once each, in PostgreSQL's binary form, which is packed faster than rows are written."""
        yield _HEADER
        block: list[bytes] = []
        for (resource, relation, subject, subject_relation), traits in self._sent.items():
            key = (7, 8, resource, 8, relation, 8, subject, 8, subject_relation)
            if traits is PLAIN:
                block.append(_PLAIN_ROW.pack(*key, -1, -1, -1))
            else:
                block.append(_KEY.pack(*key) + _packed(traits))
            if len(block) >= _BLOCK:
                yield b"".join(block)
                block.clear()
        yield b"".join(block) + _TRAILER

    def _repeated(self, loader: Loader, names: list[int], shift: int | None) -> AlreadyExists:
        """The error about the first tuple, in the store's numbers, that the input repeats."""
        met: set[Numbers] = set()
        repeated: dict[Numbers, Traits] = {}
        for key, traits in zip(self._keys, self._traits, strict=True):
            if key in met:
                repeated.setdefault(key, traits)
            met.add(key)
        objects = {local for key in repeated for local in (key[0], key[2])}
        if shift is None:
            numbers = dict(self._link.all(_SOME_NUMBERS, (sorted(objects),)))
        else:
            numbers = {local: local + shift for local in objects}
        known = [NO_RELATION, *names]
        in_store = {
            (numbers[key[0]], known[key[1]], numbers[key[2]], known[key[3]]): traits._replace(
                caveat=known[traits.caveat]
            )
            for key, traits in repeated.items()
        }
        first = min(in_store)
        return loader.existing(first, in_store[first])

    def _settle(self, loader: Loader, on_duplicate: OnDuplicate) -> None:
        """Let each tuple that the input repeats say what the one that counts does."""
        wanted = loader.distinct(self._keys, self._traits, on_duplicate)
        late = [(*traits, *key) for key, traits in wanted.items() if traits != self._sent[key]]
        if late:
            self._link.run_many(_SETTLE, late)

    def _add_beside(self, loader: Loader, on_duplicate: OnDuplicate) -> int:
        """Add the tuples beside what is there, which they may repeat."""
        link = self._link
        if on_duplicate == "error":
            row = link.one(_EXISTING, (loader.stamp,))
            if row is not None:
                raise loader.existing((row[0], row[1], row[2], row[3]), Traits(*row[4:]))
        way = _GIVING_WAY[on_duplicate]
        values = (loader.number, *(loader.stamp,) * way.count("?"))
        link.run(_FORGET.format(same=_SAME, way=way), values)
        link.run(_END.format(same=_SAME, way=way), values)
        return link.count(_ADD.format(source="pg_temp.relgraph_tuples", where=_ABSENT), (loader.number,))


def _packed(traits: Traits) -> bytes:
    """What a row says beside its key, in PostgreSQL's binary form."""
    expires, caveat, context = traits
    return b"".join(
        (
            _NULL if expires is None else _NUMBER.pack(8, expires),
            _NUMBER.pack(8, caveat),
            _NULL if context is None else _SIZE.pack(len(context)) + context,
        )
    )
