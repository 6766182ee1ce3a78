"""What both directions of the wire share: enum numbers, texts, points in time, and the tuple.

Rule 1: an enum number that is not known here is an error, never a default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from relgraph.contexts import EMPTY
from relgraph.errors import InvalidInput, InvalidTuple, Unsupported, quoted
from relgraph.instants import instant_of, moment
from relgraph.tuples import Object, RelationTuple, Subject, check_caveat, check_relation
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.contexts import context_message, read_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

__all__ = [
    "PLAIN_BYTES",
    "SHARE_BYTES_MAX",
    "SHARE_TUPLES_MAX",
    "given",
    "known",
    "moment_message",
    "plain_text",
    "read_moment",
    "read_text",
    "read_tuple",
    "read_tuples",
    "shares",
    "tuple_message",
]

SHARE_TUPLES_MAX: Final = 1_000
"""Plain tuples in one message of many."""

SHARE_BYTES_MAX: Final = 64_000
"""Bytes of the tuples in one message of many, unless it holds one tuple alone: about what as many plain ones take."""

PLAIN_BYTES: Final = SHARE_BYTES_MAX // SHARE_TUPLES_MAX
"""What a tuple without a context is taken for."""

_Meaning = TypeVar("_Meaning")
_Noun = TypeVar("_Noun")
_Word = TypeVar("_Word")

# The first second of year 1, and the last of year 9999.
_SECONDS_MIN: Final = -62_135_596_800
_SECONDS_MAX: Final = 253_402_300_799


def known(table: Mapping[int, _Meaning], value: int, field: str) -> _Meaning:
    """Return what an enum's number means, or raise Unsupported: the other side is newer, or left it out."""
    try:
        return table[value]
    except KeyError:
        raise Unsupported(
            f"`{field}` has the value `{value}`, which this version of relgraph does not know; "
            "set one that it knows, or use the same version on both sides",
            {"field": field, "value": str(value)},
        ) from None


def given(table: Mapping[_Word, _Meaning], value: _Word, name: str) -> _Meaning:
    """Return the enum value for a caller's word, or raise InvalidInput."""
    try:
        return table[value]
    except KeyError:
        *others, last = (f"`{word}`" for word in table)
        raise InvalidInput(f"{name} is {quoted(str(value))}; use {', '.join(others)} or {last}") from None


def read_text(parse: Callable[[str], _Noun], text: str, field: str) -> _Noun:
    """Return `parse(text)`; an InvalidInput from it is raised on with the field's path in its details."""
    try:
        return parse(text)
    except InvalidInput as error:
        error.details.setdefault("field", field)
        raise


def plain_text(text: str, name: str) -> str:
    """Return a free text that can travel, else raise InvalidInput (a lone surrogate has no UTF-8)."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as problem:
        raise InvalidInput(
            f"{name} cannot be sent: the character at position {problem.start} has no UTF-8 form; decode it first",
            {"field": name},
        ) from None
    return text


def moment_message(value: datetime) -> Timestamp:
    """Build the message of a point in time. Raises InvalidInput for one without a time zone."""
    seconds, microseconds = divmod(instant_of(value), 1_000_000)
    return Timestamp(seconds=seconds, nanos=microseconds * 1_000)


def read_moment(message: Timestamp, field: str) -> datetime:
    """Read a point in time; what is finer than a microsecond is cut off. Raises InvalidInput beyond years 1 to 9999."""
    if not (_SECONDS_MIN <= message.seconds <= _SECONDS_MAX and 0 <= message.nanos < 1_000_000_000):
        raise InvalidInput(
            f"`{field}` has {message.seconds} seconds and {message.nanos} nanos, no point in time of the years "
            "1 to 9999; give seconds since 1970 UTC, and 0 to 999999999 nanos",
            {"field": field},
        )
    return moment(message.seconds * 1_000_000 + message.nanos // 1_000)


def tuple_message(fact: RelationTuple) -> pb.RelationTuple:
    """Build the message of one tuple."""
    return pb.RelationTuple(
        resource=str(fact.resource),
        relation=fact.relation,
        subject=str(fact.subject),
        expires_at=None if fact.expires_at is None else moment_message(fact.expires_at),
        caveat=fact.caveat,
        context=context_message(fact.context),
    )


def read_tuple(message: pb.RelationTuple, field: str) -> RelationTuple:
    """Read one tuple; `field` is its path, for the error. Raises InvalidInput."""
    part = "resource"
    try:
        resource = Object.parse(message.resource, wildcard=True)
        part = "relation"
        relation = check_relation(message.relation)
        part = "subject"
        subject = Subject.parse(message.subject, wildcard=True)
        part = "caveat"
        caveat = check_caveat(message.caveat) if message.caveat else ""
        part = "context"
        context = read_context(message.context, f"{field}.context") if message.HasField("context") else EMPTY
        if context and not caveat:
            raise InvalidTuple(
                "a tuple has a context and no caveat that it would be for; name the caveat, or leave the context out"
            )
    except InvalidInput as error:
        error.details.setdefault("field", f"{field}.{part}")
        raise
    expires_at = read_moment(message.expires_at, f"{field}.expires_at") if message.HasField("expires_at") else None
    return RelationTuple(resource, relation, subject, expires_at, caveat, context)


def read_tuples(messages: Sequence[pb.RelationTuple], field: str) -> tuple[RelationTuple, ...]:
    """Read a repeated field of tuples. Raises InvalidInput."""
    return tuple(read_tuple(message, f"{field}[{index}]") for index, message in enumerate(messages))


def shares(tuples: Sequence[RelationTuple]) -> Iterator[Sequence[RelationTuple]]:
    """Yield the tuples in shares of which each makes one message of a bounded size: contexts may be long."""
    start, room = 0, SHARE_BYTES_MAX
    for index, each in enumerate(tuples):
        size = PLAIN_BYTES + len(str(each.context)) if each.context else PLAIN_BYTES
        if index > start and size > room:
            yield tuples[start:index]
            start, room = index, SHARE_BYTES_MAX
        room -= size
    if tuples:
        yield tuples[start:]
