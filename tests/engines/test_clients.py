"""Clients that others wrote, unchanged, over gRPC and HTTP: tritonclient (blocking, callbacks, streams, asyncio), KServe's,
`mlserver infer`, and curl.

They run in environments of their own, MODELWAY_TEST_CLIENTS (`tools/clients.sh`): their protocol files and ours would not go
together into one process.
"""

import gzip
import json
import math
import os
import shutil
import struct
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
    return json.loads(ran("bin/python", str(HERE / script), *words))


def ran(program: str, *arguments: str) -> str:
    """What a program of the clients' environments printed."""
    place = os.environ.get("MODELWAY_TEST_CLIENTS")
    if not place:
        missing("the clients of others (tools/clients.sh DIR, MODELWAY_TEST_CLIENTS=DIR)")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(Path(str(place)) / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=clean)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def asked(income: float, name: str) -> dict[str, Any]:
    """A request for one row."""
    tensors = [("income", "FP64", income), ("id", "BYTES", name)]
    return {"inputs": [{"name": n, "datatype": kind, "shape": [1], "data": [value]} for n, kind, value in tensors]}


@pytest.mark.parametrize("more", [["-s", "1"], ["-s", "3", "-b"]], ids=["one by one", "three together, raw"])
def test_mlserver_infer(url: str, tmp_path: Path, more: list[str]) -> None:
    given, made = tmp_path / "asked.jsonl", tmp_path / "answered.jsonl"
    given.write_text("".join(json.dumps({**asked(float(n), f"m{n}"), "id": f"mine-{n}"}) + "\n" for n in range(5)))
    paths = ["-i", str(given), "-o", str(made)]
    ran("mlserver/bin/mlserver", "infer", "-u", url.removeprefix("http://"), "-m", "loans", *paths, *more)
    found = sorted(map(json.loads, made.read_text().splitlines()), key=lambda one: one["id"])
    assert [one["id"] for one in found] == [f"mine-{n}" for n in range(5)]
    for n, one in enumerate(found):
        outputs = {output["name"]: output["data"] for output in one["outputs"]}
        assert outputs["probability_good"] == pytest.approx([good(float(n))], rel=1e-12)


def curl(*arguments: str, code: int = 0) -> bytes:
    if shutil.which("curl") is None:
        missing("curl")
    done = subprocess.run(["curl", "-sS", "--max-time", "60", *arguments], capture_output=True, timeout=90)
    assert done.returncode == code, done.stderr
    return done.stdout + (done.stderr if "-v" in arguments else b"")


def test_curl_as_people_type_it(url: str) -> None:
    reply = json.loads(curl(f"{url}/predict/loans", "-d", '{"income": 3, "id": "c"}'))
    assert reply["probabilities"]["good"] == pytest.approx(good(3.0), rel=1e-12)
    reply = json.loads(curl(f"{url}/v2/models/loans/infer", "--json", json.dumps(asked(0.25, "c"))))
    assert reply["outputs"][2]["data"] == pytest.approx([good(0.25)], rel=1e-12)
    assert curl("-I", f"{url}/v2/models/loans").startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"fix: " in curl(f"{url}/predict/nobody", "-d", "{}")
    curl("-f", f"{url}/predict/nobody", "-d", "{}", code=22)
    assert json.loads(curl("--http2", f"{url}/v2/health/live")) == {"live": True}


def test_curl_with_raw_tensors(url: str, tmp_path: Path) -> None:
    request, raw = asked(0.0, "c"), struct.pack("<d", 3.0)
    request["inputs"][0] = {
        "name": "income",
        "datatype": "FP64",
        "shape": [1],
        "parameters": {"binary_data_size": len(raw)},
    }
    request |= {"outputs": [{"name": "probability_good", "parameters": {"binary_data": True}}]}
    head, body = json.dumps(request).encode(), tmp_path / "body"
    body.write_bytes(head + raw)
    length, kind = f"Inference-Header-Content-Length: {len(head)}", "Content-Type: application/octet-stream"
    reply = curl(f"{url}/v2/models/loans/infer", "-H", length, "-H", kind, "--data-binary", f"@{body}")
    assert struct.unpack("<d", reply[-8:]) == pytest.approx([good(3.0)], rel=1e-12)


def test_curl_with_packed_bodies_and_pieces(url: str, tmp_path: Path) -> None:
    rows = json.dumps([{"income": float(n), "id": f"c{n}"} for n in range(500)]).encode()
    packed, plain = tmp_path / "packed", tmp_path / "plain"
    packed.write_bytes(gzip.compress(rows))
    plain.write_bytes(rows)
    path = f"{url}/predict/loans"
    first = curl(path, "-H", "Content-Encoding: gzip", "--data-binary", f"@{packed}", "--compressed", "-v")
    assert b"< content-encoding: gzip" in first
    for more in ([], ["-H", "Transfer-Encoding: chunked"], ["--http1.0"]):
        found = json.loads(curl(path, "--data-binary", f"@{plain}", *more))["predictions"]
        assert [one["probabilities"]["good"] for one in found] == pytest.approx([good(float(n)) for n in range(500)])


def test_curl_keeps_its_connection_and_waits_to_be_told_to_go_on(url: str, tmp_path: Path) -> None:
    row = ["-o", str(tmp_path / "reply"), "-w", "%{http_code} %{num_connects};", "-d", '{"income": 3, "id": "c"}']
    several = [
        *row,
        f"{url}/predict/loans",
        "--next",
        "-sS",
        *row,
        f"{url}/predict/loans",
        "--next",
        "-sS",
        *row,
        f"{url}/predict/x",
    ]
    assert curl(*several) == b"200 1;200 0;404 0;"
    said = curl("-v", f"{url}/predict/loans", "-H", "Expect: 100-continue", "-d", '{"income": 3, "id": "c"}')
    assert said.index(b"< HTTP/1.1 100 Continue") < said.index(b"< HTTP/1.1 200 OK")
