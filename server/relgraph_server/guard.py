"""Which request fields this version serves; every other field is refused when it is set, never ignored.

`SERVED` is the one table. It lists what is served, not what is refused, so that a field added to the messages is
refused until somebody serves it and says so here.

INVARIANT: each method of the service calls `refuse_unserved` on each message before it looks at anything else.
An actor's write that ran as a trusted one would be a hole.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from relgraph.errors import LimitExceeded, Unsupported

__all__ = ["SERVED", "check_items", "refuse_unserved"]

_ASKED: Final = frozenset({"consistency", "at"})
_WRITTEN: Final = frozenset({"actor", "reason"})
_ONCE: Final = frozenset({"request_id", "not_after"})

SERVED: Final[dict[str, frozenset[str]]] = {
    "relgraph.v1.Consistency": frozenset({"fully_consistent", "at_least", "at_exactly", "minimize_latency"}),
    "relgraph.v1.RelationTuple": frozenset({"resource", "relation", "subject", "expires_at"}),
    "google.protobuf.Timestamp": frozenset({"seconds", "nanos"}),
    "relgraph.v1.TupleFilter": frozenset(
        {"resource_type", "resource_id", "relation", "subject_type", "subject_id", "subject_relation"}
    ),
    "relgraph.v1.Update": frozenset({"operation", "tuple"}),
    "relgraph.v1.CheckRequest": _ASKED | {"subject", "permission", "resource"},
    "relgraph.v1.CheckBulkRequest": _ASKED | {"questions", "columns"},
    "relgraph.v1.QuestionColumns": frozenset(
        {"subjects", "permissions", "resources", "subject", "permission", "resource"}
    ),
    "relgraph.v1.Question": frozenset({"subject", "permission", "resource"}),
    "relgraph.v1.BestAccessRequest": _ASKED | {"subject", "resources", "subjects", "resource", "ways"},
    "relgraph.v1.ExpandRequest": _ASKED | {"resource", "permission", "usersets"},
    "relgraph.v1.LookupResourcesRequest": _ASKED | {"subject", "permission", "type", "limit", "cursor"},
    "relgraph.v1.LookupSubjectsRequest": _ASKED | {"resource", "permission", "type", "relation", "limit", "cursor"},
    "relgraph.v1.CountResourcesRequest": _ASKED | {"subject", "permission", "type"},
    "relgraph.v1.CountSubjectsRequest": _ASKED | {"resource", "permission", "type", "relation"},
    "relgraph.v1.AllPermissionsRequest": _ASKED | {"subject", "resource"},
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

_NONE: Final[frozenset[str]] = frozenset()


STRANGE_BYTES_MAX: Final = 4 << 10
"""Fields that are not known are looked at one by one only while they take so little."""


def check_items(message: Message, items_max: int) -> None:
    """Raise LimitExceeded when the lists of a message hold more: a few bytes an item would cost a thousand times that.

    A list within an item of a list is not looked for: no request has one that is served.
    """
    items = _items(message)
    if items > items_max:
        raise LimitExceeded(
            f"the lists of the request hold {items} items, and at most {items_max} are taken in one message; send "
            "fewer at once, or raise the server's `request_items_max`",
            {"limit": "request_items_max", "value": str(items_max)},
        )


def _items(message: Message) -> int:
    count = 0
    for _, value in message.ListFields():
        if isinstance(value, Message):
            count += _items(value)
        elif not isinstance(value, str | bytes | int | float):
            count += len(value)
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
            raise Unsupported(
                f"the field `{path}{field.name}` is set, and this version does not serve it yet; "
                "leave it unset, or use a version that serves it",
                {"field": path + field.name},
            )
        if field.message_type is None:
            continue
        if isinstance(value, Message):
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
