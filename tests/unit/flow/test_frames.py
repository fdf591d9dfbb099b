"""What a model is trained on: each decision as of its own moment, whatever came later."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from modelway.features.plan import plan_of
from modelway.flow import frames
from modelway.records import Sources
from modelway.spec.model import Spec
from modelway.workspace import create_workspace

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SPEC = {
    "model": "loans",
    "task": "binary",
    "data": {"source": "rows", "key": "id", "event_time": "at", "target": "y", "positive": "1", "entities": ["who"]},
    "contract": {
        "id": {"type": "string"},
        "at": {"type": "datetime"},
        "x": {"type": "float"},
        "who": {"type": "string"},
    },
    "features": {"spent": {"of": "x", "stat": "sum", "by": "who", "window": "30d"}},
}


@pytest.fixture
def workspace(tmp_path):
    made = create_workspace(tmp_path / "bank", "")
    yield made
    made.close()


def row(offset: int, key: str, at: float, came: float, x: float) -> dict[str, object]:
    return {
        "_key": key, "_content": f"{key}{x}", "_at": START + at * DAY, "_arrived": START + came * DAY,
        "_partition": 0, "_offset": offset, "_index": 0, "id": key, "at": START + at * DAY, "who": "ann", "x": x, "y": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "x", "spent"),
    [
        ("rows", {"a": 10.0, "b": 1.0, "late": 500.0}, {"a": 10.0, "b": 11.0, "late": 510.0}),
        ({"files": ["rows.csv"]}, {"a": 10.0, "b": 2.0, "late": 500.0}, {"a": 10.0, "b": 12.0, "late": 510.0}),
    ],
)
def test_a_corrected_row_is_what_was_known_when_it_first_came_but_for_its_label(workspace, source, x, spent):
    rows = [
        row(0, "a", 1, 1, 10.0),
        row(1, "late", 1.5, 9, 500.0),  # it had happened before b, and arrived long after
        row(2, "b", 2, 2, 1.0),
        row(3, "b", 2, 10, 2.0) | {"y": "0"},  # the correction comes after the late one
    ]
    times = pl.Datetime("us", "UTC")
    spec = Spec.model_validate({**SPEC, "data": {**SPEC["data"], "source": source}})
    workspace.lake.append(
        spec.topic, pl.DataFrame(rows, schema_overrides={"_at": times, "_arrived": times, "at": times})
    )
    found = frames.known(workspace, spec, Sources(START + 20 * DAY, frames.tables_of(workspace, spec), ""))
    made = frames.with_features(workspace, spec, plan_of(spec), found)
    assert dict(made.select("_key", "x").iter_rows()) == x
    assert dict(made.select("_key", "spent").iter_rows()) == spent
    assert dict(made.select("_key", "_target").iter_rows()) == {"a": "1", "b": "0", "late": "1"}
