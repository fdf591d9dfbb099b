"""Models that are loaded when somebody asks, and make room for one another."""

import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import grpc
import httpx
import pytest

from modelway.clock import WallClock
from modelway.errors import EngineError, StateError
from modelway.records import Route
from modelway.serving import measured
from modelway.serving.asking import Server
from modelway.serving.grpc import inference_pb2 as messages
from modelway.serving.grpc.listener import SERVICE
from modelway.serving.log import PredictionLog
from modelway.serving.models import EVICTIONS, LOAD_SECONDS, LOADS, ColdError, Models
from modelway.serving.room import Room
from modelway.serving.shadow import Shadow
from modelway.testing.metrics import parse_exposition, sample
from tests.support.serving import serving, serving_both
from tests.unit.serving.test_core import MANIFEST, servable

NAMES = [f"m{n}" for n in range(6)]
ROUTES = {name: Route(name, {"1": 1.0}, {"1": "d"}) for name in NAMES}


class Memory:
    """Holds a hundred bytes for each model that is loaded, and remembers the most."""

    def __init__(self, most: int) -> None:
        self.models: Models | None = None
        self.loaded, self.counted, self.high = list[str](), dict[str, int](), 0
        self.took = list[tuple[str, float]]()
        self.room = Room(int((100 * most + 50) / 0.94), self.held, lambda: None)
        self.room.model = 100.0

    def held(self) -> int:
        there = 100 * len(self.models.table.models) if self.models else 0
        self.high = max(self.high, there)
        return there

    def count(self, name: str, number: int) -> None:
        self.counted[name] = self.counted.get(name, 0) + number


def models_in(memory: Memory, load=None, routes=lambda: ROUTES) -> Models:
    seconds = iter(range(10**6))

    def loaded(digest, model, number):
        memory.loaded.append(model)
        return servable(number, manifest=replace(MANIFEST, model=model))

    made = Models(
        load or loaded,
        routes,
        seconds=lambda: float(next(seconds)),
        room=memory.room,
        counted=memory.count,
        observed=lambda name, value: memory.took.append((name, value)),
    )
    memory.models = made
    made.look()
    return made


def ask_for(models: Models, name: str) -> None:
    try:
        models.use(name)
    except ColdError:
        models.warm(name)
        models.use(name)


def test_nothing_is_loaded_before_it_is_asked_for_and_the_least_recently_used_goes():
    memory = Memory(most=3)
    models = models_in(memory)
    assert models.table.ready
    assert memory.loaded == []
    for name in ("m0", "m1", "m2", "m0", "m3", "m0"):
        ask_for(models, name)
    assert set(models.table.models) == {"m0", "m2", "m3"}
    ask_for(models, "m1")
    assert set(models.table.models) == {"m0", "m1", "m3"}
    assert memory.high <= 300
    assert memory.counted == {LOADS: 5, EVICTIONS: 2}
    assert [name for name, _ in memory.took] == [LOAD_SECONDS] * 5
    assert all(seconds > 0 for _, seconds in memory.took)
    models.look()
    assert set(models.table.models) == {"m0", "m1", "m3"}


def test_a_model_that_is_loaded_while_routes_change_follows_the_new_ones():
    memory, there = Memory(most=3), [ROUTES]
    models = models_in(memory, routes=lambda: there[-1])

    class Changing(dict):
        def items(self):
            for number, item in enumerate(super().items()):
                if number == 1:
                    models.warm("m0")  # behind the look, and before its end
                yield item

    newer = {name: Route(name, {"2": 1.0}, {"2": "d"}) for name in NAMES}
    there.append(Changing(newer))
    models.look()
    models.look()
    assert set(models.use("m0").versions) == {2}


def test_where_not_even_one_has_room_it_is_said():
    memory = Memory(most=0)
    with pytest.raises(StateError, match=r"serving\.memory"):
        models_in(memory).warm("m0")


