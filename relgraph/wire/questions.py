"""Questions and writes as messages: what a client builds and the server reads.

A text that cannot be read is an InvalidInput whose `details["field"]` is the path of its field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeVar

from relgraph.errors import InvalidInput, InvalidToken, InvalidTuple
from relgraph.instants import moment
from relgraph.revision import Consistency
from relgraph.tuples import Object, Precondition, RelationTuple, Subject, TupleFilter, check_relation, check_type
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.wire.parts import (
    given,
    known,
    moment_message,
    plain_text,
    read_moment,
    read_text,
    read_tuple,
    tuple_message,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from relgraph.errors import RelgraphError

__all__ = [
    "Acting",
    "Asked",
    "Kept",
    "OnDuplicate",
    "Operation",
    "WaysWanted",
    "actor_text",
    "at_message",
    "consistency_message",
    "filter_message",
    "import_options_message",
    "not_after_message",
    "place_in_updates",
    "precondition_messages",
    "question_messages",
    "read_actor",
    "read_consistency",
    "read_filter",
    "read_not_after",
    "read_objects",
    "read_on_duplicate",
    "read_preconditions",
    "read_questions",
    "read_types",
    "read_updates",
    "read_ways",
    "survey_message",
    "update_messages",
    "ways_value",
]

_Survey = TypeVar("_Survey", pb.ListOrphansRequest, pb.ListCyclesRequest)

OnDuplicate = Literal["error", "touch", "skip"]
Operation = Literal["touch", "create", "delete"]
WaysWanted = Literal["none", "one", "all"]

_WAYS: Final[dict[WaysWanted, pb.Ways.ValueType]] = {
    "none": pb.WAYS_NONE,
    "one": pb.WAYS_ONE,
    "all": pb.WAYS_ALL,
}
_ON_DUPLICATE: Final[dict[OnDuplicate, pb.ImportOptions.OnDuplicate.ValueType]] = {
    "error": pb.ImportOptions.ON_DUPLICATE_ERROR,
    "touch": pb.ImportOptions.ON_DUPLICATE_TOUCH,
    "skip": pb.ImportOptions.ON_DUPLICATE_SKIP,
}
_OPERATION: Final[dict[Operation, pb.Update.Operation.ValueType]] = {
    "touch": pb.Update.OPERATION_TOUCH,
    "create": pb.Update.OPERATION_CREATE,
    "delete": pb.Update.OPERATION_DELETE,
}

_WAYS_READ: Final[dict[int, WaysWanted]] = {
    int(pb.WAYS_UNSPECIFIED): "none",
    **{int(value): ways for ways, value in _WAYS.items()},
}
_ON_DUPLICATE_READ: Final[dict[int, OnDuplicate]] = {
    int(pb.ImportOptions.ON_DUPLICATE_UNSPECIFIED): "error",
    **{int(value): mode for mode, value in _ON_DUPLICATE.items()},
}
_REQUIREMENT: Final[dict[bool, pb.Precondition.Requirement.ValueType]] = {
    True: pb.Precondition.REQUIREMENT_MUST_EXIST,
    False: pb.Precondition.REQUIREMENT_MUST_NOT_EXIST,
}
_REQUIREMENT_READ: Final[dict[int, bool]] = {int(value): exists for exists, value in _REQUIREMENT.items()}
_OPERATION_READ: Final[dict[int, Operation]] = {int(value): name for name, value in _OPERATION.items()}


def read_objects(texts: Iterable[str], field: str) -> list[Object]:
    """Read a repeated field of objects. Raises InvalidInput."""
    return [read_text(Object.parse, text, f"{field}[{index}]") for index, text in enumerate(texts)]


def question_messages(asked: Iterable[tuple[Subject, str, Object]]) -> list[pb.Question]:
    """Build the questions of many checks."""
    return [pb.Question(subject=str(who), permission=name, resource=str(what)) for who, name, what in asked]


def read_questions(messages: Iterable[pb.Question]) -> list[tuple[Subject, str, Object]]:
    """Read the questions of many checks. Raises InvalidInput."""
    return [
        (
            read_text(Subject.parse, each.subject, f"questions[{index}].subject"),
            read_text(check_relation, each.permission, f"questions[{index}].permission"),
            read_text(Object.parse, each.resource, f"questions[{index}].resource"),
        )
        for index, each in enumerate(messages)
    ]


def read_types(names: Iterable[str], field: str) -> list[str]:
    """Read a repeated field of type names. Raises InvalidName."""
    return [read_text(check_type, name, f"{field}[{index}]") for index, name in enumerate(names)]


class Asked(Protocol):
    """What every question carries: in which world it is asked."""

    @property
    def consistency(self) -> pb.Consistency:
        """Which revision to use."""

    @property
    def at(self) -> Timestamp:
        """At what time instead."""

    def HasField(self, field_name: Literal["at", "consistency"], /) -> bool:  # noqa: N802 - protobuf's name
        """Say whether the field is there."""


class Acting(Protocol):
    """What every write carries that can be made on somebody's behalf."""

    @property
    def actor(self) -> str:
        """On whose."""

    def HasField(self, field_name: Literal["actor"], /) -> bool:  # noqa: N802 - protobuf's name
        """Say whether the field is there."""


