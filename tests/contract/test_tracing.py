"""The checks of traces over OpenTelemetry's exporter, with a collector that decodes what it sends; and what is its own."""

import importlib
import sys
import time
from collections.abc import Iterator

import pytest

from modelway.errors import EngineError, MissingExtraError
from modelway.metrics.memory import MemoryMetrics
from modelway.testing.metrics import parse_exposition, sample
from modelway.testing.tracing import Arrivals, TracingChecks, made_trace
from modelway.tracing.opentelemetry import SPANS, OtlpTracing
from modelway.tracing.port import Span, Trace
from modelway.workspace import Workspace
from tests.support.collector import Collector, collecting
from tests.unit.serving.made import make_workspace


@pytest.fixture
def metrics() -> MemoryMetrics:
    return MemoryMetrics()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
def tracing(collector: Collector, metrics: MemoryMetrics) -> Iterator[OtlpTracing]:
    opened = OtlpTracing(collector.url, "bank", metrics, authorization="Bearer word", room=8, every_ms=20)
    yield opened
    opened.close()


@pytest.fixture
def arrived(collector: Collector) -> Arrivals:
    return collector.arrived


class TestOpenTelemetry(TracingChecks): ...


def span() -> Span:
    now = time.perf_counter()
    return Span("infer", now, now)


def outcomes(metrics: MemoryMetrics) -> dict[str, float]:
    found = parse_exposition(metrics.exposition())
    return {o: n for o in ("sent", "failed", "dropped") if (n := found.get(sample(SPANS, outcome=o)))}


def test_the_collector_hears_who_we_are(tracing, collector, metrics):
    tracing.tell(made_trace(1), span(), [])
    tracing.close()
    ((path, headers),) = collector.asked
    assert (path, headers["authorization"]) == ("/v1/traces", "Bearer word")
    assert headers["content-type"] == "application/x-protobuf"
    (about,) = collector.resources
    assert about["service.name"] == "bank"
    assert {"service.version", "service.instance.id"} <= about.keys()
    assert outcomes(metrics) == {"sent": 1}


@pytest.mark.parametrize("end", ["", "/", "/v1/traces"])
def test_its_address_may_name_the_path(collector, metrics, end):
    opened = OtlpTracing(collector.url + end, "bank", metrics)
    opened.ping()
    opened.close()
    assert [path for path, _ in collector.asked] == ["/v1/traces"]


def test_a_callers_state_goes_on(tracing, collector):
    trace = Trace(1, 2, 3, "vendor=word")
    tracing.tell(trace, span(), [])
    (found,) = collector.arrived(trace.name, 1)
    assert (found.parent, found.state) == (f"{3:016x}", "vendor=word")


def test_what_does_not_fit_is_dropped_and_counted_and_nobody_waits(tracing, collector, metrics):
    collector.open.clear()
    began = time.monotonic()
    for number in range(100):
        tracing.tell(made_trace(number), span(), [span()])
    assert time.monotonic() - began < 5
    assert outcomes(metrics)["dropped"] >= 184  # of 200, eight of which are waiting, and eight on their way
    collector.open.set()
    tracing.close()
    found = outcomes(metrics)
    assert found["dropped"] + found["sent"] == 200
    assert len(collector.spans) == found["sent"]


def test_what_is_not_taken_is_counted_and_what_follows_arrives(tracing, collector, metrics):
    collector.status = 400
    tracing.tell(made_trace(1), span(), [])
    end = time.monotonic() + 20
    while not outcomes(metrics) and time.monotonic() < end:
        time.sleep(0.01)
    collector.status = 200
    tracing.tell(made_trace(2), span(), [])
    assert len(collector.arrived(made_trace(2).name, 1)) == 1
    tracing.close()
    assert outcomes(metrics) == {"failed": 1, "sent": 1}


def test_a_collector_that_is_not_there_is_told_by_ping(metrics):
    opened = OtlpTracing("http://127.0.0.1:9", "bank", metrics)
    with pytest.raises(EngineError, match=r"nobody takes traces at http://127\.0\.0\.1:9"):
        opened.ping()
    opened.close()


def test_doctor_asks_the_collector_with_the_secret(collector, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELWAY_TRACING_AUTHORIZATION", "Bearer word")
    made = make_workspace(tmp_path)
    made.places.stack.write_text(f"tracing: {{endpoint: '{collector.url}'}}\n")
    made.close()
    workspace = Workspace(made.places)
    ping = dict(workspace.pings())["traces"]
    ping()
    collector.status = 403
    with pytest.raises(EngineError, match="nobody takes traces"):
        ping()
    assert [headers["authorization"] for _, headers in collector.asked] == ["Bearer word"] * 2
    workspace.close()


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    monkeypatch.delitem(sys.modules, "modelway.tracing.opentelemetry")
    with pytest.raises(MissingExtraError, match=r"pip install 'modelway\[tracing\]'"):
        importlib.import_module("modelway.tracing.opentelemetry")
