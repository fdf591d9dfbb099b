"""The protocol over gRPC, on a server of this process: answers and log as over HTTP, and refusals that say why."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import grpc
import httpx
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelway.errors import ContractError, DiskFullError, SpecError
from modelway.flow.serving import server_of
from modelway.serving.grpc import inference_pb2 as messages
from modelway.serving.grpc.codes import code_of
from modelway.serving.grpc.listener import SERVICE
from modelway.serving.grpc.reading import FIELDS
from modelway.serving.raw import read_raw, write_raw
from modelway.serving.status import BusyError, LateError
from modelway.serving.wire.limits import Limits
from tests.support.serving import serving_both
from tests.unit.serving.made import LOANS, becomes, make_workspace, predictions, put_version, route

FAMILY = {
    **LOANS,
    "model": "family",
    "data": {**LOANS["data"], "source": "family", "event_time": "at"},
    "contract": {
        **LOANS["contract"],
        "at": {"type": "datetime"},
        "children": {"type": "int", "min": 0},
        "married": {"type": "bool"},
    },
}
LIMITS = Limits(body=64 * 1024)
NAMES = count()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    made = make_workspace(tmp_path_factory.mktemp("grpc"))
    made.traffic.apply(route("loans", {n: put_version(made, bias=float(n)) for n in (1, 2)}, {1: 1.0}, shadow=2))
    made.traffic.apply(route("family", {3: put_version(made, FAMILY, bias=2.0)}))
    made.traffic.apply(route("broken", {1: "0" * 64}))
    yield made
    made.close()


@pytest.fixture(scope="module")
def both(workspace):
    server = server_of(workspace)
    server.models.look()
    server.shadow.start()
    with serving_both(server, LIMITS) as found:
        yield found
    server.shadow.drain(10)


@pytest.fixture(scope="module")
def channel(both):
    with grpc.insecure_channel(both[1]) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(both):
    with httpx.Client(base_url=both[0], timeout=20) as opened:
        yield opened


def call(channel, name, message=None, **more):
    request = message if message is not None else getattr(messages, f"{name}Request")()
    method = channel.unary_unary(
        f"/{SERVICE}/{name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=getattr(messages, f"{name}Response").FromString,
    )
    return method(request, timeout=20, **more)


def infer_request(columns, raw, model="loans", **more):
    """`columns`: name → (datatype, shape, values)."""
    made = messages.ModelInferRequest(model_name=model, **more)
    for name, (datatype, shape, values) in columns.items():
        tensor = made.inputs.add(name=name, datatype=datatype, shape=shape)
        if raw:
            made.raw_input_contents.append(write_raw(name, datatype, values))
            continue
        if datatype == "BYTES":
            values = [value.encode() for value in values]
        getattr(tensor.contents, FIELDS[datatype]).extend([math.nan if value is None else value for value in values])
    return made


def outputs_of(response):
    """By name, None where a number is missing."""
    found = {}
    for place, output in enumerate(response.outputs):
        if response.raw_output_contents:
            found[output.name] = read_raw(
                output.name, output.datatype, math.prod(output.shape), response.raw_output_contents[place]
            )
        else:
            values = getattr(output.contents, FIELDS[output.datatype])
            found[output.name] = [v.decode() if isinstance(v, bytes) else None if v != v else v for v in values]
    return found


def admitted(channel, message):
    """The reply; None where more is asked than a busy machine can answer."""
    try:
        return call(channel, "ModelInfer", message)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            raise
        return None


def refused(channel, message, code):
    with pytest.raises(grpc.RpcError) as error:
        call(channel, "ModelInfer", message)
    assert error.value.code() is code, error.value.details()
    return error.value.details()


ONE = {"id": ("BYTES", [1], ["r1"]), "income": ("FP64", [1], [3.0])}

# -- the same as over HTTP -------------------------------------------------------------------------------------------------

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 9).map(float) | st.none()
narrow = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.none()
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
AT = "2026-03-01T12:00:00Z"
times = st.sampled_from(["", AT, "yesterday"])
KINDS = {
    "income": {"FP64": numbers, "FP32": narrow, "INT32": st.integers(-3, 9), "BYTES": st.sampled_from(["7", "", "x"])},
    "children": {
        **{name: st.integers(0, 120) for name in ("INT8", "UINT8", "INT16", "UINT16", "UINT32", "UINT64")},
        "INT64": st.integers(-(2**63), 2**63 - 1),
        "FP64": numbers,
    },
    "married": {"BOOL": st.booleans()},
    "at": {"BYTES": times},
    "id": {"BYTES": texts},
}


@st.composite
def questions(draw):
    """Columns as both edges can carry them."""
    rows = draw(st.integers(1, 4))
    shape = draw(st.sampled_from([[rows], [rows, 1]]))
    columns = {}
    for name, kinds in KINDS.items():
        if name == "at" and draw(st.booleans()):
            continue
        datatype = draw(st.sampled_from(sorted(kinds)))
        columns[name] = (datatype, shape, draw(st.lists(kinds[datatype], min_size=rows, max_size=rows)))
    return columns


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(columns=questions(), raw=st.booleans())
def test_both_edges_answer_alike_and_log_alike(columns, raw, channel, client, workspace):
    number = next(NAMES)
    reply = call(channel, "ModelInfer", infer_request(columns, raw, "family", id=f"g{number}"))
    tensors = [
        {"name": name, "datatype": datatype, "shape": shape, "data": values}
        for name, (datatype, shape, values) in columns.items()
    ]
    other = client.post("/v2/models/family/infer", json={"id": f"h{number}", "inputs": tensors}).json()
    data = {output["name"]: output["data"] for output in other["outputs"]}
    data["prediction"] = [value or "" for value in data["prediction"]]  # bytes know no null
    assert outputs_of(reply) == data
    assert (reply.id, reply.model_version) == (f"g{number}", other["model_version"])
    assert bool(reply.raw_output_contents) == raw
    logged = {
        name: [_kept(e) for e in predictions(workspace, "family") if e["request"] == name]
        for name in (f"g{number}", f"h{number}")
    }
    assert logged[f"g{number}"] == logged[f"h{number}"]
    assert len(logged[f"g{number}"]) == len(columns["id"][2])


def _kept(event):
    """What must not depend on the edge: not the request's id and the times."""
    key = event["key"].removeprefix(event["request"])  # that of a row without one
    at = event["at"] if event["row"].get("at") == AT else ""
    return {name: event[name] for name in event if name not in ("request", "served", "ms")} | {"at": at, "key": key}


