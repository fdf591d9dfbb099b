"""A real server process that asks for tokens: what is made and revoked beside it, its workspace's own client, what it keeps."""

import grpc
import httpx
import pytest
import yaml

from modelway.clock import WallClock
from modelway.errors import NotFoundError, StateError, UsageError
from modelway.flow import access, releasing
from modelway.flow.predicting import predict_rows
from modelway.flow.reporting import grpc_address
from modelway.secrets.tokens import digest_of, make_token
from modelway.serving.access import Role
from modelway.serving.grpc.guarded import ROLES as CALLS
from modelway.serving.measured import ACCESS_REFUSALS
from modelway.state import tokens
from modelway.testing.metrics import parse_exposition, sample
from modelway.workspace import Workspace
from tests.support.wire import Client, get
from tests.unit.serving.made import LOANS, becomes, make_workspace, request, running
from tests.unit.serving.test_access import status
from tests.unit.serving.test_predicting import FRAME, silent, version

INFER = next(call for call in CALLS if call.endswith("/ModelInfer"))


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    made.places.project("loans").mkdir()
    made.places.spec("loans").write_text(yaml.safe_dump(LOANS))
    made.places.stack.write_text("serving: {port: 0, grpc: {port: 0}, access: tokens, access_log: true}\n")
    opened = Workspace(made.places)
    version(opened)
    releasing.release(opened, "loans", None, "ann", "x")
    releasing.roll_out(opened, opened.spec("loans"))
    yield opened
    opened.close()
    made.close()


def new(workspace: Workspace, name: str, role: str = "infer") -> str:
    token = make_token()
    made = tokens.Token(name, role, digest_of(token.encode()).hex(), "ann", WallClock().now())
    tokens.add(workspace.database, made, "x")
    return token


def test_tokens_come_and_go_while_it_runs_and_none_is_written_anywhere(workspace):
    with running(workspace) as (url, _), httpx.Client(base_url=url, timeout=20) as client:
        address = str(grpc_address(workspace))

        def asked(token: str) -> tuple[int, grpc.StatusCode]:
            headers = {"authorization": f"Bearer {token}"}
            reply = client.post("/v2/models/loans/infer", headers=headers, json=request([{"id": "a", "income": 1.0}]))
            with grpc.insecure_channel(address) as channel:
                return reply.status_code, status(channel, INFER, headers)[0]

        unknown, may = make_token(), (200, grpc.StatusCode.OK)
        may_not = (401, grpc.StatusCode.UNAUTHENTICATED)
        assert asked(unknown) == may_not
        infer, operate = new(workspace, "checkout"), new(workspace, "prometheus", "operate")
        becomes(lambda: asked(infer) == asked(operate) == may)
        assert asked(unknown) == may_not
        figures = client.get("/metrics", headers={"authorization": f"Bearer {operate}"})
        counted = parse_exposition(figures.content)
        assert counted[sample(ACCESS_REFUSALS, protocol="http", reason="unknown")] >= 2
        assert counted[sample(ACCESS_REFUSALS, protocol="grpc", reason="unknown")] >= 2
        assert client.get("/metrics", headers={"authorization": f"Bearer {infer}"}).status_code == 403

        bad = {"authorization": f"Bearer {infer}"}
        for path, body in (("/v2/models/loans/infer", b"{"), ("/predict/none", b"[]"), ("/invocations", b"a,b\n1")):
            assert client.post(path, headers=bad, content=body).status_code in (400, 404)
        with Client(int(url.rpartition(":")[2])) as broken:  # refused by the wire, with all that it has read
            broken.send(get("/v2", f"Authorization: Bearer {infer}", "Content-Length: 1", "Content-Length: 2"))
            assert broken.reply().status == 400

        tokens.revoke(workspace.database, "checkout", "ann", "lost", WallClock().now())
        becomes(lambda: asked(infer) == may_not)
        assert asked(operate) == may
        told = figures.text + client.get("/metrics", headers={"authorization": f"Bearer {operate}"}).text

    kept = b"".join(file.read_bytes() for file in workspace.places.root.rglob("*") if file.is_file())
    assert digest_of(operate.encode()).hex().encode() in kept
    for token in (unknown, infer, operate):
        assert token.encode() not in kept
        assert token not in told


def test_the_workspaces_own_client_sends_the_token_that_the_secrets_hold(workspace, monkeypatch):
    token = new(workspace, "predict")
    with running(workspace):
        with pytest.raises(NotFoundError, match="MODELWAY_SERVING_TOKEN is not set"):
            predict_rows(workspace, "loans", FRAME, silent)
        monkeypatch.setenv("MODELWAY_SERVING_TOKEN", token)
        found = predict_rows(workspace, "loans", FRAME, silent)
        assert not found.local
        for wrong in (f"{token}\nx", f"{token} x", f"{token}ä"):
            monkeypatch.setenv("MODELWAY_SERVING_TOKEN", wrong)
            with pytest.raises(UsageError, match="is no token") as error:
                predict_rows(workspace, "loans", FRAME, silent)
            assert token not in str(error.value)
        monkeypatch.setenv("MODELWAY_SERVING_TOKEN", make_token())
        with pytest.raises(StateError, match="not known, or was revoked") as refused:
            predict_rows(workspace, "loans", FRAME, silent)
        assert "modelway token new" in refused.value.fix


def test_what_was_known_holds_while_the_database_is_away_and_nothing_does_when_it_cannot_be_read(
    workspace, monkeypatch, caplog
):
    monkeypatch.setattr(access, "EVERY_SECONDS", 0.01)
    header = f"Bearer {new(workspace, 'checkout')}".encode()
    with access.access_kept(workspace, workspace.metrics) as kept:
        assert kept is not None
        assert kept.role_of(header) is Role.INFER
        with workspace.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE settings RENAME TO away")
        becomes(lambda: "those that were known hold" in caplog.text)
        assert kept.role_of(header) is Role.INFER
        with workspace.database.write() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO settings")
        tokens.add(workspace.database, tokens.Token("odd", "king", "00", "ann", WallClock().now()), "x")
        becomes(lambda: kept.role_of(header) is None)
        assert "none holds" in caplog.text
        tokens.revoke(workspace.database, "odd", "ann", "x", WallClock().now())
        becomes(lambda: kept.role_of(header) is Role.INFER)


def test_without_access_there_is_none(workspace):
    workspace.places.stack.write_text("serving: {port: 0}\n")
    opened = Workspace(workspace.places)
    with access.access_kept(opened, opened.metrics) as kept:
        assert kept is None
    assert access.sent(opened) == {}
    opened.close()
