"""Labels take the road of all events: {key, label, at}; `at` is when the label became known, by default its arrival."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson
import polars as pl

from modelway.errors import DataError
from modelway.events.log import NewEvent
from modelway.ingest.identity import moments
from modelway.ingest.source import Source

COLUMNS = ("key", "label", "at")


@dataclass(frozen=True)
class CheckedLabels:
    accepted: pl.DataFrame
    quarantined: pl.DataFrame
    warnings: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


Judge = Callable[[str], str]
"""A label → why it can be none of this model, or ""."""


def labels_source(topic: str, judge: Judge = lambda label: "") -> Source:
    """One without key or label is refused; another label of a key is a correction, the same one again a double."""
    return Source(topic, lambda rows: check_labels(rows, judge), key="key", event_time="at", content=("key", "label"))


def check_labels(rows: pl.DataFrame, judge: Judge = lambda label: "") -> CheckedLabels:
    """`key` and `label` as text, `at` as a time; `judge` is asked once for each distinct label."""
    whole = rows.with_columns(pl.lit(None, pl.String).alias(c) for c in COLUMNS if c not in rows.columns)
    text = whole.with_columns(pl.col("key", "label").cast(pl.String).str.strip_chars())
    known = moments(whole, "at")
    named = text.with_columns(pl.coalesce(pl.lit(known), pl.col("_arrived")).alias("at"))
    distinct = named["label"].drop_nulls().unique().to_list()
    wrong = {label: f"label: {said}" for label in distinct if label and (said := judge(label))}
    reason = (
        pl.when(pl.col("key").fill_null("") == "")
        .then(pl.lit("key: the key is missing"))
        .when(pl.col("label").fill_null("") == "")
        .then(pl.lit("label: the label is missing"))
        .when(pl.col("label").is_in(list(wrong)))
        .then(pl.col("label").replace_strict(wrong, default=None, return_dtype=pl.String))
    )
    judged = named.with_columns(reason.alias("_reasons"))
    place = [c for c in judged.columns if c.startswith("_") and c != "_reasons"]
    good = judged.filter(pl.col("_reasons").is_null()).select(*place, *COLUMNS)
    return CheckedLabels(good, judged.filter(pl.col("_reasons").is_not_null()))


def label_events(frame: pl.DataFrame, key: str | None, target: str, now: datetime) -> list[NewEvent]:
    """The rows of a file as label events. Columns: the model's key (or `key`), `label` (or the target), and maybe `at`."""
    key_column = _first(frame, (key, "key"), "the key")
    label_column = _first(frame, ("label", target), "the label")
    at = frame["at"].to_list() if "at" in frame.columns else [now] * frame.height
    rows = zip(frame[key_column].to_list(), frame[label_column].to_list(), at, strict=True)
    return [
        NewEvent(
            str(k),
            orjson.dumps({"key": _text(k), "label": _text(label), "at": str(a) if not isinstance(a, datetime) else a}),
        )
        for k, label, a in rows
    ]


def _first(frame: pl.DataFrame, names: tuple[str | None, ...], what: str) -> str:
    for name in names:
        if name in frame.columns:
            return str(name)
    wanted = " or ".join(str(name) for name in dict.fromkeys(names) if name)
    raise DataError(
        f"the file has no column {wanted} for {what} (there: {', '.join(frame.columns)})", f"name a column {wanted}"
    )


def _text(value: object) -> str | None:
    if value is None:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
