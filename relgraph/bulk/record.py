"""One line's cells with their columns, and how they become a relation tuple.

The three formats agree here: the same cells mean the same tuple, and are refused with the same words.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from relgraph.bulk.lines import Position
from relgraph.contexts import EMPTY, Context, Pairs
from relgraph.errors import InvalidFile, InvalidInput, InvalidTuple, quoted
from relgraph.instants import parse_moment
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject, check_caveat, check_relation

__all__ = ["COLUMNS", "OPTIONAL", "REQUIRED", "Record", "tuple_of"]

REQUIRED = ("resource", "relation", "subject")
OPTIONAL = ("caveat", "context", "expires_at")
COLUMNS = (*REQUIRED, *OPTIONAL)

# Files are mostly sorted, or name few subjects: remembering recent cells halves the time of a line.
_CELLS_MAX = 4096


class Record(NamedTuple):
    """The cells of one tuple, as the file spells them, and the columns where they begin, from 1.

    An empty `expires_at` means never, an empty `caveat` none. `context` is JSON, or what was read from it.
    """

    line: int
    resource: str
    relation: str
    subject: str
    resource_column: int
    relation_column: int
    subject_column: int
    caveat: str = ""
    caveat_column: int = 1
    context: str | Pairs = ""
    context_column: int = 1
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
        column = record.caveat_column
        caveat = check_caveat(record.caveat) if record.caveat else ""
        column = record.context_column
        context = _context(record.context) if record.context else EMPTY
        if context and not caveat:
            raise InvalidTuple("the context has no caveat that it would be for; name the caveat, or leave it empty")
        column = record.expires_at_column
        expires_at = parse_moment(record.expires_at) if record.expires_at else None
    except InvalidInput as error:
        raise Position(file, record.line, column).on(error, InvalidFile) from None
    return RelationTuple(resource, relation, subject, expires_at, caveat, context)


def _context(cell: str | Pairs) -> Context:
    return Context.parse(cell) if isinstance(cell, str) else Context.of(cell)
