"""What makes a row the same row: its key, its content, its event time; and which rows the table knows already."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np
import polars as pl
import xxhash

MOMENT = pl.Datetime("us", "UTC")
_OTHER_NUMBERS = (pl.Boolean, pl.Date, pl.Datetime, pl.Duration, pl.Time)
_EXACT = 2.0**53
_LANES = 16
_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93))


def contents(rows: pl.DataFrame) -> pl.Series:
    """A digest of each row's values by name; missing values and the order of columns do not matter, nor 5 against 5.0.

    Words are hashed as text, numbers as their bits, all columns at once: a sixth of the time that text of the numbers takes.
    """
    columns = sorted(name for name in rows.columns if not name.startswith("_"))
    numbers = [name for name in columns if rows.schema[name].is_numeric() or rows.schema[name] in _OTHER_NUMBERS]
    mixed = _mixed(rows, [name for name in numbers if not rows.schema[name].is_decimal()])
    words = [name for name in columns if name not in numbers or rows.schema[name].is_decimal()]
    if words:
        text = rows.select(pl.concat_str(_named(rows, words), ignore_nulls=True)).to_series().cast(pl.Binary).to_list()
    else:
        text = [b""] * rows.height
    made = [
        _digest(words + mixed[at : at + _LANES]) for words, at in zip(text, range(0, len(mixed), _LANES), strict=True)
    ]
    return pl.Series("_content", made, dtype=pl.String)


def _named(rows: pl.DataFrame, columns: Sequence[str]) -> Iterator[pl.Expr]:
    """Name and value of each column in turn, nothing for a value that is missing."""
    for name in columns:
        told = pl.lit(f"\x1f{name}=")
        value = pl.col(name) if rows.schema[name] == pl.String else _text(rows.schema[name], name)
        if rows[name].null_count():
            yield told + value
        else:
            yield from (told, value)


def _mixed(rows: pl.DataFrame, columns: Sequence[str]) -> bytes:
    """Sixteen bytes a row: the sum over the columns of two mixtures of name and value, as in splitmix64."""
    lanes = np.zeros((rows.height, 2), dtype=np.uint64)
    for name in columns:
        bits, there = _bits(rows[name])
        seed = np.uint64(xxhash.xxh3_64_intdigest(name.encode()))
        one = (bits ^ seed) * _ODD[0]
        one ^= one >> np.uint64(32)
        one *= _ODD[1]
        one ^= one >> np.uint64(29)
        two = one * _ODD[0]
        two ^= two >> np.uint64(31)
        two *= seed | np.uint64(1)
        lanes[:, 0] += one if there is None else one * there
        lanes[:, 1] += two if there is None else two * there
    return lanes.astype("<u8", copy=False).tobytes()


def _bits(values: pl.Series) -> tuple[np.ndarray, np.ndarray | None]:
    """A number's 64 bits, of a whole number those of the integer; and which are there (None: all)."""
    if values.dtype.is_float():
        real = values.cast(pl.Float64).to_numpy()  # what is missing is NaN, and NaN is missing
        gone = np.isnan(real)
        there = ~gone if gone.any() else None
        real = real if there is None else np.where(gone, 0.0, real)
        near = np.abs(real) < _EXACT
        whole = np.where(near, real, 0.0).astype(np.int64)
        return np.where(
            near & (whole == real), whole.view(np.uint64), real.view(np.uint64) * _ODD[1] + np.uint64(1)
        ), there
    there = values.is_not_null().to_numpy() if values.null_count() else None
    plain = values.to_physical().cast(pl.Int64, strict=False)
    return np.ascontiguousarray(plain.fill_null(0).to_numpy()).view(np.uint64), there


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


def _digest(value: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(value)[:24]
