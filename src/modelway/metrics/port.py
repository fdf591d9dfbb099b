"""The port of metrics: counts and observed values by name and labels, told on the request's path; `memory.py` is embedded."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

HELP: Mapping[str, str] = {
    "modelway_requests_total": "Inference requests by model, version and HTTP status.",
    "modelway_rows_total": "Rows by model, version and what became of them: ok, refused or error.",
    "modelway_request_seconds": "Seconds from an inference request's last byte to its reply, by model and version.",
    "modelway_shadow_dropped_total": "Requests that were not scored in shadow because too many were waiting, by model.",
    "modelway_online_lag_seconds": "Seconds that online values were behind the log when a request was answered, by model.",
    "modelway_swaps_total": "Exchanges of the versions that answer, under load, by model.",
    "modelway_unlogged_rows_total": "Rows that were answered though their prediction could not be logged, by model.",
    "modelway_access_refusals_total": "Requests without a token that allows them, by protocol and reason.",
    "modelway_wire_refusals_total": "Requests over HTTP that were refused before they could be read, by status and reason.",
    "modelway_member_rows_total": "Rows of a composition by version, who answered, and whether that was the fallback.",
    "modelway_server_restarts_total": "Serving processes that ended by themselves and were started again, by worker.",
    "modelway_loads_total": "Models that were loaded because somebody asked for them.",
    "modelway_evictions_total": "Models that were taken out of memory to make room for others.",
    "modelway_load_seconds": "Seconds that a model took to load because somebody asked for it, making room included.",
    "modelway_requests_in_flight": "Inference requests that were read and have no reply yet.",
    "modelway_queue_rows": "Rows that were asked for and are not answered yet, by model and version.",
    "modelway_run_requests": "Requests that were answered together by a version, by model.",
    "modelway_shadow_queue_requests": "Requests that wait to be scored in shadow.",
    "modelway_log_unsynced_events": "Events of predictions that were handed to the log and are not fsynced yet.",
    "modelway_http_connections": "Connections over HTTP that are open.",
    "modelway_spans_total": "Spans of traces by what became of them: sent, failed or dropped.",
    "modelway_ingestion_lag_events": "Events of a topic that its table has not seen.",
    "modelway_ingestion_lag_seconds": "Age of the oldest event of a topic that its table has not seen.",
    "modelway_ingestion_events_per_second": "Events of a topic that are brought in now; it fades within a minute.",
    "modelway_ingestion_quarantine_share": "Share of a topic's rows that were refused, of all that were judged.",
    "modelway_ingested_rows_total": "Rows by topic and what became of them: accepted, double or quarantined.",
    "modelway_contract_breaches_total": "Values of a topic that broke a rule of the contract, by topic and rule.",
    "modelway_spool_events": "Events of a topic that wait on the server's disk for the event log.",
    "modelway_spool_seconds": "How long the oldest of them has waited.",
    "modelway_spool_bytes": "Bytes that the spool takes on the server's disk.",
    "modelway_spool_limit_bytes": "Bytes at which the spool is full, and requests are refused.",
}
"""Every metric of the product, with what it says. Names of counts end in _total, durations are in seconds."""
BOUNDS: Mapping[str, Sequence[float]] = {"modelway_run_requests": (1, 2, 4, 8, 16, 32, 64)}
"""Upper bounds of what is observed and is no duration, each included."""


class Metrics(ABC):
    """Takes figures from any thread, without waiting for a disk or a network: what cannot be delivered is lost, never delayed.

    A name is [a-z][a-z0-9_]*, and either counted, observed or a level. Labels must have few values: a client's text is none.
    """

    @abstractmethod
    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Add to a count; a negative or unfinite `by` is a ValueError."""

    @abstractmethod
    def observe(self, name: str, value: float, **labels: str) -> None:
        """Take one value of a distribution; one that is not finite is a ValueError."""

    @abstractmethod
    def observe_all(self, name: str, values: Sequence[float], **labels: str) -> None:
        """Take several of them at once."""

    @abstractmethod
    def level(self, name: str, value: float | None, **labels: str) -> None:
        """Say how high something stands now; None: that is not known any more. One that is not finite is a ValueError."""

    @abstractmethod
    def watch(self, look: Callable[[], None]) -> None:
        """Call `look`, from any thread, before figures are shown or sent: it says levels that nobody keeps up to date."""

    @abstractmethod
    def ping(self) -> None:
        """Return if figures are taken; else raise EngineError."""


class Exposition(ABC):
    """What only some adapters can: show all figures at once, to a scraper that asks this process."""

    @abstractmethod
    def exposition(self) -> bytes:
        """All figures in Prometheus' text format, version 0.0.4, sorted by name and labels."""
