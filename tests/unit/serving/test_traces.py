"""A request under one name in its answer, its spans, the prediction log and the server's log, over HTTP and gRPC."""

import fcntl
import json
import logging
import signal
import socket
import struct
import termios
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import grpc
import httpx
import pytest

from modelway.clock import WallClock
from modelway.errors import DiskFullError, EngineError
from modelway.metrics.memory import MemoryMetrics
from modelway.serving import measured
from modelway.serving.asking import Server
from modelway.serving.grpc import inference_pb2 as messages
from modelway.serving.grpc.listener import SERVICE
from modelway.serving.log import PredictionLog
from modelway.serving.models import Models
from modelway.serving.shadow import Shadow
from modelway.testing.metrics import parse_exposition, sample
from modelway.testing.tracing import Arrived
from modelway.tracing.opentelemetry import OtlpTracing
from modelway.tracing.sampling import Sampler
from tests.support.collector import Collector, collecting
from tests.support.serving import serving_both
from tests.support.wire import until
from tests.unit.serving.made import becomes, make_workspace, predictions, put_version, request, route, running
from tests.unit.serving.test_core import route as core_route
from tests.unit.serving.test_core import servable

LOANS = "/v2/models/loans/infer"
BODY = {"inputs": [{"name": "income", "datatype": "FP64", "shape": [1], "data": [0.5]}]}
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{CALLER}-01"


@dataclass
class World:
    """A server whose version answers as `run` says, and the requests that it has logged."""

    http: httpx.Client
    grpc: grpc.Channel
    collector: Collector
    metrics: MemoryMetrics
    logged: list[str] = field(default_factory=list)
    full: bool = False
    fails: bool = False
    hold: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)

    def run(self, numbers, words):
        if self.fails:
            raise EngineError("the graph failed")
        if numbers[0][0] == 0.25:
            self.held.set()
            assert self.hold.wait(20)
        return [[1 - n[0], n[0]] for n in numbers]

    def publish(self, topic, events):
        if self.full:
            raise DiskFullError("the disk is full")
        self.logged += [json.loads(event.value)["request"] for event in events]


def opened(share: float, stack: ExitStack) -> World:
    collector, metrics = stack.enter_context(collecting()), MemoryMetrics()
    made = World(None, None, collector, metrics)
    models = Models(lambda digest, model, number: servable(number, run=made.run), lambda: {"loans": core_route(1)})
    models.look()
    tracing = OtlpTracing(collector.url, "bank", metrics, every_ms=20)
    stack.callback(tracing.close)
    log = PredictionLog(made.publish, lambda: None)
    sampler = Sampler(share)
    server = Server(models, log, Shadow(lambda echo: None, 1), WallClock(), metrics, tracing=tracing, sampler=sampler)
    url, address = stack.enter_context(serving_both(server))
    made.http = stack.enter_context(httpx.Client(base_url=url, timeout=20))
    made.grpc = stack.enter_context(grpc.insecure_channel(address))
    return made


@pytest.fixture
def world() -> Iterator[World]:
    """All that begin a trace are traced."""
    with ExitStack() as stack:
        yield opened(1.0, stack)


@pytest.fixture
def quiet() -> Iterator[World]:
    """None is, unless its caller is."""
    with ExitStack() as stack:
        yield opened(0.0, stack)


def asked(name: str, income: float = 0.5) -> messages.ModelInferRequest:
    made = messages.ModelInferRequest(model_name="loans", id=name)
    tensor = made.inputs.add(name="income", datatype="FP64", shape=[1])
    tensor.contents.fp64_contents.append(income)
    return made


def infer(world: World, message: messages.ModelInferRequest, *metadata: tuple[str, str]):
    call = world.grpc.unary_unary(
        f"/{SERVICE}/ModelInfer",
        request_serializer=messages.ModelInferRequest.SerializeToString,
        response_deserializer=messages.ModelInferResponse.FromString,
    )
    return call.with_call(message, timeout=20, metadata=metadata)


def by_name(spans: list[Arrived]) -> dict[str, Arrived]:
    assert len({one.name for one in spans}) == len(spans)
    return {one.name: one for one in spans}


def fields(caplog: pytest.LogCaptureFixture) -> list[dict]:
    return [
        record.fields for record in caplog.records if record.name == "modelway.serving" and hasattr(record, "fields")
    ]


