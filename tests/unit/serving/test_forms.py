"""What clients write over HTTP beside JSON tensors: raw bytes, rows by name, MLflow's forms, compressed bodies."""

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import httpx
import numpy as np
import orjson
import pytest

from modelway.clock import WallClock
from modelway.contracts.values import as_float
from modelway.errors import DataError
from modelway.serving.answer import Answer
from modelway.serving.asking import Server
from modelway.serving.forms import Invocations
from modelway.serving.log import PredictionLog
from modelway.serving.models import Models
from modelway.serving.named import parse_invocations, rows_for
from modelway.serving.servable import Input
from modelway.serving.shadow import Shadow
from modelway.serving.wire.limits import Limits
from tests.support.serving import serving
from tests.unit.serving.test_core import MANIFEST, T0, route, servable

INFER = "/v2/models/loans/infer"


def typed(row):
    income = as_float(row.get("income"))
    return {**row, "income": income}, ["income: missing"] if income is None else []


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    models = Models(lambda digest, model, number: replace(servable(number), check=typed), lambda: {"loans": route(1)})
    models.look()
    log = PredictionLog(lambda topic, events: None, lambda: None)
    with (
        serving(Server(models, log, Shadow(lambda echo: None, 1), WallClock()), Limits(body=100_000)) as url,
        httpx.Client(base_url=url) as made,
    ):
        yield made


def binary(head: dict[str, object], raw: bytes) -> tuple[bytes, dict[str, str]]:
    text = orjson.dumps(head)
    return text + raw, {"Inference-Header-Content-Length": str(len(text))}


def tensor(raw: bytes, count: int = 2, datatype: str = "FP64") -> dict[str, object]:
    return {"name": "income", "datatype": datatype, "shape": [count], "parameters": {"binary_data_size": len(raw)}}


# -- raw bytes -------------------------------------------------------------------------------------------------------------


def test_raw_tensors_are_answered_as_json_ones_are(client):
    raw = np.array([0.25, np.nan]).tobytes()
    body, headers = binary({"id": "q", "inputs": [tensor(raw)]}, raw)
    told = client.post(INFER, content=body, headers=headers).json()
    same = {"id": "q", "inputs": [{"name": "income", "datatype": "FP64", "shape": [2], "data": [0.25, None]}]}
    assert told == client.post(INFER, json=same).json()


def test_outputs_come_raw_when_they_are_asked_for(client):
    asked = {
        "inputs": [{"name": "income", "datatype": "FP32", "shape": [2], "data": [0.25, None]}],
        "outputs": [
            {"name": "probability_good", "parameters": {"binary_data": True}},
            {"name": "reason"},
            {"name": "prediction", "parameters": {"binary_data": True}},
        ],
    }
    reply = client.post(INFER, json=asked)
    split = int(reply.headers["inference-header-content-length"])
    head, raw = json.loads(reply.content[:split]), reply.content[split:]
    assert reply.headers["content-type"] == "application/octet-stream"
    assert [output.get("parameters") for output in head["outputs"]] == [
        {"binary_data_size": 16},
        None,
        {"binary_data_size": 11},
    ]
    assert np.array_equal(np.frombuffer(raw[:16]), [0.25, np.nan], equal_nan=True)
    assert raw[16:] == b"\x03\0\0\0bad" + b"\0\0\0\0" + b""
    whole = client.post(INFER, json={"inputs": asked["inputs"], "parameters": {"binary_data_output": True}})
    assert all(
        "data" not in o
        for o in json.loads(whole.content[: int(whole.headers["inference-header-content-length"])])["outputs"]
    )


@pytest.mark.parametrize(
    ("head", "raw", "length", "said"),
    [
        ({"inputs": [tensor(b"12345678" * 2)]}, b"1234", None, "16"),
        ({"inputs": [tensor(b"1234")]}, b"1234", None, "4 bytes, expected 16"),
        ({"inputs": []}, b"1234", None, "4 bytes behind"),
        ({"inputs": [tensor(b"")]}, b"", "9999", "9999"),
        ({"inputs": [tensor(b"")]}, b"", "-1", "-1"),
        ({"inputs": [{**tensor(b""), "shape": [-2]}]}, b"", None, "shape"),
        ({"inputs": 3}, b"1", None, "no inputs"),
    ],
)
def test_raw_bytes_that_do_not_fit_are_refused(client, head, raw, length, said):
    body, headers = binary(head, raw)
    if length:
        headers["Inference-Header-Content-Length"] = length
    reply = client.post(INFER, content=body, headers=headers)
    assert (reply.status_code, said in reply.json()["error"]) == (400, True), reply.text


