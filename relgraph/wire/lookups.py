"""Lookups as messages, and counts, and all permissions: a lookup in columns, and in messages of a bounded size.

Rule 1: the last message of a lookup, and it alone, says how many rows there were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.answers import Count, Found, Held, Lookup, Permissions, Verdict
from relgraph.errors import RelgraphError
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.answers import read_verdict, verdict_value

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "count_message",
    "lookup_messages",
    "permissions_message",
    "read_count",
    "read_permissions",
    "read_rows",
]

ROWS_MAX: Final = 1_000
"""Rows in one message."""


def lookup_messages(found: Lookup) -> Iterator[pb.LookupResponse]:
    """Build the messages of a lookup, at least one; the last has the cursor and the total."""
    rows = found.rows
    for start in range(0, max(1, len(rows)), ROWS_MAX):
        part = rows[start : start + ROWS_MAX]
        message = pb.LookupResponse(
            revision=found.revision,
            token=found.token,
            ids=[row.id for row in part],
            verdicts=[verdict_value(row.verdict) for row in part],
            missing=[pb.Missing(names=row.missing) for row in part if row.verdict is Verdict.CONDITIONAL],
        )
        if start + ROWS_MAX >= len(rows):
            message.rows_total = len(rows)
            message.cursor = found.cursor
        yield message


def read_rows(message: pb.LookupResponse) -> Iterator[Found]:
    """Read the rows of one message. Raises Unsupported for a verdict not known, RelgraphError for half a message."""
    missing = iter(message.missing)
    try:
        for id_, value in zip(message.ids, message.verdicts, strict=True):
            verdict = read_verdict(value, "verdicts")
            yield Found(id_, verdict, tuple(next(missing).names) if verdict is Verdict.CONDITIONAL else ())
        complete = next(missing, None) is None
    except (StopIteration, RuntimeError, ValueError):
        complete = False
    if not complete:
        raise RelgraphError("the server's columns of rows do not fit together; use a server of this version")


def count_message(count: Count) -> pb.CountResponse:
    """Build the number of rows of a lookup."""
    return pb.CountResponse(
        revision=count.revision,
        token=count.token,
        yes=count.yes,
        conditional=count.conditional,
        undecided=count.undecided,
        excluded=count.excluded,
        everyone=verdict_value(count.everyone),
    )


def read_count(message: pb.CountResponse) -> Count:
    """Read the number of rows of a lookup. Raises Unsupported for a verdict not known."""
    return Count(
        yes=message.yes,
        conditional=message.conditional,
        undecided=message.undecided,
        excluded=message.excluded,
        everyone=read_verdict(message.everyone, "everyone"),
        revision=message.revision,
        token=message.token,
    )


def permissions_message(found: Permissions) -> pb.AllPermissionsResponse:
    """Build what a subject has of each relation and permission."""
    rows = [pb.Held(name=row.name, verdict=verdict_value(row.verdict), missing=row.missing) for row in found.rows]
    return pb.AllPermissionsResponse(revision=found.revision, token=found.token, permissions=rows)


def read_permissions(message: pb.AllPermissionsResponse) -> Permissions:
    """Read what a subject has of each relation and permission. Raises Unsupported for a verdict not known."""
    rows = tuple(
        Held(row.name, read_verdict(row.verdict, f"permissions[{index}].verdict"), tuple(row.missing))
        for index, row in enumerate(message.permissions)
    )
    return Permissions(rows, message.revision, message.token)
