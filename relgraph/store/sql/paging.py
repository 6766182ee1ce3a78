"""Reading tuples by filter, a page at a time: filters and cursors become SQL here.

A filter that names its subject but no resource is read along the subject's index, every other one along resources
by type and id. Either way a page starts where the last one ended, by seeking: no page costs what lies before it.
"""

# ruff: noqa: S608 - the SQL is put together from the constants beside it; every value is bound

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.contexts import Context
from relgraph.errors import InvalidCursor, quoted
from relgraph.instants import moment
from relgraph.store.base import NO_RELATION
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject

if TYPE_CHECKING:
    from relgraph.store.base import Reads
    from relgraph.store.sql.link import Link, Row
    from relgraph.tuples import TupleFilter

__all__ = ["count", "read"]

_COLUMNS = (
    "r.type AS resource_type, r.key AS resource_key, t.relation, s.type AS subject_type, s.key AS subject_key,"
    " t.subject_relation, t.expires, t.caveat, t.context"
)
_AT = "t.created <= ? AND (t.deleted IS NULL OR t.deleted > ?) AND (t.expires IS NULL OR t.expires > ?)"

# CROSS JOIN is SQLite's way to say: in this order of loops. It makes the order below the order of the indexes.
_BY_RESOURCE = (
    f"SELECT {_COLUMNS} FROM objects AS r CROSS JOIN tuples AS t ON t.resource = r.id"
    f" CROSS JOIN objects AS s ON s.id = t.subject WHERE {_AT}"
)
_BY_RESOURCE_ORDER = " ORDER BY r.type, r.key, t.relation, t.subject, t.subject_relation LIMIT ?"
_BY_SUBJECT = (
    f"SELECT {_COLUMNS}, t.resource AS resource FROM tuples AS t"
    f" CROSS JOIN objects AS r ON r.id = t.resource CROSS JOIN objects AS s ON s.id = t.subject WHERE {_AT}"
)
_BY_SUBJECT_ORDER = " ORDER BY 6, 10, 3 LIMIT ?"

_COUNT_BY_RESOURCE = _BY_RESOURCE.replace(_COLUMNS, "count(*)")
_COUNT_BY_SUBJECT = _BY_SUBJECT.replace(f"{_COLUMNS}, t.resource AS resource", "count(*)")

_Conditions = list[tuple[str, int | str]]
_Numbers = tuple[int, int, int, int]
_Living = tuple[int, int, int]


def read(
    link: Link, reads: Reads, filter: TupleFilter, at: int, now: int, after: RelationTuple | None, limit: int
) -> list[RelationTuple]:
    """At most `limit` tuples that match `filter`, living at revision `at` and instant `now`, strictly after `after`.

    Raises InvalidCursor when `after` names what the store does not know.
    """
    conditions = _conditions(reads, filter)
    start = None if after is None else _numbers(reads, after)
    if conditions is None or limit <= 0:
        return []
    if _along_subject(filter):
        rows = _by_subject(link, conditions, (at, at, now), start, limit)
    else:
        rows = _by_resource(link, conditions, (at, at, now), start, limit)
    return [_tuple(reads, row) for row in rows]


def count(link: Link, reads: Reads, filter: TupleFilter, at: int, now: int, *, universal: bool) -> int:
    """How many tuples match `filter`, living at revision `at` and instant `now`; or how many universal ones."""
    conditions = _conditions(reads, filter)
    if conditions is None:
        return 0
    if universal:
        conditions.append(("r.key = ?", WILDCARD))
    where = "".join(f" AND {text}" for text, _ in conditions)
    values = (at, at, now, *(value for _, value in conditions))
    if _along_subject(filter):
        queries = [f"{_COUNT_BY_SUBJECT} AND t.deleted IS {state}{where}" for state in ("NULL", "NOT NULL")]
    else:
        queries = [_COUNT_BY_RESOURCE + where]
    return sum(int(row[0]) for query in queries for row in link.all(query, values))


def _along_subject(filter: TupleFilter) -> bool:
    return filter.subject_id is not None and filter.resource_id is None


