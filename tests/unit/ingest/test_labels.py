"""Labels: told twice is told once, whenever; another one is a correction."""

from datetime import UTC, datetime, timedelta

import polars as pl

from modelway.clock import WallClock
from modelway.events.folder import FolderEventLog
from modelway.ingest.batch import ingest_batch
from modelway.ingest.labels import label_events, labels_source
from modelway.lake.delta import DeltaLake

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_file_sent_twice_is_sent_once(tmp_path):
    log, lake = FolderEventLog(tmp_path / "events", WallClock()), DeltaLake(tmp_path / "lake")

    def send(later: timedelta, **labels: int):
        frame = pl.DataFrame({"id": list(labels), "label": list(labels.values())})
        log.append("outcomes", label_events(frame, "id", "bad", NOW + later))
        done = ingest_batch(log, lake, labels_source("outcomes"))
        return done.accepted, done.doubles, done.corrections

    assert send(timedelta(), a=1, b=0) == (2, 0, 0)
    assert send(timedelta(days=1), a=1, b=0) == (0, 2, 0)
    assert send(timedelta(days=2), a=0, b=0) == (1, 1, 1)
