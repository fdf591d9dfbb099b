"""Refused rows in the form of the quarantine: place, key, the row as JSON or the event's own bytes, and the reasons."""

import polars as pl

from modelway.ingest.frames import BAD
from modelway.ingest.identity import keys


def raw_rows(rows: pl.DataFrame, key: str | None) -> pl.DataFrame:
    """Refused rows as they came: place, key, JSON, reasons. What is null stands in no JSON: others of the batch had it."""
    if rows.height == 0:
        return pl.DataFrame(schema=BAD)
    inner = [name for name in rows.columns if not name.startswith("_")]
    fields = pl.concat_str([_field(rows[name]) for name in inner] or [pl.lit("")], separator=",", ignore_nulls=True)
    named = rows.with_columns(pl.concat_str(pl.lit("{"), fields, pl.lit("}")).alias("_raw"))
    if key in rows.columns:
        named = named.with_columns(keys(rows, key, pl.Series("_content", [], dtype=pl.String)))
    return shaped(named)


def shaped(rows: pl.DataFrame) -> pl.DataFrame:
    """Of the quarantine's columns; those that are not there are empty."""
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in BAD.items() if name not in rows.columns]
    return rows.with_columns(absent).select(pl.col(name).cast(dtype) for name, dtype in BAD.items())


def _field(values: pl.Series) -> pl.Series:
    """`"name":value` as JSON writes it; null where there is no value."""
    whole = pl.select(pl.struct(_told(values)).struct.json_encode()).to_series()
    inner = whole.str.slice(1, whole.str.len_chars() - 2)
    return inner.set(values.is_null(), None).alias(values.name)


def _told(values: pl.Series) -> pl.Series:
    """As JSON can hold it: it has no infinity, and would say null, which is another value."""
    return values.cast(pl.String) if values.dtype.is_float() and values.is_infinite().any() else values
