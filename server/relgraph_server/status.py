"""Errors as gRPC statuses: one table from error class to canonical code, and the details that go with it.

Every status carries google.rpc.ErrorInfo {reason = the error's code, domain, metadata = its details}, and a BadRequest
where the field is known. Trailers are kept well below 8 KiB: beyond it a client sees RESOURCE_EXHAUSTED instead.
"""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # carries no py.typed

from relgraph import errors
from relgraph.wire.failures import DOMAIN

__all__ = ["STATUS_OF", "code_of", "cut_metadata", "cut_text", "status_of"]

MESSAGE_BYTES_MAX: Final = 1_000
DESCRIPTION_BYTES_MAX: Final = 250
DETAILS_BYTES_MAX: Final = 2_000
DETAILS_MAX: Final = 20

STATUS_OF: Final[dict[type[errors.RelgraphError], grpc.StatusCode]] = {
    errors.RelgraphError: grpc.StatusCode.INTERNAL,
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidName: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidId: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidTuple: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidFilter: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidToken: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidCursor: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidCaveat: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidContext: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidFile: grpc.StatusCode.INVALID_ARGUMENT,
    errors.SchemaParseError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.DuplicateUpdate: grpc.StatusCode.INVALID_ARGUMENT,
    errors.TooManyUpdates: grpc.StatusCode.INVALID_ARGUMENT,
    errors.InvalidSetting: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Refused: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UnknownDefinition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UnknownRelation: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NoSchema: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SchemaTypeError: grpc.StatusCode.INVALID_ARGUMENT,  # the text alone is wrong, whatever is stored
    errors.SchemaOrphans: grpc.StatusCode.FAILED_PRECONDITION,
    errors.TupleNotAllowed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.CannotUpdatePermission: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RequestIdReused: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RequestExpired: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PreconditionFailed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NotPermitted: grpc.StatusCode.PERMISSION_DENIED,
    errors.TooManyMatches: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UniversalMatches: grpc.StatusCode.FAILED_PRECONDITION,
    errors.CounterExists: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UnknownCounter: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Undecided: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Conditional: grpc.StatusCode.FAILED_PRECONDITION,
    errors.CaveatFailed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.RevisionUnavailable: grpc.StatusCode.OUT_OF_RANGE,
    errors.LimitExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Lagged: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Unsupported: grpc.StatusCode.UNIMPLEMENTED,
    errors.StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.StoreFormat: grpc.StatusCode.FAILED_PRECONDITION,  # trying again cannot help
    errors.StoreReadOnly: grpc.StatusCode.UNAVAILABLE,
    errors.OutcomeUnknown: grpc.StatusCode.UNKNOWN,  # on UNAVAILABLE clients send a request again by themselves
    errors.NotReady: grpc.StatusCode.UNAVAILABLE,
    errors.ServerUnavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.KeyRefused: grpc.StatusCode.PERMISSION_DENIED,
    errors.Forked: grpc.StatusCode.INTERNAL,
}


def code_of(error: errors.RelgraphError) -> grpc.StatusCode:
    """Return the canonical code of an error: its class's row, or the nearest base's."""
    for cls in type(error).__mro__:
        if issubclass(cls, errors.RelgraphError) and cls in STATUS_OF:
            return STATUS_OF[cls]
    raise AssertionError(type(error))  # the tree's root has a row


def cut_text(text: str, bytes_max: int) -> str:
    """Return `text`, cut to a size in UTF-8 bytes; a cut shows as an ellipsis."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= bytes_max:
        return data.decode("utf-8")
    return data[: bytes_max - 3].decode("utf-8", "ignore") + "…"


def cut_metadata(details: dict[str, str]) -> dict[str, str]:
    """Return as many details as fit, the later ones dropped first and the last one that fits in part cut."""
    kept: dict[str, str] = {}
    room = DETAILS_BYTES_MAX
    for name, value in list(details.items())[:DETAILS_MAX]:
        room -= len(name)
        if room < len("…".encode()):
            break
        kept[name] = cut_text(value, room)
        room -= len(kept[name].encode())
    return kept


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> any_pb2.Any:
    box = any_pb2.Any()
    box.Pack(message)
    return box


def status_of(error: errors.RelgraphError, trace_id: str = "") -> status_pb2.Status:
    """Return the whole status of an error: code, message, ErrorInfo, and BadRequest where `field` is in its details.

    The call's trace, if it is part of one, stands before the other details, which may be cut.
    """
    details = {"trace_id": trace_id, **error.details} if trace_id else dict(error.details)
    field = details.pop("field", "")
    if not field and "contextual" in details:
        field = f"contextual_tuples[{details['contextual']}]"
    boxes = [_packed(error_details_pb2.ErrorInfo(reason=error.code, domain=DOMAIN, metadata=cut_metadata(details)))]
    if field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=cut_text(field, DESCRIPTION_BYTES_MAX), description=cut_text(error.message, DESCRIPTION_BYTES_MAX)
        )
        boxes.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    number: int = code_of(error).value[0]
    return status_pb2.Status(code=number, message=cut_text(error.message, MESSAGE_BYTES_MAX), details=boxes)