def test_a_matrix_of_all_columns_is_as_many_rows(channel, client):
    values = [5.0, 1.0, 1.0, 2.0, 0.0, 0.0]
    got = outputs_of(call(channel, "ModelInfer", infer_request({"x": ("FP64", [2, 3], values)}, True, "family")))
    tensor = {"name": "x", "datatype": "FP64", "shape": [2, 3], "data": values}
    other = client.post("/v2/models/family/infer", json={"inputs": [tensor]}).json()
    assert [len(column) for column in got.values()] == [2] * 4
    assert got["reason"] == other["outputs"][-1]["data"]


def test_calls_at_the_same_time_are_all_answered_each_with_its_own(channel):
    def ask(number: int) -> bool:
        columns = {"id": ("BYTES", [1], [f"c{number}"]), "income": ("FP64", [1], [number / 100])}
        got = outputs_of(becomes(lambda: admitted(channel, infer_request(columns, True, id=f"c{number}"))))
        good = 1 / (1 + math.exp(1.0 - number / 100))
        return math.isclose(got["probability_good"][0], good, rel_tol=1e-12)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(400)))


def test_a_version_is_asked_by_number_and_the_shadow_answers_the_rest(channel, workspace):
    reply = call(channel, "ModelInfer", infer_request(ONE, True, id="named", model_version="2"))
    assert reply.model_version == "2"
    call(channel, "ModelInfer", infer_request(ONE, True, id="routed"))
    told = becomes(lambda: [e for e in predictions(workspace) if e["request"] == "routed" and e["shadow"]])
    assert told[0]["version"] == 2
    assert not [e for e in predictions(workspace) if e["request"] == "named" and e["shadow"]]


def test_outputs_are_chosen_and_the_digest_is_told(channel):
    asked = infer_request(ONE, False)
    asked.outputs.add(name="probability_good")
    reply = call(channel, "ModelInfer", asked)
    assert [output.name for output in reply.outputs] == ["probability_good"]
    assert len(reply.parameters["digest"].string_param) >= 32
    assert reply.id  # a name of the server's


def test_16_bit_floats_come_raw(channel):
    for datatype in ("FP16", "BF16"):
        columns = {**ONE, "income": (datatype, [1], [1.5])}
        got = outputs_of(call(channel, "ModelInfer", infer_request(columns, True)))
        assert got["probability_good"] == pytest.approx([1 / (1 + math.exp(1.0 - 1.5))])


# -- streams, metadata, repository, health, reflection ---------------------------------------------------------------------


