"""Failed calls as errors of relgraph: what the server raised is raised again, with the same class, text and details.

The server's side of this is `relgraph_server.status`; both lean on the same tree of errors and the same domain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # carries no py.typed

from relgraph import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DOMAIN", "class_of_code", "error_from"]

DOMAIN: Final = "relgraph.dev"
"""The domain of every ErrorInfo that relgraph sends; reasons of other domains are not ours to read."""

_DETAILS_KEY: Final = "grpc-status-details-bin"

_WITHOUT_DETAILS: Final[dict[grpc.StatusCode, type[errors.RelgraphError]]] = {
    grpc.StatusCode.UNAVAILABLE: errors.ServerUnavailable,
    grpc.StatusCode.CANCELLED: errors.ServerUnavailable,
    grpc.StatusCode.ABORTED: errors.StoreUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceeded,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unsupported,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.LimitExceeded,
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidInput,
    grpc.StatusCode.FAILED_PRECONDITION: errors.Refused,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.OUT_OF_RANGE: errors.RevisionUnavailable,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.KeyRefused,
}


def class_of_code(code: grpc.StatusCode) -> type[errors.RelgraphError]:
    """Return the class of errors that says the same as a status without relgraph's details."""
    return _WITHOUT_DETAILS.get(code, errors.RelgraphError)


def _by_code(cls: type[errors.RelgraphError]) -> dict[str, type[errors.RelgraphError]]:
    """Return the tree of errors below and with `cls`, by code."""
    classes = {cls.code: cls}
    for child in cls.__subclasses__():
        classes.update(_by_code(child))
    return classes


_CLASS_OF: Final = _by_code(errors.RelgraphError)


def _details(problem: grpc.RpcError) -> tuple[error_details_pb2.ErrorInfo | None, dict[str, str]]:
    """Return relgraph's ErrorInfo of a failed call, None when there is none that can be read; and what else is told."""
    found: error_details_pb2.ErrorInfo | None = None
    told: dict[str, str] = {}
    # Pairs, whoever waited for the call: a thread's have names, a task's have not.
    for key, value in cast("Iterable[tuple[str, str | bytes]]", problem.trailing_metadata() or ()):
        if key != _DETAILS_KEY or not isinstance(value, bytes):
            continue
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        try:
            for box in status_pb2.Status.FromString(value).details:
                if box.Unpack(retry):
                    told["retry_after_s"] = str(retry.retry_delay.ToTimedelta().total_seconds())
                elif found is None and box.Unpack(info) and info.domain == DOMAIN:
                    found = info
        except (DecodeError, OverflowError, ValueError):
            return found, {}
    return found, told


def error_from(problem: grpc.RpcError, target: str) -> errors.RelgraphError:
    """Return a failed call as the error it was on the server, or as trouble on the way there."""
    code = problem.code()
    text = problem.details() or ""
    info, told = _details(problem)
    if info is not None:
        # a reason that only a newer server knows still has its canonical code
        cls = _CLASS_OF.get(info.reason) or class_of_code(code)
        return cls(text, dict(info.metadata) | told)
    shown = errors.quoted(target)
    said = errors.quoted(text, 200)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.DeadlineExceeded(f"{shown} did not answer in time; allow more time, or ask for less")
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return errors.ServerUnavailable(
            f"the server at {shown} cannot be reached: {said}; is it running, and is the address right?",
            {"target": target} | told,
        )
    return class_of_code(code)(
        f"the server at {shown} answered {code.name}: {said}; is it a relgraph server of this version?", told
    )
