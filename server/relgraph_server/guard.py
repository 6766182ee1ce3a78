"""Which request fields this version serves; every other field is refused when it is set, never ignored.

`SERVED` is the one table. It lists what is served, not what is refused, so that a field added to the messages is
refused until somebody serves it and says so here.

INVARIANT: each method of the service calls `refuse_unserved` on each message before it looks at anything else.
An actor's write that ran as a trusted one would be a hole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.unknown_fields import UnknownFieldSet

from relgraph.errors import LimitExceeded, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["CONTEXTS", "SERVED", "check_items", "refuse_unserved"]

_ASKED: Final = frozenset({"consistency", "at"})
_BROUGHT: Final = frozenset({"context", "contextual_tuples"})
_WRITTEN: Final = frozenset({"actor", "reason"})
_ONCE: Final = frozenset({"request_id", "not_after"})

SERVED: Final[dict[str, frozenset[str]]] = {
    "relgraph.v1.Consistency": frozenset({"fully_consistent", "at_least", "at_exactly", "minimize_latency"}),
    "relgraph.v1.RelationTuple": frozenset({"resource", "relation", "subject", "caveat", "context", "expires_at"}),
    "google.protobuf.Timestamp": frozenset({"seconds", "nanos"}),
    "relgraph.v1.TupleFilter": frozenset(
        {
            "resource_type",
            "resource_id",
            "relation",
            "subject_type",
            "subject_id",
            "subject_relation",
            "resource_id_prefix",
        }
    ),
    "relgraph.v1.Update": frozenset({"operation", "tuple"}),
    "relgraph.v1.CheckRequest": _ASKED | _BROUGHT | {"subject", "permission", "resource"},
    "relgraph.v1.CheckBulkRequest": _ASKED | _BROUGHT | {"questions", "columns"},
    "relgraph.v1.QuestionColumns": frozenset(
        {"subjects", "permissions", "resources", "subject", "permission", "resource"}
    ),
    "relgraph.v1.Question": frozenset({"subject", "permission", "resource"}),
    "relgraph.v1.BestAccessRequest": _ASKED | _BROUGHT | {"subject", "resources", "subjects", "resource", "ways"},
    "relgraph.v1.ExpandRequest": _ASKED | {"resource", "permission", "usersets", "contextual_tuples"},
    "relgraph.v1.LookupResourcesRequest": _ASKED | _BROUGHT | {"subject", "permission", "type", "limit", "cursor"},
    "relgraph.v1.LookupSubjectsRequest": _ASKED
    | _BROUGHT
    | {"resource", "permission", "type", "relation", "limit", "cursor"},
    "relgraph.v1.CountResourcesRequest": _ASKED | _BROUGHT | {"subject", "permission", "type"},
    "relgraph.v1.CountSubjectsRequest": _ASKED | _BROUGHT | {"resource", "permission", "type", "relation"},
    "relgraph.v1.AllPermissionsRequest": _ASKED | _BROUGHT | {"subject", "resource"},
    "relgraph.v1.ListOrphansRequest": _ASKED | {"candidates", "types"},
    "relgraph.v1.ListCyclesRequest": _ASKED | {"candidates", "types"},
    "relgraph.v1.StatusRequest": frozenset(),
    "relgraph.v1.ReadRequest": _ASKED | {"filter", "limit", "cursor"},
    "relgraph.v1.ExportRequest": _ASKED | {"filter"},
    "relgraph.v1.WatchRequest": frozenset({"after", "types", "relations", "filters", "heartbeat_ms"}),
    "relgraph.v1.ReadSchemaRequest": _ASKED,
    "relgraph.v1.DiffSchemaRequest": _ASKED | {"text"},
    "relgraph.v1.Precondition": frozenset({"requirement", "filter"}),
    "relgraph.v1.WriteRequest": _WRITTEN | _ONCE | {"updates", "preconditions"},
    "relgraph.v1.DeleteRequest": _WRITTEN | _ONCE | {"filter", "limit", "partial", "preconditions"},
    "relgraph.v1.WriteSchemaRequest": _WRITTEN | {"text"},
    "relgraph.v1.ImportRequest": frozenset({"options", "tuples", "tuples_total"}),
    "relgraph.v1.ImportOptions": _WRITTEN | _ONCE | {"on_duplicate", "allow_universal", "allow_wildcards"},
}
"""Full message name to the names of its served fields."""

_WITHOUT: Final = {
    ("relgraph.v1.ExpandRequest", "context"): "an expansion is nobody's: no value would decide anything; leave it unset"
}
"""Fields that no version will serve, and why."""

_NONE: Final[frozenset[str]] = frozenset()


CONTEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "relgraph.v1.Update": ("tuple", "context"),
    "relgraph.v1.RelationTuple": ("context",),
}
"""Types of messages that lists of relgraph.v1 hold, and where each of them holds a context."""

STRANGE_BYTES_MAX: Final = 4 << 10
"""Fields that are not known are looked at one by one only while they take so little."""


def check_items(message: Message, items_max: int, contexts: Mapping[str, tuple[str, ...]] = CONTEXTS) -> None:
    """Raise LimitExceeded when the lists of a message hold more: a few bytes an item would cost a thousand times that.

    What a context holds counts as well, at any depth, where `contexts` says that there is one; any other list within an
    item of a list is not looked for, since no request has one that is served.
    """
    items = _items(message, items_max, contexts)
    if items > items_max:
        raise LimitExceeded(
            f"the lists of the request hold {items} items, and at most {items_max} are taken in one message; send "
            "fewer at once, or raise the server's `request_items_max`",
            {"limit": "request_items_max", "value": str(items_max)},
        )


def _items(message: Message, items_max: int, contexts: Mapping[str, tuple[str, ...]]) -> int:
    """Count items; no further once there are too many."""
    count = 0
    for field, value in message.ListFields():
        if isinstance(value, Message):
            count += _values(value, items_max) if isinstance(value, Struct) else _items(value, items_max, contexts)
        elif not isinstance(value, str | bytes | int | float):
            count += len(value)
            if count <= items_max and field.message_type is not None:
                count += sum(
                    _values(each, items_max) for each in _contexts(contexts.get(field.message_type.full_name), value)
                )
    return count


def _contexts(path: tuple[str, ...] | None, messages: Sequence[Message]) -> Iterator[Struct]:
    """The contexts that the messages of a list hold, one each, at `path`; none without a path."""
    for message in messages if path is not None else ():
        holder: Message | None = message
        for name in path or ():
            holder = getattr(holder, name) if holder is not None and holder.HasField(name) else None
        if isinstance(holder, Struct):
            yield holder


def _values(context: Struct, values_max: int) -> int:
    """Count the values of a context at any depth; no further once there are too many."""
    count, todo = 0, [list(context.fields.values())]
    while todo and count <= values_max:
        values = todo.pop()
        count += len(values)
        for each in values if count <= values_max else ():
            if each.HasField("list_value"):
                todo.append(list(each.list_value.values))
            elif each.HasField("struct_value"):
                todo.append(list(each.struct_value.fields.values()))
    return count


def refuse_unserved(message: Message) -> None:
    """Raise Unsupported for the first field, at any depth, that is set and not served, or not known at all."""
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    strange = message.ByteSize() - known.ByteSize()
    if strange > STRANGE_BYTES_MAX:
        raise Unsupported(
            f"`{message.DESCRIPTOR.name}` carries {strange} bytes of fields that this version does not know, and "
            "nothing is ignored; use a server as new as the client, or leave them unset"
        )
    _refuse(message, "", strange=strange > 0)


def _refuse(message: Message, path: str, *, strange: bool) -> None:
    """Look at a message at `path`, which ends in a dot; for fields not known too where there are `strange` ones."""
    served = SERVED.get(message.DESCRIPTOR.full_name, _NONE)
    for field, value in message.ListFields():
        if field.name not in served:
            why = _WITHOUT.get((message.DESCRIPTOR.full_name, field.name))
            raise Unsupported(
                f"the field `{path}{field.name}` is set, and "
                + (why or "this version does not serve it yet; leave it unset, or use a version that serves it"),
                {"field": path + field.name},
            )
        if field.message_type is None:
            continue
        if isinstance(value, Struct):
            # Whatever it says is a value.
            if strange:
                _refuse_strange(value, f"{path}{field.name}")
        elif isinstance(value, Message):
            _refuse(value, f"{path}{field.name}.", strange=strange)
        else:
            for index, child in enumerate(value):
                _refuse(child, f"{path}{field.name}[{index}].", strange=strange)
    if strange and len(unknown := UnknownFieldSet(message)):
        number = str(unknown[0].field_number)
        raise Unsupported(
            f"`{path or message.DESCRIPTOR.name}` carries field number {number}, which this version does not know, "
            "and nothing is ignored; use a server as new as the client, or leave the field unset",
            {"field": path.rstrip("."), "field_number": number},
        )


def _refuse_strange(context: Struct, path: str) -> None:
    """Raise Unsupported for a context that carries fields which are not known, at any depth."""
    known = Struct()
    known.CopyFrom(context)
    known.DiscardUnknownFields()
    if known.ByteSize() < context.ByteSize():
        raise Unsupported(
            f"`{path}` carries fields that this version does not know, and nothing is ignored; leave them unset",
            {"field": path},
        )
