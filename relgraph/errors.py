"""One tree for everything relgraph refuses to do, and the texts that say so.

    RelgraphError
    ├── InvalidInput         the words of the request are wrong; sending it again cannot help
    │   ├── InvalidName, InvalidId, InvalidTuple, InvalidFilter, InvalidToken, InvalidCursor
    │   ├── InvalidFile, InvalidCaveat, InvalidContext, SchemaParseError, DuplicateUpdate, TooManyUpdates
    │   └── InvalidSetting
    ├── Refused              well formed, but not possible in the present state
    │   ├── UnknownDefinition, UnknownRelation, NoSchema, SchemaTypeError, SchemaOrphans
    │   ├── TupleNotAllowed, CannotUpdatePermission, RequestIdReused, RequestExpired
    │   ├── PreconditionFailed, TooManyMatches, UniversalMatches, NotPermitted
    │   ├── CounterExists, UnknownCounter
    │   └── Undecided, Conditional, CaveatFailed      the question has no plain yes or no
    ├── AlreadyExists        CREATE of a living tuple
    ├── RevisionUnavailable  a token of another store or epoch, beyond the head, or collected
    ├── LimitExceeded        a limit on work was hit: never a silent "no"
    │   └── Lagged           who watches took too long over what was told
    ├── DeadlineExceeded
    ├── Unsupported          carried by the interface, not served yet: refused, never ignored
    ├── StoreUnavailable     cannot be reached, read or written now
    │   └── StoreFormat, StoreReadOnly, OutcomeUnknown
    ├── NotReady             the server is up, and its keys or its audit log have to be mended first
    ├── ServerUnavailable    the client cannot reach its server
    ├── Unauthenticated      the server wants a key, and none that it knows was given
    ├── KeyRefused           the key is known, and not made for this
    └── Forked               used in a forked child

Rule 1: an error is not an answer. Nothing here is ever turned into "no".
Rule 2: each class has a stable `code`, and each dialect translates classes to its own statuses in one table.
Rule 3: messages are lower case without a full stop, quote the input in backticks, and name what to do next.
"""

from __future__ import annotations

import difflib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "AlreadyExists",
    "CannotUpdatePermission",
    "CaveatFailed",
    "Conditional",
    "CounterExists",
    "DeadlineExceeded",
    "DuplicateUpdate",
    "Forked",
    "InvalidCaveat",
    "InvalidContext",
    "InvalidCursor",
    "InvalidFile",
    "InvalidFilter",
    "InvalidId",
    "InvalidInput",
    "InvalidName",
    "InvalidSetting",
    "InvalidToken",
    "InvalidTuple",
    "KeyRefused",
    "Lagged",
    "LimitExceeded",
    "NoSchema",
    "NotPermitted",
    "NotReady",
    "OutcomeUnknown",
    "PreconditionFailed",
    "Refused",
    "RelgraphError",
    "RequestExpired",
    "RequestIdReused",
    "RevisionUnavailable",
    "SchemaOrphans",
    "SchemaParseError",
    "SchemaTypeError",
    "ServerUnavailable",
    "StoreFormat",
    "StoreReadOnly",
    "StoreUnavailable",
    "TooManyMatches",
    "TooManyUpdates",
    "TupleNotAllowed",
    "Unauthenticated",
    "Undecided",
    "UniversalMatches",
    "UnknownCounter",
    "UnknownDefinition",
    "UnknownRelation",
    "Unsupported",
    "at_index",
    "did_you_mean",
    "quoted",
    "redacted",
    "without_context",
]


@contextmanager
def at_index(index: int, name: str = "index") -> Iterator[None]:
    """Say in an error's details, as `name`, which of many questions or tuples it is about, counted from 0."""
    try:
        yield
    except RelgraphError as error:
        error.details[name] = str(index)
        raise


class RelgraphError(Exception):
    """Base of all errors that relgraph raises on purpose.

    `code` is stable and machine-readable, `message` is for people, and `details` holds the names and
    numbers of the message as strings, for programs.
    """

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, details: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, str] = dict(details or {})


class InvalidInput(RelgraphError):
    """The words of the request are wrong."""

    code = "INVALID_INPUT"


class InvalidName(InvalidInput):
    """A type, relation or permission name breaks its pattern or size."""

    code = "INVALID_NAME"


class InvalidId(InvalidInput):
    """An object id breaks its pattern or size."""

    code = "INVALID_ID"


class InvalidTuple(InvalidInput):
    """A text is not a relation tuple, or not an object or a subject where one belongs."""

    code = "INVALID_TUPLE"


class InvalidFilter(InvalidInput):
    """A filter of tuples cannot be read or selects nothing in particular."""

    code = "INVALID_FILTER"