class Kept(Protocol):
    """What every write carries whose request id is kept."""

    @property
    def not_after(self) -> Timestamp:
        """Until when."""

    def HasField(self, field_name: Literal["not_after"], /) -> bool:  # noqa: N802 - protobuf's name
        """Say whether the field is there."""


def at_message(consistency: Consistency | None) -> Timestamp | None:
    """Build the time that a question is asked at; None unless it is asked at a time."""
    instant = None if consistency is None else consistency.instant
    return None if instant is None else moment_message(moment(instant))


def survey_message(
    kind: type[_Survey], candidates: Iterable[str | Object], types: Iterable[str], consistency: Consistency | None
) -> _Survey:
    """Build a question about all objects there are."""
    return kind(
        candidates=[str(Object.of(candidate)) for candidate in candidates],
        types=[plain_text(name, "types") for name in types],
        consistency=consistency_message(consistency),
        at=at_message(consistency),
    )


def consistency_message(consistency: Consistency | None) -> pb.Consistency | None:
    """Build the message; None (the default), and a time, which `at_message` builds, are left out of the request."""
    if consistency is None:
        return None
    match consistency.mode:
        case "at_time":
            return None
        case "at_least":
            return pb.Consistency(at_least=str(consistency.token))
        case "at_exactly":
            return pb.Consistency(at_exactly=str(consistency.token))
        case "minimize_latency":
            return pb.Consistency(minimize_latency=True)
        case "fully_consistent":
            return pb.Consistency(fully_consistent=True)


def read_consistency(request: Asked) -> Consistency | None:
    """Read in which world a question is asked; None where it does not say. Raises InvalidToken or InvalidInput."""
    if not request.HasField("at"):
        return _read_choice(request.consistency) if request.HasField("consistency") else None
    if request.HasField("consistency"):
        raise InvalidInput(
            "the request has both a `consistency` and a time in `at`, which chooses a revision too; set only one",
            {"field": "at"},
        )
    return Consistency.at_time(read_moment(request.at, "at"))


def _read_choice(message: pb.Consistency) -> Consistency:
    choice = message.WhichOneof("requirement")
    match choice:
        case None:
            return Consistency.fully_consistent()
        case "at_least" | "at_exactly":
            make = Consistency.at_least if choice == "at_least" else Consistency.at_exactly
            text: str = getattr(message, choice)
            if not text:
                raise InvalidToken(
                    f"consistency `{choice}` has an empty token; pass one, or leave the field out",
                    {"field": f"consistency.{choice}"},
                )
            return read_text(make, text, f"consistency.{choice}")
        case "fully_consistent" | "minimize_latency":
            if not getattr(message, choice):
                raise InvalidInput(
                    f"consistency `{choice}` is false, which asks for nothing; set it to true, or leave it out",
                    {"field": f"consistency.{choice}"},
                )
            return Consistency(choice)


def update_messages(operation: Operation, facts: Iterable[str | RelationTuple]) -> list[pb.Update]:
    """Build the updates of one kind. Raises InvalidTuple for a text that is not a tuple."""
    value = _OPERATION[operation]
    return [pb.Update(operation=value, tuple=tuple_message(RelationTuple.of(fact))) for fact in facts]


def place_in_updates(error: RelgraphError, updates: Sequence[pb.Update]) -> None:
    """Note in an error about one tuple which of the updates, all of them read before, it was about.

    Of a tuple named twice, the second.
    """
    for index, update in enumerate(updates):
        field = f"updates[{index}].tuple"
        if error.details.get("tuple") == str(read_tuple(update.tuple, field)):
            error.details["field"] = field


def read_updates(messages: Sequence[pb.Update]) -> dict[Operation, list[RelationTuple]]:
    """Read updates, sorted by what they do. Raises InvalidInput, or Unsupported for an operation not known."""
    facts: dict[Operation, list[RelationTuple]] = {"touch": [], "create": [], "delete": []}
    for index, message in enumerate(messages):
        if message.operation == pb.Update.OPERATION_UNSPECIFIED:
            raise InvalidInput(
                f"`updates[{index}]` names no operation; make it a touch, a create or a delete",
                {"field": f"updates[{index}].operation"},
            )
        if not message.HasField("tuple"):
            raise InvalidTuple(
                f"`updates[{index}]` has no tuple; give it a resource, a relation and a subject",
                {"field": f"updates[{index}].tuple"},
            )
        operation = known(_OPERATION_READ, message.operation, f"updates[{index}].operation")
        facts[operation].append(read_tuple(message.tuple, f"updates[{index}].tuple"))
    return facts


