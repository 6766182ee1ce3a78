"""Shrinking that ends: Hypothesis may take five minutes to make a failing example small; a world that is small enough
to read is found much sooner.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hypothesis import reject

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Patience"]


class Patience:
    """Lets a test fail for that many seconds after its first failure; from then on only with what failed before.

    Whatever else is tried passes, so Hypothesis settles on the smallest failing example that it has found.
    """

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._until: float | None = None
        self._failed: set[str] = set()

    @contextmanager
    def with_example(self, text: str) -> Iterator[None]:
        """Judge one example, which `text` tells from every other."""
        if self._until is not None and time.monotonic() > self._until and text not in self._failed:
            reject()
        try:
            yield
        except AssertionError:
            self._failed.add(text)
            self._until = time.monotonic() + self._seconds if self._until is None else self._until
            raise
