"""Waiting for others to write, by looking: what every database can do, and what is left where it cannot tell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.revision import Revision

__all__ = ["LOOK_S", "wait_by_looking"]

LOOK_S: Final = 0.05
"""How long to rest between two looks: a look is one point read."""


def wait_by_looking(
    head: Callable[[], Revision],
    known: Revision,
    timeout: float,
    rest: Callable[[float], object] = time.sleep,
    rest_s: float = LOOK_S,
) -> bool:
    """Return True as soon as the head is another than `known`, False when it still is after `timeout` seconds.

    `rest` rests for that many seconds, or for less where it hears of something.
    """
    deadline = time.monotonic() + timeout
    while head() == known:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        rest(min(left, rest_s))
    return True
