"""Admission: quick versions share the loop, slow ones keep nobody waiting, what cannot be answered in time is refused at once."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import httpx
import pytest

from modelway.clock import WallClock
from modelway.errors import EngineError
from modelway.records import Route
from modelway.serving.asking import Server
from modelway.serving.lanes import Lane
from modelway.serving.log import PredictionLog
from modelway.serving.models import Models
from modelway.serving.servable import nowhere, unhurried
from modelway.serving.shadow import Shadow
from tests.support.serving import serving
from tests.unit.serving.made import becomes
from tests.unit.serving.test_core import MANIFEST, servable

SLOW, QUICK = "/predict/slow", "/predict/quick"


@dataclass
class Asked:
    rows: list[dict[str, float]]


class Gate:
    """A model that answers when it may, and tells on which thread."""

    def __init__(self) -> None:
        self.open, self.entered = threading.Event(), threading.Semaphore(0)
        self.threads, self.rows = list[str](), list[int]()
        self.open.set()
        self.broken = False

    def __call__(self, numbers, words):
        self.threads.append(threading.current_thread().name)
        self.rows.append(len(numbers))
        self.entered.release()
        assert self.open.wait(30)
        if self.broken:
            raise EngineError("broken")
        return [[1 - n[0], n[0]] for n in numbers]


@contextmanager
def two(slow: Gate, quick: Gate, longest_wait: float = 0.25) -> Iterator[httpx.Client]:
    """A server with two models."""

    def load(digest, model, number):
        run = slow if model == "slow" else quick
        made = servable(number, run=run, manifest=replace(MANIFEST, model=model))
        return replace(made, longest_wait=longest_wait, upto=unhurried if model == "slow" else nowhere)

    models = Models(load, lambda: {name: Route(name, {"1": 1.0}, {"1": "d"}) for name in ("slow", "quick")})
    models.look()
    log = PredictionLog(lambda topic, events: None, lambda: None)
    with (
        serving(Server(models, log, Shadow(lambda echo: None, 1), WallClock())) as url,
        httpx.Client(base_url=url, timeout=30, limits=httpx.Limits(max_connections=200)) as client,
    ):
        yield client


def test_a_version_is_tried_in_a_thread_and_answered_on_the_loop_once_it_is_known_to_be_quick():
    slow, quick = Gate(), Gate()
    with two(slow, quick) as client:
        for _ in range(300):
            assert client.post(QUICK, json={"income": 0.5}).status_code == 200
            if not quick.threads[-1].startswith("ThreadPool"):
                break
    assert quick.threads[0].startswith("ThreadPool")
    assert not quick.threads[-1].startswith("ThreadPool")


def test_a_slow_version_keeps_no_other_waiting():
    slow, quick = Gate(), Gate()
    slow.open.clear()
    with two(slow, quick) as client, ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(client.post, SLOW, json={"income": 0.5})]
        assert slow.entered.acquire(timeout=30)
        waiting += [pool.submit(client.post, SLOW, json={"income": 0.5}) for _ in range(10)]
        for _ in range(20):
            assert client.post(QUICK, json={"income": 0.5}).status_code == 200
        assert not any(one.done() for one in waiting)
        slow.open.set()
        assert [one.result(30).status_code for one in waiting] == [200] * 11
    assert sum(slow.rows) == 11


def test_who_would_wait_too_long_is_refused_at_once_and_may_come_again():
    slow, quick = Gate(), Gate()
    with two(slow, quick, longest_wait=1e-3) as client, ThreadPoolExecutor(100) as pool:
        for _ in range(5):
            assert client.post(SLOW, json={"income": 0.5}).status_code == 200
        slow.open.clear()
        waiting = [pool.submit(client.post, SLOW, json=[{"income": 0.5}] * 60) for _ in range(80)]
        becomes(lambda: sum(one.done() for one in waiting) > 20)
        refused = [one.result() for one in waiting if one.done()]
        assert {one.status_code for one in refused} == {429}
        assert {one.headers["retry-after"] for one in refused} == {"1"}
        assert "more is asked than can be answered" in refused[0].json()["error"]
        slow.open.set()
        assert {one.result(30).status_code for one in waiting} == {200, 429}
        assert client.post(SLOW, json={"income": 0.5}).status_code == 200


def test_a_time_out_of_the_client_is_honoured():
    slow, quick = Gate(), Gate()
    asked = {"inputs": [{"name": "income", "datatype": "FP64", "shape": [1], "data": [0.5]}]}
    with two(slow, quick) as client, ThreadPoolExecutor(2) as pool:
        path = "/v2/models/slow/infer"
        assert client.post(path, json={**asked, "parameters": {"timeout": 30_000_000}}).status_code == 200
        slow.open.clear()
        first = pool.submit(client.post, path, json=asked)
        assert slow.entered.acquire(timeout=30)
        assert slow.entered.acquire(timeout=30)
        second = pool.submit(client.post, path, json={**asked, "parameters": {"timeout": 20_000}})
        with pytest.raises(TimeoutError):
            second.result(0.2)
        slow.open.set()
        assert (first.result(30).status_code, second.result(30).status_code) == (200, 504)
        assert client.post(path, json={**asked, "parameters": {"timeout": -1}}).status_code == 400


def test_a_version_that_fails_gives_its_room_back():
    slow, quick = Gate(), Gate()
    slow.broken = True
    with two(slow, quick, longest_wait=1e-3) as client:
        for _ in range(200):
            assert client.post(SLOW, json=[{"income": 0.5}] * 10).status_code == 503
        slow.broken = False
        assert client.post(SLOW, json={"income": 0.5}).status_code == 200


def test_a_lane_takes_as_many_as_its_time_allows():
    lane = Lane(on_loop=True, longest_wait=0.25)
    assert (lane.quick, lane.wait) == (False, 0.0)
    for _ in range(5):
        lane.pace.note(10, 10e-3, 10e-3)
    lane.pace.note(1, 10.0, 1e-3)  # the machine paused
    lane.rows = 7
    lane.waiting.extend(Asked([{}] * n) for n in (1, 1, 5, 1))
    assert [[len(one.rows) for one in lane.batch()] for _ in range(3)] == [[1, 1], [5], [1]]  # 2 ms, one at least
    assert (lane.quick, lane.wait) == (False, pytest.approx(7e-3))
    for _ in range(60):
        lane.pace.note(10, 50e-3, 10e-6)  # quick, on a busy machine
    assert lane.quick


def test_what_a_challenger_refuses_and_the_champion_would_not_is_told_to_its_release():
    slow, events = Gate(), []

    def load(digest, model, number):
        made = servable(number, run=slow if number == 2 else Gate())
        return replace(made, **({"longest_wait": 1e-3, "upto": unhurried} if number == 2 else {"longest_wait": 60.0}))

    shares = Route("loans", {"1": 0.5, "2": 0.5}, {"1": "d", "2": "e"}, 2)
    models = Models(load, lambda: {"loans": shares})
    models.look()
    log = PredictionLog(lambda topic, new: events.extend(new), lambda: None)
    body = [{"income": 0.5}] * 60
    with (
        serving(Server(models, log, Shadow(lambda echo: None, 1), WallClock())) as url,
        httpx.Client(base_url=url, timeout=30, limits=httpx.Limits(max_connections=200)) as client,
        ThreadPoolExecutor(100) as pool,
    ):
        for _ in range(20):
            assert client.post("/predict/loans", json=body).status_code == 200
        slow.open.clear()
        waiting = [pool.submit(client.post, "/predict/loans", json=body) for _ in range(80)]
        becomes(lambda: sum(one.done() for one in waiting) > 50)
        slow.open.set()
        statuses = Counter(one.result(30).status_code for one in waiting)
    assert statuses[429] > 0
    told = Counter((made["version"], made["status"]) for made in map(json.loads, (event.value for event in events)))
    assert told[2, "error"] == statuses[429] * 60
    assert told[1, "error"] == 0
