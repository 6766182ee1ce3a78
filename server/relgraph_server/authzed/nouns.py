"""Messages of the dialect to nouns and back: objects, subjects, tuples, filters, consistency, context.

Rule 1: what the dialect cannot say is never left out of an answer: `relationship_of` refuses a universal tuple.
Rule 2: without a word on consistency an answer may be a few seconds old, as with SpiceDB and unlike relgraph.v1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from authzed.api.v1 import core_pb2, permission_service_pb2

from relgraph.contexts import EMPTY, Context
from relgraph.errors import InvalidContext, InvalidName, Undecided, UnknownRelation, quoted
from relgraph.revision import Consistency
from relgraph.spicedb.messages import message_of
from relgraph.tuples import WILDCARD, Object, RelationTuple, Subject, TupleFilter, check_caveat
from relgraph.wire.contexts import read_context
from relgraph.wire.parts import read_moment
from relgraph_server.authzed import checked
from relgraph_server.authzed.statuses import Said, refusal
from relgraph_server.authzed.tokens import token_of

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from google.protobuf.struct_pb2 import Struct

    from relgraph.errors import RelgraphError

__all__ = [
    "LIMIT_MAX",
    "consistency_of",
    "context_of",
    "filter_of",
    "inexpressible",
    "limit_of",
    "nameless",
    "object_message",
    "object_of",
    "plain_subject",
    "relationship_of",
    "subject_message",
    "subject_of",
    "tuple_of",
    "undecided_here",
    "unknown_caveat",
    "wildcard_refused",
]

LIMIT_MAX: Final = 1_000
"""What a request may limit its answer to, where nothing else is said."""

_CONTEXT_BYTES_MAX: Final = 4_096
"""Of the context that a question brings."""

_TUPLE_BYTES_MAX: Final = 25_000
"""Of a tuple with a caveat, as a message."""


class _Asking(Protocol):
    """A request that may say how new its answer has to be."""

    @property
    def consistency(self) -> permission_service_pb2.Consistency:
        """How new."""


def object_of(message: core_pb2.ObjectReference, path: str) -> Object:
    """Read one object; `path` is its field's. Raises InvalidInput."""
    type_ = checked.type_name(message.object_type, f"{path}.object_type")
    return Object(type_, checked.resource_id(message.object_id, f"{path}.object_id"))


def subject_of(message: core_pb2.SubjectReference, path: str) -> Subject:
    """Read a subject, which may be a wildcard. Raises InvalidInput."""
    checked.required(message, "object", f"{path}.")
    type_ = checked.type_name(message.object.object_type, f"{path}.object.object_type")
    id_ = checked.subject_id(message.object.object_id, f"{path}.object.object_id")
    relation = message.optional_relation
    if relation:
        checked.relation_name(relation, f"{path}.optional_relation")
        if id_ == WILDCARD:
            raise checked.invalid(f"{path}.optional_relation", checked.WILDCARD_WITH_RELATION)
    return Subject(type_, id_, relation)


def plain_subject(message: core_pb2.SubjectReference, path: str) -> Subject:
    """Read a subject that can be asked about: a wildcard cannot."""
    subject = subject_of(message, path)
    if subject.id == WILDCARD:
        raise wildcard_refused(subject)
    return subject


def wildcard_refused(subject: Subject) -> RelgraphError:
    """Return the error for a question about everybody at once."""
    return refusal(
        Said.WILDCARD,
        f"{quoted(str(subject))} stands for everybody, and somebody has to be asked about; name one subject",
        {"subject_type": subject.type},
    )


def tuple_of(message: core_pb2.Relationship, path: str) -> RelationTuple:
    """Read a tuple. Raises InvalidInput."""
    checked.required(message, "resource", f"{path}.")
    checked.required(message, "subject", f"{path}.")
    resource = object_of(message.resource, f"{path}.resource")
    relation = checked.relation_name(message.relation, f"{path}.relation")
    subject = subject_of(message.subject, f"{path}.subject")
    caveat, context = "", EMPTY
    if message.HasField("optional_caveat"):
        caveat, context = _caveat_of(message, f"{path}.optional_caveat")
    expires_at = None
    if message.HasField("optional_expires_at"):
        expires_at = read_moment(message.optional_expires_at, f"{path}.optional_expires_at")
    return RelationTuple(resource, relation, subject, expires_at, caveat, context)


def _caveat_of(message: core_pb2.Relationship, path: str) -> tuple[str, Context]:
    given = message.optional_caveat
    name = checked.caveat_name(given.caveat_name, f"{path}.caveat_name")
    key = f"{message.resource.object_type}:{message.resource.object_id}#{message.relation}"
    if message.ByteSize() > _TUPLE_BYTES_MAX:
        raise refusal(
            Said.CONTEXT_TOO_LARGE,
            f"the tuple at {quoted(key)} takes {message.ByteSize()} bytes with what it gives to its caveat, and at "
            f"most {_TUPLE_BYTES_MAX} are kept; give it less, and the rest with each question",
            {
                "relationship": key,
                "max_allowed_size": str(_TUPLE_BYTES_MAX),
                "context_size": str(message.ByteSize()),
            },
        )
    try:
        check_caveat(name)
    except InvalidName:
        # SpiceDB's pattern admits more than its language: no schema can have such a caveat.
        raise unknown_caveat(name) from None
    try:
        return name, read_context(given.context, f"{path}.context") if given.HasField("context") else EMPTY
    except InvalidContext as error:
        raise refusal(Said.MALFORMED, error.message, error.details) from None


