"""Traces: nothing unless OTEL_EXPORTER_OTLP_ENDPOINT is set; then one span a hop, sampled once at the edge.

An unsampled request only forwards its traceparent (W3C Trace Context). Names follow the OpenTelemetry semantic
conventions for GenAI and messaging; all of them stand here.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
ERROR_TYPE: Final = "error.type"
MESSAGING_SYSTEM: Final = "messaging.system"
DESTINATION: Final = "messaging.destination.name"
OPERATION_TYPE: Final = "messaging.operation.type"
TARGET: Final = "caravan.target"
ATTEMPT: Final = "caravan.attempt"
OPERATION_NAMES: Final = {
    "chat": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "messages": "chat",
}

Attributes = dict[str, Any]


class _State:
    """What :func:`configure` found; one per process."""

    tracer: Tracer | None = None
    shutdown: Callable[[], None] | None = None


def configure(service: str, instance: str) -> None:
    """Export this process's spans by OTLP over HTTP, if the environment names an endpoint."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_SDK_DISABLED", "") == "true":
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    ratio = float(os.environ.get("OTEL_TRACES_SAMPLER_ARG", "1.0"))
    provider = TracerProvider(
        resource=Resource.create({"service.name": f"caravan-{service}", "service.instance.id": instance}),
        sampler=ParentBased(TraceIdRatioBased(ratio)),
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=5)))
    _State.tracer = provider.get_tracer("caravan")
    _State.shutdown = provider.shutdown


def shutdown() -> None:
    """Export what is left."""
    if _State.shutdown is not None:
        _State.shutdown()


def enabled() -> bool:
    """Whether this process exports spans."""
    return _State.tracer is not None


def sampled(traceparent: str) -> bool:
    """Whether a W3C traceparent says that its trace is recorded."""
    return traceparent.endswith("1") and len(traceparent) >= 55 and traceparent[-2] in "0123456789abcdef"


class Hop:
    """One span of a request, or nothing: `traceparent` is what the next hop gets either way."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: Span | None, traceparent: str) -> None:
        self._span = span
        self.traceparent = traceparent

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        if self._span is not None:
            self._span.set_attributes(attributes)

    def end(self, error: BaseException | None = None, code: str = "") -> None:
        """Close the span; with `error` as its failure."""
        if self._span is None:
            return
        if error is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_attribute(ERROR_TYPE, code or type(error).__name__)
            self._span.set_status(Status(StatusCode.ERROR, str(error)[:200]))
        self._span.end()
        self._span = None


_NOTHING = Hop(None, "")


def edge(name: str, traceparent: str, tracestate: str, attributes: Attributes) -> Hop:
    """The first span of a request in this system (kind SERVER): decides sampling for all hops after it."""
    if _State.tracer is None:
        return Hop(None, traceparent) if traceparent else _NOTHING
    return _start(_State.tracer, name, "SERVER", traceparent, tracestate, attributes)


def hop(name: str, kind: str, traceparent: str, attributes: Attributes) -> Hop:
    """A later span: recorded only when the trace is. `kind` is PRODUCER, CONSUMER, CLIENT or INTERNAL."""
    if _State.tracer is None or not sampled(traceparent):
        return Hop(None, traceparent) if traceparent else _NOTHING
    return _start(_State.tracer, name, kind, traceparent, "", attributes)


def _start(
    tracer: Tracer,
    name: str,
    kind: str,
    traceparent: str,
    tracestate: str,
    attributes: Attributes,
) -> Hop:
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import (
        TraceContextTextMapPropagator,
    )

    carrier = {"traceparent": traceparent, "tracestate": tracestate} if traceparent else {}
    parent = TraceContextTextMapPropagator().extract(carrier)
    span = tracer.start_span(name, context=parent, kind=SpanKind[kind], attributes=attributes)
    ctx = span.get_span_context()
    return Hop(span, f"00-{ctx.trace_id:032x}-{ctx.span_id:016x}-{ctx.trace_flags:02x}")


def new_id() -> str:
    """32 hex digits, for request ids; not a secret."""
    return f"{random.getrandbits(128):032x}"
