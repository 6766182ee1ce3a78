"""One line's cells with their columns, and how they become a relation tuple.

The three formats agree here: the same cells mean the same tuple, and are refused with the same words.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from relgraph.bulk.lines import Position
from relgraph.errors import InvalidFile, InvalidInput, InvalidTuple, Unsupported, quoted
from relgraph.instants import parse_moment
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject, check_relation

if TYPE_CHECKING:
    from relgraph.bulk.lines import Lines

__all__ = ["COLUMNS", "EXPIRES_AT", "REQUIRED", "UNSERVED", "Record", "refuse_unserved", "tuple_of"]

REQUIRED = ("resource", "relation", "subject")
EXPIRES_AT = "expires_at"
# Named by the formats and refused when filled: a tuple without its caveat would grant more than the file says.
UNSERVED = ("caveat", "context")
COLUMNS = (*REQUIRED, *UNSERVED, EXPIRES_AT)

# Files are mostly sorted, or name few subjects: remembering recent cells halves the time of a line.
_CELLS_MAX = 4096


class Record(NamedTuple):
    """The cells of one tuple, as the file spells them, and the columns where they begin, from 1.

    An empty `expires_at` means never.
    """

    line: int
    resource: str
    relation: str
    subject: str
    resource_column: int
    relation_column: int
    subject_column: int
    expires_at: str = ""
    expires_at_column: int = 1


@lru_cache(maxsize=_CELLS_MAX)
def _resource(text: str) -> Object:
    return Object.parse(text, wildcard=True)


@lru_cache(maxsize=_CELLS_MAX)
def _subject(text: str) -> Subject:
    return Subject.parse(text, wildcard=True)


@lru_cache(maxsize=_CELLS_MAX)
def _relation(text: str) -> str:
    return check_relation(text)


def tuple_of(record: Record, file: str, *, allow_universal: bool, allow_wildcards: bool) -> RelationTuple:
    """Return the record's tuple; `*` only where it is allowed. Raises InvalidFile at the cell that is wrong."""
    column = record.resource_column
    try:
        resource = _resource(record.resource)
        if resource.id == WILDCARD and not allow_universal:
            raise InvalidTuple(
                f"{quoted(record.resource)} counts for every {quoted(resource.type)}, those of tomorrow included; "
                "if that is meant, pass --allow-universal",
                {"text": record.resource},
            )
        column = record.relation_column
        relation = _relation(record.relation)
        column = record.subject_column
        subject = _subject(record.subject)
        if subject.id == WILDCARD and not allow_wildcards:
            raise InvalidTuple(
                f"{quoted(record.subject)} covers every {quoted(subject.type)}, those of tomorrow included; "
                "if that is meant, pass --allow-wildcards",
                {"text": record.subject},
            )
        column = record.expires_at_column
        expires_at = parse_moment(record.expires_at) if record.expires_at else None
    except InvalidInput as error:
        raise Position(file, record.line, column).on(error, InvalidFile) from None
    return RelationTuple(resource, relation, subject, expires_at)


def refuse_unserved(lines: Lines, line: int, column: int, name: str) -> None:
    """Raise Unsupported: the cell `name` is filled, and this version cannot honour it."""
    raise Position(lines.name, line, column).on(
        Unsupported(
            f"{quoted(name)} is not served by this version; leave it empty, or leave the tuple out", {"field": name}
        )
    )
