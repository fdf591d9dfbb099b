"""Requests that are meant to hurt, over both edges: deep, wide, endless.

Each is refused with its reason, in little time, and nobody else notices.
"""

import json
import logging
import struct
import time
from collections.abc import Callable

import grpc
import httpx
import pytest

from modelway.errors import DataError
from modelway.flow.serving import server_of
from modelway.serving.grpc import inference_pb2 as messages
from modelway.serving.grpc.listener import SERVICE
from modelway.serving.grpc.reading import Reading, parse_frame
from tests.support.serving import serving_both
from tests.unit.serving.made import make_workspace, put_version, request, route

INFER = "/v2/models/loans/infer"
ROW = request([{"id": "a", "income": 1.0}])
DEEP, MANY, HUGE = 1_000_000, 200_000, 2**63 - 1
SECONDS = 5.0
"""Of the processor: far more than any of these may take, far less than what takes the square of its length."""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    workspace = make_workspace(tmp_path_factory.mktemp("hostile"))
    workspace.traffic.apply(route("loans", {1: put_version(workspace)}))
    server = server_of(workspace)
    server.models.look()
    with serving_both(server) as found:
        yield found
    workspace.close()


@pytest.fixture(scope="module")
def client(both):
    with httpx.Client(base_url=both[0], timeout=60) as opened:
        yield opened


@pytest.fixture(scope="module")
def channel(both):
    with grpc.insecure_channel(both[1]) as opened:
        yield opened


def tensor(shape, name="income", data=(1.0,)):
    return {"name": name, "datatype": "FP64", "shape": shape, "data": list(data)}


def nested(depth: int, inside: str = "1") -> str:
    return "[" * depth + inside + "]" * depth


def body(**changed) -> bytes:
    return json.dumps({**ROW, **changed}).encode()


def with_text(key: str, text: str) -> bytes:
    """The request with JSON as it stands in one place."""
    return body(**{key: "HERE"}).replace(b'"HERE"', text.encode())


def income(key: str, text: str) -> bytes:
    """The same within its first tensor."""
    return json.dumps({"inputs": [{**tensor([1]), key: "HERE"}, ROW["inputs"][0]]}).replace('"HERE"', text).encode()


BODIES: dict[str, Callable[[], bytes]] = {
    "a million brackets": lambda: nested(DEEP).encode(),
    "a million brackets, open": lambda: b"[" * DEEP,
    "a million objects": lambda: b'{"a":' * DEEP,
    "brackets in inputs": lambda: with_text("inputs", nested(DEEP)),
    "brackets in id": lambda: with_text("id", nested(1_000)),
    "brackets in parameters": lambda: with_text("parameters", nested(1_000)),
    "brackets in a time-out": lambda: with_text("parameters", '{"timeout": ' + nested(1_000) + "}"),
    "brackets in a shape": lambda: income("shape", nested(1_000)),
    "brackets in data": lambda: income("data", nested(1_000)),
    "objects in data": lambda: income("data", "[" + '{"a":' * 1_000 + "1" + "}" * 1_000 + "]"),
    "brackets in a name": lambda: income("name", nested(1_000)),
    "brackets in a datatype": lambda: income("datatype", nested(1_000)),
    "brackets in outputs": lambda: with_text("outputs", nested(1_000)),
    "too many tensors": lambda: body(inputs=[tensor([1], f"t{n}") for n in range(20_000)]),
    "nameless tensors": lambda: with_text("inputs", "[" + ",".join(["{}"] * MANY) + "]"),
    "the same output again and again": lambda: with_text("outputs", "[" + ",".join(['{"name":"x"}'] * MANY) + "]"),
    "a name of 4 MB": lambda: body(inputs=[tensor([1], "n" * 4_000_000)]),
    "a datatype of 4 MB": lambda: income("datatype", '"' + "d" * 4_000_000 + '"'),
    "a negative size": lambda: income("shape", "[-1]"),
    "a size beyond 64 bits": lambda: income("shape", "[1e30]"),
    "sizes whose product is beyond 64 bits": lambda: income("shape", f"[{HUGE}, {HUGE}]"),
    "sizes by the thousand": lambda: income("shape", json.dumps([HUGE] * MANY)),
    "a size that data does not have": lambda: income("shape", f"[{HUGE}]"),
    "no sizes": lambda: income("shape", "[]"),
    "a size that is true": lambda: income("shape", "[true]"),
    "a number beyond a double": lambda: income("data", "[1e999]"),
    "digits by the thousand": lambda: income("data", "[" + "9" * 10_000 + "]"),
    "half a surrogate": lambda: with_text("id", '"\\ud800"'),
}


