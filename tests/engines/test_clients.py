"""Clients that others wrote, unchanged, over gRPC and HTTP: tritonclient (blocking, callbacks, streams, asyncio) and KServe's.

They run in an environment of their own, MODELWAY_TEST_CLIENTS (`tools/clients.sh`): their protocol files and ours would not go
together into one process.
"""

import json
import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelway.flow.reporting import grpc_address
from modelway.workspace import Workspace
from tests.engines.engines import missing
from tests.unit.serving.made import make_workspace, predictions, put_version, route, running

pytestmark = pytest.mark.engines
HERE = Path(__file__).parent / "clients"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    made = make_workspace(tmp_path_factory.mktemp("clients"))
    made.traffic.apply(route("loans", {1: put_version(made, bias=1.0)}))
    made.places.stack.write_text("serving: {port: 0, grpc: {port: 0}}\n")
    opened = Workspace(made.places)
    yield opened
    opened.close()
    made.close()


@pytest.fixture(scope="module")
def url(workspace: Workspace) -> Iterator[str]:
    with running(workspace) as (found, _):
        yield found


@pytest.fixture(scope="module")
def address(workspace: Workspace, url: str) -> str:
    return str(grpc_address(workspace))


def told(script: str, *words: str) -> Any:
    """What a script of the clients' environment printed."""
    place = os.environ.get("MODELWAY_TEST_CLIENTS")
    if not place:
        missing("the clients of others (tools/clients.sh DIR, MODELWAY_TEST_CLIENTS=DIR)")
    command = [str(Path(str(place)) / "bin" / "python"), str(HERE / script), *words]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=clean)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def good(income: float) -> float:
    return 1 / (1 + math.exp(1.0 - income))


def test_tritonclient(address: str, workspace: Workspace) -> None:
    found = told("triton_grpc.py", address)
    first, loop = found["blocking"], found["loop"]
    assert (first["live"], first["ready"], first["model_ready"], loop["live"]) == (True, True, True, True)
    assert first["server"]["name"] == "modelway"
    assert {tensor["name"]: tensor["datatype"] for tensor in first["model"]["inputs"]} == {
        "income": "FP64",
        "id": "BYTES",
    }
    assert first["index"] == [["loans", "1", "READY"]]
    answered = first["infer"]
    assert (answered.pop("id"), answered["version"], first["version"]) == ("t1", "1", "1")
    assert answered["probability_good"][:2] == pytest.approx([good(3.0), good(0.25)], rel=1e-12)
    assert answered["probability_good"][2:] == [None, None]
    assert answered["prediction"] == ["good", "bad", "", ""]
    assert [reason == "" for reason in answered["reason"]] == [True, True, False, False]
    for name in ("packed", "parameters"):
        del first[name]["id"]
        assert first[name] == answered
    assert loop["infer"] == answered
    for name in ("float32", "float16"):
        assert first["narrow"][name]["probability_good"] == answered["probability_good"]
    whole = first["narrow"]["int64"]["probability_good"]
    assert whole[:3] == pytest.approx([good(3), good(0), good(7)], rel=1e-12)
    assert first["chosen"] == ["probability_good"]
    assert first["called_back"] == sorted(f"c{number}" for number in range(20))
    assert (loop["ids"], loop["same"]) == ([f"l{number}" for number in range(50)], True)
    assert first["stream"] == ["s1", None, "s3"]
    assert "input 'income' is missing" in first["stream_error"]
    assert first["unknown"][0] == "StatusCode.NOT_FOUND"
    assert "modelway status" in first["unknown"][1]
    assert first["bad"][0] == "StatusCode.INVALID_ARGUMENT"
    assert "fix: send 'income'" in first["bad"][1]
    assert first["load"][0] == "OK"
    assert (first["unload"][0], first["statistics"][0]) == ("StatusCode.UNIMPLEMENTED", "StatusCode.UNIMPLEMENTED")
    rows = [event for event in predictions(workspace) if event["request"] == "t1"]
    assert [event["row"] for event in rows] == [
        {"income": 3.0, "id": "a"},
        {"income": 0.25, "id": "ä"},
        {"income": None, "id": "c"},
        {"income": -4.0, "id": "d"},
    ]


def test_kserve(address: str) -> None:
    found = told("kserve_grpc.py", address)
    assert (found["live"], found["ready"], found["model_ready"]) == (True, True, True)
    assert found["load"] == ["loans", True]
    for name, request in (("plain", "k1"), ("binary", "k2")):
        assert found[name]["id"] == request
        assert found[name]["version"] == "1"
        numbers = found[name]["probability_good"]
        assert numbers[:2] == pytest.approx([good(3.0), good(0.25)], rel=1e-12)
        assert math.isnan(numbers[2])
        assert found[name]["prediction"] == ["good", "bad", ""]
    assert found["unknown"][0] == "NOT_FOUND"


def test_tritonclient_over_http(url: str, workspace: Workspace) -> None:
    found = told("triton_http.py", url.removeprefix("http://"))
    first, loop = found["blocking"], found["loop"]
    assert (first["live"], first["ready"], first["model_ready"], loop["live"]) == (True, True, True, True)
    assert first["server"]["extensions"] == ["binary_tensor_data", "model_repository"]
    assert {tensor["name"]: tensor["datatype"] for tensor in first["model"]["inputs"]} == {
        "income": "FP64",
        "id": "BYTES",
    }
    assert [(one["name"], one["version"], one["state"]) for one in first["index"]] == [("loans", "1", "READY")]
    assert first["raw"]["id"] == "t1"
    assert first["raw"]["probability_good"][:2] == pytest.approx([good(3.0), good(0.25)], rel=1e-12)
    assert first["raw"]["probability_good"][2:] == [None, None]
    assert first["raw"]["prediction"] == ["good", "bad", "", ""]
    assert first["json"]["probability_good"][:2] == first["raw"]["probability_good"][:2]
    for name in ("narrow", "chosen", "packed"):
        assert first[name]["probability_good"] == first["raw"]["probability_good"]
    assert first["called"] == [f"c{number}" for number in range(20)]
    assert (loop["ids"], loop["same"]) == ([f"l{number}" for number in range(50)], True)
    assert first["unknown"][0] == "404"
    assert first["bad"][0] == "400"
    assert "fix: send 'income'" in first["bad"][1]
    assert first["load"][0] == "OK"
    assert first["unload"][0] == "405"
    rows = [event["row"] for event in predictions(workspace) if event["request"] == "t1"]
    assert {"income": 3.0, "id": "a"} in rows


def test_kserve_over_rest(url: str) -> None:
    found = told("kserve_rest.py", url)
    assert (found["live"], found["ready"], found["model_ready"]) == (True, True, True)
    for name, request in (("plain", "k1"), ("binary", "k2")):
        assert found[name]["id"] == request
        assert found[name]["probability_good"][:2] == pytest.approx([good(3.0), good(0.25)], rel=1e-12)
        assert found[name]["prediction"][:2] == ["good", "bad"]
    assert found["unknown"] == 404
