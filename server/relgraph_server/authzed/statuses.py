"""Errors as SpiceDB's statuses: one table from error class to gRPC code and ErrorReason, and what is said here only.

Every status carries google.rpc.ErrorInfo {reason = ERROR_REASON_…, domain "authzed.com", metadata}. The metadata has
SpiceDB's names where it has some, the error's own details beside them, and relgraph's code as `relgraph_code`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

import grpc
from authzed.api.v1 import error_reason_pb2
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # carries no py.typed

from relgraph import errors
from relgraph_server.status import cut_metadata, cut_text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DOMAIN", "REASONS", "STATUS_OF", "Row", "Said", "code_of", "error_status", "reason_of", "refusal"]

DOMAIN: Final = "authzed.com"
_SAID: Final = "authzed"
_PREFIX: Final = "ERROR_REASON_"
_MESSAGE_BYTES_MAX: Final = 1_000

REASONS: Final = frozenset(name.removeprefix(_PREFIX) for name in error_reason_pb2.ErrorReason.keys())  # noqa: SIM118 - an enum's wrapper is no mapping
"""SpiceDB's reasons, without their common beginning."""

_Code = grpc.StatusCode
_INVALID: Final = _Code.INVALID_ARGUMENT
_FAILED: Final = _Code.FAILED_PRECONDITION


class Row(NamedTuple):
    """How an error is told: code, reason, and what SpiceDB calls some of its details."""

    code: grpc.StatusCode
    reason: str = "UNSPECIFIED"
    names: Mapping[str, str] = {}


_RELATION: Final = {"definition": "definition_name", "relation": "relation_or_permission_name"}
_WRITTEN: Final = {"definition": "definition_name", "relation": "relation_name", "kind": "subject_type"}
_PARAMETER: Final = {"parameter": "parameter_name", "caveat": "caveat_name"}
_PLACE: Final = {"line": "source_start_line_number", "column": "source_start_column_position"}

STATUS_OF: Final[dict[type[errors.RelgraphError], Row]] = {
    errors.RelgraphError: Row(_Code.INTERNAL),
    errors.InvalidInput: Row(_INVALID),
    errors.InvalidName: Row(_INVALID),
    errors.InvalidId: Row(_INVALID),
    errors.InvalidTuple: Row(_INVALID),
    errors.InvalidFilter: Row(_INVALID, "INVALID_FILTER"),
    errors.InvalidToken: Row(_INVALID),
    errors.InvalidCursor: Row(_INVALID, "INVALID_CURSOR"),
    errors.InvalidCaveat: Row(_INVALID, "SCHEMA_PARSE_ERROR"),
    errors.InvalidContext: Row(_INVALID, "CAVEAT_PARAMETER_TYPE_ERROR", _PARAMETER),
    errors.InvalidFile: Row(_INVALID),
    errors.SchemaParseError: Row(_INVALID, "SCHEMA_PARSE_ERROR", _PLACE),
    errors.DuplicateUpdate: Row(_INVALID, "UPDATES_ON_SAME_RELATIONSHIP", {"tuple": "relationship"}),
    errors.TooManyUpdates: Row(_INVALID, "TOO_MANY_UPDATES_IN_REQUEST", {"value": "maximum_updates_allowed"}),
    errors.InvalidSetting: Row(_INVALID),
    errors.Refused: Row(_FAILED),
    errors.UnknownDefinition: Row(_FAILED, "UNKNOWN_DEFINITION", {"definition": "definition_name"}),
    errors.UnknownRelation: Row(_FAILED, "UNKNOWN_RELATION_OR_PERMISSION", _RELATION),
    # Without a schema there is no definition at all; who reads the schema itself is told otherwise.
    errors.NoSchema: Row(_FAILED, "UNKNOWN_DEFINITION"),
    errors.SchemaTypeError: Row(_FAILED, "SCHEMA_TYPE_ERROR", {"definition": "definition_name"}),
    errors.SchemaOrphans: Row(_INVALID, "SCHEMA_TYPE_ERROR", {"tuple": "relationship"}),
    errors.TupleNotAllowed: Row(_INVALID, "INVALID_SUBJECT_TYPE", _WRITTEN),
    errors.CannotUpdatePermission: Row(
        _INVALID, "CANNOT_UPDATE_PERMISSION", {"definition": "definition_name", "relation": "permission_name"}
    ),
    errors.RequestIdReused: Row(_FAILED),
    errors.RequestExpired: Row(_FAILED),
    errors.PreconditionFailed: Row(_FAILED, "WRITE_OR_DELETE_PRECONDITION_FAILURE"),
    errors.NotPermitted: Row(_Code.PERMISSION_DENIED),
    errors.TooManyMatches: Row(_INVALID, "TOO_MANY_RELATIONSHIPS_FOR_TRANSACTIONAL_DELETE"),
    errors.UniversalMatches: Row(_FAILED),
    errors.CounterExists: Row(_FAILED, "COUNTER_ALREADY_REGISTERED", {"counter": "counter_name"}),
    errors.UnknownCounter: Row(_FAILED, "COUNTER_NOT_REGISTERED", {"counter": "counter_name"}),
    # SpiceDB walks such circles until it is too deep, so its clients know this reason.
    errors.Undecided: Row(_FAILED, "MAXIMUM_DEPTH_EXCEEDED"),
    errors.Conditional: Row(_FAILED),
    errors.CaveatFailed: Row(_INVALID, "CAVEAT_EVALUATION_ERROR", {"caveat": "caveat_name"}),
    errors.AlreadyExists: Row(_Code.ALREADY_EXISTS, "ATTEMPT_TO_RECREATE_RELATIONSHIP", {"tuple": "relationship"}),
    errors.RevisionUnavailable: Row(_Code.OUT_OF_RANGE),
    errors.LimitExceeded: Row(_Code.RESOURCE_EXHAUSTED),
    errors.Lagged: Row(_Code.RESOURCE_EXHAUSTED),
    errors.DeadlineExceeded: Row(_Code.DEADLINE_EXCEEDED),
    errors.Unsupported: Row(_Code.UNIMPLEMENTED),
    errors.StoreUnavailable: Row(_Code.UNAVAILABLE),
    errors.StoreFormat: Row(_FAILED),
    errors.StoreReadOnly: Row(_Code.UNAVAILABLE, "SERVICE_READ_ONLY"),
    errors.OutcomeUnknown: Row(_Code.UNKNOWN),  # on UNAVAILABLE clients send a request again by themselves
    errors.NotReady: Row(_Code.UNAVAILABLE),
    errors.ServerUnavailable: Row(_Code.UNAVAILABLE),
    errors.Unauthenticated: Row(_Code.UNAUTHENTICATED),
    errors.KeyRefused: Row(_Code.PERMISSION_DENIED),
    errors.Forked: Row(_Code.INTERNAL),
}


