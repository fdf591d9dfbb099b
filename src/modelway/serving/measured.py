"""What is counted of inference requests: gathered while the loop answers, told to the metrics before it reads on."""

import asyncio

from modelway.metrics.port import Metrics

REQUESTS, ROWS, SECONDS = "modelway_requests_total", "modelway_rows_total", "modelway_request_seconds"
DROPPED, SWAPS = "modelway_shadow_dropped_total", "modelway_swaps_total"
UNLOGGED, RUN = "modelway_unlogged_rows_total", "modelway_run_requests"
ACCESS_REFUSALS, WIRE_REFUSALS = "modelway_access_refusals_total", "modelway_wire_refusals_total"


class Tally:
    """Used on the event loop's thread. `model` and `version` are "" where they were not found: a client's text is no label."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._seen: dict[tuple[str, str, int], list[float]] = {}

    def add(self, model: str, version: str, status: int, seconds: float) -> None:
        """One request that was replied to."""
        if not self._seen:
            self._loop.call_soon(self._settle)
        self._seen.setdefault((model, version, status), []).append(seconds)

    def _settle(self) -> None:
        seen, self._seen = self._seen, {}
        for (model, version, status), seconds in seen.items():
            self._metrics.count(REQUESTS, len(seconds), model=model, version=version, status=str(status))
            self._metrics.observe_all(SECONDS, seconds, model=model, version=version)
