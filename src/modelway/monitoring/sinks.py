"""Where alerts go: the terminal, a file, a webhook."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from modelway.errors import DiskFullError, EngineError, NotFoundError, SpecError
from modelway.monitoring.alerts import AlertSink
from modelway.records import Alert, dumps
from modelway.secrets.environment import EnvironmentSecrets
from modelway.secrets.port import Secrets

WEBHOOK = "webhook:"
ALERT = "["
"""What a line of the terminal begins with; no other line of a log of ours does."""
_WEBHOOK_SECONDS = 3.0
_FULL = (28, 122)
"""ENOSPC, EDQUOT."""


class TerminalSink(AlertSink):
    """One line on stderr."""

    name = "terminal"

    def send(self, alert: Alert) -> None:
        print(line(alert), file=sys.stderr, flush=True)  # noqa: T201

    def ping(self) -> None:
        return


class FileSink(AlertSink):
    """NDJSON: one JSON object a line, appended and on disk before `send` returns."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, alert: Alert) -> None:
        try:
            with self._path.open("ab") as out:
                out.write(dumps(alert) + b"\n")
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise self._mapped(error) from error

    def ping(self) -> None:
        try:
            with self._path.open("ab"):
                pass
        except OSError as error:
            raise self._mapped(error) from error

    def _mapped(self, error: OSError) -> EngineError:
        if error.errno in _FULL:
            return DiskFullError(f"no space for alerts in {self._path}", "free some disk space")
        return EngineError(
            f"alerts cannot be written to {self._path}: {error.strerror or error}", "let this user write that file"
        )


class WebhookSink(AlertSink):
    """POST of the alert as JSON, with `text` for chat programs; any answer below 300 means that it arrived."""

    def __init__(self, name: str, address: str, place: str) -> None:
        """`place` says, in messages, where the address is kept: the address itself is a secret."""
        self.name = WEBHOOK + name
        self._address = address
        self._fix = f"check the address in {place}"

    def __repr__(self) -> str:
        return f"WebhookSink({self.name})"

    def send(self, alert: Alert) -> None:
        import msgspec

        body = {**msgspec.to_builtins(alert), "text": line(alert), "state": "closed" if alert.closed else "open"}
        answer = self._asked("POST", body)
        if answer >= 300:
            raise EngineError(f"{self.name} answered with status {answer}", self._fix, transient=answer >= 500)

    def ping(self) -> None:
        """Reached, whatever it says: a webhook takes no other request than an alert."""
        self._asked("HEAD", None)

    def _asked(self, method: str, body: object) -> int:
        import httpx

        try:
            return httpx.request(method, self._address, json=body, timeout=_WEBHOOK_SECONDS).status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The address is a secret, and httpx's messages may hold it: only the kind of error is told.
            raise EngineError(
                f"{self.name} was not reached ({type(error).__name__})", self._fix, transient=True
            ) from None


def open_sinks(names: Sequence[str], file: Path, secrets: Secrets | None = None) -> list[AlertSink]:
    """The sinks by their names in the spec; raises SpecError for a name that is none, or naming the missing variable."""
    return [_open(name, file, secrets or EnvironmentSecrets()) for name in dict.fromkeys(names)]


def line(alert: Alert) -> str:
    """The alert in one line."""
    text = " ".join(alert.text.split())
    if alert.closed is None:
        return f"[{alert.severity}] {alert.model}: {alert.cause} since {alert.opened:%Y-%m-%d %H:%M} UTC: {text}"
    return f"[over] {alert.model}: {alert.cause} ended {alert.closed:%Y-%m-%d %H:%M} UTC"


def secret_of(sink: str) -> str:
    """The name of the secret that is a webhook's address."""
    return "webhook_" + sink.removeprefix(WEBHOOK)


def _open(name: str, file: Path, secrets: Secrets) -> AlertSink:
    if name == "terminal":
        return TerminalSink()
    if name == "file":
        return FileSink(file)
    if name.startswith(WEBHOOK) and name != WEBHOOK:
        secret = secret_of(name)
        try:
            address = secrets.get(secret)
        except NotFoundError as error:
            raise SpecError(
                f"modelway.yaml: monitoring.alerts names {name}, but {error.problem}",
                f"{error.fix} (its address: https://…), or take {name} out of monitoring.alerts",
            ) from error
        return WebhookSink(name.removeprefix(WEBHOOK), address, secrets.place(secret))
    raise SpecError(
        f"modelway.yaml: monitoring.alerts: {name!r} is no place for alerts", "write terminal, file or webhook:NAME"
    )
