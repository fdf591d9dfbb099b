"""What makes a row the same row: its key, its content, its event time; and which rows the table knows already."""

import hashlib
from datetime import UTC, datetime

import polars as pl

MOMENT = pl.Datetime("us", "UTC")


def contents(rows: pl.DataFrame) -> pl.Series:
    """A digest of each row's values by name; missing values and the order of columns do not matter, nor 5 against 5.0."""
    columns = sorted(name for name in rows.columns if not name.startswith("_"))
    if not columns:
        return pl.Series("_content", [_digest("")] * rows.height, dtype=pl.String)
    parts = [pl.lit(f"{name}=") + _text(rows.schema[name], name) for name in columns]
    joined = rows.select(pl.concat_str(parts, separator="\x1f", ignore_nulls=True)).to_series()
    return pl.Series("_content", [_digest(text) for text in joined.to_list()], dtype=pl.String)


def keys(rows: pl.DataFrame, key: str | None, content: pl.Series) -> pl.Series:
    """The key as text; without a key column what a producer gave as `_key`, and else the content."""
    if key is not None:
        given = rows[key] if key in rows.columns else pl.Series(key, [None] * rows.height, dtype=pl.String)
        text = pl.select(_text(given.dtype, given)).to_series() if given.dtype != pl.Null else given.cast(pl.String)
        return text.set((text.str.strip_chars() == "").fill_null(False), None).alias("_key")
    if "_key" in rows.columns:
        return pl.select(pl.coalesce(rows["_key"].cast(pl.String), content)).to_series().alias("_key")
    return content.alias("_key")


def moments(rows: pl.DataFrame, column: str | None) -> pl.Series:
    """The event time in UTC: a time, a date, or text of one (ISO 8601); null where there is none or it cannot be read."""
    if column is None or column not in rows.columns:
        return pl.Series("_at", [None] * rows.height, dtype=MOMENT)
    given = rows[column]
    if given.dtype == pl.String:
        made = given.map_elements(_moment, return_dtype=MOMENT, skip_nulls=True)
    elif isinstance(given.dtype, pl.Datetime):
        made = given.dt.convert_time_zone("UTC") if given.dtype.time_zone else given.dt.replace_time_zone("UTC")
    elif given.dtype == pl.Date:
        made = given.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    else:
        made = pl.Series([None] * rows.height, dtype=MOMENT)
    return made.cast(MOMENT).alias("_at")


def numbered(content: pl.Series) -> pl.Series:
    """Keys for the rows of a file without a key: the content, and which of its equals a row is; a grown file keeps them."""
    frame = pl.DataFrame({"content": content})
    count = frame.select(pl.int_range(pl.len()).over("content")).to_series()
    return pl.select(pl.lit(content) + pl.lit("#") + pl.lit(count).cast(pl.String)).to_series().alias("_key")


def _text(dtype: pl.DataType, value: str | pl.Series) -> pl.Expr:
    expr = pl.col(value) if isinstance(value, str) else pl.lit(value)
    if dtype.is_float():
        whole = expr.is_finite() & (expr == expr.round()) & (expr.abs() < 2**53)
        known = pl.when(whole).then(expr.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(expr.cast(pl.String))
        return pl.when(expr.is_nan()).then(None).otherwise(known)
    if dtype == pl.Boolean:
        return expr.cast(pl.Int8).cast(pl.String)
    if dtype.is_nested():
        return expr.map_elements(_whole_text, return_dtype=pl.String)
    return expr.cast(pl.String)


def _whole_text(value: object) -> str:
    """A list or struct to its end: what polars prints of one is cut."""
    return str(value.to_list() if isinstance(value, pl.Series) else value)


def _moment(text: str) -> datetime | None:
    try:
        made = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return made.astimezone(UTC) if made.tzinfo else made.replace(tzinfo=UTC)


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