_FILTER_FIELDS: Final = (
    "resource_type",
    "resource_id",
    "relation",
    "subject_type",
    "subject_id",
    "subject_relation",
    "resource_id_prefix",
)


def filter_message(wanted: TupleFilter) -> pb.TupleFilter:
    """Build the message of a filter; what is None stays absent."""
    return pb.TupleFilter(
        resource_type=wanted.resource_type,
        resource_id=wanted.resource_id,
        relation=wanted.relation,
        subject_type=wanted.subject_type,
        subject_id=wanted.subject_id,
        subject_relation=wanted.subject_relation,
        resource_id_prefix=wanted.resource_id_prefix,
    )


def read_filter(message: pb.TupleFilter, field: str = "filter") -> TupleFilter:
    """Read a filter; `field` is its path, for the error. Raises InvalidFilter, InvalidName or InvalidId."""
    given: dict[str, str] = {name: getattr(message, name) for name in _FILTER_FIELDS if message.HasField(name)}
    try:
        return TupleFilter(**given)
    except InvalidInput as error:
        error.details.setdefault("field", field)
        raise


def precondition_messages(preconditions: Iterable[Precondition]) -> list[pb.Precondition]:
    """Build the preconditions of a write."""
    return [
        pb.Precondition(requirement=_REQUIREMENT[each.exists], filter=filter_message(each.filter))
        for each in preconditions
    ]


def read_preconditions(messages: Iterable[pb.Precondition]) -> list[Precondition]:
    """Read the preconditions of a write. Raises InvalidInput, or Unsupported for a requirement not known."""
    found = []
    for index, each in enumerate(messages):
        field = f"preconditions[{index}]"
        if each.requirement == pb.Precondition.REQUIREMENT_UNSPECIFIED:
            raise InvalidInput(
                f"`{field}` has no requirement; say whether a tuple must exist or must not",
                {"field": f"{field}.requirement"},
            )
        exists = known(_REQUIREMENT_READ, each.requirement, f"{field}.requirement")
        found.append(Precondition(read_filter(each.filter, f"{field}.filter"), exists))
    return found


def actor_text(actor: str | Object | None) -> str | None:
    """Build on whose behalf a write is made; None leaves it out. Raises InvalidInput for what cannot act."""
    return None if actor is None else str(Object.parse(str(actor)))


def read_actor(request: Acting) -> Object | None:
    """Read on whose behalf a write is made; None where nobody is named. Raises InvalidInput, for an empty one too."""
    return read_text(Object.parse, request.actor, "actor") if request.HasField("actor") else None


def not_after_message(not_after: datetime | None) -> Timestamp | None:
    """Build a request's last moment; None without one. Raises InvalidInput for one without a time zone."""
    return None if not_after is None else moment_message(not_after)


def read_not_after(request: Kept) -> datetime | None:
    """Read a request's last moment; None without one. Raises InvalidInput."""
    return read_moment(request.not_after, "not_after") if request.HasField("not_after") else None


def ways_value(ways: WaysWanted) -> pb.Ways.ValueType:
    """Return the enum value. Raises InvalidInput for any other word."""
    return given(_WAYS, ways, "ways")


def read_ways(value: int) -> WaysWanted:
    """Read how many ways are wanted. Raises Unsupported for a value not known."""
    return known(_WAYS_READ, value, "ways")


def import_options_message(
    on_duplicate: OnDuplicate,
    *,
    allow_universal: bool,
    allow_wildcards: bool,
    actor: str | Object | None,
    reason: str,
    request_id: str,
    not_after: datetime | None,
) -> pb.ImportOptions:
    """Build an import's options. Raises InvalidInput."""
    return pb.ImportOptions(
        on_duplicate=given(_ON_DUPLICATE, on_duplicate, "on_duplicate"),
        allow_universal=allow_universal,
        allow_wildcards=allow_wildcards,
        actor=actor_text(actor),
        reason=plain_text(reason, "reason"),
        request_id=plain_text(request_id, "request_id"),
        not_after=not_after_message(not_after),
    )


def read_on_duplicate(value: int) -> OnDuplicate:
    """Read what an import does with a tuple that is already there. Raises Unsupported for a value not known."""
    return known(_ON_DUPLICATE_READ, value, "options.on_duplicate")
