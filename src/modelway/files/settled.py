"""Columns of a typed file (Parquet, JSON) in the few types that the rest of the house knows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import orjson
import polars as pl

from modelway.files.kinds import ChangedError
from modelway.files.moments import NO_DATES, Dates, dates_of, moments_of

UTC_TIME = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Known:
    """Of the columns of a typed file: which have values that their type here cannot hold, and of those with text the dates."""

    odd: frozenset[str] = frozenset()
    dates: Mapping[str, Dates] = field(default_factory=dict)

    def more(self, other: "Known") -> "Known":
        dates = dict(self.dates)
        for name, found in other.dates.items():
            dates[name] = dates[name].more(found) if name in dates else found
        return Known(self.odd | other.odd, dates)


def settled(frame: pl.DataFrame, text: Collection[str] = (), known: Known | None = None) -> pl.DataFrame:
    """Int64, Float64, Boolean, Date, Datetime(us, UTC) or String; NaN and blank text are missing; text dates are dates.

    Text stays text even where it is all digits: in a typed file that is somebody's choice. `known`: of the whole file, of which
    the frame is a part. Raises ChangedError when it is none.
    """
    known = known_of(frame) if known is None else known
    return pl.DataFrame([_dated(_settled(frame[name], name in known.odd), known, text) for name in frame.columns])


def known_of(frame: pl.DataFrame) -> Known:
    """What `settled` must know of all rows."""
    odd = frozenset(name for name in frame.columns if _is_odd(frame[name]))
    made = [_settled(frame[name], name in odd) for name in frame.columns]
    return Known(odd, {column.name: dates_of(column) for column in made if column.dtype == pl.String})


def _is_odd(column: pl.Series) -> bool:
    if column.dtype.is_integer():
        return column.cast(pl.Int64, strict=False).null_count() > column.null_count()
    if column.dtype == pl.Binary:
        try:
            column.cast(pl.String)
        except pl.exceptions.PolarsError:
            return True
    return False


def _settled(column: pl.Series, odd: bool) -> pl.Series:
    dtype = column.dtype
    if dtype == pl.Boolean or dtype == pl.Date:
        return column
    if dtype.is_integer():
        return column.cast(pl.String if odd else pl.Int64)
    if dtype.is_float() or dtype.is_decimal():
        return column.cast(pl.Float64).fill_nan(None)
    if isinstance(dtype, pl.Datetime):
        return _in_utc(column, dtype)
    if isinstance(dtype, pl.Duration):
        return (column.dt.total_microseconds() / 1e6).alias(column.name)
    return _blank_is_missing(column.bin.encode("hex") if dtype == pl.Binary and odd else _as_text(column))


def _in_utc(column: pl.Series, dtype: pl.Datetime) -> pl.Series:
    exact = column.cast(pl.Datetime("us", dtype.time_zone))
    return exact.dt.convert_time_zone("UTC") if dtype.time_zone else exact.dt.replace_time_zone("UTC")


def _as_text(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if dtype.is_nested():
        told = [
            None if value is None else orjson.dumps(_plain(value), default=str).decode() for value in column.to_list()
        ]
        return pl.Series(column.name, told, dtype=pl.String)
    if dtype == pl.Object:
        return pl.Series(
            column.name, [None if value is None else str(value) for value in column.to_list()], dtype=pl.String
        )
    return column.cast(pl.String)


def _plain(value: object) -> object:
    return value.to_list() if isinstance(value, pl.Series) else value


def _blank_is_missing(column: pl.Series) -> pl.Series:
    return column.set((column.str.strip_chars() == "").fill_null(False), None)


def _dated(column: pl.Series, known: Known, text: Collection[str]) -> pl.Series:
    dates = known.dates.get(column.name, NO_DATES)
    if column.dtype != pl.String or column.name in text or dates.form is None:
        return column
    made = moments_of(column, dates.form, dates.timed)
    if made.null_count() > column.null_count():
        raise ChangedError(f"{column.filter(made.is_null()).drop_nulls()[0]!r} in column {column.name!r}")
    return made
