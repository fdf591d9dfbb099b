"""A server that asks a Python model: it loads none of its libraries, and what dies or hangs is that model's trouble alone."""

import os
import signal
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cloudpickle
import httpx
import pytest

from modelway.records import Column, Fit, Manifest, PythonModel, Trigger, dumps, loads
from modelway.state import runs
from modelway.workspace import Workspace
from tests.unit.isolation.test_process import alive
from tests.unit.serving.made import becomes, make_workspace, predictions, put_version, request, route, running

HEAVY = {"pandas", "sklearn", "cloudpickle", "scipy", "joblib"}
ODD = """
import os, time
import numpy as np

class Odd:
    classes_ = np.array([0, 1])

    def predict_proba(self, rows):
        if rows["income"].iloc[0] == 13:
            os.kill(os.getpid(), 9)
        if rows["income"].iloc[0] == 14:
            time.sleep(60)
        return np.column_stack([0.25 + 0 * rows["income"], 0.75 + 0 * rows["income"]])
"""


@pytest.fixture
def workspace(tmp_path: Path):
    made = make_workspace(tmp_path)
    yield made
    made.close()


def put_python(workspace: Workspace, seconds: float = 1.0) -> str:
    """A version whose scores are 0.25 and 0.75, and which dies at an income of 13 and hangs at 14; returns its digest."""
    space: dict[str, Any] = {"__name__": "of_a_user"}
    exec(ODD, space)
    estimator = workspace.artifacts.put(cloudpickle.dumps(space["Odd"]()))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    runs.open_run(workspace.database, "loans-0001", "loans", Trigger("manual", "a test"), now)
    fit = Fit(estimator, {}, 0, 0.0, "", "")
    runs.keep_step(workspace.database, "loans-0001", "train", dumps(fit).decode(), 0.0, None)
    manifest = loads(Manifest, workspace.artifacts.get(put_version(workspace)))
    model = PythonModel(estimator, (Column("income", "number"),), "binary", 2, seconds, 1024)
    stands = workspace.artifacts.put(dumps(model))
    return workspace.artifacts.put(dumps(replace(manifest, graph=stands, form="python")))


def children(pid: int) -> list[int]:
    """The living children of a process that answer for Python models."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"isolation/child.py" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except (OSError, IndexError):
            continue
    return found


def ask(client: httpx.Client, url: str, income: float, version: int, name: str) -> httpx.Response:
    body = request([{"id": name, "income": income}], id=name)
    return client.post(f"{url}/v2/models/loans/versions/{version}/infer", json=body)


def test_a_version_of_each_kind_in_one_server(workspace, tmp_path):
    digests = {1: put_version(workspace), 2: put_python(workspace)}
    workspace.traffic.apply(route("loans", digests, {1: 0.5, 2: 0.5}))
    modules = tmp_path / "modules"
    with running(workspace, str(modules)) as (url, process), httpx.Client(timeout=20) as client:
        (child,) = children(process.pid)
        stop, failed, answered = threading.Event(), [], []

        def champion() -> None:
            with httpx.Client(timeout=20) as mine:
                while not stop.is_set():
                    reply = ask(mine, url, 5.0, 1, f"c{len(answered)}")
                    (answered if reply.status_code == 200 else failed).append(reply.text)

        thread = threading.Thread(target=champion)
        thread.start()
        first = ask(client, url, 5.0, 2, "a")
        assert first.status_code == 200
        assert 0.75 in next(o["data"] for o in first.json()["outputs"] if "good" in o["name"])
        for number, (income, words) in enumerate(((13.0, "died"), (14.0, "took longer than 1 s"))):
            reply = ask(client, url, income, 2, f"b{number}")
            assert reply.status_code == 503
            assert words in reply.json()["error"]
            assert "is being started again" in reply.json()["error"]
            becomes(lambda number=number: ask(client, url, 5.0, 2, f"again{number}").status_code == 200, 60)
        assert children(process.pid) != [child]
        before = len(answered)
        becomes(lambda: len(answered) > before)
        stop.set()
        thread.join()
        assert not failed
        told = {one["key"]: one["status"] for one in predictions(workspace)}
        assert told["a"] == "ok"
        assert told["b0"] == told["b1"] == "error"
        last = children(process.pid)
    assert not set(modules.read_text().split()) & HEAVY
    becomes(lambda: not any(map(alive, last)))


def test_a_server_that_is_killed_leaves_no_process(workspace):
    workspace.traffic.apply(route("loans", {1: put_python(workspace)}))
    with running(workspace) as (_, process):
        (child,) = children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
        becomes(lambda: not alive(child))


def test_a_version_that_not_even_the_way_back_leads_to_ends_its_process(workspace):
    digests = {1: put_python(workspace), 2: put_version(workspace, bias=1.0), 3: put_version(workspace, bias=2.0)}
    workspace.traffic.apply(route("loans", digests, {1: 1.0}))
    with running(workspace) as (url, process), httpx.Client(timeout=20) as client:
        for number in (2, 3):
            assert len(children(process.pid)) == 1
            workspace.traffic.apply(route("loans", digests, {number: 1.0}))
            becomes(lambda number=number: client.get(f"{url}/v2/models/loans").json()["versions"] == [str(number)])
        becomes(lambda: not children(process.pid))
