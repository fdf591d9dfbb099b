"""`modelway up` around a replay: started and ended, and its control loop asked to look when the replay's time has moved on."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import httpx

from modelway.errors import ServerError
from modelway.flow.reporting import server_address
from modelway.state.replay_clock import ask_look
from modelway.workspace import Workspace

_PATIENCE = 120.0


@contextmanager
def up(workspace: Workspace) -> Iterator[str]:
    """`modelway up` as a process; its address."""
    command = [sys.executable, "-m", "modelway", "up", "--workspace", str(workspace.places.root)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:

        def ready() -> bool:
            if process.poll() is not None:
                said = process.stderr.read().decode() if process.stderr else ""
                raise ServerError(f"`modelway up` ended: {said}", f"see {workspace.places.logs}")
            return workspace.places.heartbeat.exists() and server_address(workspace) is not None

        until(ready, "`modelway up` was not ready", workspace)
        yield str(server_address(workspace))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def look(workspace: Workspace, model: str, client: httpx.Client, url: str, now: datetime) -> None:
    """Let the control loop look, wait until it has, and until the server follows the routes that it left."""
    ask_look(workspace.database, now)
    beat = workspace.places.heartbeat
    until(lambda: beat.exists() and beat.read_text() == now.isoformat(), "the control loop did not look", workspace)
    wanted = workspace.traffic.routes().get(model)
    if wanted is None:
        raise ServerError(f"{model} has no route", f"see {workspace.places.logs}")

    def followed() -> bool:
        reply = client.get(f"{url}/v2/models/{model}")
        return reply.status_code == 200 and reply.json()["parameters"]["generation"] == wanted.generation

    until(followed, "the server did not follow the routes", workspace)


def until(condition: Callable[[], bool], problem: str, workspace: Workspace) -> None:
    """Wait; raises ServerError with the problem when it takes more than two minutes."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise ServerError(f"{problem} within {_PATIENCE:g} s", f"see {workspace.places.logs}")
        time.sleep(0.005)
