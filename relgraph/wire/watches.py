"""Watching over the wire: what was asked for, and what was committed, in messages of a bounded size.

Rule 1: a revision is complete with the part that does not `continue`; only then does a message's token include it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from relgraph.answers import LogEntry
from relgraph.errors import InvalidInput, quoted
from relgraph.tuples import check_relation, check_type
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.parts import (
    SHARE_TUPLES_MAX,
    moment_message,
    plain_text,
    read_moment,
    read_text,
    read_tuple,
    shares,
    tuple_message,
)
from relgraph.wire.questions import filter_message, read_filter, read_types

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from relgraph.revision import Token
    from relgraph.tuples import RelationTuple, TupleFilter

__all__ = [
    "change_parts",
    "read_change",
    "read_heartbeat",
    "read_selected",
    "watch_message",
    "watch_messages",
]

# A part that takes more than so much for each of its tuples leaves less room for others in its message.
_UNIT_BYTES: Final = 256
_HEARTBEAT_MS: Final = 10_000
_HEARTBEAT_MS_END: Final = 1 << 32


def watch_message(
    after: str | Token | None,
    types: Iterable[str],
    relations: Iterable[str],
    filters: Iterable[TupleFilter],
    heartbeat: float,
) -> pb.WatchRequest:
    """Build what is asked for. Raises InvalidInput and its kin."""
    if math.isnan(heartbeat) or not 0 < heartbeat * 1000 < _HEARTBEAT_MS_END:
        raise InvalidInput(f"a heartbeat every {quoted(str(heartbeat))} seconds cannot be kept; give a number above 0")
    return pb.WatchRequest(
        after="" if after is None else plain_text(str(after), "after"),
        types=[check_type(each) for each in types],
        relations=[check_relation(each) for each in relations],
        filters=[filter_message(each) for each in filters],
        heartbeat_ms=max(1, round(heartbeat * 1000)),
    )


def read_selected(request: pb.WatchRequest) -> tuple[list[str], list[str], list[TupleFilter]]:
    """Read what is to be told: types, relations and filters. Raises InvalidInput and its kin."""
    return (
        read_types(request.types, "types"),
        [read_text(check_relation, each, f"relations[{index}]") for index, each in enumerate(request.relations)],
        [read_filter(each, f"filters[{index}]") for index, each in enumerate(request.filters)],
    )


def read_heartbeat(request: pb.WatchRequest, ms_min: int) -> float:
    """Read after how many seconds without a message one is due. Raises InvalidInput below what the server grants."""
    ms = request.heartbeat_ms if request.HasField("heartbeat_ms") else max(_HEARTBEAT_MS, ms_min)
    if ms < ms_min:
        raise InvalidInput(
            f"a heartbeat every {ms} ms is over what this server grants; ask for {ms_min} ms or more",
            {"field": "heartbeat_ms", "limit": "heartbeat_ms_min", "value": str(ms_min)},
        )
    return ms / 1000


def change_parts(entry: LogEntry) -> list[pb.Change]:
    """Build a revision, in as many parts as its tuples need; all but the last continue."""
    gone = len(entry.deleted)
    parts: list[pb.Change] = []
    told = 0
    for share in list(shares((*entry.deleted, *entry.created))) or [()]:
        deleted = max(0, min(gone - told, len(share)))
        part = pb.Change(
            revision=entry.revision,
            token=entry.token,
            time=moment_message(entry.time),
            principal=entry.principal,
            actor=entry.actor,
            reason=entry.reason,
            request_id=entry.request_id,
            metadata=entry.metadata,
            deleted=[tuple_message(each) for each in share[:deleted]],
            created=[tuple_message(each) for each in share[deleted:]],
            schema=None if told else entry.schema,
        )
        told += len(share)
        part.continues = told < gone + len(entry.created)
        parts.append(part)
    return parts


def watch_messages(parts: Iterable[pb.Change], revision: int, token: str) -> Iterator[pb.WatchResponse]:
    """Build messages that tell of changes; `revision` and `token` are what was told before them."""
    message, room = pb.WatchResponse(revision=revision, token=token), SHARE_TUPLES_MAX
    for part in parts:
        size = max(len(part.created) + len(part.deleted) + 1, part.ByteSize() // _UNIT_BYTES)
        if message.changes and size > room:
            yield message
            message, room = pb.WatchResponse(revision=revision, token=token), SHARE_TUPLES_MAX
        message.changes.append(part)
        room -= size
        if not part.continues:
            message.revision, message.token = revision, token = part.revision, part.token
    if message.changes:
        yield message


def read_change(parts: Sequence[pb.Change]) -> LogEntry:
    """Read a revision from all of its parts. Raises InvalidInput."""
    first = parts[0]
    created: list[RelationTuple] = []
    deleted: list[RelationTuple] = []
    for part in parts:
        created += [read_tuple(each, "changes.created") for each in part.created]
        deleted += [read_tuple(each, "changes.deleted") for each in part.deleted]
    return LogEntry(
        first.revision,
        first.token,
        read_moment(first.time, "changes.time"),
        first.principal,
        first.actor,
        first.reason,
        first.request_id,
        first.metadata,
        tuple(created),
        tuple(deleted),
        first.schema if first.HasField("schema") else None,
    )
