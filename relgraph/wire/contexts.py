"""Contexts as messages: what a `Struct` says, and how one is built.

Rule 1: a value that is not set is an error; null is said as null.
Rule 2: nothing is built of a message that is longer than any context it could be, however little it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.struct_pb2 import Struct, Value

from relgraph.contexts import Context
from relgraph.errors import InvalidContext, quoted

if TYPE_CHECKING:
    from relgraph.contexts import Json

__all__ = ["context_message", "read_context"]

_BYTES_MAX: Final = 1 << 20
_DEPTH_MAX: Final = 64


def context_message(context: Context) -> Struct | None:
    """Build the message of a context; none for an empty one."""
    if not context:
        return None
    message = Struct()
    message.update(dict(context))
    return message


def read_context(message: Struct, field: str) -> Context:
    """Read a context; `field` is its path, for the error. Raises InvalidContext."""
    if message.ByteSize() > _BYTES_MAX:
        raise InvalidContext(f"the context takes more than {_BYTES_MAX} bytes; give shorter values", {"field": field})
    try:
        return Context.of({name: _value(value, name, 0) for name, value in message.fields.items()})
    except InvalidContext as error:
        error.details.setdefault("field", field)
        raise


def _value(value: Value, parameter: str, depth: int) -> Json:
    kind = value.WhichOneof("kind")
    if kind is None:
        raise InvalidContext(
            f"the parameter {quoted(parameter)} holds a value of no kind; set null where that is meant",
            {"parameter": parameter},
        )
    if kind == "null_value":
        return None
    if depth > _DEPTH_MAX:
        # What is deeper than a context may be is told as such by the context itself.
        return None
    if kind == "list_value":
        return [_value(each, parameter, depth + 1) for each in value.list_value.values]
    if kind == "struct_value":
        return {name: _value(each, parameter, depth + 1) for name, each in value.struct_value.fields.items()}
    plain: bool | float | str = getattr(value, kind)
    return plain