class InvalidToken(InvalidInput):
    """A text is not a token that relgraph made."""

    code = "INVALID_TOKEN"


class InvalidCursor(InvalidInput):
    """A cursor is damaged, or belongs to another question."""

    code = "INVALID_CURSOR"


class InvalidFile(InvalidInput):
    """A file cannot be read: the message names it, and line and column where its text is at fault."""

    code = "INVALID_FILE"


class InvalidCaveat(InvalidInput):
    """A caveat cannot be made of its parameters and expression; details carry `offset` and `length` in the latter."""

    code = "INVALID_CAVEAT"


class InvalidContext(InvalidInput):
    """A context cannot be read, or a value in it cannot be its parameter's; `details["parameter"]` names that."""

    code = "INVALID_CONTEXT"


class SchemaParseError(InvalidInput):
    """A schema text breaks the grammar; details carry `line` and `column`, both from 1."""

    code = "SCHEMA_PARSE_ERROR"


class DuplicateUpdate(InvalidInput):
    """One write names the same tuple twice."""

    code = "DUPLICATE_UPDATE"


class TooManyUpdates(InvalidInput):
    """One write carries more updates than the limit."""

    code = "TOO_MANY_UPDATES"


class InvalidSetting(InvalidInput):
    """A setting, flag or URL cannot be used."""

    code = "INVALID_SETTING"


class Refused(RelgraphError):
    """Well formed, but not possible in the present state."""

    code = "REFUSED"


class UnknownDefinition(Refused):
    """The schema has no such type."""

    code = "UNKNOWN_DEFINITION"


class UnknownRelation(Refused):
    """The type has no such relation or permission."""

    code = "UNKNOWN_RELATION_OR_PERMISSION"


class NoSchema(Refused):
    """The store has no schema yet."""

    code = "NO_SCHEMA"


class SchemaTypeError(Refused):
    """A schema parses but does not hold together; details carry `line` and `column`, both from 1."""

    code = "SCHEMA_TYPE_ERROR"


class SchemaOrphans(Refused):
    """A schema change would leave living tuples that the new schema does not admit; details have one of each kind.

    In `tuples` they are lines; `tuple` is the first, and `count` how many of its kind there are.
    """

    code = "SCHEMA_ORPHANS_TUPLES"


class TupleNotAllowed(Refused):
    """The schema does not admit the tuple: subject kind, wildcard or universal."""

    code = "TUPLE_NOT_ALLOWED"


class CannotUpdatePermission(Refused):
    """A tuple names a permission where a relation belongs."""

    code = "CANNOT_UPDATE_PERMISSION"


class RequestIdReused(Refused):
    """A `request_id` was used before with another payload."""

    code = "REQUEST_ID_REUSED"


class RequestExpired(Refused):
    """A write with a `request_id` came after its `not_after`, when nobody can tell any more whether it was made."""

    code = "REQUEST_EXPIRED"


class PreconditionFailed(Refused):
    """A write was to happen only if a tuple matches a filter, or only if none does; `details["filter"]` names it."""

    code = "PRECONDITION_FAILED"


class NotPermitted(Refused):
    """An actor may not write what the write names; details carry `actor`, `total`, and in `tuples` a line for each.

    A line is a tuple or filter of the request and, behind it, each `object#permission` that it takes.
    """

    code = "NOT_PERMITTED"


class TooManyMatches(Refused):
    """A delete by filter would take away more tuples than it allows; details carry `count` and `limit`."""

    code = "TOO_MANY_MATCHES"


class UniversalMatches(Refused):
    """A delete by filter would take away universal tuples without naming `*`; `details["count"]` says how many."""

    code = "UNIVERSAL_MATCHES"


class CounterExists(Refused):
    """A counter of that name is registered already; `details["counter"]` names it."""

    code = "COUNTER_EXISTS"


class UnknownCounter(Refused):
    """No counter of that name is registered; `details["counter"]` names it."""

    code = "UNKNOWN_COUNTER"


class Undecided(Refused):
    """The answer is undefined: it depends on its own negation."""

    code = "UNDECIDED"


class Conditional(Refused):
    """The answer depends on context that was not given; `details["missing"]` lists the names."""

    code = "CONDITIONAL"


class CaveatFailed(Refused):
    """The answer hangs on a caveat that could not be evaluated; details carry `caveat` and `tuple`."""

    code = "CAVEAT_FAILED"


class AlreadyExists(RelgraphError):
    """CREATE of a tuple that is already living."""

    code = "ALREADY_EXISTS"


class RevisionUnavailable(RelgraphError):
    """A token or cursor names a revision that this store does not have, or no longer has."""

    code = "REVISION_UNAVAILABLE"