class Said(Enum):
    """What this dialect itself refuses, where the error's class alone would not tell SpiceDB's reason."""

    CAVEAT_PARAMETER = Row(_INVALID, "CAVEAT_PARAMETER_TYPE_ERROR")
    CONTEXT_TOO_LARGE = Row(_INVALID, "MAX_RELATIONSHIP_CONTEXT_SIZE")
    CURSOR = Row(_INVALID, "INVALID_CURSOR")
    FILTER = Row(_INVALID, "INVALID_FILTER")
    INEXPRESSIBLE = Row(_FAILED, "UNSPECIFIED")
    LIMIT = Row(_INVALID, "EXCEEDS_MAXIMUM_ALLOWABLE_LIMIT")
    MALFORMED = Row(_INVALID, "UNSPECIFIED")
    METADATA_TOO_LARGE = Row(_INVALID, "TRANSACTION_METADATA_TOO_LARGE")
    NO_SCHEMA_TO_READ = Row(_Code.NOT_FOUND, "UNSPECIFIED")
    NOT_A_PERMISSION = Row(_INVALID, "UNKNOWN_RELATION_OR_PERMISSION")
    NOT_FILTERED_BY = Row(_FAILED, "SCHEMA_TYPE_ERROR", _RELATION)
    PRECONDITIONS = Row(_INVALID, "TOO_MANY_PRECONDITIONS_IN_REQUEST")
    TYPE_ERROR = Row(_FAILED, "SCHEMA_TYPE_ERROR")
    UNKNOWN_CAVEAT = Row(_FAILED, "UNKNOWN_CAVEAT")
    UPDATES = Row(_INVALID, "TOO_MANY_UPDATES_IN_REQUEST")
    WILDCARD = Row(_INVALID, "WILDCARD_NOT_ALLOWED")


_SAYINGS: Final = {name: each.value for name, each in Said.__members__.items()}


def refusal(said: Said, message: str, metadata: Mapping[str, str] | None = None) -> errors.RelgraphError:
    """Return an error that is told as `said`, with SpiceDB's names in its metadata."""
    cls = errors.InvalidInput if said.value.code is _INVALID else errors.Refused
    return cls(message, {_SAID: said.name, **(metadata or {})})


_BY_DETAIL: Final[tuple[tuple[type[errors.RelgraphError], str, str, Said], ...]] = (
    (errors.CannotUpdatePermission, "part", "filter", Said.NOT_FILTERED_BY),
    (errors.InvalidContext, "size_max", "", Said.MALFORMED),
    (errors.InvalidContext, "limit", "tuple_context_size_max", Said.CONTEXT_TOO_LARGE),
)
"""Classes that SpiceDB has several reasons for: with which detail, and of which value if any, an error is told how."""


def _row(error: errors.RelgraphError) -> Row:
    said = _SAYINGS.get(error.details.get(_SAID, ""))
    if said is not None:
        return said
    for kind, name, value, by_detail in _BY_DETAIL:
        if isinstance(error, kind) and name in error.details and value in ("", error.details[name]):
            return by_detail.value
    for cls in type(error).__mro__:
        if issubclass(cls, errors.RelgraphError) and cls in STATUS_OF:
            return STATUS_OF[cls]
    raise AssertionError(type(error))  # the tree's root has a row


def code_of(error: errors.RelgraphError) -> grpc.StatusCode:
    """Return the code that an error is told with."""
    return _row(error).code


def reason_of(error: errors.RelgraphError) -> str:
    """Return the reason that an error is told with, as the wire has it."""
    return _PREFIX + _row(error).reason


def error_status(error: errors.RelgraphError, trace_id: str = "") -> status_pb2.Status:
    """Return the whole status of an error, also for one item among many."""
    row = _row(error)
    details = {row.names.get(name, name): value for name, value in error.details.items() if name != _SAID}
    details["relgraph_code"] = error.code
    if trace_id:
        details["trace_id"] = trace_id
    info = error_details_pb2.ErrorInfo(reason=_PREFIX + row.reason, domain=DOMAIN, metadata=cut_metadata(details))
    box = any_pb2.Any()
    box.Pack(info)
    number: int = row.code.value[0]
    return status_pb2.Status(code=number, message=cut_text(error.message, _MESSAGE_BYTES_MAX), details=[box])
