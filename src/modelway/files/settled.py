"""Columns of a typed file (Parquet, JSON) in the few types that the rest of the house knows."""

from collections.abc import Collection

import orjson
import polars as pl

from modelway.files.moments import moments

UTC_TIME = pl.Datetime("us", "UTC")


def settled(frame: pl.DataFrame, text: Collection[str] = ()) -> pl.DataFrame:
    """Int64, Float64, Boolean, Date, Datetime(us, UTC) or String; NaN and blank text are missing; text dates are dates.

    Text stays text even where it is all digits: in a typed file that is somebody's choice.
    """
    made = [_settled(frame[name]) for name in frame.columns]
    return pl.DataFrame([_dated(column) if column.name not in text else column for column in made])


def _settled(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if dtype == pl.Boolean or dtype == pl.Date:
        return column
    if dtype.is_integer():
        return _whole(column)
    if dtype.is_float() or dtype.is_decimal():
        return column.cast(pl.Float64).fill_nan(None)
    if isinstance(dtype, pl.Datetime):
        return _in_utc(column, dtype)
    if isinstance(dtype, pl.Duration):
        return (column.dt.total_microseconds() / 1e6).alias(column.name)
    return _blank_is_missing(_as_text(column))


def _whole(column: pl.Series) -> pl.Series:
    """Int64; as text when it does not fit."""
    made = column.cast(pl.Int64, strict=False)
    return made if made.null_count() == column.null_count() else column.cast(pl.String)


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
    if dtype == pl.Binary:
        try:
            return column.cast(pl.String)
        except pl.exceptions.PolarsError:
            return column.bin.encode("hex")
    if dtype == pl.Object:
        return pl.Series(
            column.name, [None if value is None else str(value) for value in column.to_list()], dtype=pl.String
        )
    return column.cast(pl.String)


def _plain(value: object) -> object:
    return value.to_list() if isinstance(value, pl.Series) else value


def _blank_is_missing(column: pl.Series) -> pl.Series:
    return column.set((column.str.strip_chars() == "").fill_null(False), None)


def _dated(column: pl.Series) -> pl.Series:
    if column.dtype != pl.String or column.null_count() == len(column):
        return column
    made = moments(column)
    return column if made is None else made