def test_a_traced_request_is_one_in_answer_spans_and_prediction_log(world):
    answer = world.http.post(LOANS, json=BODY)
    assert answer.status_code == 200
    version, trace, span, flags = answer.headers["traceresponse"].split("-")
    found = by_name(world.collector.arrived(trace, 5))
    root = found.pop("infer")
    assert (version, flags, root.span, root.parent) == ("00", "01", span, "")
    assert root.attributes["request"] == answer.json()["id"] == world.logged[0]
    assert {**root.attributes, "model": "loans", "version": "1", "status": 200} == root.attributes
    assert set(found) == {"queue", "features", "inference", "log"}
    assert {one.parent for one in found.values()} == {root.span}
    order = [found[name] for name in ("queue", "features", "inference", "log")]
    moments = [root.began, *(moment for one in order for moment in (one.began, one.ended))]
    assert [*moments, root.ended] == sorted([*moments, root.ended])
    assert (found["inference"].attributes["batch.requests"], found["inference"].attributes["batch.rows"]) == (1, 1)


def test_the_callers_trace_goes_on_over_http(quiet):
    headers = {"traceparent": PARENT, "tracestate": "vendor=word"}
    answer = quiet.http.post(LOANS, json={**BODY, "id": "mine"}, headers=headers)
    found = by_name(quiet.collector.arrived(TRACE, 5))
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{found['infer'].span}-01"
    assert (found["infer"].parent, found["infer"].state) == (CALLER, "vendor=word")
    assert found["infer"].attributes["request"] == "mine"


def test_the_callers_trace_goes_on_over_grpc(quiet):
    response, call = infer(quiet, asked("mine"), ("traceparent", PARENT), ("other-bin", b"\x00"))
    found = by_name(quiet.collector.arrived(TRACE, 5))
    assert dict(call.trailing_metadata())["traceresponse"] == f"00-{TRACE}-{found['infer'].span}-01"
    assert (found["infer"].parent, found["infer"].attributes["request"], response.id) == (CALLER, "mine", "mine")


def test_who_is_not_sampled_hears_and_sends_nothing(quiet):
    unsampled = {"traceparent": PARENT[:-1] + "0"}
    answers = [quiet.http.post(LOANS, json=BODY, headers=more) for more in ({}, unsampled)]
    _, call = infer(quiet, asked("x"))
    assert not any("traceresponse" in answer.headers for answer in answers)
    assert "traceresponse" not in dict(call.trailing_metadata() or ())
    quiet.http.post(LOANS, json=BODY, headers={"traceparent": PARENT})
    quiet.collector.arrived(TRACE, 5)
    assert len(quiet.collector.spans) == 5


def test_a_failed_request_is_found_by_its_name(world, caplog):
    for ill, status in (("fails", 503), ("full", 503), ("", 404), ("", 400)):
        caplog.clear()
        world.fails, world.full = ill == "fails", ill == "full"
        path = "/v2/models/nobody/infer" if status == 404 else LOANS
        answer = world.http.post(path, content=b"{" if status == 400 else json.dumps(BODY))
        assert answer.status_code == status
        trace = answer.headers["traceresponse"].split("-")[1]
        root = next(one for one in world.collector.arrived(trace, 1) if one.name == "infer")
        assert (root.error, root.attributes["status"]) == (status == 503, status)
        (told,) = fields(caplog)
        assert told["request"] == root.attributes["request"] == answer.headers["modelway-request"]
        assert (told["trace"], told["status"], told["model"]) == (trace, status, "" if status == 404 else "loans")


def test_values_of_a_refused_request_are_in_no_log_and_no_trace(world, caplog):
    body = {"inputs": [{"name": "income", "datatype": "FP64", "shape": [1], "data": ["Miller"]}]}
    answer = world.http.post(LOANS, json=body)
    assert (answer.status_code, "Miller" in answer.text) == (400, True)
    trace = answer.headers["traceresponse"].split("-")[1]
    (root,) = world.collector.arrived(trace, 1)
    assert (root.attributes["error.type"], "Miller" in str(root.attributes)) == ("DataError", False)
    assert [told["request"] for told in fields(caplog)] == [root.attributes["request"]]
    assert "Miller" not in caplog.text


def test_a_failed_call_over_grpc_is_found_by_its_name(world, caplog):
    world.fails = True
    with pytest.raises(grpc.RpcError) as error:
        infer(world, asked("mine"))
    trace = dict(error.value.trailing_metadata())["traceresponse"].split("-")[1]
    root = next(one for one in world.collector.arrived(trace, 1) if one.name == "infer")
    (told,) = fields(caplog)
    assert (root.error, root.attributes["request"], told["request"], told["trace"]) == (True, "mine", "mine", trace)