def refused(reply: httpx.Response, statuses=(400,)) -> str:
    assert reply.status_code in statuses, reply.text[:300]
    said = reply.json()["error"]
    assert "fix: " in said
    assert len(said) < 10_000
    return said


def answers(client: httpx.Client) -> None:
    assert client.post(INFER, content=body()).status_code == 200


def faults(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the log says of the server's own; that a request was refused is none of it."""
    return [told for told in caplog.records if told.levelno >= logging.ERROR or told.exc_info]


@pytest.mark.parametrize("name", BODIES)
def test_bodies(client, caplog, name):
    sent, began = BODIES[name](), time.process_time()
    refused(client.post(INFER, content=sent))
    assert time.process_time() - began < SECONDS
    answers(client)
    assert faults(caplog) == []


@pytest.mark.parametrize("shape", [[0], [0, 1]])
def test_no_rows_have_no_answers(client, channel, shape):
    empty = [{**tensor(shape, data=[])}, {"name": "id", "datatype": "BYTES", "shape": shape, "data": []}]
    reply = client.post(INFER, json={"inputs": empty})
    assert (reply.status_code, [one["shape"] for one in reply.json()["outputs"]]) == (200, [[0]] * 4)
    asked = messages.ModelInferRequest(model_name="loans", raw_input_contents=[b"", b""])
    for name, datatype in (("income", "FP64"), ("id", "BYTES")):
        asked.inputs.add(name=name, datatype=datatype, shape=shape)
    call = channel.unary_unary(f"/{SERVICE}/ModelInfer", response_deserializer=messages.ModelInferResponse.FromString)
    assert [one.shape[:] for one in call(asked.SerializeToString(), timeout=60).outputs] == [[0]] * 4


@pytest.mark.parametrize(
    ("head", "length"),
    [
        ({"shape": [HUGE] * 100_000}, None),
        ({"shape": [0] + [HUGE] * 2}, None),
        ({"shape": [HUGE]}, None),
        ({"shape": [-1]}, None),
        ({"datatype": "BYTES", "shape": [HUGE]}, None),
        ({"parameters": {"binary_data_size": HUGE}}, None),
        ({"parameters": {"binary_data_size": [[]]}}, None),
        ({}, "9" * 9_000),
        ({}, "-1"),
        ({}, "1e3"),
        ({}, "²"),
    ],
    ids=range(11),
)
def test_raw_tensors(client, caplog, head, length):
    said = {"name": "income", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}, **head}
    text = json.dumps({"inputs": [said, ROW["inputs"][0]]}).encode()
    headers = {"Inference-Header-Content-Length": (length or str(len(text))).encode("latin-1")}
    began = time.process_time()
    refused(client.post(INFER, content=text + struct.pack("<d", 1.0), headers=headers))
    assert time.process_time() - began < SECONDS
    answers(client)
    assert faults(caplog) == []


@pytest.mark.parametrize("version", ["9" * 5_000, "²", "-1", "1.0", "%00", "%ff", "%2e%2e"])
@pytest.mark.parametrize("path", ["/v2/models/loans/versions/{}/infer", "/predict/loans/versions/{}"])
def test_versions_over_http(client, caplog, path, version):
    refused(client.post(path.format(version), content=body()), (404,))
    refused(client.get(path.format(version).replace("/infer", "").replace("/predict", "/v2/models")), (404,))
    assert faults(caplog) == []


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/predict/loans", nested(DEEP)),
        ("/predict/loans", '{"income": ' + nested(1_000) + "}"),
        ("/predict/loans", json.dumps({"incom" * 1_000_000: 1, "id": "a"})),
        ("/predict/loans", json.dumps([{}] * MANY)),
        ("/predict/loans", "[]"),
        ("/mlflow/loans/invocations", '{"instances": ' + nested(1_000) + "}"),
        ("/mlflow/loans/invocations", '{"inputs": {"income": ' + nested(1_000) + "}}"),
        ("/mlflow/loans/invocations", '{"dataframe_split": {"columns": ' + nested(1_000) + ', "data": [[1]]}}'),
        ("/mlflow/loans/invocations", json.dumps({"dataframe_split": {"columns": ["c"] * MANY, "data": [[1]]}})),
        ("/mlflow/loans/invocations", json.dumps({"instances": [], "inputs": []})),
        ("/v2/repository/index", nested(DEEP)),
    ],
    ids=range(11),
)
def test_other_forms(client, caplog, path, sent):
    began = time.process_time()
    refused(client.post(path, content=sent))
    assert time.process_time() - began < SECONDS
    answers(client)
    assert faults(caplog) == []


