"""A real server process that speaks gRPC: where it says so, what it costs one that does not, and addresses that are taken."""

import json
import socket

import grpc
import pytest

from modelway.errors import ServerError, SpecError
from modelway.flow.reporting import grpc_address
from modelway.serving.grpc import inference_pb2 as messages
from modelway.serving.grpc.listener import SERVICE
from modelway.serving.run import reserve
from modelway.spec.load import load_stack
from modelway.workspace import Workspace
from tests.unit.serving.made import make_workspace, predictions, put_version, route, running
from tests.unit.serving.test_grpc import ONE, call, infer_request


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    made.traffic.apply(route("loans", {1: put_version(made)}))
    yield made
    made.close()


def test_a_process_answers_grpc_says_where_and_logs(workspace):
    workspace.places.stack.write_text("serving: {port: 0, grpc: {port: 0}}\n")
    opened = Workspace(workspace.places)
    with running(workspace) as (_, process):
        address = grpc_address(opened)
        assert address == json.loads(opened.places.server.read_text())["grpc"]
        with grpc.insecure_channel(address) as channel:
            assert call(channel, "ServerReady").ready
            assert call(channel, "ModelInfer", infer_request(ONE, True, id="p")).id == "p"
        process.terminate()
        assert process.wait(20) == 0
    assert grpc_address(opened) is None
    assert [event["request"] for event in predictions(opened)] == ["p"]
    opened.close()


def test_a_process_without_grpc_imports_none_of_it(workspace, tmp_path):
    seen = tmp_path / "modules"
    with running(workspace, str(seen)):
        assert grpc_address(workspace) is None
    names = seen.read_text().split()
    assert "modelway.serving.rest" in names
    assert not [name for name in names if name == "grpc" or name.startswith(("grpc_", "modelway.serving.grpc"))]


def test_a_taken_port_is_told_before_anything_starts(workspace):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        workspace.places.stack.write_text(f"serving: {{port: 0, grpc: {{port: {port}}}}}\n")
        with pytest.raises(ServerError, match=f"127.0.0.1:{port}: address already in use"):
            reserve("127.0.0.1", port)
        with pytest.raises(AssertionError, match="gRPC cannot listen there"), running(workspace):
            pass


def test_a_misspelt_key_is_told(workspace):
    workspace.places.stack.write_text("serving: {port: 0, grpc: {prot: 1}}\n")
    with pytest.raises(SpecError, match="port"):
        load_stack(workspace.places.stack)


def test_grpc_is_not_opened_in_plain_text_beside_tls(workspace):
    workspace.places.stack.write_text("serving: {grpc: {port: 0}, tls: {certificate: a.pem, key: b.pem}}\n")
    with pytest.raises(SpecError, match="not encrypted yet"):
        load_stack(workspace.places.stack)


def test_two_servers_do_not_share_a_port_in_silence(workspace):
    """gRPC would otherwise share it (SO_REUSEPORT), and each would get some of the calls."""
    workspace.places.stack.write_text("serving: {port: 0, grpc: {port: 0}}\n")
    with running(workspace):
        port = int(str(grpc_address(workspace)).rpartition(":")[2])
        said = workspace.places.server.read_text()
        workspace.places.stack.write_text(f"serving: {{port: 0, grpc: {{port: {port}}}}}\n")
        with pytest.raises(AssertionError, match="gRPC cannot listen there"), running(workspace):
            pass
        workspace.places.server.write_text(said)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            live = channel.unary_unary(
                f"/{SERVICE}/ServerLive", response_deserializer=messages.ServerLiveResponse.FromString
            )
            assert live(b"", timeout=20).live