def written(income: float) -> bytes:
    body = json.dumps(BODY).replace("0.5", str(income))
    return f"POST {LOANS} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


def outstanding(client: socket.socket) -> int:
    """Bytes that the other end has not taken in yet (Linux: SIOCOUTQ)."""
    return int(struct.unpack("i", fcntl.ioctl(client, termios.TIOCOUTQ, bytes(4)))[0])


def test_a_run_that_answers_several_says_how_many(world):
    place = world.http.base_url
    for _ in range(8):  # its pace is known from now on
        world.http.post(LOANS, json=BODY).raise_for_status()
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection((place.host, place.port), 20)) for _ in range(5)]
        for client in clients:
            client.sendall(written(0.5))
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        clients[0].sendall(written(0.25))
        assert world.held.wait(20)
        for client in clients[1:]:
            client.sendall(written(0.5))
        until(lambda: not any(map(outstanding, clients)))
        world.hold.set()
        answers = [client.recv(65536) for client in clients]
    traces = [answer.partition(b"traceresponse: 00-")[2][:32].decode() for answer in answers]
    runs = [by_name(world.collector.arrived(trace, 5))["inference"] for trace in traces]
    assert [run.attributes["batch.requests"] for run in runs] == [1, 4, 4, 4, 4]
    assert len({run.ended - run.began for run in runs[1:]}) == 1
    found = parse_exposition(world.metrics.exposition())
    assert found[sample(f"{measured.RUN}_sum", model="loans")] == 18
    assert found[sample(f"{measured.RUN}_count", model="loans")] == 15


def test_a_process_sends_what_waits_before_it_ends_and_logs_json(tmp_path):
    workspace = make_workspace(tmp_path)
    workspace.traffic.apply(route("loans", {1: put_version(workspace)}))
    rows = [{"id": "r", "income": 2.0}]
    with collecting() as collector:
        stack = f"serving: {{port: 0, access_log: true}}\ntracing: {{endpoint: '{collector.url}', sample: 1.0}}\n"
        workspace.places.stack.write_text(stack)
        with running(workspace) as (url, process), httpx.Client(base_url=url, timeout=20) as client:
            answer = client.post(LOANS, json=request(rows, id='a "b"\n'))
            many = client.post(LOANS, json=request([{"id": f"r{n}", "income": float(n)} for n in range(40)]))
            assert client.post("/v2/models/nobody/infer", json=request(rows)).status_code == 404
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        matrix, trace = (one.headers["traceresponse"].split("-")[1] for one in (many, answer))
        for found, number in ((by_name(collector.of(matrix)), 40), (by_name(collector.of(trace)), 1)):
            assert set(found) == {"infer", "queue", "features", "inference", "log"}
            assert found["inference"].attributes["batch.rows"] == number
    event = next(one for one in predictions(workspace) if one["index"] == 0 and one["key"] == "r")
    lines = [json.loads(line) for line in (workspace.places.logs / "server.log").read_text().splitlines()]
    told = {line["status"]: line for line in reversed(lines) if "request" in line}
    assert told[200]["request"] == event["request"] == 'a "b"\n'
    assert (told[200]["trace"], told[200]["rows"]) == (trace, 1)
    assert (told[404]["level"], told[404]["error"]) == ("WARNING", "NotFoundError")
    workspace.close()


def test_levels_are_what_they_are_when_somebody_looks(world):
    with httpx.Client(base_url=world.http.base_url, timeout=20) as other:
        slow = threading.Thread(target=infer, args=(world, asked("slow", 0.25)))
        slow.start()
        assert world.held.wait(20)
        found = parse_exposition(other.get("/metrics").content)
        assert found[sample("modelway_requests_in_flight")] == 1
        assert found[sample("modelway_queue_rows", model="loans", version="1")] == 1
        world.hold.set()
        slow.join(20)
        becomes(lambda: parse_exposition(other.get("/metrics").content)[sample("modelway_requests_in_flight")] == 0)
        found = parse_exposition(other.get("/metrics").content)
    assert found[sample("modelway_queue_rows", model="loans", version="1")] == 0
    assert found[sample(f"{measured.RUN}_count", model="loans")] == 1
    assert found[sample("modelway_log_unsynced_events")] == 1


def test_a_flood_of_failures_is_told_now_and_then(world, caplog):
    caplog.set_level(logging.WARNING)
    for _ in range(300):
        world.http.post(LOANS, content=b"{")
    assert 100 <= len(fields(caplog)) < 300
    found = parse_exposition(world.metrics.exposition())
    assert found[sample(measured.REQUESTS, model="loans", version="", status="400")] == 300