# -- gRPC ------------------------------------------------------------------------------------------------------------------


def grpc_refused(channel: grpc.Channel, method: str, sent: bytes) -> grpc.StatusCode:
    call = channel.unary_unary(f"/{SERVICE}/{method}", request_serializer=None, response_deserializer=None)
    with pytest.raises(grpc.RpcError) as caught:
        call(sent, timeout=60)
    assert "fix: " in caught.value.details()
    return caught.value.code()


def test_an_output_that_is_asked_for_twice_comes_once(channel):
    """Else a reply would be larger than its request, times the rows."""
    made = messages.ModelInferRequest.FromString(message([struct.pack("<d", 1.0)], ["prediction"] * 1_000))
    made.inputs.add(name="id", datatype="BYTES", shape=[1])
    made.raw_input_contents.append(struct.pack("<I", 1) + b"a")
    call = channel.unary_unary(f"/{SERVICE}/ModelInfer", response_deserializer=messages.ModelInferResponse.FromString)
    assert [one.name for one in call(made.SerializeToString(), timeout=60).outputs] == ["prediction"]


def message(raw=(), outputs=(), **first) -> bytes:
    made = messages.ModelInferRequest(model_name="loans", raw_input_contents=raw)
    made.inputs.add(**{"name": "income", "datatype": "FP64", "shape": [1], **first})
    made.outputs.extend([messages.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs])
    return made.SerializeToString()


def many(count: int) -> bytes:
    made = messages.ModelInferRequest(model_name="loans", raw_input_contents=[b""])
    made.inputs.extend([messages.ModelInferRequest.InferInputTensor(name=str(n), shape=[1]) for n in range(count)])
    return made.SerializeToString()


MESSAGES: dict[str, Callable[[], bytes]] = {
    "sizes by the thousand": lambda: message([b"12345678"], shape=[HUGE] * MANY),
    "sizes whose product is beyond 64 bits": lambda: message([b"12345678"], shape=[HUGE, HUGE]),
    "a size that the bytes do not have": lambda: message([b"12345678"], shape=[HUGE]),
    "texts that the bytes do not have": lambda: message([b"12345678"], shape=[HUGE], datatype="BYTES"),
    "a negative size": lambda: message([b"12345678"], shape=[-1]),
    "too many tensors": lambda: many(20_000),
    "the same output again and again": lambda: message([b"12345678"], ["prediction"] * 20_000),
    "a name of 4 MB": lambda: message([b"12345678"], name="n" * 4_000_000),
    "bytes that are no message": lambda: b"\xff" * 1_000,
}


@pytest.mark.parametrize(("count", "kept"), [(30, 1), (300, 1), (4_000, 0)])
def test_layouts_of_many_tiny_tensors_are_not_kept(count, kept):
    """Each tensor is some objects of ours, however few bytes it had: a thousand such requests would hold a gigabyte."""
    reading = Reading()
    with pytest.raises(DataError, match="raw_input_contents"):
        reading.asked(parse_frame(many(count)))
    assert len(reading._layouts) == kept


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(channel, client, name):
    sent, began = MESSAGES[name](), time.process_time()
    assert grpc_refused(channel, "ModelInfer", sent) is grpc.StatusCode.INVALID_ARGUMENT
    assert time.process_time() - began < SECONDS
    answers(client)


@pytest.mark.parametrize(
    "method",
    [
        "ServerMetadata",
        "ModelReady",
        "ModelMetadata",
        "RepositoryIndex",
        "RepositoryModelLoad",
        "RepositoryModelUnload",
    ],
)
def test_bytes_that_are_no_message_of_the_other_calls(channel, method):
    assert grpc_refused(channel, method, b"\xff" * 10) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("version", ["9" * 5_000, "²", "-1"])
def test_versions_over_grpc(channel, version):
    asked = messages.ModelMetadataRequest(name="loans", version=version)
    assert grpc_refused(channel, "ModelMetadata", asked.SerializeToString()) is grpc.StatusCode.NOT_FOUND
