"""The algebra of answers: three levels, pairs of them, and the ways to combine.

A *level* is NO < CONDITIONAL < YES. A *value* is a pair (low, high) of levels: what is certain and what is possible.
Equal ends are a verdict; unequal ends are UNDECIDED (the answer leans on its own negation, or on something unknown).

Rule 1: operators act on both ends alike, and NOT (low, high) = (NOT high, NOT low).
Rule 2: nothing here depends on the order of operands.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from relgraph.answers import Verdict

__all__ = [
    "CONDITIONAL",
    "NO",
    "OPEN",
    "REFUSED",
    "YES",
    "Combine",
    "Value",
    "negate",
    "stronger",
    "verdict_of",
    "weaker",
]

NO: Final = 0
CONDITIONAL: Final = 1
YES: Final = 2

Value = tuple[int, int]
"""(low, high), each NO, CONDITIONAL or YES, low <= high."""

OPEN: Final[Value] = (NO, YES)
REFUSED: Final[Value] = (NO, NO)


class Combine(Enum):
    """How an operator makes one value of its operands."""

    ANY = "any"
    """The strongest operand; NO without operands."""
    ALL = "all"
    """The weakest operand."""
    EACH = "each"
    """The weakest operand; NO without operands. Each operand stands for a tuple: without its tuple it is not there."""
    MINUS = "minus"
    """The first operand AND NOT the second."""


_VERDICTS = {(NO, NO): Verdict.NO, (CONDITIONAL, CONDITIONAL): Verdict.CONDITIONAL, (YES, YES): Verdict.YES}


def verdict_of(value: Value) -> Verdict:
    """Return the verdict that a value stands for."""
    return _VERDICTS.get(value, Verdict.UNDECIDED)


def stronger(left: Value, right: Value) -> Value:
    """Return left OR right."""
    return max(left[0], right[0]), max(left[1], right[1])


def weaker(left: Value, right: Value) -> Value:
    """Return left AND right."""
    return min(left[0], right[0]), min(left[1], right[1])


def negate(value: Value) -> Value:
    """Return NOT value."""
    return YES - value[1], YES - value[0]
