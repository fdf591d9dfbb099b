"""Feast on its DuckDB store: events aggregated before by DuckDB's windows, as-of joins, and one look-up in its SQLite store."""

import json
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, String

from benchmarks.measure import peak_mb, tell, timed

WINDOWS = {"1h": "1 hour", "1d": "1 day", "7d": "7 days", "30d": "30 days"}


def main() -> None:
    """One case a process, so that its memory is its own."""
    asked = json.loads(sys.argv[1])
    folder, case = Path(asked["folder"]), asked["case"]
    found: dict[str, Any] = {"rows": 0}
    store = open_store(folder)
    card = Entity(name="card", join_keys=["card"], value_type=ValueType.STRING)
    if case == "raw":
        names = [f"{stat}_{window}" for window in WINDOWS for stat in ("count", "sum", "mean", "max", "distinct")]
        source, rows = folder / "made.parquet", questions(folder / "asked.parquet")

        def from_events() -> None:
            aggregate(folder / "events.parquet", source)
            store.apply([card, view_of("made", source, names, card)])
            history(store, "made", names, rows, found)

        found["timed"] = timed(from_events, 1, warm=False)
    else:
        source, names = folder / f"{case}_feast.parquet", [f"f{n}" for n in range(asked["columns"])]
        if not source.exists():
            rename(folder / f"{case}.parquet", source)
        store.apply([card, view_of(case, source, names, card)])
        if looks := asked.get("looks"):
            found |= online(store, folder, looks)
        else:
            rows = questions(folder / f"{case}_asked.parquet")
            found["timed"] = timed(lambda: history(store, case, names, rows, found), 2)
    found["peak_mb"] = peak_mb()
    tell(found)


def open_store(folder: Path) -> FeatureStore:
    config = RepoConfig(
        project="bench",
        registry=str(folder / "registry.db"),
        provider="local",
        offline_store={"type": "duckdb"},
        online_store={"type": "sqlite", "path": str(folder / "feast_online.db")},
        entity_key_serialization_version=3,
    )
    return FeatureStore(config=config)


def view_of(name: str, source: Path, columns: list[str], card: Entity) -> FeatureView:
    return FeatureView(
        name=name,
        entities=[card],
        ttl=timedelta(days=365),
        schema=[Field(name="card", dtype=String), *(Field(name=column, dtype=Float64) for column in columns)],
        source=FileSource(path=str(source), timestamp_field="event_timestamp"),
    )


def rename(given: Path, made: Path) -> None:
    duckdb.sql(
        f"copy (select * exclude (_key, _at, _arrived), _at as event_timestamp from '{given}') to '{made}' (format parquet)"
    )


def questions(place: Path) -> pd.DataFrame:
    return duckdb.sql(f"select card, _at as event_timestamp from '{place}'").df()


def history(store: FeatureStore, view: str, names: list[str], rows: pd.DataFrame, found: dict[str, Any]) -> None:
    made = store.get_historical_features(entity_df=rows, features=[f"{view}:{name}" for name in names]).to_df()
    found["rows"] = len(made)


def aggregate(events: Path, made: Path) -> None:
    """The values at every event, which is what an as-of join can take."""
    parts = []
    for name, long in WINDOWS.items():
        over = f"over (partition by card order by _at range between interval {long} preceding and current row)"
        for stat, what in {
            "count": "count(*)",
            "sum": "sum(amount)",
            "mean": "avg(amount)",
            "max": "max(amount)",
            "distinct": "count(distinct amount)",
        }.items():
            parts.append(f'cast({what} {over} as double) as "{stat}_{name}"')
    duckdb.sql(
        f"copy (select card, _at as event_timestamp, {', '.join(parts)} from '{events}') to '{made}' (format parquet)"
    )


def online(store: FeatureStore, folder: Path, looks: int) -> dict[str, float]:
    """The newest values of every card in the SQLite store, and look-ups of cards at random."""
    end = datetime(2026, 3, 2, tzinfo=UTC)
    store.materialize(end - timedelta(days=90), end, feature_views=["ready"])
    cards = [row[0] for row in duckdb.sql(f"select distinct card from '{folder / 'ready.parquet'}'").fetchall()]
    features, draw = [f"ready:f{n}" for n in range(20)], random.Random(1)
    took = []
    for _ in range(looks):
        card = draw.choice(cards)
        began = time.perf_counter_ns()
        store.get_online_features(features=features, entity_rows=[{"card": card}]).to_dict()
        took.append((time.perf_counter_ns() - began) / 1e3)
    took.sort()
    return {"p50_us": took[len(took) // 2], "p99_us": took[int(len(took) * 0.99)]}


if __name__ == "__main__":
    main()
