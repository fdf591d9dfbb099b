"""What is counted of an inference request, whatever becomes of it: before its reply is sent, so that the two agree."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from modelway.metrics.port import Metrics
from modelway.serving.answer import Answer

REQUESTS, ROWS, SECONDS = "modelway_requests_total", "modelway_rows_total", "modelway_request_seconds"
DROPPED, SWAPS = "modelway_shadow_dropped_total", "modelway_swaps_total"


@dataclass(slots=True)
class Measured:
    """One request. `model` and `version` are "" until they are found: a client's text must not become a label."""

    metrics: Metrics
    inference: bool = False
    model: str = ""
    version: str = ""
    began: float | None = None

    def begin(self) -> None:
        """The body is here."""
        self.began = time.perf_counter()

    def rows(self, answers: Sequence[Answer]) -> None:
        for status, number in Counter(answer.status for answer in answers).items():
            self.metrics.count(ROWS, number, model=self.model, version=self.version, status=status)

    def end(self, status: int) -> None:
        """The reply is made; requests other than inference are not counted."""
        if not self.inference:
            return
        self.metrics.count(REQUESTS, model=self.model, version=self.version, status=str(status))
        if self.began is not None:
            took = time.perf_counter() - self.began
            self.metrics.observe(SECONDS, took, model=self.model, version=self.version)