# -- rows by name ----------------------------------------------------------------------------------------------------------


def test_one_row_and_many_are_asked_by_name(client):
    one = client.post("/predict/loans", json={"id": "a", "income": 0.75, "of no matter": 1, "_id": "mine"}).json()
    assert one == {
        "id": "mine",
        "model": "loans",
        "version": 1,
        "prediction": "good",
        "probabilities": {"bad": 0.25, "good": 0.75},
        "key": "a",
        "reason": "",
    }
    many = client.post("/predict/loans", json=[{"income": 0.1}, {"income": None}]).json()
    assert [p["prediction"] for p in many["predictions"]] == ["bad", None]
    assert many["predictions"][1]["reason"] == "income: missing"
    whole = client.post("/predict/loans/versions/1", json={"rows": [{"income": 0.1}], "_routing_key": "k"}).json()
    assert len(whole["predictions"]) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"incom": 0.5}, "did you mean 'income'"),
        ({}, "none of the model's columns"),
        ([], "no rows"),
        ([1], "row 0 is no object"),
        ("x", "no row"),
        ({"income": [0.5]}, "a list or an object"),
        ({"income": 0.5, "_id": 7}, "id"),
        ({"income": 0.5, "_routing_key": []}, "_routing_key"),
    ],
)
def test_rows_that_cannot_be_read_are_refused_with_a_hint(client, given, said):
    reply = client.post("/predict/loans", json=given)
    assert (reply.status_code, said in reply.json()["error"]) == (400, True), reply.text


# -- MLflow's forms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        {"dataframe_split": {"columns": ["id", "income"], "index": [0, 1], "data": [["a", 0.75], ["b", 0.25]]}},
        {"dataframe_records": [{"income": 0.75}, {"income": 0.25}]},
        {"instances": [{"income": 0.75}, {"income": 0.25}]},
        {"instances": [[0.75], [0.25]]},
        {"instances": [0.75, 0.25]},
        {"inputs": {"income": [0.75, 0.25]}},
        {"inputs": {"income": [[0.75], [0.25]]}},
        {"inputs": [[0.75], [0.25]], "params": {}},
    ],
)
@pytest.mark.parametrize("path", ["/invocations", "/mlflow/loans/invocations"])
def test_the_forms_of_mlflow_are_answered(client, form, path):
    assert client.post(path, json=form).json() == {"predictions": ["good", "bad"]}


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_values_without_names_are_no_row_of_several_columns(form):
    asked = parse_invocations(orjson.dumps({form: [[1.0, 2.0]]}), b"application/json")
    with pytest.raises(DataError, match="row 0 is a list of values"):
        rows_for(asked, replace(servable(1), inputs=(Input("a", "float"), Input("b", "float"))))


@pytest.mark.parametrize(
    ("classes", "said"),
    [(("0", "1"), [1, 0]), (("-1", "10"), [10, -1]), (("false", "true"), [True, False]), (("no", "1"), ["1", "no"])],
)
def test_classes_are_numbers_where_they_were_learned_as_such(classes, said):
    one = servable(1, manifest=replace(MANIFEST, classes=classes))
    answers = [Answer({}, "k", T0, "ok", "", (0.5, 0.5), name) for name in reversed(classes)]
    question = SimpleNamespace(servable=one)
    assert orjson.loads(Invocations().write(question, None, answers, {}).body) == {"predictions": said}


def test_csv_is_answered_and_what_is_no_form_is_refused(client):
    kind = {"content-type": "text/csv; charset=utf-8"}
    body = "id,income\na,0.75\nb,\n"
    assert client.post("/invocations", content=body, headers=kind).json() == {"predictions": ["good", None]}
    for bad, headers in (
        (b"id,income\na\n", kind),
        (b"\xff", kind),
        (b"{}", {}),
        (b'{"inputs": {"a": [1], "b": []}}', {}),
    ):
        assert client.post("/invocations", content=bad, headers=headers).status_code == 400
    refused = client.post("/invocations", json={"instances": [{"income": None}]})
    assert (refused.status_code, "income: missing" in refused.text) == (400, True)


