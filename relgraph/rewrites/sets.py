"""Union, intersection and exclusion: `+`, `&` and `-`.

As in SpiceDB, `+` binds tightest and `-` loosest: `a - b + c` is `a - (b + c)`. `precedence` below is that order,
higher binding tighter; the parser and `text` both read it from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from relgraph.rewrites.base import Rewrite, Scope, Span, Term
from relgraph.rewrites.verdict import Combine

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Exclusion", "Intersection", "SetOperator", "Union"]


@dataclass(frozen=True, slots=True, eq=False)
class SetOperator:
    """What the three have in common: two or more operands at the same object."""

    operands: tuple[Rewrite, ...]
    at: Span = field(default_factory=Span)

    combine: ClassVar[Combine]
    label: ClassVar[str]
    symbol: ClassVar[str]
    precedence: ClassVar[int]

    def children(self) -> tuple[Rewrite, ...]:
        """Return the operands."""
        return self.operands

    def names(self) -> tuple[str, ...]:
        """Return nothing: only the operands refer to names."""
        return ()

    def terms(self, scope: Scope, object_: int) -> Iterator[Term]:
        """Yield each operand at the same object."""
        for operand in self.operands:
            yield from scope.operand(object_, operand, self.combine)

    def text(self) -> str:
        """Return the operands joined by the symbol, in parentheses where the reader or the grammar needs them."""
        return f" {self.symbol} ".join(
            f"({operand.text()})" if isinstance(operand, SetOperator) else operand.text() for operand in self.operands
        )


@dataclass(frozen=True, slots=True, eq=False)
class Union(SetOperator):
    """`a + b`: whoever is in any operand."""

    combine: ClassVar[Combine] = Combine.ANY
    label: ClassVar[str] = "union"
    symbol: ClassVar[str] = "+"
    precedence: ClassVar[int] = 3


@dataclass(frozen=True, slots=True, eq=False)
class Intersection(SetOperator):
    """`a & b`: whoever is in every operand."""

    combine: ClassVar[Combine] = Combine.ALL
    label: ClassVar[str] = "intersection"
    symbol: ClassVar[str] = "&"
    precedence: ClassVar[int] = 2


@dataclass(frozen=True, slots=True, eq=False)
class Exclusion(SetOperator):
    """`a - b`: whoever is in the first operand and not in the second. Exactly two operands; `a - b - c` nests left."""

    combine: ClassVar[Combine] = Combine.MINUS
    label: ClassVar[str] = "exclusion"
    symbol: ClassVar[str] = "-"
    precedence: ClassVar[int] = 1