class LimitExceeded(RelgraphError):
    """A limit on work was hit before the answer was known; details carry `limit` and `value`."""

    code = "LIMIT_EXCEEDED"


class Lagged(LimitExceeded):
    """Who watches fell too far behind, and the watch ended; `details["token"]` is what to watch behind again."""

    code = "LAGGED"


class DeadlineExceeded(RelgraphError):
    """The caller's deadline passed before the answer was known."""

    code = "DEADLINE_EXCEEDED"


class Unsupported(RelgraphError):
    """Carried by the interface or the language, but not served by this version."""

    code = "UNSUPPORTED"


class StoreUnavailable(RelgraphError):
    """The store cannot be reached, read or written now."""

    code = "STORE_UNAVAILABLE"


class StoreFormat(StoreUnavailable):
    """The file is not a relgraph store, or was written by a newer relgraph."""

    code = "STORE_FORMAT"


class StoreReadOnly(StoreUnavailable):
    """The store cannot be written by this process; whether it can be read depends on its directory."""

    code = "STORE_READ_ONLY"


class OutcomeUnknown(StoreUnavailable):
    """A commit was sent and its answer was lost: the write may be durable or not at all, never by half.

    Send the same write again with the same `request_id`: if it was done, its first result comes back.
    """

    code = "OUTCOME_UNKNOWN"


class NotReady(RelgraphError):
    """The server cannot read its keys, or write its audit log, and does nothing that would need them."""

    code = "NOT_READY"


class ServerUnavailable(RelgraphError):
    """The client cannot reach its server."""

    code = "SERVER_UNAVAILABLE"


class Unauthenticated(RelgraphError):
    """The server answers only to those who give a key that it knows; which keys it knows, and why not, is not told."""

    code = "UNAUTHENTICATED"


class KeyRefused(RelgraphError):
    """The key given is not made for this: a scope is missing (`details["scope"]`), or its policy about actors."""

    code = "KEY_REFUSED"


class Forked(RelgraphError):
    """An Authorizer was used in a forked child; open it again there."""

    code = "FORKED"


# A key of a server, and a URL's password: whatever they were mistaken for, nobody wants to read them in a message.
_KEY = re.compile(r"rg_[A-Za-z0-9_-]{32,}")
_LOOKED_AT_MAX = 4_096
_NAME_SIZE = 200
# INVARIANT: no text makes these search one part of it over and over. What they redact may be megabytes from anybody:
# a scheme begins where a word does, and whatever follows a colon is taken whole, whether it holds a password or not.
_PASSWORD = re.compile(r"((?:(?<![\w+.-])[\w+.-]+:/+|//)[^\s:@/`]*+):([^\s`]*+)")


# Where a tuple's text begins to say what its caveat is given: the rest of it is nobody else's business.
_CONTEXT = re.compile(r"(\[[A-Za-z0-9_/]*:\s*+\{).*", re.DOTALL)


def _without_password(found: re.Match[str]) -> str:
    _, at, rest = found[2].rpartition("@")
    return f"{found[1]}:…@{rest}" if at else found[0]


def redacted(text: str) -> str:
    """Return `text` without what looks like a server's key, or a password in a URL."""
    return _PASSWORD.sub(_without_password, _KEY.sub("rg_…", text))


def without_context(text: str) -> str:
    """Return `text`, which is a tuple or was meant as one, without what it gives to a caveat."""
    return _CONTEXT.sub(r"\1…}]", text)


def quoted(text: str, length_max: int = 80) -> str:
    """Return `text` in backticks, printable on one line: control and bidi characters escaped, long texts cut.

    What looks like a key or a URL's password is left out, and so is what a tuple gives to its caveat.
    """
    # Of a text from anybody only the beginning is looked at, with an end that completes any secret that is cut there.
    head = text if len(text) <= _LOOKED_AT_MAX else text[:_LOOKED_AT_MAX] + "-" * 32 + "@"
    kept = redacted(without_context(head))[: length_max + 1]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in kept)
    shown = shown.replace("`", "\\x60")
    if len(shown) > length_max:
        shown = shown[:length_max] + "…"
    return f"`{shown}`"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `", did you mean `x`?"` for the closest known word, else the known words, else an empty text."""
    names = sorted(set(known))
    # No name is as long, and comparing a text without end with each of them takes its time.
    close = difflib.get_close_matches(word[:_NAME_SIZE], names, n=1, cutoff=0.6)
    if close:
        return f", did you mean {quoted(close[0])}?"
    if not names:
        return ""
    shown = ", ".join(quoted(name) for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f", known here: {shown}{more}"
