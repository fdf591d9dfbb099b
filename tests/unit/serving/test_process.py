"""A real server process: exchanged under load, killed, asked for nonsense, stopped."""

import http.client
import itertools
import json
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import numpy as np
import pytest

from modelway.errors import DataError, NotFoundError, ServerError
from modelway.events.log import NewEvent
from modelway.serving.client import infer
from modelway.serving.run import bind
from tests.unit.serving.made import CARDS, becomes, make_workspace, predictions, put_version, request, route, running

HEAVY = {
    "mlflow",
    "pandas",
    "sklearn",
    "lightgbm",
    "polars",
    "ibis",
    "deltalake",
    "matplotlib",
    "optuna",
    "opentelemetry",
}
ROWS = [{"id": f"r{n}", "income": float(n)} for n in range(3)]


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client():
    with httpx.Client(timeout=20) as opened:
        yield opened


def test_hot_swap_under_load_without_a_failed_request(workspace, client):
    digests = {n: put_version(workspace, bias=float(n)) for n in (1, 2)}
    workspace.traffic.apply(route("loans", digests, {1: 1.0}))
    failed, seen, stop = [], set(), threading.Event()

    def ask(name: str) -> None:
        with httpx.Client(timeout=20) as mine:
            for n in itertools.count():
                if stop.is_set():
                    return
                reply = mine.post(f"{url}/v2/models/loans/infer", json=request(ROWS[:1], id=f"{name}-{n}"))
                if reply.status_code != 200:
                    failed.append(reply.text)
                seen.add(reply.json().get("model_version"))

    with running(workspace) as (url, _):
        threads = [threading.Thread(target=ask, args=(f"t{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        for version in (2, 1, 2, 1, 2):
            workspace.traffic.apply(route("loans", digests, {version: 1.0}))
            generation = workspace.traffic.routes()["loans"].generation
            becomes(lambda g=generation: client.get(f"{url}/v2/models/loans").json()["parameters"]["generation"] == g)
            becomes(lambda v=version: str(v) in seen)
        stop.set()
        for thread in threads:
            thread.join(20)
    assert failed == []
    assert seen == {"1", "2"}


def test_a_kill_loses_no_answered_prediction(workspace):
    workspace.traffic.apply(route("loans", {1: put_version(workspace)}))
    answered, dead = [], threading.Event()

    def ask(name: str) -> None:
        with httpx.Client(timeout=20) as mine:
            for n in itertools.count():
                try:
                    reply = mine.post(f"{url}/v2/models/loans/infer", json=request(ROWS[:1], id=f"{name}-{n}"))
                except httpx.TransportError:
                    dead.set()
                    return
                assert reply.status_code == 200
                answered.append(f"{name}-{n}")

    with running(workspace) as (url, process):
        threads = [threading.Thread(target=ask, args=(f"t{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        becomes(lambda: len(answered) > 100)
        process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join(20)
    assert dead.is_set()
    logged = {event["request"] for event in predictions(workspace)}
    assert set(answered) <= logged
    assert len(logged - set(answered)) <= 3


def test_a_client_comes_through_a_restart(workspace, client):
    workspace.traffic.apply(route("loans", {1: put_version(workspace)}))
    with running(workspace) as (url, _):
        assert len(infer(client, url, "loans", ROWS, request="a", chunk=2)) == 3
        free = int(url.rsplit(":", 1)[1])
    with pytest.raises(ServerError, match="did not answer in 2 tries"):
        infer(client, url, "loans", ROWS, request="b", tries=2, pause=lambda s: None)
    pauses = []
    with running(workspace) as (again, _):

        def to_the_new_one(seconds: float) -> None:
            pauses.append(seconds)
            client.event_hooks["request"] = [moved]

        def moved(asked: httpx.Request) -> None:
            asked.url = asked.url.copy_with(port=int(again.rsplit(":", 1)[1]))

        answers = infer(client, f"http://127.0.0.1:{free}", "loans", ROWS, request="c", pause=to_the_new_one)
    assert len(answers) == 3
    assert [e["request"] for e in predictions(workspace)] == ["a-0", "a-0", "a-1", "c", "c", "c"]


def test_answers_are_in_order_and_a_refused_row_fails_no_other(workspace, client):
    workspace.traffic.apply(route("loans", {1: put_version(workspace, bias=1.5)}))
    rows = [ROWS[0], {"id": "bad", "income": -5.0}, {"id": "none", "income": None}, ROWS[2]]
    with running(workspace) as (url, _):
        answers = infer(client, url, "loans", rows, request="q")
        with pytest.raises(DataError, match="'income' is missing"):
            infer(client, url, "loans", [{"id": "x"}], request="q2")
        with pytest.raises(NotFoundError, match="no model 'lones'"):
            infer(client, url, "lones", rows, request="q3")
    assert [a["prediction"] for a in answers] == ["bad", None, None, "good"]
    assert "income" in answers[1]["reason"]
    assert answers[1]["probabilities"] == {"bad": None, "good": None}
    events = predictions(workspace)
    assert [e["key"] for e in events] == ["r0", "bad", "none", "r2"]
    assert [e["status"] for e in events] == ["ok", "refused", "invalid", "ok"]
    assert all(e["version"] == 1 and not e["shadow"] for e in events)


def test_what_was_answered_is_answered_in_shadow_too(workspace, client):
    digests = {1: put_version(workspace, bias=1.0), 2: put_version(workspace, bias=2.0)}
    workspace.traffic.apply(route("loans", digests, {1: 0.5, 2: 0.5}, shadow=2))
    with running(workspace) as (url, _):
        for n in range(40):
            infer(client, url, "loans", ROWS[:1], request=f"q{n}")
    events = predictions(workspace)
    by_request = {name: sorted((e["version"], e["shadow"]) for e in events if e["request"] == name) for name in
                  {e["request"] for e in events}}  # fmt: skip
    assert len(by_request) == 40
    kinds = {tuple(pair) for pair in by_request.values()}
    assert kinds == {((1, False), (2, True)), ((1, True), (2, False))}


def test_a_broken_challenger_in_shadow_harms_nobody(workspace, client):
    digests = {1: put_version(workspace), 2: put_version(workspace, bias=float("nan"))}
    workspace.traffic.apply(route("loans", digests, shadow=2))
    with running(workspace) as (url, _):
        assert infer(client, url, "loans", ROWS, request="q")[0]["version"] == 1
    shadow = [e for e in predictions(workspace) if e["shadow"]]
    assert [e["status"] for e in shadow] == ["invalid"] * 3


def test_windows_see_what_the_log_held_when_they_were_asked(workspace, client):
    workspace.traffic.apply(route("cards", {1: put_version(workspace, CARDS)}))

    def happened(key: str, amount: float, at: str = "2026-03-01T10:00:00Z") -> NewEvent:
        return NewEvent(key, json.dumps({"id": key, "card": "c1", "amount": amount, "at": at, "fraud": 1}).encode())

    asked = {"id": "now", "card": "c1", "amount": 2.0, "at": "2026-03-01T12:00:00Z"}
    workspace.log.append("cards", [happened("a", 0.5), happened("wrong", -1.0), NewEvent("x", b"no json")])
    with running(workspace) as (url, _):

        def score() -> float:
            good = infer(client, url, "cards", [asked], request=f"q{time.perf_counter_ns()}")[0]["probabilities"][
                "good"
            ]
            return float(np.log(good / (1 - good)))

        # amount + count (a and the row itself) + sum + share of frauds
        assert score() == pytest.approx(2.0 + 2 + 2.5 + 1.0)
        workspace.log.append("cards", [happened("b", 1.25)])
        assert score() == pytest.approx(2.0 + 3 + 3.75 + 1.0)
        workspace.log.append("cards", [happened("b", 1.25)])
        assert score() == pytest.approx(2.0 + 3 + 3.75 + 1.0)
    assert [e["upto"] for e in predictions(workspace, "cards")] == [{"0": 3}, {"0": 4}, {"0": 5}]
    with running(workspace) as (url, _):
        assert score() == pytest.approx(2.0 + 3 + 3.75 + 1.0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "expected an object"),
        (b'{"inputs": 3}', "inputs"),
        (b'{"inputs": [{"name": "income", "datatype": "FP64", "shape": [2], "data": [1.0]}]}', "shape says 2 rows"),
        (b'{"inputs": [{"name": "income", "datatype": "FP64", "shape": [1], "data": ["x"]}]}', "index 0"),
        (b'{"inputs": [{"name": "income", "datatype": "COMPLEX", "shape": [1], "data": [1]}]}', "datatype"),
    ],
)
def test_malformed_input_is_400_with_place_and_fix(app_url, client, body, said):
    reply = client.post(f"{app_url}/v2/models/loans/infer", content=body)
    assert reply.status_code == 400
    assert set(reply.json()) == {"error"}
    assert said in reply.json()["error"]
    assert "fix:" in reply.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2", 200),
        ("GET", "/v2/health/live", 200),
        ("GET", "/v2/health/ready", 200),
        ("GET", "/v2/models/loans", 200),
        ("GET", "/v2/models/loans/ready", 200),
        ("GET", "/v2/models/loans/versions/1", 200),
        ("GET", "/v2/models/loans/versions/1/ready", 200),
        ("GET", "/v2/models/loans/versions/7", 404),
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/loans/infer", 405),
        ("POST", "/v2", 405),
        ("GET", "/elsewhere", 404),
    ],
)
def test_the_paths_of_the_protocol(app_url, client, method, path, status):
    reply = client.request(method, app_url + path)
    assert reply.status_code == status
    assert ("error" in reply.json()) == (status >= 400)


def test_metadata_names_inputs_and_the_generation(app_url, client):
    told = client.get(f"{app_url}/v2/models/loans").json()
    assert [(i["name"], i["datatype"]) for i in told["inputs"]][:1] == [("income", "FP64")]
    assert told["parameters"]["generation"] == 1


def test_a_body_that_is_too_large_is_refused_before_it_is_read(app_url):
    asked = http.client.HTTPConnection(httpx.URL(app_url).netloc.decode(), timeout=20)
    asked.putrequest("POST", "/v2/models/loans/infer")
    asked.putheader("content-length", str(64 * 1024 * 1024))
    asked.endheaders()
    reply = asked.getresponse()
    assert reply.status == 413
    assert "fewer rows" in json.loads(reply.read())["error"]
    asked.close()


@pytest.fixture(scope="module")
def app_url(tmp_path_factory):
    workspace = make_workspace(tmp_path_factory.mktemp("served"))
    workspace.traffic.apply(route("loans", {1: put_version(workspace)}))
    with running(workspace) as (url, _):
        yield url
    workspace.close()


def test_it_ends_in_order_and_loads_nothing_heavy(workspace, client, tmp_path):
    digests = {1: put_version(workspace), 2: put_version(workspace, bias=2.0)}
    workspace.traffic.apply(route("loans", digests, shadow=2))
    cards = put_version(workspace, CARDS)
    workspace.traffic.apply(route("cards", {1: cards}))
    loaded = tmp_path / "modules.txt"
    with running(workspace, str(loaded)) as (url, process):
        infer(client, url, "loans", ROWS, request="q")
        infer(client, url, "cards", [{"card": "c1", "amount": 2.0}], request="q")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert not workspace.places.server.exists()
    assert len(predictions(workspace)) == 6
    modules = {name.split(".")[0] for name in loaded.read_text().splitlines()}
    assert modules & HEAVY == set()
    assert "onnxruntime" in modules


def test_a_port_in_use_is_said():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServerError, match="address already in use"):
        bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ServerError, match="no-such-host"):
        bind("no-such-host.invalid", 0)


