"""What the audit log tells of a request that writes: bounded in size, whatever was sent."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from relgraph.v1 import authorizer_pb2 as pb

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ["TEXT_MAX", "UPDATES_MAX", "cut", "summary_of"]

UPDATES_MAX: Final = 20
TEXT_MAX: Final = 400
REASON_MAX: Final = 1_000
_OPERATIONS: Final = {
    pb.Update.OPERATION_TOUCH: "touch",
    pb.Update.OPERATION_CREATE: "create",
    pb.Update.OPERATION_DELETE: "delete",
}
_PARTS: Final = (
    "resource_type",
    "resource_id",
    "relation",
    "subject_type",
    "subject_id",
    "subject_relation",
    "resource_id_prefix",
)


def summary_of(message: Message) -> dict[str, object]:
    """Return who asked in whose name, why, and for what; the first of many updates, with their number.

    Raises nothing: the request was not looked at yet, and may be nonsense.
    """
    holder = message.options if isinstance(message, pb.ImportRequest) else message
    told: dict[str, object] = {}
    for name, size_max in (("actor", TEXT_MAX), ("reason", REASON_MAX), ("request_id", TEXT_MAX)):
        text = getattr(holder, name, "")
        if text:
            told[name] = cut(text, size_max)
    if isinstance(message, pb.WriteRequest):
        told["updates"] = [_update(each) for each in message.updates[:UPDATES_MAX]]
        told["updates_total"] = len(message.updates)
    elif isinstance(message, pb.DeleteRequest):
        told["filter"] = {
            name: cut(getattr(message.filter, name), TEXT_MAX) for name in _PARTS if message.filter.HasField(name)
        }
    elif isinstance(message, pb.WriteSchemaRequest):
        data = message.text.encode("utf-8", "surrogatepass")
        told["schema_size"], told["schema_sha256"] = len(data), hashlib.sha256(data).hexdigest()
    return told


def _update(update: pb.Update) -> list[str]:
    one = update.tuple
    text = f"{one.resource}#{one.relation}@{one.subject}"
    if one.caveat:
        # Which caveat was asked for; its context may be anything, and stays out of the log.
        text += f"[{one.caveat}]"
    if one.HasField("expires_at"):
        text += f"[expires {one.expires_at.seconds}]"
    return [_OPERATIONS.get(update.operation, "unspecified"), cut(text, TEXT_MAX)]


def cut(text: str, size_max: int) -> str:
    """Return a text, cut where it is longer."""
    return text if len(text) <= size_max else text[: size_max - 1] + "…"
