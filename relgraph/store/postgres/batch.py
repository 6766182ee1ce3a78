"""The rows of one write, asked for and written by whole sets: a write costs a few statements, however many tuples.

What the numbers are and which rows stand is asked once for all tuples. The write then goes through them one by one as
on every database, and what it does is held here and sent at its end: rows that end first, so that their keys are free.
"""

# ruff: noqa: S608 - the SQL is put together from the constants beside it; every value is bound

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relgraph.store.postgres.link import PostgresLink
    from relgraph.store.sql.interning import Numbers, Traits
    from relgraph.store.sql.link import Row
    from relgraph.tuples import RelationTuple

__all__ = ["Batch", "numbers_of"]

_NAMES: Final = "SELECT name, id FROM names WHERE name = ANY(?)"
_OBJECTS: Final = (
    "SELECT w.type, w.key, o.id FROM unnest(?::text[], ?::text[], ?::bigint[]) AS w(type, key, number)"
    " JOIN objects AS o ON o.type = w.number AND o.key = w.key"
)
_KEYS: Final = "unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::bigint[]"
_SAME: Final = (
    "t.resource = k.resource AND t.relation = k.relation AND t.subject = k.subject"
    " AND t.subject_relation = k.subject_relation"
)
_STANDING: Final = (
    "SELECT t.resource, t.relation, t.subject, t.subject_relation, t.created, t.expires,"
    " t.caveat, t.context"
    f" FROM {_KEYS}) AS k(resource, relation, subject, subject_relation)"
    f" JOIN tuples AS t ON {_SAME} AND t.deleted IS NULL"
)
_ROWS: Final = f"{_KEYS}, ?::bigint[]) AS k(resource, relation, subject, subject_relation, created)"
_END: Final = f"UPDATE tuples AS t SET deleted = ? FROM {_ROWS} WHERE {_SAME} AND t.created = k.created"
_FORGET: Final = f"DELETE FROM tuples AS t USING {_ROWS} WHERE {_SAME} AND t.created = k.created"
_COLUMNS: Final = ("resource", "relation", "subject", "subject_relation", "created", "expires", "caveat", "context")


def numbers_of(
    link: PostgresLink, tuples: Sequence[RelationTuple]
) -> tuple[list[tuple[str, int]], list[tuple[str, str, int]]]:
    """The names and the objects (type, key) of these tuples that have numbers in the store."""
    names: set[str] = set()
    objects: set[tuple[str, str]] = set()
    for tuple_ in tuples:
        resource, subject = tuple_.resource, tuple_.subject
        names.update((resource.type, tuple_.relation, subject.type, subject.relation, tuple_.caveat))
        objects.add((resource.type, resource.id))
        objects.add((subject.type, subject.id))
    known = {name: int(id_) for name, id_ in link.all(_NAMES, (sorted(names - {""}),))}
    asked = [(type_, key, known[type_]) for type_, key in objects if type_ in known]
    columns = [list(column) for column in zip(*asked, strict=True)]
    found = link.all(_OBJECTS, columns) if asked else []
    return list(known.items()), [(type_, key, int(id_)) for type_, key, id_ in found]


class Batch:
    """What one write does to rows, for revision `number`."""

    def __init__(self, link: PostgresLink, number: int, keys: Sequence[Numbers]) -> None:
        self._link = link
        self._number = number
        self._added: dict[Numbers, Traits] = {}
        self._ended: list[tuple[int, ...]] = []
        self._forgotten: list[tuple[int, ...]] = []
        self._standing: dict[tuple[int, ...], Row] = {}
        if keys:
            rows = link.all(_STANDING, [list(column) for column in zip(*keys, strict=True)])
            self._standing = {row[:4]: row[4:] for row in rows}

    def standing(self, key: Numbers) -> Row | None:
        """When the row that stands for one of the keys was created, and its traits."""
        return self._standing.get(key)

    def add(self, key: Numbers, traits: Traits) -> None:
        """Begin a row."""
        self._added[key] = traits
        self._standing[key] = (self._number, *traits)

    def end(self, key: Numbers, created: int) -> None:
        """End a row, which was created at that revision; one of this very write is not kept at all."""
        del self._standing[key]
        if key in self._added:
            del self._added[key]
        else:
            (self._forgotten if created == self._number else self._ended).append((*key, created))

    def send(self) -> None:
        """Write what was held back."""
        if self._forgotten:
            self._link.run(_FORGET, [list(column) for column in zip(*self._forgotten, strict=True)])
        if self._ended:
            self._link.run(_END, [self._number, *(list(column) for column in zip(*self._ended, strict=True))])
        if self._added:
            rows = ((*key, self._number, *self._added[key]) for key in sorted(self._added))
            self._link.add_rows("tuples", _COLUMNS, rows)
