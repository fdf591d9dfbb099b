"""`modelway up` with tokens and TLS, two serving processes, both protocols: as somebody uses it who has only the command."""

import socket
import ssl
from pathlib import Path

import grpc
import httpx
import pytest

from modelway.flow.reporting import grpc_address
from modelway.serving.grpc.guarded import ROLES as CALLS
from modelway.serving.tls import knowing
from modelway.workspace import open_workspace
from tests.support.certificates import signed_by_itself
from tests.support.projects import modelway, ok, records
from tests.support.running import address, until, up
from tests.unit.serving.test_access import status

STACK = "port: 0, workers: 2, grpc: {port: 0}, access: tokens, tls: {certificate: tls/localhost.pem, key: tls/localhost.key}"
READY = next(call for call in CALLS if call.endswith("/ModelReady"))
INDEX = next(call for call in CALLS if call.endswith("/RepositoryIndex"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """No model: what is asked for is allowed, and is not there."""
    ok("init", "bank", cwd=tmp_path)
    made = tmp_path / "bank"
    (made / "stack.yaml").write_text(f"serving: {{{STACK}}}\ncontrol_loops: 1\n")
    (made / "tls").mkdir()
    signed_by_itself(made / "tls")
    return made


def certificate_at(place: str) -> str:
    """What a server shows to whoever comes, in PEM."""
    trusting_all = ssl.create_default_context()
    trusting_all.check_hostname, trusting_all.verify_mode = False, ssl.CERT_NONE
    trusting_all.set_alpn_protocols(["h2", "http/1.1"])
    host, _, port = place.rpartition(":")
    with socket.create_connection((host, int(port)), 20) as plain, trusting_all.wrap_socket(plain) as secure:
        return ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True) or b"")


def test_tokens_over_tls_for_both_protocols(root: Path) -> None:
    infer = modelway("token", "new", "checkout", "--role", "infer", "--reason", "the shop", cwd=root)
    assert infer.code == 0
    token, operate = infer.out.strip(), ok("token", "new", "prometheus", "--role", "operate", cwd=root).strip()
    assert token not in infer.err
    taken = modelway("token", "new", "checkout", "--role", "operate", cwd=root)
    assert (taken.code, taken.out) == (2, "")
    assert [(one["name"], one["role"]) for one in records(root, "token", "list")] == [
        ("checkout", "infer"),
        ("prometheus", "operate"),
    ]
    certificate = root / "tls/localhost.pem"
    with up(root):
        url, workspace = str(address(root)), open_workspace(root)
        place = str(grpc_address(workspace))

        def http(path: str, held: str) -> int:
            headers = {"authorization": f"Bearer {held}"} if held else {}
            return httpx.get(url + path, headers=headers, verify=knowing(certificate), timeout=20).status_code

        def call(name: str, held: str) -> grpc.StatusCode:
            options = (("grpc.ssl_target_name_override", "localhost"), ("grpc.use_local_subchannel_pool", 1))
            trusting = grpc.ssl_channel_credentials(certificate.read_bytes())
            with grpc.secure_channel(place, trusting, options=options) as channel:
                return status(channel, name, {"authorization": f"Bearer {held}"} if held else {})[0]

        def all_as_they_should() -> None:
            assert [http("/v2/health/live", held) for held in ("", token, operate)] == [200] * 3
            assert [http("/v2/models/loans", held) for held in ("", token, operate)] == [401, 404, 404]
            assert [http("/metrics", held) for held in ("", token, operate)] == [401, 403, 200]
            no = grpc.StatusCode.UNAUTHENTICATED
            assert [call(READY, held) for held in ("", token, operate)] == [no, *[grpc.StatusCode.NOT_FOUND] * 2]
            assert [call(INDEX, held) for held in ("", token, operate)] == [
                no,
                grpc.StatusCode.PERMISSION_DENIED,
                grpc.StatusCode.OK,
            ]

        all_as_they_should()
        places = (place, url.removeprefix("https://"))
        assert {certificate_at(one) for one in places} == {certificate.read_text()}
        before = certificate.read_text()
        signed_by_itself(root / "tls")
        ok("renew", cwd=root)
        assert {certificate_at(one) for one in places * 4} == {certificate.read_text()} != {before}
        all_as_they_should()

        ok("token", "revoke", "checkout", "--reason", "the shop was sold", cwd=root)
        until(lambda: {http("/v2/models/loans", token) for _ in range(8)} == {401}, what="it holds still")
        until(
            lambda: {call(READY, token) for _ in range(8)} == {grpc.StatusCode.UNAUTHENTICATED}, what="it holds still"
        )
        assert http("/v2/models/loans", operate) == 404
        workspace.close()

    told = records(root, "history")["entries"]
    assert [(e["action"], e["subject"], e["reason"], e["data"]) for e in told if e["action"].startswith("token")] == [
        ("token new", "checkout", "the shop", {"role": "infer"}),
        ("token new", "prometheus", "asked for by hand", {"role": "operate"}),
        ("token revoke", "checkout", "the shop was sold", {"role": "infer"}),
    ]
    kept = b"".join(file.read_bytes() for file in root.rglob("*") if file.is_file())
    assert b"checkout" in kept
    for secret in (token, operate):
        assert secret.encode() not in kept
