"""How high things stand in a serving process: read when somebody looks at the metrics, and not kept up to date by requests."""

import threading
from collections import Counter

from modelway.metrics.port import Metrics
from modelway.serving.asking import Asking
from modelway.serving.wire.listener import Listener

IN_FLIGHT, QUEUE = "modelway_requests_in_flight", "modelway_queue_rows"
SHADOW, UNSYNCED = "modelway_shadow_queue_requests", "modelway_log_unsynced_events"
CONNECTIONS = "modelway_http_connections"


class Gauges:
    """Tells what has changed since the last look: a process may have ten thousand models, of which few are asked."""

    def __init__(self, metrics: Metrics, asking: Asking) -> None:
        self._metrics, self._asking = metrics, asking
        self._told: dict[tuple[str, str], int] = {}
        self._mutex = threading.Lock()

    def look(self) -> None:
        """From any thread; two may look at once."""
        with self._mutex:
            self._look()

    def _look(self) -> None:
        asking, metrics = self._asking, self._metrics
        metrics.level(IN_FLIGHT, asking.in_flight)
        metrics.level(SHADOW, asking.server.shadow.waiting)
        metrics.level(UNSYNCED, asking.server.log.unsynced)
        rows = Counter[tuple[str, str]]()
        for lane in asking.lanes.all():
            rows[lane.model, lane.version] += lane.rows
        for (model, version), number in rows.items():
            if self._told.get((model, version)) != number:
                metrics.level(QUEUE, number, model=model, version=version)
        for model, version in self._told.keys() - rows.keys():
            metrics.level(QUEUE, None, model=model, version=version)
        self._told = dict(rows)


def watch_connections(metrics: Metrics, listener: Listener) -> None:
    """Show how many there are, from now on."""
    metrics.watch(lambda: metrics.level(CONNECTIONS, listener.connections))
