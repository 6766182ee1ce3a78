"""The service behind a real channel: bad requests change nothing, and every trouble is one clear status."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

import grpc
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]  # carries no py.typed
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from relgraph.api import Authorizer, open_authorizer
from relgraph.limits import Limits
from relgraph.revision import Token
from relgraph.v1 import authorizer_pb2 as pb
from relgraph.v1.authorizer_pb2_grpc import AuthorizerServiceStub
from relgraph.wire.failures import error_from
from relgraph_server.settings import Settings
from tests.serving import PATIENCE_S, SCHEMA, TUPLES, in_process, raw_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relgraph.errors import RelgraphError

METHODS = [method.name for method in pb.DESCRIPTOR.services_by_name["AuthorizerService"].methods]
NEW = pb.RelationTuple(resource="report:q9", relation="manager", subject="user:anna")


@pytest.fixture(scope="module")
def authorizer() -> Iterator[Authorizer]:
    with open_authorizer("sqlite://") as opened:
        opened.write_schema(SCHEMA)
        opened.write(touch=TUPLES)
        yield opened


@pytest.fixture(scope="module")
def address(authorizer: Authorizer) -> Iterator[str]:
    with in_process(authorizer) as where:
        yield where


@pytest.fixture(scope="module")
def stub(address: str) -> Iterator[AuthorizerServiceStub]:
    with grpc.insecure_channel(address) as channel:
        yield AuthorizerServiceStub(channel)


def _refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, RelgraphError]:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code(), error_from(caught.value, "test")


def _state(authorizer: Authorizer) -> tuple[int, tuple[str, ...], str]:
    page = authorizer.read()
    return page.revision, tuple(map(str, page.tuples)), authorizer.schema().text


def _import(stub: AuthorizerServiceStub, *messages: pb.ImportRequest) -> pb.ImportResponse:
    return stub.Import(iter(messages), timeout=PATIENCE_S)


BAD_TOKEN = str(Token(b"another store...", 1, 1, b"n" * 16, 1))
TOUCH = pb.Update.OPERATION_TOUCH

BAD: dict[str, tuple[Callable[[AuthorizerServiceStub], object], grpc.StatusCode, str]] = {
    "unknown type": (
        lambda stub: stub.Check(pb.CheckRequest(subject="user:anna", permission="observe", resource="repot:q3")),
        grpc.StatusCode.FAILED_PRECONDITION,
        "UNKNOWN_DEFINITION",
    ),
    "unknown permission": (
        lambda stub: stub.Check(pb.CheckRequest(subject="user:anna", permission="obsrve", resource="report:q3")),
        grpc.StatusCode.FAILED_PRECONDITION,
        "UNKNOWN_RELATION_OR_PERMISSION",
    ),
    "subject and resource swapped": (
        lambda stub: stub.Check(pb.CheckRequest(subject="report:q3", permission="observe", resource="user:anna")),
        grpc.StatusCode.FAILED_PRECONDITION,
        "UNKNOWN_RELATION_OR_PERMISSION",
    ),
    "undecided": (
        lambda stub: stub.Check(pb.CheckRequest(subject="user:anna", permission="left", resource="gate:one")),
        grpc.StatusCode.FAILED_PRECONDITION,
        "UNDECIDED",
    ),
    "control character in an id": (
        lambda stub: stub.Check(pb.CheckRequest(subject="user:an\x1bna", permission="observe", resource="report:q3")),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ID",
    ),
    "wildcard subject": (
        lambda stub: stub.Check(pb.CheckRequest(subject="user:*", permission="observe", resource="report:q3")),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_TUPLE",
    ),
    "empty request": (
        lambda stub: stub.Check(pb.CheckRequest()),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_TUPLE",
    ),
    "no resources": (
        lambda stub: stub.BestAccess(pb.BestAccessRequest(subject="user:anna")),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
    ),
    "token of another store": (
        lambda stub: stub.Check(
            pb.CheckRequest(
                subject="user:anna",
                permission="observe",
                resource="report:q3",
                consistency=pb.Consistency(at_least=BAD_TOKEN),
            )
        ),
        grpc.StatusCode.OUT_OF_RANGE,
        "REVISION_UNAVAILABLE",
    ),
    "malformed token": (
        lambda stub: stub.ReadSchema(pb.ReadSchemaRequest(consistency=pb.Consistency(at_exactly="abc"))),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_TOKEN",
    ),
    "malformed cursor": (
        lambda stub: stub.Read(pb.ReadRequest(cursor="abc")),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_CURSOR",
    ),
    "page of none": (
        lambda stub: stub.Read(pb.ReadRequest(limit=0)),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
    ),
    "tuple not allowed": (
        lambda stub: stub.Write(
            pb.WriteRequest(
                updates=[
                    pb.Update(operation=TOUCH, tuple=NEW),
                    pb.Update(
                        operation=TOUCH,
                        tuple=pb.RelationTuple(resource="report:q3", relation="viewer", subject="group:board#member"),
                    ),
                ]
            )
        ),
        grpc.StatusCode.FAILED_PRECONDITION,
        "TUPLE_NOT_ALLOWED",
    ),
    "write of a permission": (
        lambda stub: stub.Write(
            pb.WriteRequest(
                updates=[
                    pb.Update(
                        operation=TOUCH,
                        tuple=pb.RelationTuple(resource="report:q3", relation="observe", subject="user:anna"),
                    )
                ]
            )
        ),
        grpc.StatusCode.FAILED_PRECONDITION,
        "CANNOT_UPDATE_PERMISSION",
    ),
    "create of what is there": (
        lambda stub: stub.Write(
            pb.WriteRequest(
                updates=[
                    pb.Update(operation=TOUCH, tuple=NEW),
                    pb.Update(
                        operation=pb.Update.OPERATION_CREATE,
                        tuple=pb.RelationTuple(resource="report:q4", relation="viewer", subject="user:*"),
                    ),
                ]
            )
        ),
        grpc.StatusCode.ALREADY_EXISTS,
        "ALREADY_EXISTS",
    ),
    "write by an actor": (
        lambda stub: stub.Write(pb.WriteRequest(updates=[pb.Update(operation=TOUCH, tuple=NEW)], actor="user:anna")),
        grpc.StatusCode.PERMISSION_DENIED,
        "NOT_PERMITTED",
    ),
    "write by an empty actor": (
        lambda stub: stub.Write(pb.WriteRequest(updates=[pb.Update(operation=TOUCH, tuple=NEW)], actor="")),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_TUPLE",
    ),
    "write by a userset": (
        lambda stub: stub.Write(
            pb.WriteRequest(updates=[pb.Update(operation=TOUCH, tuple=NEW)], actor="group:board#member")
        ),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_TUPLE",
    ),
    "delete by an actor": (
        lambda stub: stub.Delete(
            pb.DeleteRequest(
                filter=pb.TupleFilter(resource_type="report", resource_id="q4", relation="viewer"), actor="user:anna"
            )
        ),
        grpc.StatusCode.PERMISSION_DENIED,
        "NOT_PERMITTED",
    ),
    "schema by an actor": (
        lambda stub: stub.WriteSchema(pb.WriteSchemaRequest(text="definition user {}", actor="user:anna")),
        grpc.StatusCode.PERMISSION_DENIED,
        "NOT_PERMITTED",
    ),
    "schema that does not parse": (
        lambda stub: stub.WriteSchema(pb.WriteSchemaRequest(text="definition user {")),
        grpc.StatusCode.INVALID_ARGUMENT,
        "SCHEMA_PARSE_ERROR",
    ),
    "schema that orphans tuples": (
        lambda stub: stub.WriteSchema(pb.WriteSchemaRequest(text="definition user {}")),
        grpc.StatusCode.FAILED_PRECONDITION,
        "SCHEMA_ORPHANS_TUPLES",
    ),
    "import by an actor": (
        lambda stub: _import(
            stub, pb.ImportRequest(options=pb.ImportOptions(actor="user:anna"), tuples=[NEW], tuples_total=1)
        ),
        grpc.StatusCode.PERMISSION_DENIED,
        "NOT_PERMITTED",
    ),
    "import without its total": (
        lambda stub: _import(stub, pb.ImportRequest(tuples=[NEW])),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
    ),
    "import of nothing at all": (
        _import,
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
    ),
    "import with a wrong total": (
        lambda stub: _import(stub, pb.ImportRequest(tuples=[NEW], tuples_total=2)),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
    ),
    "import that goes on after its total": (
        lambda stub: _import(stub, pb.ImportRequest(tuples=[NEW], tuples_total=1), pb.ImportRequest()),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
    ),
    "import with options too late": (
        lambda stub: _import(
            stub, pb.ImportRequest(tuples=[NEW]), pb.ImportRequest(options=pb.ImportOptions(), tuples_total=1)
        ),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
    ),
    "import of a wildcard that is not allowed": (
        lambda stub: _import(
            stub,
            pb.ImportRequest(tuples=[NEW]),
            pb.ImportRequest(
                tuples=[pb.RelationTuple(resource="report:q9", relation="viewer", subject="user:*")], tuples_total=2
            ),
        ),
        grpc.StatusCode.FAILED_PRECONDITION,
        "TUPLE_NOT_ALLOWED",
    ),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_input_has_its_code_and_changes_nothing(
    name: str, authorizer: Authorizer, stub: AuthorizerServiceStub
) -> None:
    """Every bad request is answered with one canonical code and one reason, and leaves the store as it was."""
    call, code, reason = BAD[name]
    before = _state(authorizer)
    status, error = _refused(lambda: call(stub))
    assert (code, reason) == (status, error.code)
    assert error.message
    assert not error.message.endswith(".")
    assert before == _state(authorizer)


def test_a_broken_import_names_the_tuple(stub: AuthorizerServiceStub) -> None:
    """The error about one tuple of an import carries its place in the whole stream."""
    bad = pb.RelationTuple(resource="report:a b", relation="viewer", subject="user:anna")
    _, error = _refused(
        lambda: _import(stub, pb.ImportRequest(tuples=[NEW] * 3), pb.ImportRequest(tuples=[NEW, bad], tuples_total=5))
    )
    assert error.details["index"] == "4"


def test_an_import_cancelled_midway_changes_nothing(authorizer: Authorizer, stub: AuthorizerServiceStub) -> None:
    """A caller that goes away in the middle of its stream leaves nothing behind, and the server goes on."""
    before = _state(authorizer)
    sent = threading.Event()
    gone = threading.Event()

    def messages() -> Iterator[pb.ImportRequest]:
        yield pb.ImportRequest(tuples=[NEW])
        sent.set()
        gone.wait(PATIENCE_S)

    call = stub.Import.future(messages())
    assert sent.wait(PATIENCE_S)
    call.cancel()
    gone.set()
    assert stub.ReadSchema(pb.ReadSchemaRequest()).text == SCHEMA
    assert before == _state(authorizer)


def test_a_stream_is_one_revision() -> None:
    """An import of several messages is one revision, with duplicates treated as the first message says."""
    with open_authorizer("sqlite://") as authorizer, in_process(authorizer) as address:
        first = authorizer.write_schema(SCHEMA)
        with grpc.insecure_channel(address) as channel:
            stub = AuthorizerServiceStub(channel)
            options = pb.ImportOptions(on_duplicate=pb.ImportOptions.ON_DUPLICATE_SKIP, allow_wildcards=True)
            wild = pb.RelationTuple(resource="report:q9", relation="viewer", subject="user:*")
            for changed, revision in ((2, first.revision + 1), (0, first.revision + 1)):
                answer = _import(
                    stub,
                    pb.ImportRequest(options=options, tuples=[NEW]),
                    pb.ImportRequest(tuples=[wild]),
                    pb.ImportRequest(tuples_total=2),
                )
                assert (revision, 2, changed) == (answer.revision, answer.tuples_read, answer.tuples_changed)


@pytest.mark.parametrize("method", METHODS)
def test_bytes_that_are_no_message_are_the_callers_fault(method: str, address: str) -> None:
    """Malformed bytes are INVALID_ARGUMENT in every method, never INTERNAL."""
    assert (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT") == raw_call(address, method, b"\x0a\xff")


@given(method=st.sampled_from(METHODS), data=st.binary(max_size=40))
def test_no_bytes_make_the_server_fail(method: str, data: bytes, address: str) -> None:
    """Whatever bytes are sent, the answer is a status that blames nobody but the request."""
    code, reason = raw_call(address, method, data)
    assert code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    assert (code is grpc.StatusCode.OK) == (not reason)


def test_health_and_reflection_answer(address: str) -> None:
    """The server says that it serves, and lists its service."""
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "relgraph.v1.AuthorizerService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service))  # type: ignore[attr-defined]
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflected = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(  # type: ignore[operator]
            iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        )
        names = {one.name for one in next(reflected).list_services_response.service}
        assert "relgraph.v1.AuthorizerService" in names


class _Crashing:
    """An authorizer that fails as no authorizer should."""

    def decide(self, *_: object, **__: object) -> None:
        raise RuntimeError("SELECT secret FROM table")


def test_an_unexpected_failure_tells_nothing_but_an_incident(caplog: pytest.LogCaptureFixture) -> None:
    """What was not raised on purpose is INTERNAL with an incident number; the cause is in the log only."""
    with in_process(_Crashing()) as address, grpc.insecure_channel(address) as channel:
        request = pb.CheckRequest(subject="user:anna", permission="observe", resource="report:q3")
        code, error = _refused(lambda: AuthorizerServiceStub(channel).Check(request))
    assert code is grpc.StatusCode.INTERNAL
    assert "secret" not in error.message
    assert error.details["incident"] in caplog.text
    assert "SELECT secret" in caplog.text


class _Waiting:
    """An authorizer that notes how long it may take."""

    def __init__(self) -> None:
        self.deadlines: list[float | None] = []

    def expand(self, *_: object, deadline: float | None, **__: object) -> None:
        self.deadlines.append(deadline)
        raise NotImplementedError


def test_the_callers_deadline_reaches_the_authorizer() -> None:
    """The time a caller is willing to wait is handed down; who would wait for ever gets the server's own limit."""
    waiting = _Waiting()
    with in_process(waiting) as address, grpc.insecure_channel(address) as channel:
        request = pb.ExpandRequest(resource="report:q3", permission="observe")
        for timeout in (50, None):
            _refused(lambda timeout=timeout: AuthorizerServiceStub(channel).Expand(request, timeout=timeout))  # type: ignore[misc]
    limited, free = waiting.deadlines
    longest = Settings("unused:").question_ms_max / 1000
    assert limited is not None
    assert 0 < limited <= min(51, longest)
    assert free == longest


