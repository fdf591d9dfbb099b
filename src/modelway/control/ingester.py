"""One ingesting process: `python -m modelway.control.ingester ROOT`, until SIGTERM; any number may run, on any machine."""

import sys
import threading

from modelway.control.memory import hold_memory
from modelway.control.process import until_stopped
from modelway.flow.streaming import run_ingestion
from modelway.workspace import Workspace


def main(root: str) -> int:
    stopping = threading.Event()

    def run(workspace: Workspace) -> None:
        hold_memory()
        run_ingestion(workspace, stopping)

    return until_stopped(root, stopping, run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
