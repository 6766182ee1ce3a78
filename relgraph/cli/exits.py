"""Exit codes: what a script can tell from a command without reading its output."""

from __future__ import annotations

from typing import Final

from relgraph.errors import (
    AlreadyExists,
    Conditional,
    InvalidInput,
    KeyRefused,
    Refused,
    RelgraphError,
    RevisionUnavailable,
    Unauthenticated,
    Undecided,
    Unsupported,
)

__all__ = [
    "BAD_INPUT",
    "CONDITIONAL",
    "DENIED",
    "FOUND",
    "INTERRUPTED",
    "OK",
    "PIPE_CLOSED",
    "TEST_FAILED",
    "UNAVAILABLE",
    "exit_of",
]

OK: Final = 0
# With --exit-code only: an answer is not an error.
DENIED: Final = 1
# A difference, a finding, a problem or a file to be formatted: what was looked for is there.
FOUND: Final = 1
# Usage, or input that can never succeed as it stands.
BAD_INPUT: Final = 2
# Conditional with --exit-code; undecided always, since it is no answer.
CONDITIONAL: Final = 3
# What a scenario says must hold did not hold, or a store is not as it must be.
TEST_FAILED: Final = 4
# Server, store, or a limit on work.
UNAVAILABLE: Final = 5
# 128 + the signal's number, as shells report it.
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

_CODES: tuple[tuple[type[RelgraphError], int], ...] = (
    (Undecided, CONDITIONAL),
    (Conditional, CONDITIONAL),
    (InvalidInput, BAD_INPUT),
    (Refused, BAD_INPUT),
    (AlreadyExists, BAD_INPUT),
    (RevisionUnavailable, BAD_INPUT),
    (Unsupported, BAD_INPUT),
    (Unauthenticated, BAD_INPUT),
    (KeyRefused, BAD_INPUT),
    (RelgraphError, UNAVAILABLE),
)


def exit_of(error: RelgraphError) -> int:
    """Return the exit code for an error: that of the first class in the table that it belongs to."""
    return next(code for kind, code in _CODES if isinstance(error, kind))
