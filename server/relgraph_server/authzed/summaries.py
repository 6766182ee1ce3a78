"""What the audit log tells of a request of this dialect that writes: bounded in size, whatever was sent."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from authzed.api.v1 import permission_service_pb2 as pb
from authzed.api.v1 import schema_service_pb2 as schemas

from relgraph_server.summaries import TEXT_MAX, UPDATES_MAX, cut

if TYPE_CHECKING:
    from authzed.api.v1 import core_pb2
    from google.protobuf.message import Message

__all__ = ["summary_of"]

_OPERATIONS: Final = {1: "create", 2: "touch", 3: "delete"}


def summary_of(message: Message) -> dict[str, object]:
    """Return what is asked for; the first of many updates, with their number. Raises nothing, whatever was sent."""
    if isinstance(message, pb.WriteRelationshipsRequest):
        return {
            "updates": [
                [_OPERATIONS.get(each.operation, str(each.operation)), _text(each.relationship)]
                for each in message.updates[:UPDATES_MAX]
            ],
            "updates_total": len(message.updates),
        }
    if isinstance(message, pb.DeleteRelationshipsRequest):
        wanted = message.relationship_filter
        parts = {
            "resource_type": wanted.resource_type,
            "resource_id": wanted.optional_resource_id,
            "resource_id_prefix": wanted.optional_resource_id_prefix,
            "relation": wanted.optional_relation,
            "subject_type": wanted.optional_subject_filter.subject_type,
            "subject_id": wanted.optional_subject_filter.optional_subject_id,
            "subject_relation": wanted.optional_subject_filter.optional_relation.relation,
        }
        return {"filter": {name: cut(text, TEXT_MAX) for name, text in parts.items() if text}}
    if isinstance(message, schemas.WriteSchemaRequest):
        data = message.schema.encode("utf-8", "surrogatepass")
        return {"schema_size": len(data), "schema_sha256": hashlib.sha256(data).hexdigest()}
    return {}


def _text(fact: core_pb2.Relationship) -> str:
    """Return a tuple as it was sent, with the name of its caveat and nothing of what that is given."""
    subject, relation = fact.subject, fact.subject.optional_relation
    text = (
        f"{fact.resource.object_type}:{fact.resource.object_id}#{fact.relation}"
        f"@{subject.object.object_type}:{subject.object.object_id}{f'#{relation}' if relation else ''}"
    )
    if fact.HasField("optional_caveat"):
        text += f"[{fact.optional_caveat.caveat_name}]"
    if fact.HasField("optional_expires_at"):
        text += f"[expires {fact.optional_expires_at.seconds}]"
    return cut(text, TEXT_MAX)
