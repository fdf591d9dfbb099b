"""Real Spark, in the environment that `tools/spark.sh` makes: it reads what the embedded lake wrote, version by version."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from modelway.errors import EngineError
from modelway.features.plan import Plan, plan_of
from modelway.features.spark import SparkFeatures
from modelway.features.tables import Pinned, TableWork
from modelway.flow import frames
from modelway.flow.at_scale import features_table
from modelway.lake.delta import DeltaLake
from modelway.records import Sources
from modelway.spec.model import Files, Spec
from modelway.testing.features import HOUR, START, world
from modelway.workspace import create_workspace
from tests.engines.spark_server import FRUGAL

pytestmark = pytest.mark.engines
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def test_spark_reads_each_version_of_a_table_that_the_lake_wrote(spark, tmp_path):
    lake = DeltaLake(tmp_path)
    row = {"_key": "a", "_at": AT, "_arrived": AT, "_partition": 0, "_offset": 0, "_index": 0, "amount": 1.5}
    lake.append("rows", pl.DataFrame([row]))
    lake.append("rows", pl.DataFrame([row | {"_key": "b", "amount": 0.1}]))
    found = spark.read(tmp_path / "rows", "0", "1")
    told = {v: [(r["_key"], r["amount"], datetime.fromisoformat(r["_at"])) for r in rows] for v, rows in found.items()}
    assert told == {"0": [("a", 1.5, AT)], "1": [("a", 1.5, AT), ("b", 0.1, AT)]}


JOIN = {"table": "people", "on": "who", "key": "id", "valid_from": "since"}
FEATURES = {
    **{f"{stat}_{by}": {"stat": stat, "of": "x", "by": by, "window": "9h"}
       for stat in ("count", "sum", "mean", "std", "min", "max", "distinct", "last", "ratio") for by in ("who", "where")},
    "both": {"stat": "count", "by": ["who", "where"], "window": "20h", "delay": "2h", "default": -1.0},
    "everyone": {"stat": "count", "window": "5h"},
    "words": {"stat": "distinct", "of": "w", "by": "who", "window": "12h"},
    "bad": {"stat": "mean", "of": "target", "by": "who", "window": "30h", "delay": "1h"},
    "judged": {"stat": "count", "of": "target", "by": ["who", "where"], "window": "30h", "delay": "1h"},
    "segment": {"join": {**JOIN, "column": "segment"}, "delay": "1h"},
    "limit": {"join": {**JOIN, "column": "limit", "type": "float"}, "default": 7.0},
    "double": {"expr": "x * 2"},
    "mean_double": {"stat": "mean", "of": "double", "by": "where", "window": "9h"},
    "odd": {"expr": "if(hour(at) % 5 >= 3 or x > 1 and not is_missing(w), round(x / 3), -(x ** 2))"},
    "share": {"expr": "coalesce(x / sum_who, 0 - 1)"},
    "kind": {"expr": 'if(segment == "gold" or w in ["a", "ä"], "yes", lower(w))'},
    "called": {"python": "f.py:f", "uses": ["x", "w", "at", "count_who"],
               "source": "def f(x, w, at, n):\n    return (x or 0) + len(w or '') + at.hour + n"},
}  # fmt: skip
EXACT = (
    "count",
    "distinct",
    "min_",
    "max_",
    "last",
    "both",
    "everyone",
    "words",
    "judged",
    "segment",
    "limit",
    "kind",
    "w",
    "called",
)


def bank(tmp_path, instant, lag, features, source="world"):
    """A workspace with rows, corrections, labels told twice and statements that were corrected; and its spec."""
    workspace = create_workspace(tmp_path / "bank", "")
    events, _ = world(21, 300)
    modest = pl.when(pl.col("x").abs() < 1e10).then(pl.col("x")).otherwise(5.25)
    rows = events.with_columns(
        modest.alias("x"), pl.col("_key").alias("id"), _content=pl.col("_offset").cast(pl.String)
    )
    workspace.lake.append("world", rows.drop("_target", "_label_arrived").head(200))
    workspace.lake.append("world", rows.drop("_target", "_label_arrived").tail(100))
    told = events.filter(pl.col("_target").is_not_null()).unique("_key", keep="first", maintain_order=True)
    first = told.select("_key", "_at", _arrived="_label_arrived", key="_key", label="_target")
    again = first.gather_every(3).with_columns(pl.col("_arrived") + 9 * HOUR, label=pl.lit("1"))
    labels = pl.concat([first, again]).with_row_index("_offset").with_columns(pl.col("_offset").cast(pl.Int64))
    labels = labels.with_columns(_partition=pl.lit(0, pl.Int64), _index=pl.lit(0, pl.Int64), _content=pl.col("label"))
    workspace.lake.append("labels", labels)
    said = [("p", 0, 0, "tin", 1.0), ("p", 40, 60, "gold", None), ("p", 40, 120, "gilt", 3.0), ("q", 10, 10, "", 2.5)]
    people = [
        {"_key": who, "_content": str(n), "_at": START + since * HOUR, "_arrived": START + came * HOUR, "_partition": 0,
         "_offset": n, "_index": 0, "id": who, "segment": segment, "limit": limit}
        for n, (who, since, came, segment, limit) in enumerate(said)
    ]  # fmt: skip
    workspace.lake.append("people", pl.DataFrame(people))
    contract = {"id": "string", "at": "datetime", "x": "float", "w": "string"}
    data = {
        "source": source,
        "target": "y",
        "positive": "1",
        "key": "id",
        "event_time": "at",
        "entities": ["who", "where"],
    }
    data |= {"labels": {"source": "labels", "matured_after": "4h"}, "same_instant": instant, "lag": lag}
    given = {"model": "world", "task": "binary", "data": data, "features": features}
    given["contract"] = {name: {"type": kind} for name, kind in contract.items()}
    return workspace, Spec.model_validate(given)


def by_spark(workspace, spec, plan: Plan, sources: Sources, engine: SparkFeatures, out: Path) -> pl.DataFrame:
    pinned = {t.table: Pinned(workspace.table_address(t.table), t.version) for t in sources.tables}
    work = TableWork(
        plan, pinned["world"], sources.as_of, out, pinned["labels"], matured_after=spec.data.labels.matured_after,
        tables={"people": pinned["people"]} if plan.tables else {}, together=isinstance(spec.data.source, Files),
    )  # fmt: skip
    return pl.read_parquet(engine.compute(work) / "*.parquet")


CASES = [("counts", "0s", "world"), ("does_not_count", "1h", "world"), ("counts", "1h", {"files": ["world.csv"]})]


@pytest.mark.parametrize(("instant", "lag", "source"), CASES)
def test_the_same_declaration_on_spark_gives_the_same_columns(spark, tmp_path, instant, lag, source):
    workspace, spec = bank(tmp_path, instant, lag, FEATURES, source)
    demand_equal(workspace, spec, SparkFeatures("local[2]", spark.python), tmp_path / "out")
    workspace.close()


@pytest.mark.timeout(600)
def test_executors_of_their_own_compute_the_same(spark_python, tmp_path, monkeypatch):
    """The driver as it is started for a user; the executor is another process, as on a cluster."""
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", FRUGAL)
    workspace, spec = bank(tmp_path, "counts", "0s", {name: FEATURES[name] for name in ("bad", "count_who", "called")})
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": "512m",
        "spark.sql.shuffle.partitions": "1",
        "spark.databricks.delta.snapshotPartitions": "1",
    }
    engine = SparkFeatures("local-cluster[1,1,1024]", spark_python, settings, timeout_seconds=500)
    demand_equal(workspace, spec, engine, tmp_path / "out")
    workspace.close()


def demand_equal(workspace, spec, engine, out):
    plan = plan_of(spec)
    sources = Sources(START + 250 * HOUR, frames.tables_of(workspace, spec), "")
    made = by_spark(workspace, spec, plan, sources, engine, out)
    found = frames.known(workspace, spec, sources)
    right = frames.with_features(workspace, spec, plan, found).sort("_key")
    made = made.sort("_key")
    assert made.height == right.height > 100
    assert made["_key"].to_list() == right["_key"].to_list()
    assert made["_target"].to_list() == right["_target"].to_list()
    for column in plan.columns:
        mine, theirs = made[column.name].to_list(), right[column.name].to_list()
        if column.kind == "word":
            assert [one or "" for one in mine] == theirs, column.name
            continue
        tolerance = 0.0 if column.name.startswith(EXACT) else 1e-9
        for place, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            near = math.isnan(other) if one is None else math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
            assert near, (column.name, right["_key"][place], one, other)
    assert right.select(pl.col("bad").is_not_nan().sum()).item() > 10


def test_what_spark_says_comes_as_an_engine_error(spark, tmp_path):
    plan = plan_of(Spec.model_validate(PLAIN))
    work = TableWork(plan, Pinned(str(tmp_path / "nowhere"), 0), START, tmp_path / "out", target="y")
    with pytest.raises(EngineError, match="features on Spark"):
        SparkFeatures("local[2]", spark.python).compute(work)
    assert not (tmp_path / "out").exists()
    with pytest.raises(EngineError, match=r"tools/spark\.sh"):
        SparkFeatures("local[1]", tmp_path / "no-python").ping()


PLAIN = {
    "model": "m",
    "task": "binary",
    "data": {"source": "s", "target": "y"},
    "contract": {"x": {"type": "float"}},
}


def test_tables_in_a_bucket_are_looked_for_there_and_a_missing_jar_is_named(spark, store, tmp_path, monkeypatch):
    monkeypatch.setenv("MODELWAY_LAKE_KEY", store.secret)
    options = {name: value for name, value in store.options.items() if name != "secret_access_key"}
    lake = {"uri": store.prefix(), "options": options, "secrets": {"secret_access_key": "lake_key"}}
    features = {"spark": {"master": "local[2]", "python": str(spark.python)}}
    stack = json.dumps({"lake": {"delta": lake}, "features": features})
    workspace = create_workspace(tmp_path / "bank", stack)
    row = {"_key": "a", "_at": AT, "_arrived": AT, "_partition": 0, "_offset": 0, "_index": 0, "x": 1.5, "y": "1"}
    workspace.lake.append("s", pl.DataFrame([row]))
    with pytest.raises(EngineError, match=r"s3a://modelway/.*/s, and this Spark has no jar") as caught:
        features_table(workspace, Spec.model_validate(PLAIN), tmp_path / "out")
    assert "spark.jars.packages: org.apache.hadoop:hadoop-aws:" in caught.value.fix
    assert store.secret not in str(caught.value)
    workspace.close()
