"""`modelway up` with gRPC: two serving processes behind one port, renewed under load; and where status says it is."""

import json
import threading
from collections import Counter
from pathlib import Path

import grpc
import pytest

from modelway.serving.grpc import inference_pb2 as messages
from modelway.workspace import open_workspace
from tests.support.projects import bank, ok, records
from tests.support.running import until, up

AGAIN = (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
"""What a client asks again, with the same id: gRPC's server, when it ends, cancels calls that have come and are not begun."""
METHOD = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = bank(tmp_path_factory.mktemp("grpc"))
    stack = made / "stack.yaml"
    stack.write_text(stack.read_text().replace("port: 0", "port: 0, workers: 2, grpc: {port: 0}"))
    assert "workers: 2" in stack.read_text()
    ok("run", "loans", cwd=made)
    ok("release", "loans", cwd=made)
    return made


def said(root: Path) -> list[dict[str, object]]:
    found = [root / ".modelway/server.json", root / ".modelway/server-1.json"]
    return [json.loads(place.read_text()) for place in found if place.exists()]


def question(name: str) -> bytes:
    columns: dict[str, object] = {"income": 2_000.0, "debt": 100.0, "job": "office"}
    asked = messages.ModelInferRequest(model_name="loans", id=name)
    for column, value in columns.items():
        text = isinstance(value, str)
        tensor = asked.inputs.add(name=column, datatype="BYTES" if text else "FP64", shape=[1])
        if text:
            tensor.contents.bytes_contents.append(str(value).encode())
        else:
            tensor.contents.fp64_contents.append(value)
    return bytes(asked.SerializeToString())


def test_two_processes_share_the_port_and_are_renewed_under_load(root: Path) -> None:
    answered, failed, stop, lock = list[str](), Counter[str](), threading.Event(), threading.Lock()

    def ask(address: str, number: int) -> None:
        with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            method, count, tries = channel.unary_unary(METHOD), 0, 0
            while not stop.is_set() or tries:
                name = f"{number}-{count}"
                try:
                    method(question(name), timeout=30, wait_for_ready=True)
                except grpc.RpcError as error:
                    if (
                        error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                    ):  # a busy machine: asked again until it is not
                        continue
                    tries += 1
                    if error.code() in AGAIN and tries < 4:
                        continue
                    with lock:
                        failed[str(error)] += 1
                else:
                    with lock:
                        answered.append(name)
                count, tries = count + 1, 0

    with up(root):
        until(lambda: records(root, "status")["models"]["loans"]["champion"] == 1, what="nothing was released")
        first = said(root)
        addresses = {str(one["grpc"]) for one in first}
        assert len(first) == 2
        assert len(addresses) == 1
        (address,) = addresses
        assert f"gRPC {address}" in ok("status", cwd=root)
        threads = [threading.Thread(target=ask, args=(address, number)) for number in range(12)]
        for thread in threads:
            thread.start()
        until(lambda: len(answered) > 200, what=lambda: f"only {len(answered)} were answered: {failed}")
        ok("renew", cwd=root)
        there = len(answered)
        until(lambda: len(answered) > there + 200, what=lambda: f"no answers after the renewal: {failed}")
        stop.set()
        for thread in threads:
            thread.join(60)
        assert {one["pid"] for one in said(root)}.isdisjoint({one["pid"] for one in first})
        assert {str(one["grpc"]) for one in said(root)} == {address}
    assert failed == {}
    ok("ingest", "loans", cwd=root)
    workspace = open_workspace(root)
    found = Counter(workspace.lake.read("loans_predictions")["request"].to_list())
    workspace.close()
    assert [name for name in answered if found[name] != 1] == []
