"""The change log: what each kept revision did, told from the rows themselves, which hold no second copy of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.contexts import Context
from relgraph.instants import moment
from relgraph.revision import Revision
from relgraph.store.base import Commit, LogEntry
from relgraph.tuples import Object, RelationTuple, Subject

if TYPE_CHECKING:
    from relgraph.store.base import Reads
    from relgraph.store.sql.link import Link

__all__ = ["entries"]

_REVISIONS: Final = (
    "SELECT number, nonce, stamp, predecessor, principal, actor, reason, request_id, payload, metadata, not_after,"
    " answer FROM revisions WHERE number > ? AND number <= ? ORDER BY number LIMIT ?"
)
# From the index by revision to the objects that its rows name: the other way round would read every object.
_ROWS: Final = (
    "SELECT t.{column}, r.type, r.key, t.relation, s.type, s.key, t.subject_relation, t.expires, t.caveat,"
    " t.context FROM tuples AS t"
    " CROSS JOIN objects AS r ON r.id = t.resource CROSS JOIN objects AS s ON s.id = t.subject"
    " WHERE t.{column} IS NOT NULL AND t.{column} > ? AND t.{column} <= ?"
)
_CREATED: Final = _ROWS.replace("{column}", "created")
_DELETED: Final = _ROWS.replace("{column}", "deleted")
_SCHEMAS: Final = "SELECT revision, text FROM schemas WHERE revision > ? AND revision <= ?"


def entries(link: Link, reads: Reads, after: int, head: int, limit: int) -> list[LogEntry]:
    """What the revisions behind `after` did, up to `head`, ascending, at most `limit` of them."""
    found = link.all(_REVISIONS, (after, head, limit))
    if not found:
        return []
    last = found[-1][0]
    created = _by_revision(link, reads, _CREATED, after, last)
    deleted = _by_revision(link, reads, _DELETED, after, last)
    schemas = {row[0]: str(row[1]) for row in link.all(_SCHEMAS, (after, last))}
    return [
        LogEntry(
            Revision(number, nonce, stamp),
            predecessor,
            Commit(principal, actor, reason, request_id or "", payload, metadata, not_after, answer),
            tuple(sorted(created.get(number, ()))),
            tuple(sorted(deleted.get(number, ()))),
            schemas.get(number),
        )
        for (
            number, nonce, stamp, predecessor,
            principal, actor, reason, request_id, payload, metadata, not_after, answer,
        ) in found
    ]  # fmt: skip


def _by_revision(link: Link, reads: Reads, query: str, after: int, last: int) -> dict[int, list[RelationTuple]]:
    """The tuples that each revision created, or deleted."""
    found: dict[int, list[RelationTuple]] = {}
    for (
        number, resource_type, resource, relation, subject_type, subject, userset, expires, caveat, context,
    ) in link.all(query, (after, last)):  # fmt: skip
        tuple_ = RelationTuple(
            Object(reads.name(resource_type), resource),
            reads.name(relation),
            Subject(reads.name(subject_type), subject, reads.name(userset) if userset else ""),
            None if expires is None else moment(expires),
            reads.name(caveat) if caveat else "",
            Context.stored(context),
        )
        found.setdefault(number, []).append(tuple_)
    return found
