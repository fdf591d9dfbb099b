"""`modelway up` as a process of a test, stopped however the test ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.projects import ENV


def until(
    condition: Callable[[], object], seconds: float = 60, what: str | Callable[[], str] = "it did not happen"
) -> None:
    """Wait for a condition, with a bound."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.02)


@contextmanager
def up(root: Path, env: dict[str, str] | None = None, ready: bool = True) -> Iterator[subprocess.Popen[str]]:
    """Started, and ready unless told otherwise; SIGINT at the end."""
    command = [sys.executable, "-m", "modelway", "up"]
    process = subprocess.Popen(
        command, cwd=root, env={**ENV, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        if ready:
            until(lambda: address(root) or process.poll() is not None, what="`modelway up` is not ready")
            assert process.poll() is None, process.communicate()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def address(root: Path) -> str | None:
    """Where the server of this workspace answers."""
    try:
        return str(json.loads((root / ".modelway/server.json").read_text())["url"])
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def server_process(root: Path) -> int:
    return int(json.loads((root / ".modelway/server.json").read_text())["pid"])


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
