"""What SpiceDB can hold: its language and its sizes, judged before anything is sent there.

Rule 1: nothing is left out to make the rest fit: a schema without its ladder, or a store without its universal tuples,
would answer otherwise than the one it came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relgraph.errors import Unsupported, quoted

if TYPE_CHECKING:
    from authzed.api.v1 import core_pb2 as pb

    from relgraph.schema import Schema
    from relgraph.tuples import RelationTuple

__all__ = ["check_schema", "check_tuple"]

_FLAGS: Final = frozenset({"expiration", "self", "typechecking"})
_SCHEMA_BYTES_MAX: Final = 4_194_304
_CAVEAT_BYTES_MAX: Final = 25_000


def check_schema(schema: Schema) -> None:
    """Return if SpiceDB reads the schema as relgraph does. Raises Unsupported naming what it has not."""
    strangers = sorted(schema.flags - _FLAGS)
    if strangers:
        named = ", ".join(f"{quoted('use ' + flag)}{_example(schema, flag)}" for flag in strangers)
        raise Unsupported(
            f"SpiceDB's language has no {named}; nothing was sent: write a schema without, or stay with relgraph",
            {"flags": " ".join(strangers)},
        )
    size = len(schema.text.encode())
    if size > _SCHEMA_BYTES_MAX:
        raise Unsupported(
            f"the schema takes {size:,} bytes and SpiceDB reads {_SCHEMA_BYTES_MAX:,}; nothing was sent: shorten it",
            {"size": str(size)},
        )


def _example(schema: Schema, flag: str) -> str:
    """Where a flag is made use of first, for the message."""
    for definition in schema.definitions.values():
        if flag == "roles" and definition.roles:
            return f" (the ladder of {quoted(definition.name)})"
        if flag == "grants" and definition.grants:
            return f" (the grants of {quoted(definition.name)})"
        for relation in definition.relations.values():
            if flag == "universal" and any(kind.universal for kind in relation.kinds):
                return f" (in {quoted(f'{definition.name}#{relation.name}')})"
    return ""


def check_tuple(schema: Schema, fact: RelationTuple, message: pb.Relationship) -> None:
    """Return if SpiceDB takes the tuple. Raises Unsupported, or as `Schema.admit` does."""
    if fact.universal:
        raise Unsupported(
            f"{quoted(fact.told)} counts for every {quoted(fact.resource.type)}, which SpiceDB cannot say; nothing was "
            "sent: write the tuples that it stands for, or stay with relgraph",
            {"tuple": fact.told},
        )
    schema.admit(fact)
    if fact.caveat and message.optional_caveat.ByteSize() > _CAVEAT_BYTES_MAX:
        raise Unsupported(
            f"the context of {quoted(fact.told)} takes more than the {_CAVEAT_BYTES_MAX:,} bytes that SpiceDB keeps "
            "beside a tuple; nothing was sent: give it less, and the rest with each question",
            {"tuple": fact.told},
        )
