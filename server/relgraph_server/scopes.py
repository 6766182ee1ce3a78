"""Which scopes a call needs: one table a dialect, from each method and from what its request asks for beyond that.

Rule 1: what is not in the table is refused, whatever the key: a method added to the service is closed until it has a
row here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from relgraph.errors import KeyRefused, quoted
from relgraph.v1 import authorizer_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.protobuf.message import Message

__all__ = ["NEEDS", "OURS", "WRITES", "Row", "Scopes"]

_WAYS: Final = (pb.WAYS_UNSPECIFIED, pb.WAYS_NONE)


class Row(NamedTuple):
    """The scope that a method needs, and those that its request needs too when the field it is listed by is set."""

    scope: str
    fields: Mapping[str, str] = {}


_AT: Final = {"at": "history"}
_ASKED: Final = {**_AT, "contextual_tuples": "contextual"}
# Whether a tuple exists is told by a precondition as well as by reading it.
_IF: Final = {"preconditions": "read"}

NEEDS: Final[dict[str, Row]] = {
    "Check": Row("check", _ASKED),
    "CheckBulk": Row("check", _ASKED),
    "BestAccess": Row("check", {**_ASKED, "ways": "explain"}),
    "Expand": Row("explain", _ASKED),
    "LookupResources": Row("list", _ASKED),
    "LookupSubjects": Row("list", _ASKED),
    "CountResources": Row("list", _ASKED),
    "CountSubjects": Row("list", _ASKED),
    "AllPermissions": Row("check", _ASKED),
    "ListOrphans": Row("list", _ASKED),
    "ListCycles": Row("list", {**_ASKED, "": "explain"}),
    "Read": Row("read", _AT),
    "Export": Row("read", _AT),
    "Watch": Row("read", {"": "history"}),
    "ReadSchema": Row("read", _AT),
    "DiffSchema": Row("read", _AT),
    "Write": Row("write", _IF),
    "Delete": Row("write", _IF),
    "Import": Row("write"),
    "WriteSchema": Row("schema"),
    "Status": Row("admin"),
}
"""Each method, with the scopes it needs. The field "" is always set. `at_exactly` counts as `at`."""

WRITES: Final = frozenset({"Write", "Delete", "Import", "WriteSchema"})
"""The methods that change something: they are audited, and a key's policy about actors is about them."""


def _exactly(message: Message) -> bool:
    """Whether a request asks about the past by a token."""
    consistency = getattr(message, "consistency", None)
    return isinstance(consistency, pb.Consistency) and consistency.WhichOneof("requirement") == "at_exactly"


_IS_SET: Final[dict[str, Callable[[Message], bool]]] = {
    "": lambda _: True,
    "at": lambda message: message.HasField("at") or _exactly(message),
    "contextual_tuples": lambda message: bool(getattr(message, "contextual_tuples", ())),
    "preconditions": lambda message: bool(getattr(message, "preconditions", ())),
    "ways": lambda message: getattr(message, "ways", 0) not in _WAYS,
}


class Scopes:
    """One dialect's table: a row for each method, and when each field that a row lists counts as set."""

    def __init__(self, rows: Mapping[str, Row], is_set: Mapping[str, Callable[[Message], bool]]) -> None:
        self._rows = rows
        self._is_set = is_set

    def _row(self, method: str) -> Row:
        row = self._rows.get(method)
        if row is None:
            raise KeyRefused(f"no key opens {quoted(method)} in this version; use another method", {"method": method})
        return row

    def needed(self, method: str, message: Message) -> frozenset[str]:
        """Return the scopes that a request needs. Raises KeyRefused for a method without a row."""
        row = self._row(method)
        more = (scope for name, scope in row.fields.items() if self._is_set[name](message))
        return frozenset({row.scope, *more})

    def check_method(self, method: str, held: frozenset[str]) -> None:
        """Raise KeyRefused where a key with these scopes may not call the method, whatever it would ask."""
        _check(method, frozenset({self._row(method).scope}), held)

    def check(self, method: str, message: Message, held: frozenset[str]) -> None:
        """Raise KeyRefused unless a key with these scopes may make the call. `admin` is all of them."""
        _check(method, self.needed(method, message), held)


OURS: Final = Scopes(NEEDS, _IS_SET)
"""The table of `relgraph.v1`."""


def _check(method: str, wanted: frozenset[str], held: frozenset[str]) -> None:
    missing = sorted(wanted - held)
    if missing and "admin" not in held:
        raise KeyRefused(
            f"this needs the scope {quoted(missing[0])}, which the key does not have; ask without it, or with a key "
            "that has it",
            {"scope": missing[0], "method": method},
        )
