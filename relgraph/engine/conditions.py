"""What a tuple's condition is worth in one walk: the joint where caveats enter.

The walk asks for a value of each tuple it meets, and, once an answer is CONDITIONAL, for the names it lacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from relgraph.rewrites.verdict import YES

if TYPE_CHECKING:
    from relgraph.rewrites import Edge, Value

__all__ = ["Conditions", "Unconditional"]


class Conditions(Protocol):
    """The values of tuples' conditions under one request's context, of worlds with fewer tuples too."""

    def presence(self, edge: Edge, /) -> Value:
        """Return whether the tuple is there at all: (YES, YES) in the world as it is."""

    def value(self, edge: Edge, /) -> Value:
        """Return presence AND the condition's value; (YES, YES) for a tuple that is there and has none."""

    def missing(self, edge: Edge, /) -> frozenset[str]:
        """Return the names that a CONDITIONAL condition lacks."""


class Unconditional:
    """A world in which every tuple is there and none carries a condition."""

    def presence(self, edge: Edge, /) -> Value:  # noqa: ARG002  # every tuple alike
        """Return (YES, YES)."""
        return YES, YES

    def value(self, edge: Edge, /) -> Value:  # noqa: ARG002  # every tuple alike
        """Return (YES, YES)."""
        return YES, YES

    def missing(self, edge: Edge, /) -> frozenset[str]:  # noqa: ARG002  # every tuple alike
        """Return nothing."""
        return frozenset()
