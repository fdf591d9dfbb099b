"""What the server counts agrees with what was asked of it."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from modelway.clock import WallClock
from modelway.control.supervisor import RESTARTS
from modelway.errors import DiskFullError, EngineError
from modelway.flow import figures
from modelway.flow.online import FRESHNESS
from modelway.metrics import shared as shared_figures
from modelway.metrics.memory import MemoryMetrics
from modelway.metrics.port import HELP, Metrics
from modelway.serving import composed, gauges, measured, models
from modelway.serving.asking import Server
from modelway.serving.log import PredictionLog
from modelway.serving.models import Models
from modelway.serving.shadow import Shadow
from modelway.serving.wire.limits import Limits
from modelway.testing.metrics import Sample, parse_exposition, sample
from modelway.tracing.opentelemetry import SPANS
from tests.support.serving import serving
from tests.support.wire import Client
from tests.unit.serving.made import CARDS, becomes, make_workspace, put_version, request, route, running
from tests.unit.serving.test_core import route as core_route
from tests.unit.serving.test_core import servable

ROWS = [{"id": f"r{n}", "income": float(n)} for n in range(3)]
LOANS, BAD = "/v2/models/loans/infer", {"id": "bad", "income": -5.0}


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    yield made
    made.close()


def told(client: httpx.Client, url: str) -> dict[Sample, float]:
    reply = client.get(f"{url}/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse_exposition(reply.content)


def requests(**labels: str) -> Sample:
    return sample(measured.REQUESTS, **labels)


def rows(version: str, status: str, model: str = "loans") -> Sample:
    return sample(measured.ROWS, model=model, version=version, status=status)


def test_metrics_agree_with_the_requests_that_were_sent(workspace):
    digests = {n: put_version(workspace, bias=float(n)) for n in (1, 2)}
    workspace.traffic.apply(route("loans", digests, {1: 1.0}))
    workspace.traffic.apply(route("cards", {1: put_version(workspace, CARDS)}))
    with running(workspace) as (url, _), httpx.Client(timeout=20) as client:
        assert {key: value for key, value in told(client, url).items() if value} == {sample(gauges.CONNECTIONS): 1}

        def ask(n: int) -> None:
            with httpx.Client(timeout=20) as mine:
                for m in range(20):
                    mine.post(url + LOANS, json=request([*ROWS, BAD], id=f"{n}-{m}")).raise_for_status()

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        card = {"card": "c1", "amount": 2.0}  # of no known past: a row in error, in a request that is answered
        client.post(f"{url}/v2/models/cards/infer", json=request([card])).raise_for_status()
        assert client.post(url + LOANS, content=b"{").status_code == 400
        assert client.post(url + LOANS, json=request([{"id": "x"}])).status_code == 400
        for n in range(5):
            assert client.post(f"{url}/v2/models/other{n}/infer", json=request(ROWS)).status_code == 404
        assert client.post(f"{url}/v2/models/loans/versions/7/infer", json=request(ROWS)).status_code == 404
        for path in ("/v2/health/ready", "/v2/models/loans", "/elsewhere"):
            client.get(url + path)

        workspace.traffic.apply(route("loans", digests, {2: 1.0}))
        becomes(lambda: client.get(f"{url}/v2/models/loans").json()["parameters"]["version"] == "2")
        client.post(url + LOANS, json=request(ROWS)).raise_for_status()

        found = told(client, url)
        asked = {key: value for key, value in found.items() if key[0] == measured.REQUESTS}
        assert asked == {
            requests(model="loans", version="1", status="200"): 60,
            requests(model="loans", version="2", status="200"): 1,
            requests(model="cards", version="1", status="200"): 1,
            requests(model="loans", version="", status="400"): 1,
            requests(model="loans", version="1", status="400"): 1,
            requests(model="loans", version="", status="404"): 1,
            requests(model="", version="", status="404"): 5,
        }
        assert {key: value for key, value in found.items() if key[0] == measured.ROWS} == {
            rows("1", "ok"): 180,
            rows("1", "refused"): 60,
            rows("2", "ok"): 3,
            rows("1", "invalid", "cards"): 1,
        }
        took = {"model": "loans", "version": "1"}
        assert found[sample(f"{measured.SECONDS}_count", **took)] == 61
        assert found[sample(f"{measured.SECONDS}_bucket", **took, le="+Inf")] == 61
        assert 0 < found[sample(f"{measured.SECONDS}_sum", **took)] < 61
        assert found[sample(measured.SWAPS, model="loans")] == 1
        assert sample(measured.SWAPS, model="cards") not in found
        assert client.post(f"{url}/metrics").status_code == 405


def server_with(shadow: Shadow, run=None, **more):
    models = Models(lambda digest, model, number: servable(number, run=run), lambda: {"loans": core_route(1, shadow=2)})
    models.look()
    return Server(models, PredictionLog(lambda topic, events: None, lambda: None), shadow, WallClock(), **more)


def asked_of(server: Server, *paths: str) -> list[httpx.Response]:
    body = request([{"income": 0.5}])
    with serving(server) as url, httpx.Client(base_url=url) as client:
        return [client.post(p, json=body) if "infer" in p else client.get(p) for p in paths]


def test_what_the_shadow_has_no_room_for_is_counted():
    server = server_with(Shadow(lambda echo: None, 1))
    *answers, last = asked_of(server, *[LOANS] * 4, "/metrics")
    assert [answer.status_code for answer in answers] == [200] * 4
    assert parse_exposition(last.content).get(sample(measured.DROPPED, model="loans")) == server.shadow.dropped == 3


def test_a_version_that_fails_is_counted_by_its_status():
    def fails(numbers, words):
        raise EngineError("the graph failed")

    server = server_with(Shadow(lambda echo: None, 9), fails)
    answer, last = asked_of(server, LOANS, "/metrics")
    found = parse_exposition(last.content)
    assert answer.status_code == 503
    assert found[requests(model="loans", version="1", status="503")] == 1
    assert found[rows("1", "error")] == 1


def test_what_is_answered_and_cannot_be_logged_is_counted():
    def full(topic, events):
        raise DiskFullError("the disk is full")

    def load(digest, model, number):
        return replace(servable(number), serves_unlogged=True)

    served = models.Models(load, lambda: {"loans": core_route(1)})
    served.look()
    server = Server(served, PredictionLog(full, lambda: None), Shadow(lambda echo: None, 1), WallClock())
    answer, last = asked_of(server, LOANS, "/metrics")
    found = parse_exposition(last.content)
    assert answer.status_code == 200
    assert found[sample(measured.UNLOGGED, model="loans")] == 1
    assert found[rows("1", "ok")] == 1


def test_metrics_that_are_told_elsewhere_are_not_shown_here():
    class Elsewhere(Metrics):
        def __init__(self) -> None:
            self.seen: Counter[str] = Counter()

        def count(self, name: str, by: float = 1, **labels: str) -> None:
            self.seen[name] += 1

        def observe(self, name: str, value: float, **labels: str) -> None:
            self.seen[name] += 1

        def observe_all(self, name: str, values: Sequence[float], **labels: str) -> None:
            self.seen[name] += len(values)

        def level(self, name: str, value: float | None, **labels: str) -> None:
            self.seen[name] += 1

        def watch(self, look: Callable[[], None]) -> None: ...

        def ping(self) -> None: ...

    metrics = Elsewhere()
    server = server_with(Shadow(lambda echo: None, 9), metrics=metrics)
    answer, shown = asked_of(server, LOANS, "/metrics")
    assert (answer.status_code, shown.status_code) == (200, 404)
    assert metrics.seen == {measured.REQUESTS: 1, measured.ROWS: 1, measured.SECONDS: 1, measured.RUN: 1}


def test_every_metric_of_the_server_is_explained_and_documented():
    measures = {
        measured.REQUESTS,
        measured.ROWS,
        measured.SECONDS,
        measured.DROPPED,
        measured.SWAPS,
        measured.UNLOGGED,
        measured.RUN,
        measured.ACCESS_REFUSALS,
        measured.WIRE_REFUSALS,
        models.LOADS,
        models.EVICTIONS,
        models.LOAD_SECONDS,
        SPANS,
        composed.MEMBER_ROWS,
        RESTARTS,
    }
    levels = {gauges.IN_FLIGHT, gauges.QUEUE, gauges.SHADOW, gauges.UNSYNCED, gauges.CONNECTIONS}
    ingestion = {figures.LAG_EVENTS, figures.LAG_SECONDS, figures.RATE, figures.REFUSED, figures.ROWS, figures.BREACHES}
    spool = {figures.SPOOL_EVENTS, figures.SPOOL_SECONDS, figures.SPOOL_BYTES, figures.SPOOL_LIMIT}
    assert set(HELP) == measures | levels | {FRESHNESS} | ingestion | spool
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "on-call.md").read_text()
    assert [name for name in HELP if f"| `{name}` |" not in page] == []


def test_what_is_refused_before_it_is_a_request_is_counted():
    server = server_with(Shadow(lambda echo: None, 9))
    with serving(server, Limits(body=100)) as url, httpx.Client(base_url=url) as client:
        for _ in range(2):
            assert client.post(LOANS, content=b"a" * 101).status_code == 413
        with Client(int(url.rpartition(":")[2])) as broken:
            assert broken.send(b"rubbish\r\n\r\n").reply().status == 400
        found = told(client, url)
    assert {key: value for key, value in found.items() if key[0] == measured.WIRE_REFUSALS} == {
        sample(measured.WIRE_REFUSALS, status="413", reason="body_size"): 2,
        sample(measured.WIRE_REFUSALS, status="400", reason="malformed"): 1,
    }
    assert not [key for key in found if key[0] == measured.REQUESTS]


def test_figures_are_shared_again_when_there_is_room(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(shared_figures, "EVERY_SECONDS", 0.01)
    folder, own = tmp_path / "figures", MemoryMetrics()
    (folder / "1.part").mkdir(parents=True)
    own.count(measured.SWAPS, model="loans")
    with shared_figures.shared(own, folder, 1):
        becomes(lambda: "figures are not shared" in caplog.text)
        (folder / "1.part").rmdir()
        becomes((folder / "1.prom").exists)
    assert caplog.text.count("figures are not shared") == 1
