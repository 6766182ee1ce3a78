"""Caveats: conditions in CEL on the values that tuples and requests give; what a walk makes of them is none of it.

    caveat within(limit int, amount int) { amount <= limit }

How expressions are read, bounded and compiled lives beside this; only what is listed here is meant for the rest.
"""

from __future__ import annotations

from relgraph.caveats.caveat import UNBOUND, Bound, Caveat, Outcome, compile_caveat
from relgraph.caveats.lexer import closing_brace
from relgraph.caveats.spelling import spelled
from relgraph.caveats.types import ParameterType, parameter_type, parse_type

__all__ = [
    "UNBOUND",
    "Bound",
    "Caveat",
    "Outcome",
    "ParameterType",
    "closing_brace",
    "compile_caveat",
    "parameter_type",
    "parse_type",
    "spelled",
]
