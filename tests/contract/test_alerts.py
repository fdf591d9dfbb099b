"""The alert sinks' checks over the terminal, the file and a webhook with a server behind it; and what is each one's own."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from modelway.errors import DiskFullError, EngineError, SpecError
from modelway.monitoring.sinks import FileSink, TerminalSink, open_sinks
from modelway.testing.alerts import ALERT, AlertSinkChecks, Seen


class TestTerminal(AlertSinkChecks):
    @pytest.fixture
    def sink(self) -> TerminalSink:
        return TerminalSink()

    @pytest.fixture
    def seen(self, capsys: pytest.CaptureFixture[str]) -> Seen:
        return lambda: capsys.readouterr().err.splitlines()


class TestFile(AlertSinkChecks):
    @pytest.fixture
    def sink(self, tmp_path: Path) -> FileSink:
        return FileSink(tmp_path / "alerts.ndjson")

    @pytest.fixture
    def seen(self, tmp_path: Path) -> Seen:
        return lambda: (tmp_path / "alerts.ndjson").read_text().splitlines()


class Server(ThreadingHTTPServer):
    status = 204
    bodies: list[str]


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(made.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_HEAD(self) -> None:
            self.send_response(405)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    made = Server(("127.0.0.1", 0), Handler)
    made.bodies = []
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join(10)
    made.server_close()


@pytest.fixture
def webhook(server, monkeypatch, tmp_path):
    monkeypatch.setenv("MODELWAY_WEBHOOK_ON_CALL", f"http://127.0.0.1:{server.server_address[1]}/secret-token")
    return open_sinks(["webhook:on-call"], tmp_path / "unused")[0]


class TestWebhook(AlertSinkChecks):
    @pytest.fixture
    def sink(self, webhook):
        return webhook

    @pytest.fixture
    def seen(self, server) -> Seen:
        return lambda: [json.dumps(json.loads(body)) for body in server.bodies]


def test_a_webhook_gets_the_whole_alert_as_json(webhook, server):
    webhook.send(ALERT)
    body = json.loads(server.bodies[0])
    assert (body["model"], body["cause"], body["state"], body["closed"]) == ("loans", "drift", "open", None)
    assert body["text"].startswith("[ticket] loans: drift")


@pytest.mark.parametrize(("status", "transient"), [(404, False), (500, True), (302, False)])
def test_a_webhook_that_refuses_is_an_error(webhook, server, status, transient):
    server.status = status
    with pytest.raises(EngineError, match=str(status)) as raised:
        webhook.send(ALERT)
    assert raised.value.transient is transient


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/secret-token", "no address/secret-token", "http://[/secret-token"]
)
def test_a_webhook_that_is_not_reached_keeps_its_address_secret(monkeypatch, tmp_path, address):
    monkeypatch.setenv("MODELWAY_WEBHOOK_CHAT", address)
    sink = open_sinks(["webhook:chat"], tmp_path / "unused")[0]
    for call in (lambda: sink.send(ALERT), sink.ping):
        with pytest.raises(EngineError, match="webhook:chat") as raised:
            call()
        assert "MODELWAY_WEBHOOK_CHAT" in raised.value.fix
        assert "secret-token" not in f"{raised.value}{raised.value!r}{raised.value.__cause__!r}{sink!r}"


def test_a_webhook_without_its_variable_is_named(tmp_path):
    with pytest.raises(SpecError, match="MODELWAY_WEBHOOK_NIGHT_SHIFT"):
        open_sinks(["file", "webhook:night-shift"], tmp_path / "f")


@pytest.mark.parametrize("name", ["pager", "webhook:", ""])
def test_a_sink_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(SpecError, match="no place for alerts"):
        open_sinks([name], tmp_path / "f")


def test_each_sink_is_opened_once(tmp_path):
    assert [s.name for s in open_sinks(["file", "terminal", "file"], tmp_path / "f")] == ["file", "terminal"]


def test_a_file_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    with pytest.raises(EngineError, match="nowhere"):
        FileSink(tmp_path / "nowhere" / "f").send(ALERT)
    with pytest.raises(EngineError, match="nowhere"):
        FileSink(tmp_path / "nowhere" / "f").ping()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError):
        FileSink(tmp_path / "f").send(ALERT)
