"""A SpiceDB, or whatever serves its interface, as far as moving needs it: schema and tuples, all of them.

Rule 1: gRPC is called from threads that no signal reaches, and the caller waits for them. An interrupt that struck
inside gRPC would leave it waiting for ever for calls that it lost count of.
"""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Final, Self, TypeVar

import grpc
from authzed.api.v1 import core_pb2, permission_service_pb2, schema_service_pb2
from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceStub
from authzed.api.v1.schema_service_pb2_grpc import SchemaServiceStub

from relgraph import errors
from relgraph.dialing import dial
from relgraph.wire.failures import class_of_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from relgraph.spicedb.address import Address

__all__ = ["PAGE", "SpiceDB"]

R = TypeVar("R")

PAGE: Final = 1_000
"""How many tuples one message carries."""

_ANSWER_S_MAX: Final = 60.0
# A page of tuples with long contexts is longer than gRPC takes by itself.
_OPTIONS: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))

# Whoever answers so has done nothing; after anything else it may be done.
_REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


class SpiceDB:
    """The server at an address; a context manager. What fails raises the error of relgraph that says the same."""

    def __init__(self, address: Address) -> None:
        self._where = str(address)
        self._channel = dial(address.target, address.access, _OPTIONS)
        self._schemas = SchemaServiceStub(self._channel)
        self._permissions = PermissionsServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._channel.close()

    def __str__(self) -> str:
        return self._where

    def schema(self) -> tuple[str, str]:
        """Return the schema's text, empty before the first, and the ZedToken that it was read at."""
        with self._telling():
            try:
                request = schema_service_pb2.ReadSchemaRequest()
                answer = _apart(lambda: self._schemas.ReadSchema(request, timeout=_ANSWER_S_MAX))
            except grpc.RpcError as problem:
                if problem.code() is grpc.StatusCode.NOT_FOUND:
                    return "", ""
                raise
        return answer.schema_text, answer.read_at.token

    def write_schema(self, text: str) -> None:
        """Put a schema in force; an empty one takes away what is there."""
        request = schema_service_pb2.WriteSchemaRequest(schema=text)
        with self._telling():
            _apart(lambda: self._schemas.WriteSchema(request, timeout=_ANSWER_S_MAX))

    def export(self, token: str = "") -> Iterator[Sequence[core_pb2.Relationship]]:
        """Yield every tuple there is at a ZedToken, or now, in pages."""
        consistency = permission_service_pb2.Consistency(fully_consistent=True)
        if token:
            consistency = permission_service_pb2.Consistency(at_exact_snapshot=core_pb2.ZedToken(token=token))
        request = permission_service_pb2.ExportBulkRelationshipsRequest(consistency=consistency, optional_limit=PAGE)
        with self._telling():
            call = _apart(lambda: self._permissions.ExportBulkRelationships(request))
            try:
                while (page := _apart(lambda: next(call, None))) is not None:
                    yield page.relationships
            finally:
                call.cancel()

    def load(self, pages: Iterable[Sequence[core_pb2.Relationship]]) -> int:
        """Create tuples, all in one transaction there; return how many it says."""
        requests = (permission_service_pb2.ImportBulkRelationshipsRequest(relationships=page) for page in pages)
        with self._telling():
            call = _apart(lambda: self._permissions.ImportBulkRelationships.future(requests))
            try:
                return _apart(lambda: call.result().num_loaded)
            finally:
                # Else an interrupted one goes on by itself, and may be committed.
                call.cancel()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Raise a failed call as an error of relgraph."""
        try:
            yield
        except grpc.RpcError as problem:
            raise self._error(problem) from None

    def _error(self, problem: grpc.RpcError) -> errors.RelgraphError:
        code, said = problem.code(), errors.quoted(problem.details() or "", 400)
        if code is grpc.StatusCode.UNAVAILABLE:
            return errors.ServerUnavailable(
                f"{self._where} cannot be reached: {said}; is it running, is the address right, and does it take "
                "`insecure` or `tls` as the URL says?"
            )
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return class_of_code(code)(f"{self._where} refuses the key: {said}; give its preshared key as `token=`")
        done = "nothing was changed by this call" if code in _REFUSALS else "look there whether it was carried out"
        return class_of_code(code)(f"{self._where} answered {code.name}: {said}; {done}")


def _apart(work: Callable[[], R]) -> R:
    """Do some work in a thread of its own, and wait for it."""
    outcome: Future[R] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001  (whoever waits raises it)
            outcome.set_exception(error)

    Thread(target=run, name="spicedb", daemon=True).start()
    return outcome.result()
