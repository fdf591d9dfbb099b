"""Figures of ingestion and of the spool for a scraper: looked at every few seconds, beside the requests and beside the scrapes.

A log that is away costs a scrape nothing: its lag is not known then, and is not shown. The server asks the control database where
the tables stand, and never the lake: it knows no library for tables.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from modelway.errors import EngineError, ModelwayError
from modelway.flow.progress import Lag, Progress, all_progress, answers, lag, positions_of, rate_now
from modelway.metrics.port import Metrics
from modelway.serving.log import prediction_topic
from modelway.workspace import Workspace

EVERY_SECONDS = 5.0
LAG_EVENTS, LAG_SECONDS = "modelway_ingestion_lag_events", "modelway_ingestion_lag_seconds"
RATE, REFUSED = "modelway_ingestion_events_per_second", "modelway_ingestion_quarantine_share"
ROWS = "modelway_ingested_rows_total"
BREACHES = "modelway_contract_breaches_total"
SPOOL_EVENTS, SPOOL_SECONDS = "modelway_spool_events", "modelway_spool_seconds"
SPOOL_BYTES, SPOOL_LIMIT = "modelway_spool_bytes", "modelway_spool_limit_bytes"
_log = logging.getLogger("modelway.serving")


@contextmanager
def figures_kept(workspace: Workspace) -> Iterator[None]:
    """Look again and again until the end of the block."""
    stop, figures = threading.Event(), Figures(workspace)

    def run() -> None:
        while not stop.is_set():
            try:
                figures.look()
            except ModelwayError as error:
                _log.warning("figures of ingestion: %s", error.problem)
            stop.wait(EVERY_SECONDS)

    thread = threading.Thread(target=run, name="figures", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(EVERY_SECONDS)


class Figures:
    """What was told to the metrics, so that counts go up by what is new."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._counted: dict[tuple[str, ...], int] = {}
        self._spooled: set[str] = set()

    def look(self) -> None:
        """Look once. Raises EngineError when the control database cannot be asked."""
        metrics, booked = self._workspace.metrics, all_progress(self._workspace.database)
        self._spool(metrics)
        for topic, told in booked.items():
            self._rows(metrics, topic, told)
        self._lags(metrics, booked)

    def _rows(self, metrics: Metrics, topic: str, told: Progress) -> None:
        metrics.level(RATE, rate_now(told, self._workspace.clock.now()), topic=topic)
        metrics.level(REFUSED, told.quarantine_share, topic=topic)
        for outcome, count in (
            ("accepted", told.accepted),
            ("double", told.doubles),
            ("quarantined", told.quarantined),
        ):
            metrics.count(ROWS, self._new((topic, outcome), count), topic=topic, outcome=outcome)
        for rule, count in told.breaches.items():
            metrics.count(BREACHES, self._new((topic, "breach", rule), count), topic=topic, rule=rule)

    def _new(self, what: tuple[str, ...], count: int) -> int:
        """What came since the last look."""
        before = self._counted.get(what, 0)
        self._counted[what] = count
        return max(0, count - before)

    def _lags(self, metrics: Metrics, booked: Mapping[str, Progress]) -> None:
        log, now = self._workspace.request_log, self._workspace.clock.now()
        there = answers(log)
        for topic in sorted({*booked, *self._topics()}):
            behind = lag(log, topic, positions_of(booked.get(topic)), now) if there else Lag(None, None)
            known = topic in booked or bool(behind.rows)
            metrics.level(LAG_EVENTS, behind.rows if known else None, topic=topic)
            metrics.level(LAG_SECONDS, behind.seconds if known else None, topic=topic)

    def _topics(self) -> Iterator[str]:
        """Of all models whose spec can be read: also what was never ingested shows how far it is behind."""
        for model in self._workspace.models():
            try:
                spec = self._workspace.spec(model)
            except ModelwayError:
                continue  # its control loop says what is wrong with it
            yield from (spec.topic, prediction_topic(model))
            yield spec.data.labels.source if spec.data.labels else f"{spec.rows_of}_labels"

    def _spool(self, metrics: Metrics) -> None:
        spool, now = self._workspace.spool, self._workspace.clock.now()
        if spool is None:
            return
        metrics.level(SPOOL_BYTES, spool.size())
        metrics.level(SPOOL_LIMIT, spool.limit)
        try:
            waiting = {one.topic: one for one in spool.waiting()}
        except EngineError as error:
            _log.warning("figures of the spool: %s", error.problem)
            return
        self._spooled |= waiting.keys()
        for topic in self._spooled:
            one = waiting.get(topic)
            metrics.level(SPOOL_EVENTS, one.events if one else 0, topic=topic)
            metrics.level(SPOOL_SECONDS, max(0.0, (now - one.since).total_seconds()) if one else 0, topic=topic)