def test_a_stream_answers_in_order_and_outlives_a_refusal(channel):
    method = channel.stream_stream(
        f"/{SERVICE}/ModelStreamInfer",
        request_serializer=messages.ModelInferRequest.SerializeToString,
        response_deserializer=messages.ModelStreamInferResponse.FromString,
    )
    asked = [infer_request(ONE, True, id="s0"), infer_request({}, True), infer_request(ONE, False, id="s2")]
    got = list(method(iter(asked), timeout=20))
    assert [one.infer_response.id for one in got] == ["s0", "", "s2"]
    assert "inputs: none" in got[1].error_message or "missing" in got[1].error_message
    assert [one.error_message == "" for one in got] == [True, False, True]


def test_server_and_models_tell_of_themselves(channel):
    assert call(channel, "ServerLive").live
    assert not call(channel, "ServerReady").ready  # a released model cannot be loaded
    assert call(channel, "ServerMetadata").name == "modelway"
    assert call(channel, "ModelReady", messages.ModelReadyRequest(name="loans", version="2")).ready
    told = call(channel, "ModelMetadata", messages.ModelMetadataRequest(name="family"))
    assert list(told.versions) == ["3"]
    assert {t.name: t.datatype for t in told.inputs} == {
        "income": "FP64",
        "children": "INT64",
        "married": "BOOL",
        "id": "BYTES",
        "at": "BYTES",
    }
    assert [list(t.shape) for t in told.inputs] == [[-1]] * 5
    assert {t.name: t.datatype for t in told.outputs}["probability_good"] == "FP64"
    with pytest.raises(grpc.RpcError) as error:
        call(channel, "ModelReady", messages.ModelReadyRequest(name="broken"))
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_repository_is_listed_and_not_changed_by_clients(channel):
    index = call(channel, "RepositoryIndex", messages.RepositoryIndexRequest())
    told = {(m.name, m.version): m.state for m in index.models}
    assert told == {
        ("loans", "1"): "READY",
        ("loans", "2"): "READY",
        ("family", "3"): "READY",
        ("broken", ""): "UNAVAILABLE",
    }
    assert next(m.reason for m in index.models if m.name == "broken")
    ready = call(channel, "RepositoryIndex", messages.RepositoryIndexRequest(ready=True))
    assert {m.state for m in ready.models} == {"READY"}
    for fields in ({"model_name": "loans"}, {"repository_name": "loans"}):  # Triton's field, KServe's field
        answer = call(channel, "RepositoryModelLoad", messages.RepositoryModelLoadRequest(**fields))
        assert (answer.model_name, answer.loaded) == ("loans", True)
        with pytest.raises(grpc.RpcError) as error:
            call(channel, "RepositoryModelUnload", messages.RepositoryModelUnloadRequest(**fields))
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "modelway rollback" in error.value.details()
    with pytest.raises(grpc.RpcError) as error:
        call(channel, "RepositoryModelLoad", messages.RepositoryModelLoadRequest(model_name="nobody"))
    assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_health_follows_the_models(tmp_path):
    made = make_workspace(tmp_path)
    digest = put_version(made)
    made.traffic.apply(route("loans", {1: "0" * 64}))
    server = server_of(made)
    server.models.look()
    with serving_both(server) as (_, address), grpc.insecure_channel(address) as opened:
        stub = health_pb2_grpc.HealthStub(opened)
        watched = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=30)
        assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
        made.traffic.apply(route("loans", {1: digest}))
        becomes(lambda: server.models.look() or server.models.table.ready)  # what failed is tried again after a while
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status == health_pb2.HealthCheckResponse.SERVING
        watched.cancel()
    made.close()


