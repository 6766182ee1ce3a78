"""Counting, cheaply: how many values fell where. What costs is done when somebody looks."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING

from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client.core import HistogramMetricFamily

__all__ = ["SharedTally", "Tally"]


class Tally:
    """How many values were at most each of `bounds`, and their sum. For one thread."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def tell(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> None:
        """Add what was counted to a metric, under these labels."""
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(names, accumulate(self._counts), strict=True)), self._sum)


class SharedTally(Tally):
    """A tally for any number of threads."""

    __slots__ = ("_mutex",)

    def __init__(self, bounds: Sequence[float]) -> None:
        super().__init__(bounds)
        self._mutex = Lock()

    def add(self, value: float) -> None:
        """Count a value."""
        with self._mutex:
            super().add(value)

    def tell(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> None:
        """Add what was counted to a metric, all of it from one moment."""
        with self._mutex:
            super().tell(family, labels)
