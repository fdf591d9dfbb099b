"""The checks of traces over a real Jaeger, and a served request as its query API shows it."""

import uuid
from collections.abc import Iterator

import httpx
import pytest

from modelway.metrics.memory import MemoryMetrics
from modelway.testing.tracing import Arrivals, TracingChecks
from modelway.tracing.opentelemetry import OtlpTracing
from tests.engines.jaeger import Jaeger, jaeger_started
from tests.unit.serving.made import make_workspace, put_version, request, route, running

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def jaeger() -> Iterator[Jaeger]:
    """Its program takes a quarter of an hour to build, and so is promised nowhere."""
    with jaeger_started() as found:
        if found is None:
            pytest.skip(
                "needs Jaeger: MODELWAY_TEST_JAEGER=http://HOST:4318,http://HOST:16686, or jaeger-all-in-one in PATH"
            )
        yield found


@pytest.fixture
def service() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def tracing(jaeger: Jaeger, service: str) -> Iterator[OtlpTracing]:
    opened = OtlpTracing(jaeger.takes, service, MemoryMetrics(), every_ms=20)
    yield opened
    opened.close()


@pytest.fixture
def arrived(jaeger: Jaeger) -> Arrivals:
    return jaeger.arrived


class TestJaeger(TracingChecks): ...


def test_a_request_is_found_by_service_and_trace(jaeger, service, tmp_path):
    workspace = make_workspace(tmp_path)
    workspace.traffic.apply(route("loans", {1: put_version(workspace)}))
    told = f"serving: {{port: 0}}\ntracing: {{endpoint: '{jaeger.takes}', sample: 0, service: {service}}}\n"
    workspace.places.stack.write_text(told)
    trace, caller = uuid.uuid4().hex, "b7ad6b7169203331"
    with running(workspace) as (url, _):
        body = request([{"id": "r", "income": 2.0}], id="mine")
        headers = {"traceparent": f"00-{trace}-{caller}-01"}
        httpx.post(f"{url}/v2/models/loans/infer", json=body, headers=headers, timeout=20).raise_for_status()
        found = {one.name: one for one in jaeger.arrived(trace, 5)}
    assert set(found) == {"infer", "queue", "features", "inference", "log"}
    assert (found["infer"].parent, found["infer"].attributes["request"]) == (caller, "mine")
    assert {found[name].parent for name in found if name != "infer"} == {found["infer"].span}
    assert service in jaeger.services()
    workspace.close()