def test_an_answer_too_large_is_refused_by_name(authorizer: Authorizer) -> None:
    """An answer beyond the limit is an error that names the limit, not a broken connection."""
    settings = Settings("unused:", listen="127.0.0.1:0", answer_bytes_max=100)
    with in_process(authorizer, settings) as address, grpc.insecure_channel(address) as channel:
        code, error = _refused(lambda: AuthorizerServiceStub(channel).ReadSchema(pb.ReadSchemaRequest()))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details == {"limit": "answer_bytes_max", "value": "100"}


def test_an_import_too_large_is_refused_by_name(authorizer: Authorizer) -> None:
    """An import beyond the limit on tuples or on bytes is an error that names the limit, and changes nothing."""
    before = _state(authorizer)
    few = Settings("unused:", listen="127.0.0.1:0", limits=Limits(import_tuples_max=2))
    small = Settings("unused:", listen="127.0.0.1:0", import_bytes_max=50)
    for settings, limit in ((few, "import_tuples_max"), (small, "import_bytes_max")):
        with in_process(authorizer, settings) as address, grpc.insecure_channel(address) as channel:
            stub = AuthorizerServiceStub(channel)
            message = pb.ImportRequest(tuples=[NEW] * 3, tuples_total=3)
            code, error = _refused(lambda stub=stub, message=message: _import(stub, message))  # type: ignore[misc]
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert limit == error.details["limit"]
    assert before == _state(authorizer)


def test_a_refused_write_names_the_update(stub: AuthorizerServiceStub) -> None:
    """The status of a refused write carries the path of the update at fault."""
    good = pb.Update(operation=TOUCH, tuple=NEW)
    bad = pb.Update(
        operation=TOUCH, tuple=pb.RelationTuple(resource="report:q9", relation="observe", subject="user:anna")
    )
    with pytest.raises(grpc.RpcError) as caught:
        stub.Write(pb.WriteRequest(updates=[good, bad]))
    status = rpc_status.from_call(cast("grpc.Call", caught.value))
    assert status is not None
    violations = error_details_pb2.BadRequest()
    assert any(box.Unpack(violations) for box in status.details)
    assert ["updates[1].tuple"] == [violation.field for violation in violations.field_violations]
