"""Traces to an OpenTelemetry collector, Jaeger or Tempo: OTLP over HTTP by OpenTelemetry's SDK, from a thread of its own.

opentelemetry.io/docs/specs/otlp, "OTLP/HTTP". The exporter's own settings in the environment count (OTEL_EXPORTER_OTLP_CERTIFICATE,
…_HEADERS, …_COMPRESSION); address and share do not come from there.
"""

import os
import socket
import threading
import time
from collections.abc import Sequence

import modelway
from modelway.errors import EngineError, MissingExtraError
from modelway.metrics.port import Metrics
from modelway.tracing.port import Span, Trace, Tracing

try:
    from opentelemetry.context import Context
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        SpanKind,
        Status,
        StatusCode,
        TraceFlags,
        TraceState,
        set_span_in_context,
    )
except ImportError as error:
    raise MissingExtraError("opentelemetry-exporter-otlp-proto-http", "tracing") from error

SPANS = "modelway_spans_total"
ROOM = 8_192
"""Spans that may wait; a trace for which there is no room is dropped."""
_BATCH, _EVERY_MS = 512, 1_000
_SEND_SECONDS, _CLOSE_SECONDS = 5.0, 5.0
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_PATH = "/v1/traces"


class OtlpTracing(Tracing):
    """`endpoint`: the collector's address, to which /v1/traces is added; `authorization`: what that header says, "" for none."""

    def __init__(
        self,
        endpoint: str,
        service: str,
        metrics: Metrics,
        *,
        authorization: str = "",
        room: int = ROOM,
        every_ms: int = _EVERY_MS,
    ) -> None:
        self._endpoint, self._metrics, self._room = endpoint, metrics, room
        headers = {"authorization": authorization} if authorization else None
        address = endpoint.rstrip("/").removesuffix(_PATH) + _PATH
        self._exporter = _Counted(OTLPSpanExporter(address, headers=headers, timeout=_SEND_SECONDS), metrics)
        about = {
            "service.name": service,
            "service.version": modelway.__version__,
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
        self._ids = _Given()
        self._provider = TracerProvider(ALWAYS_ON, Resource.create(about), False, id_generator=self._ids)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter, 2 * room, every_ms, min(_BATCH, room)))
        self._tracer = self._provider.get_tracer("modelway", modelway.__version__)
        self._mutex = threading.Lock()
        self._offered = 0

    def tell(self, trace: Trace, whole: Span, parts: Sequence[Span]) -> None:
        number = 1 + len(parts)
        with self._mutex:
            if self._offered + number - self._exporter.taken > self._room:
                self._metrics.count(SPANS, number, outcome="dropped")
                return
            self._offered += number
            self._ids.trace, self._ids.span = trace.trace, trace.span
            wall = time.time_ns() - time.perf_counter_ns()
            own = self._told(whole, _caller(trace), SpanKind.SERVER, wall)
            for part in parts:
                self._told(part, own, SpanKind.INTERNAL, wall)

    def _told(self, span: Span, parent: Context, kind: SpanKind, wall: int) -> Context:
        """`wall`: what makes a moment of the counter one of the clock, in ns. The span, as its parts' parent."""
        began = wall + round(span.began * 1e9)
        made = self._tracer.start_span(span.name, parent, kind, span.attributes, start_time=began)
        if span.error:
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(wall + round(span.ended * 1e9))
        return set_span_in_context(made, Context())

    def ping(self) -> None:
        if self._exporter.send(()) is not SpanExportResult.SUCCESS:
            raise EngineError(
                f"nobody takes traces at {self._endpoint}", "see tracing.endpoint in stack.yaml, and the collector"
            )

    def close(self) -> None:
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(_CLOSE_SECONDS)
        if closing.is_alive():
            self._exporter.shutdown()


def _caller(trace: Trace) -> Context:
    if not trace.parent:
        return Context()
    state = TraceState.from_header([trace.state]) if trace.state else None
    remote = SpanContext(trace.trace, trace.parent, True, _SAMPLED, state)
    return set_span_in_context(NonRecordingSpan(remote), Context())


class _Given(IdGenerator):
    """The request's own numbers, which its answer has named already; those of its parts are drawn."""

    def __init__(self) -> None:
        self.trace = self.span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        given, self.span = self.span, 0
        return given or int.from_bytes(os.urandom(8)) or 1


class _Counted(SpanExporter):
    """The exporter, and what became of the spans."""

    def __init__(self, exporter: OTLPSpanExporter, metrics: Metrics) -> None:
        self._metrics, self._over = metrics, False
        self.send, self._end = exporter.export, exporter.shutdown
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self.send(spans)
        finally:
            self.taken += len(spans)
        outcome = "sent" if result is SpanExportResult.SUCCESS else "failed"
        self._metrics.count(SPANS, len(spans), outcome=outcome)
        return result

    def shutdown(self) -> None:
        if not self._over:
            self._over = True
            self._end()
