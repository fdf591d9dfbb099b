"""A corrected label counts from its arrival on: the table engine over label versions gives what the online values give."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelway.features.ibis import IbisEngine
from modelway.features.leaks import same
from modelway.features.online import PastLabel
from modelway.features.plan import plan_of
from modelway.features.rows import compile_row, groups_of
from modelway.features.sqlite import SqliteOnlineValues
from modelway.flow.label_versions import own_labels, versions
from tests.unit.features.worlds import HOUR, SCHEMA, START, spec_of

WINDOWS = {
    "rate": {"stat": "mean", "of": "target", "by": "who", "window": "30h", "delay": "1h"},
    "known": {"stat": "count", "of": "target", "by": "who", "window": "30h", "delay": "1h"},
    "n": {"stat": "count", "by": "who", "window": "30h"},
}
KEYS = [f"k{n}" for n in range(4)]


@st.composite
def told(draw: st.DrawFn) -> pl.DataFrame:
    """Labels of a few keys, often corrected, never two of one key at one moment."""
    moments = {(draw(st.sampled_from(KEYS)), draw(st.integers(0, 24))) for _ in range(draw(st.integers(0, 12)))}
    rows = [(key, draw(st.sampled_from(["0", "1"])), START + hour * HOUR) for key, hour in sorted(moments)]
    schema = {"_key": pl.String(), "_label": pl.String(), "_label_arrived": pl.Datetime("us", "UTC")}
    return pl.DataFrame(rows, schema, orient="row")


def rows(*made: tuple[str, int, int]) -> pl.DataFrame:
    """(key, hour at which it happened, hour at which it arrived), oldest arrival first."""
    whole = [
        (key, START + at * HOUR, START + came * HOUR, 0, n, 0, "p", "r", float(n), "", None, None)
        for n, (key, at, came) in enumerate(made)
    ]
    return pl.DataFrame(whole, SCHEMA, orient="row").drop("_target", "_label_arrived")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(labels=told(), known=st.integers(0, 26))
def test_table_and_online_values_know_the_same_label_at_every_moment(tmp_path_factory, labels, known):
    happened = rows(*[(key, n, n) for n, key in enumerate(KEYS)], ("k1", 1, 6), ("k3", 3, 9))
    asked = rows(("asked", 25, known))
    plan = plan_of(spec_of(WINDOWS))
    events = versions(happened, labels).rename({"_label": "_target"})
    made = IbisEngine(threads=1).compute(asked, events, plan)
    row_features = compile_row(plan)
    online = SqliteOnlineValues(tmp_path_factory.mktemp("online") / "online.db", groups_of(plan))
    for offset, event in enumerate(happened.iter_rows(named=True)):
        online.put([row_features.event(event, event["_key"], event["_at"], event["_arrived"])], {0: offset + 1})
    online.label([PastLabel(k, float(label), at) for k, label, at in labels.sort("_label_arrived").iter_rows()], {0: 1})
    row = asked.row(0, named=True)
    numbers, _ = row_features(row, row["_key"], row["_at"], online, row["_arrived"])
    for column, value in zip([c.name for c in plan.columns if c.kind == "number"], numbers, strict=True):
        assert same(value, made[column][0]), (column, value, made[column][0])
    online.close()


def test_a_corrected_label_makes_a_version_and_the_first_one_stands_before():
    at = datetime(2024, 1, 1, tzinfo=UTC)
    labels = pl.DataFrame(
        [("k0", "1", at + 2 * HOUR), ("k0", "0", at + 5 * HOUR)],
        {"_key": pl.String, "_label": pl.String, "_label_arrived": pl.Datetime("us", "UTC")},
        orient="row",
    )
    found = versions(rows(("k0", 0, 0)), labels).sort("_arrived")
    assert found["_label"].to_list() == ["1", "0"]
    assert found["_arrived"].to_list() == [at, at + timedelta(hours=5)]


def test_a_row_that_brings_its_target_has_a_label_from_its_arrival_on():
    whole = rows(("k0", 0, 0), ("k1", 1, 1)).with_columns(y=pl.Series([1.0, None]))
    assert own_labels(whole, "y").rows() == [("k0", "1", START)]
