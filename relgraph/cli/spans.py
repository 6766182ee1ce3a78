"""Spans of time, as people write them: 90m, 24h, 30d."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from relgraph.errors import InvalidInput, quoted

__all__ = ["span_of"]

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SPAN: Final = re.compile(r"([0-9]{1,8})([smhd])")


def span_of(text: str) -> timedelta:
    """Read `90m`, `24h` or `30d`. Raises InvalidInput."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{quoted(text)} is no span of time; write a number and one of s, m, h and d, as in `24h`", {"text": text}
        )
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