def test_without_a_name_it_must_be_the_only_model(client):
    assert client.post("/invocations", json={}, headers={"modelway-model": "other"}).status_code == 404


def test_what_is_large_is_read_and_written_apart():
    models = Models(lambda digest, model, number: replace(servable(number), check=typed), lambda: {"loans": route(1)})
    models.look()
    events: list[object] = []
    log = PredictionLog(lambda topic, given: events.extend(given), lambda: None)
    rows = [{"income": 0.75 if n % 2 else 0.25, "id": f"k{n}", "note": "x" * 90} for n in range(3_000)]
    server = Server(models, log, Shadow(lambda echo: None, 1), WallClock())
    with serving(server) as url, httpx.Client(base_url=url, timeout=30) as client:
        many = client.post("/predict/loans", json=rows)
        assert [one["prediction"] for one in many.json()["predictions"]] == ["bad", "good"] * 1_500
        assert client.post("/predict/loans", content=gzip.compress(b"[" * 300_000)).status_code == 400
        refused = client.post("/predict/loans", content=b"[" * 300_000)
        assert (refused.status_code, "not JSON" in refused.text) == (400, True)
        unknown = client.post("/predict/loans", json=rows, headers={"modelway-version": "7"})
        assert (unknown.status_code, "'7'" in unknown.text) == (404, True)
        packed = gzip.compress(orjson.dumps({"instances": rows}))
        assert (
            len(client.post("/invocations", content=packed, headers={"content-encoding": "gzip"}).json()["predictions"])
            == 3_000
        )
    assert len(events) == 6_000


# -- compressed ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
def test_a_compressed_request_is_unpacked(client, encoding, pack):
    body = pack(json.dumps({"income": 0.75}).encode())
    reply = client.post("/predict/loans", content=body, headers={"content-encoding": encoding})
    assert reply.json()["prediction"] == "good"


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", b"x", 415),
        ("gzip", b"x", 400),
        ("gzip", gzip.compress(b"{}")[:-3], 400),
        ("gzip", gzip.compress(b"{}") + b"more", 400),
        ("gzip", gzip.compress(b" " * 1_000_000), 413),
    ],
    ids=["unknown", "no gzip", "cut", "more behind", "a bomb"],
)
def test_what_cannot_be_unpacked_is_refused(client, encoding, body, status):
    assert client.post("/predict/loans", content=body, headers={"content-encoding": encoding}).status_code == status


def test_a_long_reply_is_compressed_for_who_takes_it(client):
    rows = [{"income": 0.5}] * 200
    small = client.post("/predict/loans", json=rows[:2])
    large = client.post("/predict/loans", json=rows)
    plain = client.post("/predict/loans", json=rows, headers={"accept-encoding": "identity"})
    assert [r.headers.get("content-encoding") for r in (small, large, plain)] == [None, "gzip", None]
    assert len(large.json()["predictions"]) == len(plain.json()["predictions"]) == 200


# -- beside inference ------------------------------------------------------------------------------------------------------


def test_the_repository_is_listed_and_what_is_released_stays(client):
    index = client.post("/v2/repository/index")
    assert index.json() == [{"name": "loans", "version": "1", "state": "READY", "reason": ""}]
    assert client.post("/v2/repository/index", json={"ready": True}).json() == index.json()
    assert client.post("/v2/repository/index", content=b"[]").status_code == 400
    assert client.post("/v2/repository/models/loans/load").status_code == 200
    assert client.post("/v2/repository/models/other/load").status_code == 404
    refused = client.post("/v2/repository/models/loans/unload")
    assert (refused.status_code, "modelway rollback" in refused.json()["error"]) == (405, True)


def test_a_client_of_mlflow_finds_what_it_looks_for(client):
    assert [client.get(path).status_code for path in ("/ping", "/health", "/version")] == [200] * 3
    assert client.get("/invocations").status_code == 405


def test_the_server_says_what_it_can(client):
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data", "model_repository"]
