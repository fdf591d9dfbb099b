"""A collector that takes OTLP over HTTP in a thread of this process; what it is sent is decoded by OpenTelemetry's own schema."""

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from modelway.testing.tracing import Arrived


@dataclass
class Collector:
    """`status`: what it answers from now on; while `open` is not set, it answers nobody."""

    url: str = ""
    status: int = 200
    open: threading.Event = field(default_factory=threading.Event)
    spans: list[Arrived] = field(default_factory=list)
    resources: list[Mapping[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    _new: threading.Condition = field(default_factory=threading.Condition)

    def arrived(self, trace: str, number: int) -> list[Arrived]:
        """The spans of a trace, once there are so many; fails after twenty seconds."""
        with self._new:
            assert self._new.wait_for(lambda: len(self.of(trace)) >= number, 20), f"{number} spans of {trace}"
            return self.of(trace)

    def of(self, trace: str) -> list[Arrived]:
        return [one for one in self.spans if one.trace == trace]

    def take(self, body: bytes) -> None:
        with self._new:
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(_plain(group.resource.attributes))
                self.spans += [_arrived(span) for scoped in group.scope_spans for span in scoped.spans]
            self._new.notify_all()


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that takes what it is sent."""
    found = Collector()
    found.open.set()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            found.open.wait(20)
            if found.status == 200:
                found.take(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(found.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.open.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def _arrived(span: Any) -> Arrived:
    return Arrived(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _plain(span.attributes),
        span.status.code == span.status.STATUS_CODE_ERROR,
        span.trace_state,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
