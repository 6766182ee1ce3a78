"""Deadlines: the seconds that a caller is willing to wait, as an instant of the timer."""

from __future__ import annotations

import math
import time

from relgraph.errors import InvalidInput

__all__ = ["ends_at"]


def ends_at(deadline: float | None) -> float | None:
    """Return the instant that is `deadline` seconds from now. Raises InvalidInput for what is not a number."""
    if deadline is not None and math.isnan(deadline):
        raise InvalidInput("the deadline is not a number; give the seconds that you are willing to wait")
    return None if deadline is None else time.monotonic() + deadline
