"""The frames and the plans of `benchmarks.features`: events, decisions, ready tables; windows and joins."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from modelway.features.plan import Plan, plan_of
from modelway.spec.model import Spec

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WINDOWS = ("1h", "1d", "7d", "30d")
STATS = ("count", "sum", "mean", "max", "distinct")
_MOMENT = pl.Datetime("us", "UTC")


def events(count: int, entities: int) -> pl.DataFrame:
    draw = np.random.default_rng(1)
    at = _times(draw, count)
    return pl.DataFrame(
        {
            "_key": pl.int_range(count, eager=True).cast(pl.String),
            "_at": at,
            "_arrived": at,
            "card": pl.Series(draw.integers(0, entities, count)).cast(pl.String),
            "amount": np.round(draw.lognormal(3, 1, count), 2),
        }
    )


def asked(count: int, entities: int) -> pl.DataFrame:
    draw = np.random.default_rng(2)
    at = _times(draw, count)
    return pl.DataFrame(
        {
            "_key": pl.Series([f"q{n}" for n in range(count)]),
            "_at": at,
            "_arrived": at,
            "card": pl.Series(draw.integers(0, entities, count)).cast(pl.String),
            "amount": draw.random(count),
        }
    )


def _times(draw: np.random.Generator, count: int) -> pl.Series:
    us = np.sort(draw.integers(0, 60 * 86_400_000_000, count))
    return (pl.Series(us) + int((NOW - timedelta(days=60)).timestamp() * 1e6)).cast(_MOMENT)


def ready(count: int, columns: int, entities: int) -> pl.DataFrame:
    draw = np.random.default_rng(3)
    at = _times(draw, count)
    told = {f"f{n}": draw.random(count) for n in range(columns)}
    card = pl.Series(draw.integers(0, entities, count)).cast(pl.String)
    return pl.DataFrame({"_key": card, "_at": at, "_arrived": at, "card": card, **told})


def _spec(features: dict[str, Any]) -> Spec:
    data = {
        "source": "s",
        "target": "y",
        "key": "id",
        "event_time": "at",
        "entities": ["card"],
        "labels": {"source": "l"},
    }
    contract = {"id": {"type": "string"}, "at": {"type": "datetime"}, "amount": {"type": "float"}}
    given = {
        "model": "m",
        "task": "binary",
        "data": {**data, "positive": "1"},
        "contract": contract,
        "features": features,
    }
    return Spec.model_validate(given)


def windows() -> Plan:
    def one(stat: str, window: str) -> dict[str, str]:
        return {"stat": stat, "by": "card", "window": window, **({} if stat == "count" else {"of": "amount"})}

    return plan_of(_spec({f"{stat}_{window}": one(stat, window) for window in WINDOWS for stat in STATS}))


def joins(columns: Sequence[str]) -> Plan:
    join = {"table": "ready", "on": "card", "valid_from": "at", "type": "float"}
    return plan_of(_spec({f"j{column}": {"join": {**join, "column": column}} for column in columns}))