def test_a_version_is_let_go_when_nobody_holds_it():
    models = models_in(Memory(most=1))
    ask_for(models, "m0")
    gone = weakref.ref(models.table.models["m0"].newest)
    ask_for(models, "m1")
    assert gone() is None


@contextmanager
def served(models: Models) -> Iterator[httpx.Client]:
    log = PredictionLog(lambda topic, events: None, lambda: None)
    with (
        serving(Server(models, log, Shadow(lambda echo: None, 1), WallClock())) as url,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        yield client


def test_who_asks_for_a_cold_model_waits_for_it_and_is_answered():
    memory = Memory(most=2)
    with served(models_in(memory)) as client, ThreadPoolExecutor(8) as pool:
        for name in (*NAMES, *NAMES):
            said = [pool.submit(client.post, f"/predict/{name}", json={"income": 0.75}) for _ in range(8)]
            assert [one.result(30).json()["model"] for one in said] == [name] * 8
        assert client.get("/v2/models/m0").json()["name"] == "m0"
        assert client.post("/predict/other", json={"income": 0.75}).status_code == 404
        assert "several models" in client.post("/invocations", json={"instances": [[0.75]]}).json()["error"]
    assert len(memory.loaded) == 13  # once each time, however many asked
    assert memory.high <= 200


def test_a_cold_model_that_cannot_be_loaded_says_why_and_the_others_go_on():
    def load(digest, model, number):
        if model == "m1":
            raise EngineError("its graph is broken")
        return servable(number, manifest=replace(MANIFEST, model=model))

    with served(models_in(Memory(most=3), load)) as client:
        refused = client.post("/predict/m1", json={"income": 0.75})
        assert (refused.status_code, "its graph is broken" in refused.json()["error"]) == (503, True)
        assert client.post("/predict/m0", json={"income": 0.75}).status_code == 200


def test_a_call_for_a_cold_model_that_cannot_be_loaded_is_counted():
    def load(digest, model, number):
        raise EngineError("its graph is broken")

    models, log = models_in(Memory(most=3), load), PredictionLog(lambda topic, events: None, lambda: None)
    server = Server(models, log, Shadow(lambda echo: None, 1), WallClock())
    with serving_both(server) as (url, address), grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        with pytest.raises(grpc.RpcError, match="its graph is broken"):
            call(messages.ModelInferRequest(model_name="m1").SerializeToString(), timeout=20)
        found = parse_exposition(httpx.get(f"{url}/metrics").content)
    assert found[sample(measured.REQUESTS, model="m1", version="", status="503")] == 1


def test_a_slow_load_keeps_nobody_else_waiting():
    go = threading.Event()

    def load(digest, model, number):
        assert model != "m1" or go.wait(30)
        return servable(number, manifest=replace(MANIFEST, model=model))

    with served(models_in(Memory(most=3), load)) as client, ThreadPoolExecutor(1) as pool:
        assert client.post("/predict/m0", json={"income": 0.75}).status_code == 200
        slow = pool.submit(client.post, "/predict/m1", json={"income": 0.75})
        for _ in range(20):
            assert client.post("/predict/m0", json={"income": 0.75}).status_code == 200
        assert not slow.done()
        go.set()
        assert slow.result(30).status_code == 200


def test_while_models_are_loaded_the_ready_ones_answer_and_who_asks_for_another_waits_for_it():
    free = threading.Event()

    def load(digest, model, number):
        assert model != "m1" or free.wait(30)
        return servable(number, manifest=replace(MANIFEST, model=model))

    models = Models(load, lambda: ROUTES)
    models.look(0.0)
    with served(models) as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.post, "/predict/m1", json={"income": 0.75})
        for name in ("m0", "m5"):
            assert client.post(f"/predict/{name}", json={"income": 0.75}).status_code == 200
        assert client.get("/v2/health/ready").status_code == 503
        assert not waiting.done()
        free.set()
        assert waiting.result(30).status_code == 200
        models.look()
        assert client.get("/v2/health/ready").status_code == 200
