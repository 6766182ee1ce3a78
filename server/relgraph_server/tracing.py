"""Traces by OpenTelemetry: a span for each call, inside its caller's trace, and one for each of its steps.

Where they go and which are kept is said by the OTEL_* variables, as for any program; nothing is set for the process.

Rule 1: a span's name is a method or a step. Subjects and resources stand in attributes, and only where asked for.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from relgraph.errors import InvalidSetting, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.message import Message
    from opentelemetry.sdk.trace.export import SpanExporter

    from relgraph_server.sights import Sight

__all__ = ["Tracing", "open_tracing"]

# INVARIANT: `tracestate` is left out. Nobody's key is known yet, and a strange one would be logged as it stands.
_HEADERS: Final = ("traceparent",)
_NAMED: Final = ("subject", "permission", "resource")
_LENGTH_MAX: Final = 256
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_FLUSH_S_MAX: Final = 2.0


class Tracing:
    """Follows the calls of one server; a `relgraph_server.sights.Tracer`. With `ids`, spans say who asked for what."""

    def __init__(self, exporter: SpanExporter, service: str, *, ids: bool) -> None:
        self._exporter = exporter
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("relgraph")
        self._propagator = TraceContextTextMapPropagator()
        self._service = service
        self._ids = ids

    def close(self) -> None:
        """Send what was not sent yet, for a while, and end."""
        ending = threading.Thread(target=self._provider.shutdown, name="relgraph-traces", daemon=True)
        ending.start()
        ending.join(_FLUSH_S_MAX)
        if ending.is_alive():
            # The provider would wait for half a minute; an exporter that is ended drops what it still has.
            self._exporter.shutdown()
            ending.join(_FLUSH_S_MAX)

    def begun(self, sight: Sight) -> None:
        """See `relgraph_server.sights.Tracer`."""
        sent = {name: value for name, value in sight.metadata if name in _HEADERS and isinstance(value, str)}
        # The methods of other dialects are called by their service's name as well.
        service, _, method = sight.method.rpartition("/")
        service = service or self._service
        span = self._tracer.start_span(
            f"{service}/{method}",
            context=self._propagator.extract(sent) if sent else None,
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
        )
        sight.span = span
        trace_id = span.get_span_context().trace_id
        sight.trace_id = format_trace_id(trace_id) if trace_id else ""

    def admitted(self, sight: Sight, message: Message) -> None:
        """See `relgraph_server.sights.Tracer`."""
        span = _span(sight)
        if span is None:
            return
        span.set_attribute("relgraph.freshness", sight.freshness)
        if self._ids:
            for name in _NAMED:
                value = getattr(message, name, "")
                if isinstance(value, str) and value:
                    span.set_attribute(f"relgraph.{name}", value[:_LENGTH_MAX])

    def stepped(self, sight: Sight, step: str, seconds: float) -> None:
        """See `relgraph_server.sights.Tracer`."""
        parent = _span(sight)
        if parent is None:
            return
        end = time.time_ns()
        span = self._tracer.start_span(
            step, context=set_span_in_context(parent), start_time=end - int(seconds * 1_000_000_000)
        )
        span.end(end)

    def ended(self, sight: Sight, code: str) -> None:
        """See `relgraph_server.sights.Tracer`."""
        span = _span(sight)
        if span is None:
            return
        span.set_attribute("rpc.response.status_code", code)
        if sight.checks:
            span.set_attribute("relgraph.checks", len(sight.checks))
            span.set_attribute("relgraph.rows_read", sum(tuples for _, tuples in sight.checks))
        if code != "OK":
            span.set_status(Status(StatusCode.ERROR, code))
        span.end()


def _span(sight: Sight) -> Span | None:
    """Return the call's span, if anybody keeps it."""
    return sight.span if isinstance(sight.span, Span) and sight.span.is_recording() else None


def _resource() -> Resource:
    found = Resource.create()
    name = str(found.attributes.get(SERVICE_NAME, ""))
    return found.merge(Resource({SERVICE_NAME: "relgraph"})) if name.startswith("unknown_service") else found


def open_tracing(service: str, *, ids: bool, environ: Mapping[str, str] = os.environ) -> Tracing:
    """Return traces that are sent by OTLP over gRPC. Raises InvalidSetting for another protocol."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - slow to import

    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "grpc")
    if protocol != "grpc":
        raise InvalidSetting(
            f"traces are sent by OTLP over `grpc`, and the environment asks for {quoted(protocol)}; set "
            f"{_PROTOCOLS[0]} to grpc, and OTEL_EXPORTER_OTLP_ENDPOINT to that port of the collector, often 4317",
            {"setting": "traces"},
        )
    return Tracing(OTLPSpanExporter(), service, ids=ids)
