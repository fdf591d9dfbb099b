"""Hands on what waits in this machine's spool: `python -m modelway.control.forwarder ROOT`, until SIGTERM."""

import sys
import threading

from modelway.control.process import until_stopped
from modelway.flow.forwarding import run_forwarding


def main(root: str) -> int:
    stopping = threading.Event()
    return until_stopped(root, stopping, lambda workspace: run_forwarding(workspace, stopping))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
