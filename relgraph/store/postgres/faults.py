"""The driver's errors in relgraph's words, by the code that PostgreSQL gives each.

Rule 1: an error says what is known and no more. Only a commit whose answer was lost has an unknown outcome, and whoever
runs a commit says so itself (see `link`); everything here was not done.
"""

from __future__ import annotations

from typing import Final

from psycopg import DataError, Error, OperationalError

from relgraph.errors import InvalidInput, RelgraphError, StoreFormat, StoreReadOnly, StoreUnavailable, quoted

__all__ = ["fault", "lost", "named", "problem_of"]

WHERE_SHOWN_MAX: Final = 400

_Text = tuple[type[StoreUnavailable], str]

_BY_CODE: Final[dict[str, _Text]] = {
    "25006": (
        StoreReadOnly,
        "the store {where} cannot be written: its server is a standby, or set to read only; name the primary",
    ),
    "25P02": (
        StoreUnavailable,
        "the transaction on {where} has failed already, and takes no more statements; roll it back and begin again",
    ),
    "25P03": (
        StoreUnavailable,
        "the database ended a read of {where} that took longer than idle_in_transaction_session_timeout; raise that",
    ),
    "25P04": (
        StoreUnavailable,
        "the database ended a transaction on {where} that took longer than its transaction_timeout; raise that",
    ),
    "3D000": (StoreUnavailable, "the database of the store {where} does not exist; create it first"),
    "42501": (
        StoreUnavailable,
        "the role may not do that in the store {where}: {problem}; grant it the rights, or name another role",
    ),
    "42P01": (StoreFormat, "the store {where} lacks a table: {problem}; restore it from a backup"),
    "53100": (StoreUnavailable, "the disk under the store {where} is full; nothing was written, make room"),
    "53300": (StoreUnavailable, "the database of the store {where} has no connection left: {problem}; try again"),
    "55P03": (StoreUnavailable, "the store {where} is locked by another writer for too long; try again"),
    "XX001": (StoreFormat, "the store {where} is damaged: {problem}; restore it from a backup"),
    "XX002": (StoreFormat, "the store {where} is damaged: {problem}; rebuild the index that is named"),
    "57014": (
        StoreUnavailable,
        "the database cancelled a statement on {where}: {problem}; try again, or raise its statement_timeout",
    ),
}
_BY_CLASS: Final[dict[str, _Text]] = {
    "28": (StoreUnavailable, "the database of the store {where} refused the login: {problem}; check user and password"),
    "40": (StoreUnavailable, "the database undid the transaction on {where}: {problem}; try again"),
}
_LOST: Final[_Text] = (StoreUnavailable, "the database of the store {where} cannot be reached: {problem}; try again")
_OTHER: Final[_Text] = (StoreUnavailable, "the store {where} failed: {problem}")


def named(where: str) -> str:
    """The URL of a store, which has no password in it any more, as an error shows it."""
    return quoted(where, WHERE_SHOWN_MAX)


def lost(error: Error) -> bool:
    """Whether the connection is gone, by what the error says."""
    code = error.sqlstate
    if code is None:
        return isinstance(error, OperationalError)
    return code[:2] == "08" or code in {"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"}


def problem_of(error: Error) -> str:
    """What the database said, on one line."""
    return " ".join((error.diag.message_primary or str(error)).split())


def fault(error: Error, where: str) -> RelgraphError:
    """Return relgraph's error for one of the driver's. `where` is the store's URL without its password."""
    code = error.sqlstate or ""
    if isinstance(error, DataError) and not code:
        # The driver's own refusal, before anything was sent.
        return InvalidInput("PostgreSQL keeps no text with a NUL character in it (`\\x00`); remove the character")
    found = _BY_CODE.get(code) or _BY_CLASS.get(code[:2])
    kind, text = found or (_LOST if lost(error) else _OTHER)
    problem = problem_of(error)
    told = text.format(where=named(where), problem=quoted(problem, 240))
    return kind(told, {"store": where, "problem": problem} | ({"sqlstate": code} if code else {}))
