"""Ingestion: from the event log through the contract into Delta, exactly once, 1 % of the rows into quarantine."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson
import polars as pl

from benchmarks.figures import Figure, Result, figure
from benchmarks.measure import Spread
from benchmarks.report import alone
from benchmarks.tables import ALLOWED, payments
from modelway.contracts.contract import Contract
from modelway.contracts.table import check_table
from modelway.events.log import EventLog, NewEvent
from modelway.ingest.batch import ingest_batch
from modelway.ingest.files import send_rows
from modelway.ingest.source import Source
from modelway.spec.model import Rule
from modelway.workspace import create_workspace

TOPIC = "payments"
APPEND = 1_000
"""JSON events a producer hands over at once: one fsync each."""
BATCH = 50_000


@dataclass(frozen=True)
class Road:
    """Seconds of one repetition."""

    sent: float
    ingested: float
    processor: float


def measure(quick: bool) -> Result:
    """Each repetition in a workspace of its own; the log is filled first, then emptied into the lake."""
    rows, repetitions = (2_000, 1) if quick else (200_000, 3)
    many = rows if quick else 1_000_000
    events = json_events(payments(rows))
    frame = payments(many)
    size = sum(len(event.value) for event in events) / rows
    kinds: dict[str, tuple[int, Callable[[EventLog], None]]] = {
        f"JSON events, one row each, {rows:,}": (rows, lambda log: _append(log, events)),
        f"Arrow chunks of 20,000 rows, {many:,}": (many, lambda log: _send(log, frame)),
    }
    figures: list[Figure] = []
    for name, (count, send) in kinds.items():
        roads = [_road(send, count) for _ in range(repetitions)]
        ingested, whole = Spread.of([r.ingested for r in roads]), Spread.of([r.sent + r.ingested for r in roads])
        figures += [
            figure(f"{name}: log → contract → Delta", ingested.rate(count), "rows/s"),
            figure(f"{name}: processor", Spread.of([r.processor for r in roads]).times(1e6 / count), "s per million rows"),
            figure(f"{name}: into the log", Spread.of([r.sent for r in roads]).rate(count), "rows/s"),
            figure(f"{name}: the whole road", whole.rate(count), "rows/s"),
        ]  # fmt: skip
    notes = (
        f"20 columns, {size:.0f} bytes a row as JSON, all in the contract; keyed, with an event time as ISO text; micro-batches of "
        f"{BATCH:,} JSON events (Arrow: 16 chunks). The producer appends {APPEND:,} JSON events at once, with an fsync each.",
        "Each pass looks for doubles among all rows of the last 30 days, so that later passes do more than the first.",
        "Every repetition checks that all rows arrived, 1 % of them in quarantine.",
    )
    return Result("ingestion", tuple(figures), notes)


def json_events(frame: pl.DataFrame) -> list[NewEvent]:
    """One event a row."""
    return [NewEvent(str(row["id"]), orjson.dumps(row)) for row in frame.iter_rows(named=True)]


def payments_kinds() -> dict[str, str]:
    """The contract's types by column."""
    return {name: rule.type for name, rule in payments_contract().rules.items()}


def payments_source() -> Source:
    """How `tables.payments` are checked and known."""
    contract = payments_contract()
    return Source(TOPIC, lambda rows: check_table(rows, contract, "id"), key="id", event_time="at")


def payments_contract() -> Contract:
    """Twenty columns, each with a type and a rule."""
    numbers = {f"number_{n}": Rule(type="float", min=-1_000, max=1_000) for n in range(10)}
    words = {f"word_{n}": Rule.model_validate({"type": "string", "in": ALLOWED}) for n in range(5)}
    return Contract(
        {
            "id": Rule(type="string", nulls=0),
            "customer": Rule(type="int", min=0),
            "at": Rule(type="datetime", nulls=0),
            "amount": Rule(type="float", min=0, nulls=0),
            "count": Rule(type="int", min=0, max=100),
            **words,
            **numbers,
        }
    )


def _road(send: Callable[[EventLog], None], rows: int) -> Road:
    with tempfile.TemporaryDirectory() as folder:
        workspace = create_workspace(Path(folder), "")
        started = time.perf_counter()
        send(workspace.log)
        sent, processor = time.perf_counter(), time.process_time()
        source, accepted, refused = payments_source(), 0, 0
        known = workspace.known(source.topic, source.doubles_within)
        while (done := ingest_batch(workspace.log, workspace.lake, source, known, BATCH)) is not None:
            accepted, refused = accepted + done.accepted, refused + done.quarantined
        road = Road(sent - started, time.perf_counter() - sent, time.process_time() - processor)
        workspace.close()
    if (accepted + refused, refused) != (rows, rows // 100):
        raise AssertionError(f"of {rows} rows {accepted} were accepted and {refused} refused")
    return road


def _append(log: EventLog, events: list[NewEvent]) -> None:
    for start in range(0, len(events), APPEND):
        log.append(TOPIC, events[start : start + APPEND])


def _send(log: EventLog, frame: pl.DataFrame) -> None:
    send_rows(log, TOPIC, "payments.csv", frame, "id", lambda share: None)


if __name__ == "__main__":
    alone("ingest", measure)