def test_reflection_tells_the_service(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert SERVICE in database.get_services()
    file = database.FindFileContainingSymbol(SERVICE)
    assert {m.name for m in file.service[0].method} >= {"ModelInfer", "RepositoryIndex"}


# -- refusals --------------------------------------------------------------------------------------------------------------

TWICE = infer_request(ONE, False)
TWICE.inputs.add(name="income", datatype="FP64", shape=[1])
MIXED = infer_request(ONE, True)
MIXED.inputs[1].contents.fp64_contents.append(1.0)
WRONG_FIELD = infer_request(ONE, False)
WRONG_FIELD.inputs[1].datatype = "FP32"
FEW_RAW = infer_request(ONE, True)
del FEW_RAW.raw_input_contents[1]
MEMORY = infer_request({"id": ONE["id"]}, False)
MEMORY.inputs.add(name="income", datatype="FP64", shape=[1]).parameters["shared_memory_region"].string_param = "r"
ROUTING = infer_request(ONE, True, parameters={"routing_key": messages.InferParameter(bool_param=True)})
CLASSES = infer_request(ONE, True)
CLASSES.outputs.add(name="prediction").parameters["classification"].int64_param = 2
UNKNOWN = infer_request(ONE, True)
UNKNOWN.outputs.add(name="colour")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (TWICE, "'income' is given twice"),
        (MIXED, "contents beside raw_input_contents"),
        (WRONG_FIELD, "values of FP32 in fp64_contents"),
        (FEW_RAW, "raw_input_contents: 1 of them for 2 inputs"),
        (MEMORY, "shared memory is not supported"),
        (ROUTING, "routing_key: no text"),
        (CLASSES, "classification extension is not supported"),
        (UNKNOWN, "output 'colour' is unknown"),
        (infer_request({}, False), "input 'income' is missing"),
        (infer_request(ONE, True, id="i" * 201), "id: 201 characters"),
        (infer_request({**ONE, "income": ("FP64", [2], [3.0])}, True), "input 'income': 8 bytes, expected 16"),
        (infer_request({**ONE, "income": ("FP64", [-1], [3.0])}, True), "input 'income': shape is [-1]"),
        (infer_request({**ONE, "income": ("FP64", [1, 1, 1], [3.0])}, True), "shape is [1,1,1]"),
        (infer_request({**ONE, "income": ("FP64", [1], [math.inf])}, True), "index 0: infinite"),
        (infer_request({**ONE, "income": ("FP64", [1], [math.inf])}, False), "index 0: infinite"),
        (infer_request({**ONE, "income": ("FP64", [2], [1.0])}, False), "shape says 2 rows, data holds 1"),
        (
            infer_request({"income": ("INT8", [1], [3])}, False).__class__(
                model_name="loans",
                inputs=[{"name": "income", "datatype": "INT8", "shape": [1], "contents": {"int_contents": [300]}}],
            ),
            "a whole number from -128 to 127",
        ),
        (
            messages.ModelInferRequest(
                model_name="loans", inputs=[{"name": "income", "datatype": "FP16", "shape": [1]}]
            ),
            "FP16 has no contents",
        ),
        (
            messages.ModelInferRequest(
                model_name="loans", inputs=[{"name": "income", "datatype": "FP8", "shape": [1]}]
            ),
            "datatype is 'FP8'",
        ),
    ],
)
def test_bad_requests_are_refused_with_the_reason_and_the_fix(message, said, channel):
    details = refused(channel, message, grpc.StatusCode.INVALID_ARGUMENT)
    assert said in details
    assert "\n  fix: " in details


def test_who_is_not_there_is_not_found(channel):
    assert "nobody" in refused(channel, infer_request(ONE, True, "nobody"), grpc.StatusCode.NOT_FOUND)
    asked = infer_request(ONE, True, model_version="9")
    assert "ask for one of 1, 2" in refused(channel, asked, grpc.StatusCode.NOT_FOUND)
    refused(channel, infer_request(ONE, True, "broken"), grpc.StatusCode.UNAVAILABLE)


def test_a_long_reason_still_says_the_fix(channel):
    asked = infer_request({"ö" * 5_000: ONE["income"], **{f"x{n}": ONE["income"] for n in range(2)}}, True)
    details = refused(channel, asked, grpc.StatusCode.INVALID_ARGUMENT)
    assert "fix: send 'income'" in details
    assert len(details.encode()) < 2_100


def test_a_message_beyond_the_limit_is_refused_plain_and_packed(channel):
    columns = {"id": ("BYTES", [9000], ["r"] * 9000), "income": ("FP64", [9000], [1.0] * 9000)}
    for more in ({}, {"compression": grpc.Compression.Gzip}):
        with pytest.raises(grpc.RpcError) as error:
            call(channel, "ModelInfer", infer_request(columns, True), **more)
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    small = {"id": ("BYTES", [900], ["r"] * 900), "income": ("FP64", [900], [1.0] * 900)}
    reply = call(channel, "ModelInfer", infer_request(small, True), compression=grpc.Compression.Gzip)
    assert len(outputs_of(reply)["prediction"]) == 900


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LateError("late"), grpc.StatusCode.DEADLINE_EXCEEDED),
        (BusyError("busy"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (DiskFullError("full"), grpc.StatusCode.UNAVAILABLE),
        (ContractError("no"), grpc.StatusCode.INVALID_ARGUMENT),
        (SpecError("ours"), grpc.StatusCode.INTERNAL),
    ],
)
def test_every_error_has_its_code(error, code):
    assert code_of(error) is code


