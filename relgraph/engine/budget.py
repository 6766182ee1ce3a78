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

_LOOK_EVERY = 256
"""The clock is looked at once in so many sub-questions, tuples and ticks."""


class Budget:
    """One request's allowance. `deadline` is an instant of `clock`, in seconds; None waits for ever."""

    __slots__ = (
        "_clock",
        "_deadline",
        "_nodes",
        "_nodes_look",
        "_nodes_max",
        "_ticks",
        "_tuples",
        "_tuples_look",
        "_tuples_max",
    )

    def __init__(self, limits: Limits, clock: Callable[[], float], deadline: float | None = None) -> None:
        self._clock = clock
        self._deadline = deadline
        self._nodes_max = limits.nodes_max
        self._tuples_max = limits.tuples_max
        self._ticks = 0
        self.renew()

    def renew(self) -> None:
        """Start counting anew: one of many questions of a request is done. The deadline stays."""
        # What is left of each, and at which remainder to look at limits and clock: the first is looked at at once.
        self._nodes = self._nodes_look = self._nodes_max
        self._tuples = self._tuples_look = self._tuples_max

    @property
    def tuples_read(self) -> int:
        """How many tuples were read since the counting began."""
        return self._tuples_max - self._tuples

    def node(self) -> None:
        """Spend one sub-question."""
        self._nodes -= 1
        if self._nodes < self._nodes_look:
            self.look()

    def tuples(self, count: int) -> None:
        """Spend tuples read."""
        self._tuples -= count
        if self._tuples < self._tuples_look:
            self.look()

    def tick(self) -> None:
        """Look at the clock now and then."""
        self._ticks -= 1
        if self._ticks < 0:
            self.look()

    def look(self) -> None:
        """Look at the limits and at the clock now. Raises LimitExceeded or DeadlineExceeded."""
        if self._nodes < 0:
            raise _exceeded("nodes_max", self._nodes_max, "sub-questions")
        if self._tuples < 0:
            raise _exceeded("tuples_max", self._tuples_max, "tuples read")
        self._nodes_look = max(0, self._nodes - _LOOK_EVERY)
        self._tuples_look = max(0, self._tuples - _LOOK_EVERY)
        self._ticks = _LOOK_EVERY
        if self._deadline is not None and self._clock() >= self._deadline:
            raise DeadlineExceeded("the deadline passed before the answer was known; allow more time or ask for less")


def _exceeded(limit: str, value: int, what: str) -> LimitExceeded:
    return LimitExceeded(
        f"the question needs more than {value} {what}; raise the limit `{limit}` or ask about less at once",
        {"limit": limit, "value": str(value)},
    )
