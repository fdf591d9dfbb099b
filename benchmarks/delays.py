"""Kafka to Delta: how long an event takes until its row can be read, at a steady rate."""

import tempfile
import threading
import time
from pathlib import Path

import orjson
import polars as pl

from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.ingesters import ingesters, workspace
from benchmarks.report import alone
from benchmarks.tables import payments
from benchmarks.topics import TOPIC, broker, make, open_producer, produce
from modelway.workspace import Workspace

RATE = 1_000
"""Rows a second."""
WARM_SECONDS = 10
"""At the same rate, before it counts: a broker's first seconds are those of a cold JVM."""
ASKED = (("1s", 2_000), ("100ms", 300))
"""The stack's `ingestion.every`, and the goal of its p99 in milliseconds."""


def measure(quick: bool) -> Result:
    """On a broker of our own."""
    seconds = 3 if quick else 60
    with broker() as bootstrap:
        figures = [one for every, target in ASKED for one in _delay(bootstrap, every, target, seconds)]
    notes = (
        "From the moment before a record is handed to the producer, to the moment at which a reader that looks at the table's "
        "version each 5 ms has the row in hand.",
        f"{WARM_SECONDS} seconds at the same rate come before, and do not count: the broker's JVM is cold.",
        "The broker, the producer and the watcher run on the same two cores.",
    )
    return Result("Kafka to Delta, delay", tuple(figures), notes)


def _delay(bootstrap: str, every: str, target: float, seconds: int) -> list[Figure]:
    prefix = f"delay-{every}."
    make(bootstrap, prefix, 1)
    with (
        tempfile.TemporaryDirectory() as folder,
        workspace(Path(folder) / "w", bootstrap, prefix, every=every) as opened,
        ingesters(opened.places.root),
    ):
        _produced(bootstrap, prefix, [f"w{number}" for number in range(RATE * WARM_SECONDS)])
        _await_rows(opened, RATE * WARM_SECONDS)
        found = _delays(opened, bootstrap, prefix, seconds)
    p50, p99 = (float(found.quantile(share) or 0) for share in (0.5, 0.99))
    name = f"event → readable row, {RATE:,} rows/s, every: {every}"
    return [
        figure(f"{name}: p50", p50, "ms"),
        figure(f"{name}: p99", p99, "ms", Target(at_most=target)),
    ]


def _delays(opened: Workspace, bootstrap: str, prefix: str, seconds: int) -> pl.Series:
    """Milliseconds, of each row."""
    sent: dict[str, float] = {}
    ids = [f"d{number:09d}" for number in range(RATE * seconds)]
    producing = threading.Thread(target=_produced, args=(bootstrap, prefix, ids, sent))
    version, taken = opened.lake.version(TOPIC), dict[str, float]()
    producing.start()
    until = time.monotonic() + seconds + 60
    while len(taken) < len(ids) and time.monotonic() < until:
        now = opened.lake.version(TOPIC)
        if now is not None and version is not None and now.version > version.version:
            new = opened.lake.changes(TOPIC, version.version, now.version).select("id").collect()["id"].to_list()
            taken |= dict.fromkeys(new, time.perf_counter())
            version = now
        time.sleep(0.005)
    producing.join()
    if len(taken) < len(ids):
        raise AssertionError(f"{len(taken)} of {len(ids)} rows became readable")
    return pl.Series([1_000 * (taken[one] - sent[one]) for one in ids])


def _produced(bootstrap: str, prefix: str, ids: list[str], sent: dict[str, float] | None = None) -> None:
    """At RATE rows a second; when each was handed over goes into `sent`."""
    producer, start = open_producer(bootstrap, 2), time.perf_counter()
    row = payments(2).row(1, named=True)
    for number, one in enumerate(ids):
        while (early := start + number / RATE - time.perf_counter()) > 0:
            time.sleep(early)
        if sent is not None:
            sent[one] = time.perf_counter()
        produce(producer, prefix + TOPIC, one, orjson.dumps({**row, "id": one}))
    producer.flush()


def _await_rows(opened: Workspace, count: int) -> None:
    until = time.monotonic() + 60
    while opened.lake.version(TOPIC) is None or opened.lake.read(TOPIC, ["id"]).height < count:
        if time.monotonic() > until:
            raise AssertionError("no row within a minute")
        time.sleep(0.05)


if __name__ == "__main__":
    alone("delays", measure)