def _conditions(reads: Reads, filter: TupleFilter) -> _Conditions | None:
    """The filter in numbers, or None when it names something that no tuple of this store can have."""
    found: _Conditions = []
    sides = (("r", filter.resource_type, filter.resource_id), ("s", filter.subject_type, filter.subject_id))
    for side, type_name, key in sides:
        if type_name is None:
            continue
        type_id = reads.name_id(type_name)
        if type_id is None:
            return None
        if key is None:
            found.append((f"{side}.type = ?", type_id))
            continue
        object_id = reads.object_id(type_id, key)
        if object_id is None:
            return None
        found.append((f"t.{'resource' if side == 'r' else 'subject'} = ?", object_id))
    if filter.resource_id_prefix is not None:
        # By their bytes, ids that begin alike stand together, and `~` comes after everything that an id may hold.
        found += [("r.key >= ?", filter.resource_id_prefix), ("r.key < ?", f"{filter.resource_id_prefix}~")]
    for column, name in (("t.relation", filter.relation), ("t.subject_relation", filter.subject_relation)):
        if name is not None:
            name_id = reads.name_id(name) if name else NO_RELATION
            if name_id is None:
                return None
            found.append((f"{column} = ?", name_id))
    return found


def _numbers(reads: Reads, after: RelationTuple) -> _Numbers:
    """The numbers of the tuple that ended the page before: (resource, relation, subject, subject_relation)."""
    subject = after.subject
    relation = reads.name_id(after.relation)
    subject_relation = reads.name_id(subject.relation) if subject.relation else NO_RELATION
    objects = []
    for object_ in (after.resource, subject.object):
        type_id = reads.name_id(object_.type)
        objects.append(None if type_id is None else reads.object_id(type_id, object_.id))
    if objects[0] is None or objects[1] is None or relation is None or subject_relation is None:
        raise InvalidCursor(
            f"the cursor stands at {quoted(after.told)}, which this store does not know; start from the first page",
            {"tuple": after.told},
        )
    return objects[0], relation, objects[1], subject_relation


def _by_resource(link: Link, conditions: _Conditions, living: _Living, start: _Numbers | None, limit: int) -> list[Row]:
    """A page along resources: what is left of the resource where the last page ended, then the ones behind it."""
    where = "".join(f" AND {text}" for text, _ in conditions)
    values = [*living, *(value for _, value in conditions)]
    if start is None:
        return link.all(_BY_RESOURCE + where + _BY_RESOURCE_ORDER, (*values, limit))
    resource, relation, subject, subject_relation = start
    rest = " AND t.resource = ? AND (t.relation, t.subject, t.subject_relation) > (?, ?, ?)"
    rows = link.all(
        _BY_RESOURCE + where + rest + _BY_RESOURCE_ORDER,
        (*values, resource, relation, subject, subject_relation, limit),
    )
    if len(rows) < limit:
        behind = " AND (r.type, r.key) > (SELECT type, key FROM objects WHERE id = ?)"
        rows += link.all(_BY_RESOURCE + where + behind + _BY_RESOURCE_ORDER, (*values, resource, limit - len(rows)))
    return rows


def _by_subject(link: Link, conditions: _Conditions, living: _Living, start: _Numbers | None, limit: int) -> list[Row]:
    """A page along one subject's index: the living and the ones that died after `at` have one each."""
    where = "".join(f" AND {text}" for text, _ in conditions)
    values: list[int | str] = [*living, *(value for _, value in conditions)]
    if start is not None:
        where += " AND (t.subject_relation, t.resource, t.relation) > (?, ?, ?)"
        values += [start[3], start[0], start[1]]
    # Each half is cut for itself: a planner takes its index in order only where it sees both the order and the limit.
    halves = (
        f"SELECT * FROM ({_BY_SUBJECT} AND t.deleted IS {state}{where}{_BY_SUBJECT_ORDER}) AS half"
        for state in ("NULL", "NOT NULL")
    )
    return link.all(f"{' UNION ALL '.join(halves)}{_BY_SUBJECT_ORDER}", (*values, limit, *values, limit, limit))


def _tuple(reads: Reads, row: Row) -> RelationTuple:
    resource_type, resource_key, relation, subject_type, subject_key, subject_relation, expires, caveat, context = row[
        :9
    ]
    return RelationTuple(
        Object(reads.name(resource_type), resource_key),
        reads.name(relation),
        Subject(reads.name(subject_type), subject_key, reads.name(subject_relation) if subject_relation else ""),
        None if expires is None else moment(expires),
        reads.name(caveat) if caveat else "",
        Context.stored(context),
    )
