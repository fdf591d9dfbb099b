"""A process that works on a workspace until it is told to stop: its log, its signals, its exit code."""

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from modelway.control.children import end_with_parent
from modelway.control.logs import log_as_json
from modelway.errors import ModelwayError
from modelway.workspace import Workspace, open_workspace


def until_stopped(root: str, stopping: threading.Event, work: Callable[[Workspace], None]) -> int:
    """Do `work` on the workspace; SIGTERM, SIGINT and the end of the parent set `stopping`. Returns the exit code."""
    log_as_json()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    end_with_parent(stopping.set)
    try:
        workspace = open_workspace(Path(root))
    except ModelwayError as error:
        sys.stderr.write(f"{error.problem}\n")
        return error.exit_code
    try:
        work(workspace)
    finally:
        workspace.close()
    return 0
