"""What a question brings along, as its fields: values for caveats, and tuples that count for it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from relgraph.contexts import EMPTY, Context
from relgraph.errors import InvalidInput, at_index, quoted
from relgraph.tuples import RelationTuple
from relgraph.wire.contexts import context_message, read_context
from relgraph.wire.parts import read_tuples, tuple_message

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.struct_pb2 import Struct

    from relgraph.v1 import authorizer_pb2 as pb

__all__ = ["Bringing", "Brought", "brought_message", "read_brought", "read_contextual"]

_TUPLES = "contextual_tuples"


class Brought(NamedTuple):
    """The two fields; a context that says nothing is left out."""

    context: Struct | None
    tuples: list[pb.RelationTuple]


class Bringing(Protocol):
    """A question that may bring both."""

    @property
    def context(self) -> Struct:
        """The values."""

    @property
    def contextual_tuples(self) -> Sequence[pb.RelationTuple]:
        """The tuples."""

    def HasField(self, field_name: Literal["context"], /) -> bool:  # noqa: N802 - protobuf's name
        """Say whether the field is there."""


def brought_message(context: Mapping[str, object] | None, contextual: Sequence[str | RelationTuple]) -> Brought:
    """Build the fields. Raises InvalidContext, InvalidTuple and its kin with a tuple's place in `contextual`."""
    if isinstance(contextual, str):
        raise InvalidInput(f"contextual tuples are a list, not one text; give [{quoted(contextual)}]")
    return Brought(context_message(Context.of(context)), _messages(contextual))


def _messages(contextual: Sequence[str | RelationTuple]) -> list[pb.RelationTuple]:
    messages = []
    for place, each in enumerate(contextual):
        with at_index(place, "contextual"):
            messages.append(tuple_message(RelationTuple.of(each)))
    return messages


def read_brought(request: Bringing) -> tuple[Context, tuple[RelationTuple, ...]]:
    """Read both fields. Raises InvalidContext, or InvalidInput and its kin with the tuple's field."""
    values = read_context(request.context, "context") if request.HasField("context") else EMPTY
    return values, read_contextual(request.contextual_tuples)


def read_contextual(messages: Sequence[pb.RelationTuple]) -> tuple[RelationTuple, ...]:
    """Read the tuples of a question that takes no values."""
    return read_tuples(messages, _TUPLES)
