"""What an Authorizer tells who looks on: how long things took, and how much was read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from relgraph.answers import Verdict

__all__ = ["Observer"]


class Observer(Protocol):
    """Told of what one Authorizer does, by the thread that does it: its methods are quick, and raise nothing."""

    def pinned(self, seconds: float) -> None:
        """A question has its revision: it took so long to choose one, and to catch up with the store for it."""

    def answered(self, seconds: float) -> None:
        """A question is done with its revision, answered or not, and held it that long."""

    def checked(self, verdict: Verdict, tuples: int) -> None:
        """A check was decided, for which so many tuples were read."""

    def committed(self, revisions: int, seconds: float) -> None:
        """So many revisions were committed at once, durably; the commit itself took that long."""
