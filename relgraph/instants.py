"""Instants: when a tuple expires, and as of when a question is asked.

Inside relgraph an instant is a whole number of microseconds since 1970 UTC; people and applications give and get
`datetime` with a time zone, or text as in RFC 3339. Nothing here reads a clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from relgraph.errors import InvalidInput, quoted

__all__ = ["instant_of", "instant_text", "moment", "parse_moment"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TEXT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def instant_of(value: datetime) -> int:
    """Return a moment as microseconds since 1970 UTC. Raises InvalidInput for one without a time zone."""
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidInput(
            f"{quoted(value.isoformat())} has no time zone; add one, as in `2027-01-31T12:00:00Z`",
            {"time": value.isoformat()},
        )
    return (value - _EPOCH) // _MICROSECOND


def moment(instant: int) -> datetime:
    """Return the moment of an instant, in UTC. Raises InvalidInput beyond the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(microseconds=instant)
    except OverflowError:
        raise InvalidInput(f"the instant {instant} is beyond the year 9999; give an earlier one") from None


def parse_moment(text: str) -> datetime:
    """Read `2027-01-31T12:00:00Z`, in UTC; what is finer than a microsecond is cut off. Raises InvalidInput."""
    problem = InvalidInput(
        f"{quoted(text)} is not a point in time; write date, time and zone, as in `2027-01-31T12:00:00Z`",
        {"time": text[:256]},
    )
    if not _TEXT.fullmatch(text):
        raise problem
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise problem from None


def instant_text(value: datetime) -> str:
    """Return a moment as text that `parse_moment` reads: in UTC, with microseconds where there are any."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
