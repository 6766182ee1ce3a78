"""What one request may spend: sub-questions opened, tuples read, and time.

Rule 1: spending more is an error that says which limit it was, never an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from relgraph.errors import DeadlineExceeded, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from relgraph.limits import Limits

__all__ = ["Budget"]

_LOOK_AT_CLOCK_EVERY = 256


class Budget:
    """One request's allowance. `deadline` is an instant of `clock`, in seconds; None waits for ever."""

    __slots__ = ("_clock", "_deadline", "_nodes", "_nodes_max", "_ticks", "_tuples", "_tuples_max")

    def __init__(self, limits: Limits, clock: Callable[[], float], deadline: float | None = None) -> None:
        self._clock = clock
        self._deadline = deadline
        self._nodes_max = self._nodes = limits.nodes_max
        self._tuples_max = self._tuples = limits.tuples_max
        self._ticks = 0

    def renew(self) -> None:
        """Start counting anew: one of many questions of a request is done. The deadline stays."""
        self._nodes = self._nodes_max
        self._tuples = self._tuples_max

    def node(self) -> None:
        """Spend one sub-question."""
        self._nodes -= 1
        if self._nodes < 0:
            raise _exceeded("nodes_max", self._nodes_max, "sub-questions")
        self.tick()

    def tuple(self) -> None:
        """Spend one tuple read."""
        self._tuples -= 1
        if self._tuples < 0:
            raise _exceeded("tuples_max", self._tuples_max, "tuples read")
        self.tick()

    def tick(self) -> None:
        """Look at the clock now and then."""
        self._ticks += 1
        if self._deadline is not None and self._ticks % _LOOK_AT_CLOCK_EVERY == 1 and self._clock() >= self._deadline:
            raise DeadlineExceeded("the deadline passed before the answer was known; allow more time or ask for less")


def _exceeded(limit: str, value: int, what: str) -> LimitExceeded:
    return LimitExceeded(
        f"the question needs more than {value} {what}; raise the limit `{limit}` or ask about less at once",
        {"limit": limit, "value": str(value)},
    )
