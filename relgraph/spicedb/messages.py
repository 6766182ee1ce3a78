"""Tuples as SpiceDB's messages, both ways.

Rule 1: nothing is made to fit. What the other side cannot say is an error that names the tuple.
"""

from __future__ import annotations

from authzed.api.v1 import core_pb2 as pb

from relgraph.contexts import EMPTY
from relgraph.tuples import Object, RelationTuple, Subject
from relgraph.wire.contexts import context_message, read_context
from relgraph.wire.parts import moment_message, read_moment

__all__ = ["message_of", "tuple_of"]


def tuple_of(message: pb.Relationship) -> RelationTuple:
    """Read one tuple as it stands; whether it can be one is for who writes it. Raises InvalidInput."""
    resource, subject, caveat = message.resource, message.subject, message.optional_caveat
    expires_at = None
    if message.HasField("optional_expires_at"):
        expires_at = read_moment(message.optional_expires_at, "optional_expires_at")
    context = read_context(caveat.context, "optional_caveat.context") if caveat.HasField("context") else EMPTY
    return RelationTuple(
        Object(resource.object_type, resource.object_id),
        message.relation,
        Subject(subject.object.object_type, subject.object.object_id, subject.optional_relation),
        expires_at,
        caveat.caveat_name,
        context,
    )


def message_of(fact: RelationTuple) -> pb.Relationship:
    """Build the message of one tuple."""
    message = pb.Relationship(
        resource=pb.ObjectReference(object_type=fact.resource.type, object_id=fact.resource.id),
        relation=fact.relation,
        subject=pb.SubjectReference(
            object=pb.ObjectReference(object_type=fact.subject.type, object_id=fact.subject.id),
            optional_relation=fact.subject.relation,
        ),
    )
    if fact.caveat:
        message.optional_caveat.CopyFrom(
            pb.ContextualizedCaveat(caveat_name=fact.caveat, context=context_message(fact.context))
        )
    if fact.expires_at is not None:
        message.optional_expires_at.CopyFrom(moment_message(fact.expires_at))
    return message
