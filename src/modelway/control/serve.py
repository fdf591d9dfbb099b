"""A serving process: `python -m modelway.control.serve ROOT [NUMBER SOCKET [GRPC]]`. Imports no training library."""

import socket
import sys
from pathlib import Path

from modelway.control.children import end_with_parent
from modelway.control.logs import log_as_json
from modelway.errors import ModelwayError
from modelway.flow.serving import run_server
from modelway.workspace import open_workspace


def main(root: str, number: str = "0", listening: str = "", grpc: str = "") -> int:
    """`number` is that of this process among several; `listening` an open socket that they share, by its descriptor.

    `grpc`: a port that they share.
    """
    log_as_json()
    end_with_parent()
    try:
        workspace = open_workspace(Path(root))
        try:
            opened = socket.socket(fileno=int(listening)) if listening else None
            run_server(workspace, int(number), opened, int(grpc) if grpc else None)
        finally:
            workspace.close()
    except ModelwayError as error:
        sys.stderr.write(f"{error.problem}\n")  # the supervisor tells the last line, with its own fix
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
