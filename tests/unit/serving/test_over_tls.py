"""The server as stack.yaml asks for it over TLS, and the clients of its workspace."""

import ssl

import httpx
import polars as pl
import pytest
import yaml

from modelway.errors import ServerError
from modelway.flow import releasing
from modelway.flow.predicting import predict_rows
from modelway.flow.reporting import server_address
from modelway.flow.serving import tls_of
from modelway.serving.tls import knowing, speaking
from modelway.spec.load import load_stack
from modelway.workspace import Workspace
from tests.support.certificates import signed_by_itself
from tests.support.wire import get, quick, wired
from tests.unit.serving.made import LOANS, make_workspace, predictions, running
from tests.unit.serving.test_predicting import FRAME, silent, version


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    made.places.project("loans").mkdir()
    made.places.spec("loans").write_text(yaml.safe_dump(LOANS))
    yield made
    made.close()


def over_tls(workspace: Workspace, name: str = "models.bank", password: str = "") -> Workspace:
    """The same, with a certificate that bears another name than the address that clients of this machine use."""
    files = signed_by_itself(workspace.places.root, name, password)
    tls = {"certificate": files[0].name, "key": files[1].name}
    workspace.places.stack.write_text(yaml.safe_dump({"serving": {"port": 0, "tls": tls}}))
    return Workspace(workspace.places)


def test_predictions_are_asked_for_over_tls(workspace):
    version(workspace)
    releasing.release(workspace, "loans", None, "ann", "x")
    releasing.roll_out(workspace, workspace.spec("loans"))
    secure = over_tls(workspace)
    local = predict_rows(secure, "loans", FRAME, silent)
    with running(secure) as (url, _):
        assert url.startswith("https://127.0.0.1:")
        assert server_address(secure) == url
        asked = predict_rows(secure, "loans", FRAME, silent)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{url}/v2")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/v2".replace("https", "http"))
    assert local.local
    assert not asked.local
    assert asked.rows.equals(local.rows)
    assert len(predictions(secure)) == pl.Series(asked.rows["prediction"]).len()
    secure.close()


@pytest.mark.parametrize("name", ["localhost", "models.bank"])
def test_a_client_of_the_workspace_knows_its_server_by_its_certificate_alone(tmp_path, name):
    mine = signed_by_itself(tmp_path, name)
    (tmp_path / "other").mkdir()
    another = signed_by_itself(tmp_path / "other", name)
    with wired(quick(), tls=speaking(*mine)) as served:
        assert served.client(knowing(mine[0])).send(get()).reply().status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            served.client(knowing(another[0]))


def test_trust_in_the_server_is_no_trust_in_who_signed_it(tmp_path):
    """The file holds the server's certificate and, behind it, another's."""
    mine = signed_by_itself(tmp_path, "mine")
    signer = signed_by_itself(tmp_path, "signer")
    both = tmp_path / "both.pem"
    both.write_bytes(mine[0].read_bytes() + signer[0].read_bytes())
    with wired(quick(), tls=speaking(*signer)) as served, pytest.raises(ssl.SSLCertVerificationError):
        served.client(knowing(both))


def test_a_key_with_a_password(workspace, monkeypatch):
    secure = over_tls(workspace, password="open sesame")
    with pytest.raises(ServerError, match="are no certificate and its key") as told:
        tls_of(secure)
    assert "MODELWAY_SERVING_KEY_PASSWORD" in told.value.fix
    monkeypatch.setenv("MODELWAY_SERVING_KEY_PASSWORD", "wrong")
    with pytest.raises(ServerError, match="are no certificate and its key") as told:
        tls_of(secure)
    assert "wrong" not in str(told.value)
    password = workspace.places.root / "password"
    password.write_text("open sesame\n")
    monkeypatch.delenv("MODELWAY_SERVING_KEY_PASSWORD")
    monkeypatch.setenv("MODELWAY_SERVING_KEY_PASSWORD_FILE", str(password))
    assert tls_of(secure) is not None
    secure.close()


def test_files_that_cannot_be_used(tmp_path):
    certificate, key = signed_by_itself(tmp_path)
    (tmp_path / "else").mkdir()
    _, another = signed_by_itself(tmp_path / "else")
    missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
    empty.touch()
    for files, problem in (
        ((missing, key), "missing.pem: No such file"),
        ((certificate, missing), "missing.pem: No such file"),
        ((empty, key), "empty.pem holds no certificate"),
        ((key, certificate), "localhost.key holds no certificate"),
        ((certificate, empty), "are no certificate and its key"),
        ((certificate, another), "are no certificate and its key"),
    ):
        with pytest.raises(ServerError, match=problem):
            speaking(*files)
    for file in (missing, empty, key):
        with pytest.raises(ServerError):
            knowing(file)


def test_a_server_whose_certificate_cannot_be_used_says_so_at_its_start(workspace):
    secure = over_tls(workspace)
    (workspace.places.root / "models.bank.key").unlink()
    with pytest.raises(AssertionError, match=r"models\.bank\.key: No such file"), running(secure):
        pass
    secure.close()


def test_without_tls_there_is_none(workspace):
    assert tls_of(workspace) is None


def test_both_files_are_named(tmp_path):
    file = tmp_path / "stack.yaml"
    file.write_text("serving: {tls: {certificate: a.pem}}\n")
    with pytest.raises(Exception, match="key"):
        load_stack(file)
