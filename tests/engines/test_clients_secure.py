"""tritonclient, unchanged, on a server that speaks TLS alone and asks for tokens."""

from pathlib import Path

import pytest

from modelway.flow.reporting import grpc_address
from modelway.workspace import Workspace
from tests.engines.test_clients import good, told
from tests.support.certificates import signed_by_itself
from tests.unit.serving.made import make_workspace, put_version, route, running
from tests.unit.serving.test_access_process import new

pytestmark = pytest.mark.engines


def test_tritonclient_over_tls_with_a_token(tmp_path: Path) -> None:
    made = make_workspace(tmp_path)
    made.traffic.apply(route("loans", {1: put_version(made, bias=1.0)}))
    certificate, key = signed_by_itself(tmp_path)
    tls = f"{{certificate: {certificate.name}, key: {key.name}}}"
    made.places.stack.write_text(f"serving: {{port: 0, grpc: {{port: 0}}, access: tokens, tls: {tls}}}\n")
    workspace, token = Workspace(made.places), new(made, "triton")
    with running(workspace) as (url, _):
        ports = [str(address).rpartition(":")[2] for address in (grpc_address(workspace), url)]
        found = told("triton_secure.py", *ports, str(certificate), token)
    for name, refused, forbidden in (
        ("grpc", "StatusCode.UNAUTHENTICATED", "StatusCode.PERMISSION_DENIED"),
        ("http", "401", "403"),
    ):
        assert found[name].pop("with") == pytest.approx(good(3.0), rel=1e-12)
        assert found[name] == {"live": True, "model": True, "without": refused, "wrong": refused, "index": forbidden}
    assert found["aio"] == pytest.approx(good(3.0), rel=1e-12)
    workspace.close()
    made.close()
