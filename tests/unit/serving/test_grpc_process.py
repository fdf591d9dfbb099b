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
from tests.support.certificates import signed_by_itself
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


@pytest.mark.parametrize("password", ["", "open sesame"])
def test_beside_tls_grpc_is_answered_over_tls_alone(workspace, password):
    certificate, key = signed_by_itself(workspace.places.root, password=password)
    tls = f"tls: {{certificate: {certificate.name}, key: {key.name}}}"
    workspace.places.stack.write_text(f"serving: {{port: 0, grpc: {{port: 0}}, {tls}}}\n")
    opened = Workspace(workspace.places)
    trusting = grpc.ssl_channel_credentials(certificate.read_bytes())
    other = grpc.ssl_channel_credentials(signed_by_itself(workspace.places.models)[0].read_bytes())
    named = (("grpc.ssl_target_name_override", "localhost"),)
    with running(opened, env={"MODELWAY_SERVING_KEY_PASSWORD": password}) as (url, _):
        address = str(grpc_address(opened))
        assert url.startswith("https:")
        with grpc.secure_channel(address, trusting, options=named) as channel:
            assert call(channel, "ModelInfer", infer_request(ONE, True, id="s")).id == "s"
        for refused in (grpc.secure_channel(address, other, options=named), grpc.insecure_channel(address)):
            with refused as channel, pytest.raises(grpc.RpcError) as told:
                call(channel, "ServerLive")
            assert told.value.code() is grpc.StatusCode.UNAVAILABLE
    assert [event["request"] for event in predictions(opened)] == ["s"]
    opened.close()


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