def test_an_answer_does_not_wait_for_the_network(app_url):
    """Nagle's algorithm and a delayed acknowledgement would make it 40 ms."""
    asked = http.client.HTTPConnection(httpx.URL(app_url).netloc.decode(), timeout=20)
    body, took = json.dumps(request(ROWS[:1])), []
    for _ in range(60):
        began = time.perf_counter()
        asked.request("POST", "/v2/models/loans/infer", body)
        asked.getresponse().read()
        took.append(time.perf_counter() - began)
    asked.close()
    assert sorted(took)[30] < 0.03


def test_what_was_begun_is_answered_before_it_ends(workspace):
    workspace.traffic.apply(route("loans", {1: put_version(workspace)}))
    answered, failed = [], []

    def ask(name: str) -> None:
        with httpx.Client(timeout=20) as mine:
            for n in itertools.count():
                try:
                    reply = mine.post(f"{url}/v2/models/loans/infer", json=request(ROWS[:1], id=f"{name}-{n}"))
                except httpx.TransportError:
                    return
                (answered if reply.status_code == 200 else failed).append(f"{name}-{n}")

    with running(workspace) as (url, process):
        threads = [threading.Thread(target=ask, args=(f"t{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        becomes(lambda: len(answered) > 50)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        for thread in threads:
            thread.join(20)
    assert failed == []
    assert sorted(answered) == sorted(event["request"] for event in predictions(workspace))


def test_a_server_that_cannot_bind_says_so_in_its_last_line(workspace):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        workspace.places.stack.write_text(f"serving: {{port: {taken.getsockname()[1]}}}\n")
        done = subprocess.run(
            [sys.executable, "-m", "modelway.control.serve", str(workspace.places.root)],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert done.returncode == ServerError.exit_code
    assert "address already in use" in done.stderr.splitlines()[-1]
    assert not workspace.places.server.exists()
