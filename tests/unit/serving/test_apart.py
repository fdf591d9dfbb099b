"""A challenger's graph answers in a process of its own, as it would in the server; what it breaks is its own."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from benchmarks.broken import GRAPHS, turning

from modelway.errors import EngineError
from modelway.flow.forms import open_apart, open_run
from modelway.isolation.process import PythonProcess
from modelway.records import Manifest, dumps, loads
from modelway.workspace import Workspace
from tests.support.running import until
from tests.unit.serving.made import (
    graph_of,
    make_workspace,
    predictions,
    put_version,
    request,
    route,
    running,
)


@pytest.fixture
def workspace(tmp_path: Path):
    made = make_workspace(tmp_path)
    yield made
    made.close()


def manifest_of(workspace: Workspace, graph: bytes | None = None) -> Manifest:
    manifest = loads(Manifest, workspace.artifacts.get(put_version(workspace)))
    return manifest if graph is None else replace(manifest, graph=workspace.artifacts.put(graph))


def opened(workspace: Workspace, graph: bytes | None = None, row_seconds: float = 0.0) -> PythonProcess:
    return open_apart(workspace, manifest_of(workspace, graph), "loans@2", row_seconds)


def test_its_answers_are_the_very_ones_that_the_server_would_give(workspace):
    apart = opened(workspace)
    here = open_run(workspace, manifest_of(workspace), "loans@2")
    rows = np.random.default_rng(0).normal(size=(300, 1)) * 10
    words = [[]] * 300
    np.testing.assert_array_equal(apart(rows, words), here(rows, words))
    assert 0 < apart.way() < 5
    apart.close()


@pytest.mark.parametrize("kind", ["wrong width", "wrong rows", "raises", "80 GB"])
def test_a_graph_that_fails_is_told_and_its_process_goes_on(kind, workspace):
    apart = opened(workspace, GRAPHS[kind](1))
    pid = apart.pid
    for _ in range(2):
        with pytest.raises(
            EngineError, match=r"the graph of loans@2 (failed on|gave|needs more than 1024 MB for one row)"
        ):
            apart([[1.0]], [[]])
    assert apart.pid == pid
    apart.close()


def test_a_graph_that_does_not_end_is_stopped_and_comes_again(workspace):
    apart = opened(workspace, GRAPHS["endless"](1))
    first = apart.pid
    with pytest.raises(EngineError, match="the process of loans@2 took longer than 1 s for one row"):
        apart([[1.0]], [[]])
    until(lambda: apart.pid not in (None, first))
    apart.close()


def test_many_rows_may_take_longer(workspace):
    apart = opened(workspace, turning(1, 10**12), row_seconds=0.01)
    with pytest.raises(EngineError, match=r"took longer than 1\.2 s for 20 rows"):
        apart([[1.0]] * 20, [[]] * 20)
    apart.close()


def test_what_is_no_graph_cannot_be_loaded(workspace):
    with pytest.raises(EngineError, match="the graph of loans@2 cannot be loaded"):
        opened(workspace, GRAPHS["no graph"](1))


def children(pid: int) -> list[int]:
    """The processes in which graphs answer for a server."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"graph_child" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except (OSError, IndexError):
            continue
    return found