def unknown_caveat(name: str) -> RelgraphError:
    """Return the error for a caveat that the schema does not have."""
    return refusal(
        Said.UNKNOWN_CAVEAT,
        f"{quoted(name)} is not a caveat of the schema; write a schema that has it, or name one that it has",
        {"caveat_name": name},
    )


def undecided_here(error: Undecided) -> Undecided:
    """Return an undefined answer's error as this dialect tells it."""
    return Undecided(
        f"{error.message}; authzed.api.v1 has no word for that, and relgraph.v1 tells it as UNDECIDED", error.details
    )


def nameless(resource: Object) -> UnknownRelation:
    """Return the error for a question by an empty name, which SpiceDB's patterns admit and no schema has."""
    return UnknownRelation(
        f"{quoted(resource.type)} has no relation or permission without a name; name one",
        {"definition": resource.type, "relation": ""},
    )


def inexpressible(what: str) -> RelgraphError:
    """Return the error for an answer that this dialect has no words for."""
    return refusal(
        Said.INEXPRESSIBLE, f"{what}, which authzed.api.v1 has no words for; ask the same through relgraph.v1"
    )


def object_message(object_: Object) -> core_pb2.ObjectReference:
    """Build the message of an object."""
    return core_pb2.ObjectReference(object_type=object_.type, object_id=object_.id)


def subject_message(subject: Subject) -> core_pb2.SubjectReference:
    """Build the message of a subject."""
    return core_pb2.SubjectReference(
        object=core_pb2.ObjectReference(object_type=subject.type, object_id=subject.id),
        optional_relation=subject.relation,
    )


def relationship_of(fact: RelationTuple) -> core_pb2.Relationship:
    """Build the message of a tuple. Raises Refused for a universal one."""
    if fact.universal:
        raise inexpressible(
            f"among the tuples is {quoted(fact.told)}, which counts for every {quoted(fact.resource.type)} at once"
        )
    return message_of(fact)


def filter_of(message: permission_service_pb2.RelationshipFilter, path: str) -> TupleFilter:
    """Read a filter, which may name nothing. Raises InvalidInput."""
    type_, id_, relation = message.resource_type, message.optional_resource_id, message.optional_relation
    prefix = message.optional_resource_id_prefix
    if type_:
        checked.type_name(type_, f"{path}.resource_type")
    if id_:
        checked.resource_id(id_, f"{path}.optional_resource_id")
    if relation:
        checked.relation_name(relation, f"{path}.optional_relation")
    if prefix:
        checked.resource_id(prefix, f"{path}.optional_resource_id_prefix")
    if id_ and prefix:
        raise refusal(Said.FILTER, f"{path} names an id and the beginning of ids; name one of the two")
    subject_type = subject_id = subject_relation = None
    if message.HasField("optional_subject_filter"):
        wanted, at = message.optional_subject_filter, f"{path}.optional_subject_filter"
        subject_type = checked.type_name(wanted.subject_type, f"{at}.subject_type")
        if wanted.optional_subject_id:
            subject_id = checked.subject_id(wanted.optional_subject_id, f"{at}.optional_subject_id")
        if wanted.HasField("optional_relation"):
            subject_relation = wanted.optional_relation.relation
            if subject_relation:
                checked.relation_name(subject_relation, f"{at}.optional_relation.relation")
                if subject_id == WILDCARD:
                    raise checked.invalid(f"{at}.optional_relation", checked.WILDCARD_WITH_RELATION)
    if id_ and not type_:
        raise refusal(Said.FILTER, f"{path} names an id without its type; name the type as well")
    return TupleFilter(
        resource_type=type_ or None,
        resource_id=id_ or None,
        relation=relation or None,
        subject_type=subject_type,
        subject_id=subject_id,
        subject_relation=subject_relation,
        resource_id_prefix=prefix or None,
    )


def limit_of(limit: int, limit_max: int = LIMIT_MAX) -> int:
    """Return a request's limit, 0 for none. Raises InvalidInput for one that is too large."""
    if limit > limit_max:
        raise refusal(
            Said.LIMIT,
            f"provided limit {limit} is greater than maximum allowed of {limit_max}; ask for less at a time",
            {"limit_provided": str(limit), "maximum_limit_allowed": str(limit_max)},
        )
    return limit


def consistency_of(request: _Asking) -> Consistency:
    """Read how new an answer has to be. Raises InvalidInput, and InvalidToken for what is no ZedToken."""
    asked = request.consistency
    kind = asked.WhichOneof("requirement")
    if kind is None:
        return Consistency.minimize_latency()
    if kind in ("at_least_as_fresh", "at_exact_snapshot"):
        token = token_of(getattr(asked, kind), f"consistency.{kind}")
        return Consistency.at_least(token) if kind == "at_least_as_fresh" else Consistency.at_exactly(token)
    if not getattr(asked, kind):
        raise checked.invalid(f"consistency.{kind}", "value must equal true")
    return Consistency.minimize_latency() if kind == "minimize_latency" else Consistency.fully_consistent()


def context_of(request: Message, path: str = "context") -> Context:
    """Read what a question gives to caveats; `request` has the field `context`. Raises InvalidInput."""
    if not request.HasField("context"):
        return EMPTY
    given: Struct = request.context  # type: ignore[attr-defined]  # every caller's message has it
    if given.ByteSize() > _CONTEXT_BYTES_MAX:
        raise checked.invalid(
            path, f"a context of {given.ByteSize()} bytes is over the limit of {_CONTEXT_BYTES_MAX}; give less"
        )
    try:
        return read_context(given, path)
    except InvalidContext as error:
        raise refusal(Said.MALFORMED, error.message, error.details) from None
