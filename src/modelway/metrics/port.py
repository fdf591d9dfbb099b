"""The port of metrics: counts and observed values by name and labels, told on the request's path; `memory.py` is embedded."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

HELP: Mapping[str, str] = {
    "modelway_requests_total": "Inference requests by model, version and HTTP status.",
    "modelway_rows_total": "Rows by model, version and what became of them: ok, refused or error.",
    "modelway_request_seconds": "Seconds from an inference request's last byte to its reply, by model and version.",
    "modelway_shadow_dropped_total": "Requests that were not scored in shadow because too many were waiting, by model.",
    "modelway_swaps_total": "Exchanges of the versions that answer, under load, by model.",
}
"""Every metric of the product, with what it says. Names of counts end in _total, durations are in seconds."""


class Metrics(ABC):
    """Takes figures from any thread, without waiting for a disk or a network: what cannot be delivered is lost, never delayed.

    A name is [a-z][a-z0-9_]*, and either counted or observed. Labels must have few values: a client's text is none.
    """

    @abstractmethod
    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Add to a count; a negative or unfinite `by` is a ValueError."""

    @abstractmethod
    def observe(self, name: str, value: float, **labels: str) -> None:
        """Take one value of a distribution; one that is not finite is a ValueError."""

    @abstractmethod
    def ping(self) -> None:
        """Return if figures are taken; else raise EngineError."""


class Exposition(ABC):
    """What only some adapters can: show all figures at once, to a scraper that asks this process."""

    @abstractmethod
    def exposition(self) -> bytes:
        """All figures in Prometheus' text format, version 0.0.4, sorted by name and labels."""
