"""Testers name a version, by header or in the path, before it has any share: it answers, and the log says that it was named."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import grpc
import httpx
import pytest

from modelway.flow.serving import server_of
from modelway.records import Route, loads
from modelway.serving.grpc import inference_pb2 as messages
from modelway.serving.grpc.listener import SERVICE
from modelway.serving.models import VERSION_HEADER
from modelway.serving.openapi import document
from modelway.workspace import Workspace
from tests.support.serving import serving_both
from tests.unit.serving.made import make_workspace, predictions, put_version, request, route

HEADER = "Modelway-Version"
ROWS = [{"income": 1.5}]


@dataclass(frozen=True)
class Edges:
    """Both edges of one server."""

    workspace: Workspace
    http: httpx.Client
    channel: grpc.Channel

    def infer(self, name: str, headers: dict[str, str], version: str = "") -> messages.ModelInferResponse:
        method = self.channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=messages.ModelInferRequest.SerializeToString,
            response_deserializer=messages.ModelInferResponse.FromString,
        )
        return method(message(name, version), timeout=20, metadata=tuple(headers.items()))

    def stream(self, name: str, headers: dict[str, str]) -> messages.ModelStreamInferResponse:
        method = self.channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer",
            request_serializer=messages.ModelInferRequest.SerializeToString,
            response_deserializer=messages.ModelStreamInferResponse.FromString,
        )
        return next(iter(method(iter([message(name)]), timeout=20, metadata=tuple(headers.items()))))


def message(name: str, version: str = "") -> messages.ModelInferRequest:
    made = messages.ModelInferRequest(model_name="loans", model_version=version, id=name)
    made.inputs.add(name="income", datatype="FP64", shape=[1]).contents.fp64_contents.append(1.5)
    return made


@pytest.fixture(scope="module")
def edges(tmp_path_factory) -> Iterator[Edges]:
    """Version 2 in shadow beside version 1."""
    workspace = make_workspace(tmp_path_factory.mktemp("testers"))
    made = route("loans", {n: put_version(workspace, bias=float(n)) for n in (1, 2)}, {1: 1.0}, shadow=2)
    workspace.traffic.apply(replace(made, names={"champion": 1, "challenger": 2}))
    server = server_of(workspace)
    server.models.look()
    with (
        serving_both(server) as (url, address),
        httpx.Client(base_url=url, timeout=20) as client,
        grpc.insecure_channel(address) as channel,
    ):
        yield Edges(workspace, client, channel)
    workspace.close()


@pytest.mark.parametrize(("named", "version"), [("challenger", 2), ("champion", 1), ("2", 2)])
def test_a_header_chooses_who_answers_before_there_is_any_share(edges, named, version):
    header, names = {"modelway-version": named}, [f"{edge}-{named}" for edge in ("grpc", "stream", "http", "row")]
    assert edges.infer(names[0], header).model_version == str(version)
    assert edges.stream(names[1], header).infer_response.model_version == str(version)
    body = request(ROWS, id=names[2])
    told = edges.http.post("/v2/models/loans/infer", json=body, headers={"Modelway-Version": named}).json()
    assert told["model_version"] == str(version)
    told = edges.http.post("/predict/loans", json={**ROWS[0], "_id": names[3]}, headers=header).json()
    assert told["version"] == version
    logged = [one for one in predictions(edges.workspace) if one["request"] in names]
    assert [(one["version"], one["pinned"], one["shadow"]) for one in logged] == [(version, True, False)] * 4


def test_the_path_or_the_message_goes_before_the_header(edges):
    header = {"modelway-version": "challenger"}
    assert edges.infer("both", header, version="1").model_version == "1"
    told = edges.http.post("/v2/models/loans/versions/1/infer", json=request(ROWS), headers=header).json()
    assert told["model_version"] == "1"
    assert edges.http.get("/v2/models/loans/versions/challenger/ready").status_code == 200


@pytest.mark.parametrize("absent", ["former", "7", "²", "Challenger"])
def test_who_is_not_there_is_not_found(edges, absent):
    refused = edges.http.post(
        "/v2/models/loans/infer", json=request(ROWS), headers={"modelway-version": absent.encode()}
    )
    assert refused.status_code == 404
    assert edges.http.get(f"/v2/models/loans/versions/{absent}/ready").status_code == 404
    assert "ask for one of 1, 2, challenger, champion" in refused.json()["error"]
    if absent.isascii():
        with pytest.raises(grpc.RpcError) as failed:
            edges.infer("absent", {"modelway-version": absent})
        assert failed.value.code() == grpc.StatusCode.NOT_FOUND


def test_the_document_of_the_protocol_names_the_header():
    paths = document("1")["paths"]
    named = {
        path for path, one in paths.items() for p in one.get("post", {}).get("parameters", ()) if p["name"] == HEADER
    }
    assert {"/v2/models/{model}/infer", "/predict/{model}", "/invocations"} <= named
    assert HEADER.lower() == VERSION_HEADER


def test_without_a_header_shares_are_drawn(edges):
    assert edges.infer("drawn", {}).model_version == "1"
    told = edges.http.post("/v2/models/loans/infer", json=request(ROWS), headers={"modelway-version": ""}).json()
    assert told["model_version"] == "1"


def test_a_route_of_a_file_that_names_nobody_is_read():
    """Written by the release before this one."""
    assert loads(Route, b'{"model": "loans", "shares": {"1": 1.0}, "manifests": {"1": "a"}}').names == {}
