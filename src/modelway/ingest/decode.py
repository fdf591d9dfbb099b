"""Events become one frame of raw rows with their places in the log; what cannot be read is kept apart, with the reason."""

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl

from modelway.events.log import ARROW, Event

PLACE = {
    "_partition": pl.Int64(),
    "_offset": pl.Int64(),
    "_index": pl.Int64(),
    "_arrived": pl.Datetime("us", "UTC"),
}


_EXACT = 2**53
"""Up to here a double holds every whole number."""


@dataclass(frozen=True)
class Decoded:
    """`rows`: a column for each name, and the place columns; `bad`: events that hold no rows, with `_raw` and `_reasons`."""

    rows: pl.DataFrame
    bad: pl.DataFrame


def decode(events: Sequence[Event]) -> Decoded:
    """A column whose values have mixed types becomes text (JSON for what is no string); nothing is guessed or cut."""
    frames: list[pl.DataFrame] = []
    bad: list[tuple[Any, ...]] = []
    objects: list[dict[str, Any]] = []
    places: list[tuple[Any, ...]] = []

    def gather() -> None:
        if objects:
            frames.append(_with_places(rows_frame(objects), pl.DataFrame(places, PLACE, orient="row")))
            objects.clear()
            places.clear()

    for event in events:
        if event.content == ARROW:
            gather()
            try:
                table = pl.read_ipc_stream(io.BytesIO(event.value))
            except (pl.exceptions.PolarsError, OSError, ValueError) as error:
                bad.append((*_place(event), "<arrow>", f"not an Arrow stream: {_first_line(error)}"))
                continue
            frames.append(_with_places(table, _places(event, table.height)))
            continue
        try:
            value = orjson.loads(event.value)
        except orjson.JSONDecodeError as error:
            bad.append((*_place(event), event.value.decode("utf-8", "replace")[:10_000], f"not JSON: {error}"))
            continue
        if not isinstance(value, dict):
            bad.append(
                (*_place(event), orjson.dumps(value).decode()[:10_000], "not a JSON object: one row is {column: value}")
            )
            continue
        objects.append(value)
        places.append(_place(event))
    gather()
    return Decoded(
        stacked(frames), pl.DataFrame(bad, {**PLACE, "_raw": pl.String, "_reasons": pl.String}, orient="row")
    )


def rows_frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """JSON objects as a frame: one column a name in order of appearance, absent is null."""
    names: dict[str, None] = {}
    last: Mapping[str, Any] = {}
    for row in rows:
        if row.keys() != last.keys():  # most rows have the names of the one before
            names |= dict.fromkeys(row)
            last = row
    known = [name for name in names if not name.startswith("_")]
    return pl.DataFrame([_series(name, [row.get(name) for row in rows]) for name in known])


def stacked(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The frames below one another; a column that is a number here and text there becomes text."""
    filled = [frame for frame in frames if frame.height]
    if not filled:
        return pl.DataFrame(schema=PLACE)
    try:
        return pl.concat(filled, how="diagonal_relaxed")
    except pl.exceptions.PolarsError:
        kinds: dict[str, set[pl.DataType]] = {}
        for frame in filled:
            for name, dtype in frame.schema.items():
                kinds.setdefault(name, set()).add(dtype)
        mixed = [name for name, seen in kinds.items() if len(seen - {pl.Null()}) > 1]
        as_text = [f.with_columns(pl.col(n).cast(pl.String) for n in mixed if n in f.columns) for f in filled]
        return pl.concat(as_text, how="diagonal_relaxed")


def _series(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pl.Series(name, values, dtype=pl.Null)
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds == {float} or (kinds == {int, float} and not any(isinstance(v, int) and abs(v) >= _EXACT for v in values)):
        return pl.Series(name, values, dtype=pl.Float64, strict=False)
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
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _place(event: Event) -> tuple[Any, ...]:
    return event.partition, event.offset, 0, event.arrived


def _places(event: Event, rows: int) -> pl.DataFrame:
    """Of the rows of one event."""
    return pl.select(
        _partition=pl.repeat(event.partition, rows, dtype=pl.Int64),
        _offset=pl.repeat(event.offset, rows, dtype=pl.Int64),
        _index=pl.int_range(rows, dtype=pl.Int64),
        _arrived=pl.repeat(event.arrived, rows, dtype=PLACE["_arrived"]),
    )


def _with_places(rows: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    return places.hstack(rows.drop([c for c in rows.columns if c in PLACE]).get_columns())


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
