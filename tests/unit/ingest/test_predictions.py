"""What a client asks again under the same id is one row in the lake, when it is answered alike."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from modelway.clock import WallClock
from modelway.events.folder import FolderEventLog
from modelway.events.log import NewEvent
from modelway.ingest.batch import ingest_batch
from modelway.ingest.predictions import predictions_source
from modelway.lake.delta import DeltaLake

NOW = datetime(2026, 7, 4, 12, tzinfo=UTC)
FIRST: dict[str, Any] = {
    "request": "r1",
    "index": 0,
    "version": 3,
    "digest": "ab",
    "served": NOW,
    "at": NOW,
    "status": "ok",
    "row": {"age": 40},
    "scores": [0.25, 0.75],
    "prediction": "yes",
    "ms": 0.8,
    "upto": {"loans": 7},
}


def rows_of(root: Path, *events: Mapping[str, Any], together: bool) -> pl.DataFrame:
    """The table after these events, ingested in one batch or in one each."""
    log, lake, source = FolderEventLog(root / "events", WallClock()), DeltaLake(root / "lake"), predictions_source("p")
    for event in events:
        log.append("p", [NewEvent("r1/0/3", orjson.dumps(event))])
        if not together:
            assert ingest_batch(log, lake, source) is not None
    while ingest_batch(log, lake, source):
        pass
    return lake.read("p")


@pytest.mark.parametrize("together", [True, False])
def test_a_second_attempt_answered_alike_is_no_second_row(tmp_path, together):
    later = NOW + timedelta(seconds=2)
    again = FIRST | {"served": later, "at": later, "ms": 31.0, "upto": {"loans": 9}, "way": 0.4}
    rows = rows_of(tmp_path, FIRST, again, together=together)
    assert rows["ms"].to_list() == [0.8]


@pytest.mark.parametrize(
    "other",
    [
        {"scores": [0.5, 0.5]},
        {"status": "failed", "scores": [], "prediction": None},
        {"row": {"age": 41}},
        {"index": 1},
        {"version": 4},
        {"shadow": True},
    ],
)
def test_another_answer_is_a_row_of_its_own(tmp_path, other):
    assert rows_of(tmp_path, FIRST, FIRST | other, together=True).height == 2
