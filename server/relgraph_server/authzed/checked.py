"""What a field may hold, by SpiceDB's own patterns and sizes, before anything is read of it.

Rule 1: what breaks one is INVALID_ARGUMENT with the field's path, as in `validation error: updates[0].relationship.
resource.object_id: …`; what these patterns admit and relgraph has no name for is looked for, and not found.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from relgraph.errors import InvalidInput, quoted

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = [
    "WILDCARD_WITH_RELATION",
    "caveat_name",
    "counter_name",
    "invalid",
    "operation",
    "relation_name",
    "required",
    "resource_id",
    "sized",
    "subject_id",
    "type_name",
]

_SEGMENT: Final = "[a-z][a-z0-9_]{1,61}[a-z0-9]"
_TYPE: Final = re.compile(rf"({_SEGMENT}/)*[a-z][a-z0-9_]{{1,62}}[a-z0-9]")
_RELATION: Final = re.compile(r"[a-z][a-z0-9_]{1,62}[a-z0-9]")
_ID: Final = re.compile(r"[a-zA-Z0-9/_|\-=+]+")
_CAVEAT: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9/_|-]{0,127}")
_TYPE_BYTES_MAX: Final = 128
_RELATION_BYTES_MAX: Final = 64
_ID_BYTES_MAX: Final = 1024
_CAVEAT_BYTES_MAX: Final = 128

WILDCARD_WITH_RELATION: Final = "optionalrelation must be empty on subject if object ID is a wildcard"


def invalid(path: str, problem: str) -> InvalidInput:
    """Return the error for a field that holds what it may not."""
    return InvalidInput(f"validation error: {path}: {problem}", {"field": path})


def required(message: Message, name: str, path: str = "") -> None:
    """Raise InvalidInput unless the message field `name` is there; `path` is what stands before it."""
    if not message.HasField(name):
        raise invalid(f"{path}{name}", "value is required")


def sized(text: str, bytes_max: int, path: str) -> None:
    """Raise InvalidInput for a text that is longer in UTF-8."""
    if len(text) > bytes_max or len(text.encode("utf-8", "surrogatepass")) > bytes_max:
        raise invalid(path, f"value length must be at most {bytes_max} bytes")


def _matching(pattern: re.Pattern[str], text: str, bytes_max: int, path: str) -> str:
    sized(text, bytes_max, path)
    if not pattern.fullmatch(text):
        raise invalid(path, f"{quoted(text)} does not match regex pattern `^{pattern.pattern}$`")
    return text


def type_name(text: str, path: str) -> str:
    """Return the name of a definition."""
    return _matching(_TYPE, text, _TYPE_BYTES_MAX, path)


def relation_name(text: str, path: str) -> str:
    """Return the name of a relation or permission."""
    return _matching(_RELATION, text, _RELATION_BYTES_MAX, path)


def counter_name(text: str, path: str) -> str:
    """Return the name of a counter, which may be empty here."""
    return relation_name(text, path) if text else ""


def resource_id(text: str, path: str) -> str:
    """Return an object's id; `*` is none."""
    if text == "*":
        raise invalid(path, "alphanumeric value is required, and `*` is none")
    return _matching(_ID, text, _ID_BYTES_MAX, path)


def subject_id(text: str, path: str) -> str:
    """Return a subject's id, which may be `*`."""
    return text if text == "*" else _matching(_ID, text, _ID_BYTES_MAX, path)


def caveat_name(text: str, path: str) -> str:
    """Return the name of a caveat."""
    return _matching(_CAVEAT, text, _CAVEAT_BYTES_MAX, path)


def operation(value: int, known: frozenset[int], path: str) -> int:
    """Return an enum's number if it is one of those that mean something."""
    if value not in known:
        raise invalid(path, f"value must be one of the defined enum values, and {value} is none of them")
    return value
