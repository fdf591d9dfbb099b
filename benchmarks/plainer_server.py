"""Our server without something that it always does, for what that costs: `python -m benchmarks.plainer_server ROOT metrics|log`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelway.control.logs import log_as_json
from modelway.flow.serving import server_of
from modelway.metrics.memory import MemoryMetrics
from modelway.serving import telemetry
from modelway.serving.log import PredictionLog
from modelway.serving.run import Doors, bind, serve
from modelway.workspace import open_workspace


class Silent(MemoryMetrics):
    """Takes nothing."""

    def count(self, name: str, by: float = 1, **labels: str) -> None: ...

    def observe(self, name: str, value: float, **labels: str) -> None: ...

    def observe_all(self, name: str, values: Sequence[float], **labels: str) -> None: ...

    def watch(self, look: Callable[[], None]) -> None: ...


def main(root: str, without: str) -> None:
    """`metrics`: nothing is told of a request; `log`: its prediction goes nowhere."""
    log_as_json()
    workspace = open_workspace(Path(root))
    server = server_of(workspace)
    if without == "metrics":
        server = replace(server, metrics=Silent())
        unsaid: Any = lambda self, question: None  # noqa: E731
        telemetry.Telemetry.answered = unsaid  # type: ignore[method-assign]
    else:
        server = replace(server, log=PredictionLog(lambda topic, events: None, lambda: None))
    serving = workspace.stack.serving
    doors = Doors(bind(serving.host, serving.port), serving.host)
    serve(server, doors, says=workspace.places.server, fsync_ms=workspace.stack.events.folder.fsync_ms)
    workspace.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