def raw_call(channel, body):
    """The status of any bytes as a request."""
    try:
        channel.unary_unary(f"/{SERVICE}/ModelInfer")(body, timeout=20)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    whole=st.sampled_from([infer_request(ONE, raw).SerializeToString() for raw in (True, False)]),
    cut=st.tuples(st.integers(0, 90), st.integers(0, 4)),
    put=st.binary(max_size=4),
)
def test_broken_messages_are_refused_and_never_an_accident(whole, cut, put, channel):
    start, width = cut
    body = whole[:start] + put + whole[start + width :]
    code = raw_call(channel, body)
    assert code in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)


def test_what_is_not_served_is_unimplemented(channel):
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary(f"/{SERVICE}/ModelStatistics")(b"", timeout=20)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


# -- deadlines, cancelling, the end ----------------------------------------------------------------------------------------


def test_a_deadline_ends_the_call_and_the_server_goes_on(tmp_path):
    made = make_workspace(tmp_path)
    made.traffic.apply(route("loans", {1: put_version(made)}))
    server = server_of(made)
    server.models.look()
    hold = threading.Event()
    write = server.log.write

    def slow(model, events):
        if any(b"slow" in event.value for event in events):
            hold.wait(20)
        write(model, events)

    server.log.write = slow
    try:
        with serving_both(server) as (_, address), grpc.insecure_channel(address) as opened:
            method = opened.unary_unary(
                f"/{SERVICE}/ModelInfer", request_serializer=messages.ModelInferRequest.SerializeToString
            )
            many = 1_500  # so many bytes are answered in another thread
            columns = {"id": ("BYTES", [many], ["slow"] * many), "income": ("FP64", [many], [1.0] * many)}
            began = time.monotonic()
            with pytest.raises(grpc.RpcError) as error:
                method(infer_request(columns, True), timeout=0.3)
            assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert time.monotonic() - began < 10
            assert call(opened, "ServerLive").live
            hold.set()
            becomes(lambda: len([e for e in predictions(made) if e["key"] == "slow"]) == many)
            asked = infer_request(ONE, True, id="after")
            assert becomes(lambda: admitted(opened, asked)).id == "after"
    finally:
        hold.set()
        made.close()


def test_what_is_under_way_is_answered_before_the_end(tmp_path):
    made = make_workspace(tmp_path)
    made.traffic.apply(route("loans", {1: put_version(made)}))
    server = server_of(made)
    server.models.look()
    begun, hold, write = threading.Event(), threading.Event(), server.log.write

    def slow(model, events):
        begun.set()
        hold.wait(20)
        write(model, events)

    server.log.write = slow
    many = 1_500
    columns = {"id": ("BYTES", [many], ["r"] * many), "income": ("FP64", [many], [1.0] * many)}
    with ThreadPoolExecutor(1) as pool:
        with serving_both(server) as (_, address):
            opened = grpc.insecure_channel(address)
            reply = pool.submit(call, opened, "ModelInfer", infer_request(columns, True, id="last"))
            assert begun.wait(20)
            threading.Timer(0.2, hold.set).start()
        assert reply.result(20).id == "last"
        opened.close()
    made.close()


def test_requests_are_counted_as_those_of_http(workspace, both, channel, client):
    def counted(status):
        text = client.get("/metrics").text
        lines = [line for line in text.splitlines() if line.startswith("modelway_requests_total{")]
        return sum(
            float(line.split()[-1]) for line in lines if 'model="loans"' in line and f'status="{status}"' in line
        )

    before = counted(200), counted(400)
    call(channel, "ModelInfer", infer_request(ONE, True))
    refused(channel, infer_request({}, True), grpc.StatusCode.INVALID_ARGUMENT)
    becomes(lambda: (counted(200), counted(400)) == (before[0] + 1, before[1] + 1))


def test_numbers_are_numpys(channel):
    """What a client of numpy sends as its array's bytes is what the model sees."""
    asked = messages.ModelInferRequest(model_name="loans")
    asked.inputs.add(name="income", datatype="FP32", shape=[3])
    asked.raw_input_contents.append(np.array([1.5, np.nan, 2.5], np.float32).tobytes())
    got = outputs_of(call(channel, "ModelInfer", asked))
    assert [value is None for value in got["probability_good"]] == [False, True, False]
    assert "no finite number" in got["reason"][1]
