"""The card-fraud stream lived through in a workspace of any stack, and what is left at its end, ready to be compared."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import polars as pl
from examples.card_fraud.city import BOOK
from examples.card_fraud.faults import Faults
from examples.card_fraud.project import MODEL, STACK, founded
from examples.card_fraud.reckoning import Reckoning, reckon
from examples.card_fraud.simulate import simulate
from examples.card_fraud.stream import BOOK_DELAYS, LABELS, PAYMENTS, play, stream_of

from modelway import lifecycle
from modelway.flow.runs import record
from modelway.records import Ingested, Manifest, TrainingSet, Trigger, loads
from modelway.testing.clock import ManualClock
from modelway.workspace import open_workspace

DAY = timedelta(days=1)
VILLAGE = replace(BOOK, customers=150, terminals=300, days=42, radius=12.0, terminals_a_day=0.5, customers_a_day=0.5)
MUCH = Faults(0.05, 0.03, 0.03, 0.01, 0.005, 0.005, 0.005, 0.005)
PLACE = ("_partition", "_offset", "_index")
"""Where an event lies in its log: what two logs need not have in common."""


@dataclass(frozen=True)
class Ended:
    """What is left of a stream: `tables` without places and in an order of their own, `rows` the training set, `manifest`."""

    tables: dict[str, pl.DataFrame]
    ingested: dict[str, Ingested]
    reckoning: Reckoning
    training: TrainingSet
    rows: pl.DataFrame
    version: str
    manifest: Manifest


def lived(root: Path, events: str = "", *, seed: int = 0, at_once: int = 1) -> Ended:
    """Forty days arrive, are ingested and learned from; `events` is the line of stack.yaml that names the log.

    The last day is sent event by event at the clock's time, whatever `at_once` says.
    """
    founded(root, STACK + events, window="21d")
    workspace = open_workspace(root, clock=ManualClock(VILLAGE.start))
    stream = stream_of(simulate(VILLAGE, seed), MUCH, BOOK_DELAYS, seed)
    spec, counted = workspace.spec(MODEL), list[Ingested]()
    try:
        for day, together in ((15, at_once), (39, at_once), (40, 1)):
            play(stream, VILLAGE.start + day * DAY, workspace.log, workspace.clock.set, together)  # type: ignore[attr-defined]
            counted += lifecycle.ingest(workspace, spec)
        run = lifecycle.open_run(workspace, MODEL, Trigger("manual", "a comparison", "ann"))
        version = lifecycle.run(workspace, run)
        training = record(workspace, run, "prepare")
        names = [name for name in workspace.lake.tables() if name.startswith((PAYMENTS, LABELS))]
        return Ended(
            tables={name: _placeless(workspace.lake.read(name)) for name in names},
            ingested={topic: _summed([one for one in counted if one.topic == topic]) for topic in (PAYMENTS, LABELS)},
            reckoning=reckon(workspace.lake, stream.sent()),
            training=training,
            rows=pl.read_parquet(workspace.artifacts.get(training.data)),
            version=version.digest,
            manifest=loads(Manifest, workspace.artifacts.get(version.digest)),
        )
    finally:
        workspace.close()


def _placeless(table: pl.DataFrame) -> pl.DataFrame:
    known = table.drop([name for name in PLACE if name in table.columns])
    return known.select(sorted(known.columns)).sort(sorted(known.columns))


def _summed(passes: list[Ingested]) -> Ingested:
    first = passes[0]
    names = ("events", "read", "accepted", "doubles", "corrections", "quarantined")
    return replace(first, **{name: sum(getattr(one, name) for one in passes) for name in names})


def assert_equal(one: Ended, other: Ended) -> None:
    """Equal tables to the last value, equal training rows, the same model."""
    assert one.tables.keys() == other.tables.keys() == {PAYMENTS, f"{PAYMENTS}_quarantine", LABELS}
    for name, table in one.tables.items():
        assert table.equals(other.tables[name]), name
    for topic, counts in one.ingested.items():
        theirs = other.ingested[topic]
        assert replace(counts, table=theirs.table) == theirs, topic
    assert one.rows.equals(other.rows)
    assert one.training.data == other.training.data
    assert one.manifest.graph == other.manifest.graph
    assert one.manifest == other.manifest
    assert one.version == other.version