def test_from_shadow_to_champion_and_killed_on_the_way(workspace):
    one, two = put_version(workspace), put_version(workspace, bias=1.0)
    workspace.traffic.apply(route("loans", {1: one}))
    failed: list[str] = []
    with running(workspace) as (url, server), httpx.Client(base_url=url, timeout=30) as client:
        stop = threading.Event()

        def champion() -> None:
            with httpx.Client(base_url=url, timeout=30) as mine:
                while not stop.is_set():
                    reply = mine.post("/v2/models/loans/infer", json=request([{"income": 1.0}]))
                    if reply.status_code != 200:
                        failed.append(reply.text)

        def version() -> int:
            return len(client.get("/v2/models/loans").json()["versions"])

        thread = threading.Thread(target=champion)
        thread.start()
        assert children(server.pid) == []
        workspace.traffic.apply(route("loans", {1: one, 2: two}, {1: 1.0}, shadow=2))
        until(lambda: children(server.pid), what="the challenger has no process of its own")
        (child,) = children(server.pid)
        os.kill(child, signal.SIGKILL)
        until(lambda: children(server.pid) not in ([], [child]), what="it did not come again")
        until(lambda: any(p["version"] == 2 and p["status"] == "ok" for p in predictions(workspace)))
        workspace.traffic.apply(route("loans", {1: one, 2: two}, {1: 0.5, 2: 0.5}, shadow=2))
        until(lambda: version() == 2)
        until(lambda: any(p["version"] == 2 and not p["shadow"] for p in predictions(workspace)))
        workspace.traffic.apply(route("loans", {1: one, 2: two}, {2: 1.0}, shadow=1))
        until(lambda: not children(server.pid), what="the champion has a process of its own")
        last = client.post("/v2/models/loans/infer", json=request([{"income": 1.0}])).json()["id"]
        stop.set()
        thread.join(30)
    assert failed == []
    live = [p for p in predictions(workspace) if not p["shadow"]]
    assert not any("way" in p for p in live if p["version"] == 1 or p["request"] == last)
    way = [p["way"] / p["ms"] for p in live if "way" in p]
    assert way
    assert all(0 < share < 1 for share in way)


def test_a_hanging_challenger_holds_up_nobody(workspace):
    manifest = manifest_of(workspace, GRAPHS["endless"](1))
    one, two = put_version(workspace), workspace.artifacts.put(dumps(manifest))
    workspace.traffic.apply(route("loans", {1: one, 2: two}, {1: 0.5, 2: 0.5}, shadow=2))
    with running(workspace) as (url, _), httpx.Client(base_url=url, timeout=30) as client:
        hanging = threading.Thread(
            target=lambda: httpx.post(
                f"{url}/v2/models/loans/versions/2/infer", json=request([{"income": 1.0}]), timeout=30
            )
        )
        hanging.start()
        began, asked = time.monotonic(), 0
        while hanging.is_alive():
            path = "/v2/models/loans/versions/1/infer"
            assert client.post(path, json=request([{"income": 1.0}])).status_code == 200
            asked += 1
        assert time.monotonic() - began > 0.9
        assert asked > 20


def test_a_challenger_that_cannot_be_loaded_fails_so_that_its_release_ends(workspace):
    one = put_version(workspace)
    two = workspace.artifacts.put(dumps(manifest_of(workspace, GRAPHS["no graph"](1))))
    workspace.traffic.apply(route("loans", {1: one, 2: two}, {1: 1.0}, shadow=2))
    with running(workspace) as (url, _), httpx.Client(base_url=url) as client:
        assert client.post("/v2/models/loans/infer", json=request([{"income": 1.0}])).status_code == 200
        until(lambda: [p["reason"] for p in predictions(workspace) if p["version"] == 2 and p["status"] == "error"])
    (told,) = (p["reason"] for p in predictions(workspace) if p["version"] == 2)
    assert "the graph of loans@2 cannot be loaded" in told


def test_inside_when_the_stack_says_so(workspace):
    workspace.places.stack.write_text("serving: {port: 0, challengers: inside}\n")
    one, two = put_version(workspace), workspace.artifacts.put(dumps(manifest_of(workspace, graph_of(1, 2.0))))
    workspace.traffic.apply(route("loans", {1: one, 2: two}, {1: 0.5, 2: 0.5}, shadow=2))
    with running(workspace) as (url, server), httpx.Client(base_url=url) as client:
        assert client.post("/v2/models/loans/versions/2/infer", json=request([{"income": 1.0}])).status_code == 200
        assert children(server.pid) == []
