"""Traces over a real server and a collector: a span a call, inside its caller's trace, with its steps inside it."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

import relgraph
from relgraph.errors import InvalidSetting
from relgraph.v1 import authorizer_pb2 as pb
from tests.keys_kit import call, guarded
from tests.serving import SCHEMA, TUPLES, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
SAMPLED = (("traceparent", f"00-{TRACE}-{CALLER}-01"),)
UNSAMPLED = (("traceparent", f"00-{TRACE}-{CALLER}-00"),)
QUESTION = pb.CheckRequest(subject="user:anna", permission="administer", resource="report:q3")
UPDATE = pb.Update(
    operation=pb.Update.OPERATION_TOUCH,
    tuple=pb.RelationTuple(resource="group:eng", relation="member", subject="user:bob"),
)
SERVICE = "relgraph.v1.AuthorizerService"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent, and what sent them."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()

    def Export(  # noqa: N802 - gRPC's name
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        del context
        for resource in request.resource_spans:
            self.services |= {
                f"{each.key}={each.value.string_value}"
                for each in resource.resource.attributes
                if not each.key.startswith("telemetry.")
            }
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return trace_service_pb2.ExportTraceServiceResponse()

    def named(self, name: str) -> Span:
        """Return the one span of a name."""
        (found,) = (span for span in self.spans if span.name == name)
        return found


def told(span: Span) -> dict[str, object]:
    """Return a span's attributes."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "") for each in span.attributes}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector, and an environment that names it."""
    made = Collector()
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(made, server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        yield made
        server.stop(None).wait()


@pytest.fixture
def authorizer() -> Iterator[relgraph.Authorizer]:
    with relgraph.open("sqlite://") as made:
        made.write_schema(SCHEMA)
        made.write(touch=TUPLES)
        yield made


def ask(
    authorizer: relgraph.Authorizer,
    *calls: tuple[str, pb.CheckRequest | pb.WriteRequest, tuple[tuple[str, str], ...]],
    trace_ids: bool = False,
) -> list[grpc.StatusCode]:
    """Serve, make calls, and stop, by which time all traces are sent."""
    with (
        running(authorizer, guarded(traces=True, trace_ids=trace_ids)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        return [call(channel, method, message, metadata)[0] for method, message, metadata in calls]


def test_a_call_is_a_span_of_its_callers_trace(collector: Collector, authorizer: relgraph.Authorizer) -> None:
    """A call's span belongs to the trace and the span that its caller named, and its steps belong to it."""
    ask(authorizer, ("Check", QUESTION, SAMPLED), ("Write", pb.WriteRequest(updates=[UPDATE]), SAMPLED))
    check, write = collector.named(f"{SERVICE}/Check"), collector.named(f"{SERVICE}/Write")
    assert {TRACE} == {span.trace_id.hex() for span in collector.spans}
    assert {CALLER} == {span.parent_span_id.hex() for span in (check, write)}
    steps = {span.name: span.parent_span_id for span in collector.spans if span not in (check, write)}
    assert {"pin": check.span_id, "walk": check.span_id, "commit": write.span_id} == steps
    for span in collector.spans:
        assert span.start_time_unix_nano <= span.end_time_unix_nano
    attributes = told(check)
    assert 3 <= int(str(attributes.pop("relgraph.rows_read"))) <= len(TUPLES)
    assert {
        "rpc.system": "grpc",
        "rpc.service": SERVICE,
        "rpc.method": "Check",
        "rpc.response.status_code": "OK",
        "relgraph.freshness": "safe",
        "relgraph.checks": 1,
    } == attributes


def test_what_a_stranger_sends_is_not_logged(
    collector: Collector, authorizer: relgraph.Authorizer, caplog: pytest.LogCaptureFixture
) -> None:
    """A trace's parent and state that are none are left out, and stand in no log."""
    for name in ("traceparent", "tracestate"):
        assert [grpc.StatusCode.OK] == ask(authorizer, ("Check", QUESTION, ((name, "forged line"),)))
    assert [grpc.StatusCode.OK] == ask(authorizer, ("Check", QUESTION, (*SAMPLED, ("tracestate", "forged line"))))
    assert "forged" not in caplog.text
    assert TRACE in {span.trace_id.hex() for span in collector.spans}


def test_nobody_is_named_unless_asked(collector: Collector, authorizer: relgraph.Authorizer) -> None:
    """Nothing that is sent names a subject or a resource, not even of a call that failed."""
    wrong = pb.CheckRequest(subject="user:anna", permission="nonsense", resource="report:q3")
    assert [grpc.StatusCode.OK, grpc.StatusCode.FAILED_PRECONDITION] == ask(
        authorizer, ("Check", QUESTION, ()), ("Check", wrong, ())
    )
    assert 2 == len([span for span in collector.spans if span.name == f"{SERVICE}/Check"])
    assert [] == [span for span in collector.spans if any(name in str(span) for name in ("anna", "q3", "nonsense"))]


def test_who_asked_for_what_is_told_where_asked_for(collector: Collector, authorizer: relgraph.Authorizer) -> None:
    """With names asked for, they stand in the attributes of the call's span, and in no span's name."""
    ask(authorizer, ("Check", QUESTION, ()), trace_ids=True)
    attributes = told(collector.named(f"{SERVICE}/Check"))
    assert ("user:anna", "administer", "report:q3") == tuple(
        attributes[f"relgraph.{name}"] for name in ("subject", "permission", "resource")
    )
    assert {f"{SERVICE}/Check", "pin", "walk"} == {span.name for span in collector.spans}


@pytest.mark.parametrize(
    ("sampler", "argument", "metadata", "kept"),
    [
        ("always_off", "", SAMPLED, 0),
        ("traceidratio", "0.0", (), 0),
        ("traceidratio", "1.0", (), 3),
        ("parentbased_always_on", "", UNSAMPLED, 0),
        ("parentbased_always_off", "", SAMPLED, 3),
    ],
)
def test_the_environment_says_what_is_kept(
    sampler: str,
    argument: str,
    metadata: tuple[tuple[str, str], ...],
    kept: int,
    collector: Collector,
    authorizer: relgraph.Authorizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OTEL_TRACES_SAMPLER and its argument say which calls are kept; a caller's choice counts where they say so."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    ask(authorizer, ("Check", QUESTION, metadata))
    assert kept == len(collector.spans)


@pytest.mark.parametrize(
    ("environ", "services"),
    [
        ({}, {"service.name=relgraph"}),
        ({"OTEL_SERVICE_NAME": "mine"}, {"service.name=mine"}),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs,deployment.environment=prod"},
            {"service.name=theirs", "deployment.environment=prod"},
        ),
    ],
)
def test_the_environment_says_whose_they_are(
    environ: dict[str, str],
    services: set[str],
    collector: Collector,
    authorizer: relgraph.Authorizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES stand in what is sent; without them it is relgraph's."""
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    ask(authorizer, ("Check", QUESTION, ()))
    assert services <= collector.services
    assert len(services) == len({each for each in collector.services if each.startswith(("service.name", "deploy"))})


def test_an_error_names_the_trace_that_was_begun(collector: Collector, authorizer: relgraph.Authorizer) -> None:
    """A refusal carries the trace of its call, though its caller named none."""
    with (
        running(authorizer, guarded(traces=True)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        _, error = call(channel, "Check", pb.CheckRequest())
    assert error is not None
    span = collector.named(f"{SERVICE}/Check")
    assert span.trace_id.hex() == error.details["trace_id"]
    assert "INVALID_ARGUMENT" == told(span)["rpc.response.status_code"]


@pytest.mark.parametrize("listens", [False, True])
def test_a_collector_that_takes_nothing_stops_nobody(
    listens: bool, authorizer: relgraph.Authorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls are answered, and the server ends in good time, though nobody takes its many traces."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1] if listens else 1
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
        assert {grpc.StatusCode.OK} == set(ask(authorizer, *[("Check", QUESTION, SAMPLED)] * 50))


def test_another_protocol_is_refused(authorizer: relgraph.Authorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A protocol that is not served is refused at the start, not taken for the one that is."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    with pytest.raises(InvalidSetting, match="OTLP over `grpc`"), running(authorizer, guarded(traces=True)):
        pass
