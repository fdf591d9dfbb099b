"""Small worlds of events, corrections and labels in which instants, arrivals and entities collide as often as they can."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import strategies as st

from modelway.spec.model import Spec

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NUMBERS = st.one_of(
    st.none(), st.integers(-3, 3).map(float), st.sampled_from([0.1, 0.2, 1e16, -1e16, 1e99, 1e101, 1e-101, 1e308]),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
WORDS = st.sampled_from([None, "", "a", "b", "ä"])
SCHEMA: dict[str, Any] = {
    "_key": pl.String(),
    "_at": pl.Datetime("us", "UTC"),
    "_arrived": pl.Datetime("us", "UTC"),
    "_partition": pl.Int64(),
    "_offset": pl.Int64(),
    "_index": pl.Int64(),
    "who": pl.String(),
    "where": pl.String(),
    "x": pl.Float64(),
    "w": pl.String(),
    "_target": pl.String(),
    "_label_arrived": pl.Datetime("us", "UTC"),
}


def spec_of(features: dict[str, Any], same_instant: str = "counts", lag: str = "0s") -> Spec:
    """A model of events with an amount, a word, two entities and a label that comes later."""
    return Spec.model_validate(
        {
            "model": "world",
            "task": "binary",
            "data": {
                "source": "world", "target": "y", "positive": "1", "key": "id", "event_time": "at",
                "entities": ["who", "where"], "labels": {"source": "labels"}, "same_instant": same_instant, "lag": lag,
            },
            "contract": {"id": {"type": "string"}, "at": {"type": "datetime"}, "x": {"type": "float"}, "w": {"type": "string"}},
            "features": features,
        }
    )  # fmt: skip


@st.composite
def windows(draw: st.DrawFn) -> dict[str, Any]:
    """One to four windows over anything."""
    found = {}
    for n in range(draw(st.integers(1, 4))):
        of = draw(st.sampled_from(["x", "w", "target", ""]))
        stats = {"w": ["distinct", "count"], "": ["count"]}.get(
            of, ["count", "sum", "mean", "std", "min", "max", "distinct", "last", *(["ratio"] if of == "x" else [])]
        )
        one: dict[str, Any] = {"stat": draw(st.sampled_from(stats)), "window": f"{draw(st.integers(1, 9))}h"}
        if of:
            one["of"] = of
        if by := draw(st.sampled_from([None, "who", ["who", "where"]])):
            one["by"] = by
        if of == "target" or draw(st.booleans()):
            one["delay"] = f"{draw(st.integers(1, 4))}h"
            one["window"] = f"{draw(st.integers(5, 12))}h"
        if draw(st.booleans()):
            one["default"] = draw(st.sampled_from([0.0, -1.0]))
        found[f"f{n}"] = one
    return found


@st.composite
def events(draw: st.DrawFn, most: int = 12) -> pl.DataFrame:
    """Events in the order of the log: arrivals never go back; a key that comes again is a correction; a label by key."""
    rows, arrived = [], START
    labels: dict[str, Any] = {}
    for offset in range(draw(st.integers(1, most))):
        arrived += draw(st.sampled_from([timedelta(), timedelta(), HOUR, 2 * HOUR]))
        at = START + draw(st.integers(-4, 12)) * HOUR
        key = f"k{draw(st.integers(0, most))}"
        if key not in labels:
            labels[key] = draw(st.sampled_from([(None, None), ("0", at + HOUR), ("1", at), ("1", at + 5 * HOUR)]))
        labelled, known = labels[key]
        who, where = draw(st.sampled_from(["p", "q", None])), draw(st.sampled_from(["r", "s"]))
        rows.append((key, at, arrived, 0, offset, 0, who, where, draw(NUMBERS), draw(WORDS), labelled, known))
    return pl.DataFrame(rows, SCHEMA, orient="row")
