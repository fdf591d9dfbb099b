"""Rows as frames: one column a name, no type guessed; frames of unlike types below one another."""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import polars as pl

PLACE = {
    "_partition": pl.Int64(),
    "_offset": pl.Int64(),
    "_index": pl.Int64(),
    "_arrived": pl.Datetime("us", "UTC"),
}
"""Where in the event log a row stood, and when that took it."""
SPOT = ("_partition", "_offset", "_index")
BAD = {**PLACE, "_key": pl.String(), "_raw": pl.String(), "_bytes": pl.Binary(), "_reasons": pl.String()}
"""Of an event that holds no row: its place and key, its value as text and as it came, and the reason."""
_EXACT = 2**53
"""Up to here a double holds every whole number."""


def rows_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """JSON objects as a frame: one column a name in order of appearance, absent is null."""
    names: dict[str, None] = {}
    last: Mapping[str, Any] = {}
    for row in rows:
        if row.keys() != last.keys():  # most rows have the names of the one before
            names |= dict.fromkeys(row)
            last = row
    known = [name for name in names if not name.startswith("_")]
    return pl.DataFrame([column(name, [row.get(name) for row in rows]) for name in known])


def stacked(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The frames below one another; a column that is a number here and text there becomes text."""
    filled = [frame for frame in frames if frame.height]
    if not filled:
        return pl.DataFrame(schema=PLACE)
    if len(filled) == 1:
        return filled[0]
    parts: dict[str, list[pl.Series]] = {}
    for frame in filled:
        for values in frame.get_columns():
            parts.setdefault(values.name, []).append(values)
    unlike = [name for name, held in parts.items() if len({part.dtype for part in held}) > 1]
    text = {name for name in unlike if not _alike([part for part in parts[name] if not _empty(part)])}
    return pl.concat([_fit(frame, unlike, text) for frame in filled], how="diagonal_relaxed")


def _fit(frame: pl.DataFrame, unlike: Sequence[str], text: Collection[str]) -> pl.DataFrame:
    """With those columns as text that must be, and without the type of a column that holds nothing."""
    there = [frame[name] for name in unlike if name in frame.columns]
    return frame.with_columns(
        values.cast(pl.Null) if _empty(values) else _as_text(values)
        for values in there
        if _empty(values) or values.name in text
    )


def _empty(values: pl.Series) -> bool:
    return values.null_count() == values.len()


def _alike(parts: Sequence[pl.Series]) -> bool:
    """Whether one type can hold all values as they are; a boolean is no number."""
    kinds = {part.dtype for part in parts} - {pl.Null()}
    if len(kinds) < 2:
        return True
    if any(kind.is_float() for kind in kinds) and all(kind.is_numeric() for kind in kinds):
        return not any(_large(part) for part in parts if part.dtype.is_integer())
    zones = {getattr(kind, "time_zone", "") for kind in kinds if isinstance(kind, pl.Datetime)}
    return all(kind.is_integer() for kind in kinds) or (
        len(zones) == 1 and all(isinstance(kind, pl.Datetime) for kind in kinds)
    )


def _large(whole: pl.Series) -> bool:
    return bool(((whole > _EXACT) | (whole < -_EXACT)).any())


def _as_text(values: pl.Series) -> pl.Series:
    if values.dtype.is_float() or values.dtype.is_nested():
        return pl.Series(values.name, [None if v is None else _json_text(v) for v in values.to_list()], dtype=pl.String)
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.to_string("iso:strict")
    return values.cast(pl.String)


def column(name: str, values: list[Any]) -> pl.Series:
    """Python values as one column; of mixed types it is text (JSON for what is no string): nothing is guessed or cut."""
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pl.Series(name, values, dtype=pl.Null)
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds == {float} or (kinds == {int, float} and not any(isinstance(v, int) and abs(v) >= _EXACT for v in values)):
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
    if kinds == {datetime}:
        return pl.Series(name, values, dtype=pl.Datetime("us", "UTC" if all(v.tzinfo for v in values if v) else None))
    text = [v if v is None or isinstance(v, str) else _json_text(v) for v in values]
    return pl.Series(name, text, dtype=pl.String)


def _json_text(value: Any) -> str | None:
    """As JSON writes it, whole numbers without a fraction: 5 and 5.0 are one number."""
    if value != value:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, float) and math.isinf(value):
        return str(value)  # JSON has no word for it
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=_told)


def _told(value: Any) -> str:
    """What JSON has no form for: times as ISO 8601, bytes as hexadecimal digits, decimals as they are written."""
    if isinstance(value, date | time):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)
