"""A raw column read under a contract's type: vectorised where the raw type allows it, else value by distinct value."""

import math

import polars as pl

from modelway.contracts.values import EXACT, READ, WRONG
from modelway.spec.model import ColumnType

MOMENT = pl.Datetime("us", "UTC")
TYPES: dict[ColumnType, pl.DataType] = {
    "float": pl.Float64(),
    "int": pl.Int64(),
    "string": pl.String(),
    "bool": pl.Boolean(),
    "date": pl.Date(),
    "datetime": MOMENT,
}
_ISO = r"^(?:[1-9][0-9]{3})-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](?:\.[0-9]{6})?(?:Z|\+00:00)?$"
"""In UTC, to the second or the microsecond; a day or an hour that there is not is no time for polars either."""


def typed(raw: pl.Series, kind: ColumnType) -> tuple[pl.Series, pl.Series]:
    """The typed values (missing is null, and so is what is wrong), and which rows hold a wrong value."""
    if raw.dtype == pl.Null:
        return raw.cast(TYPES[kind]), _none(raw)
    if isinstance(raw.dtype, pl.Categorical | pl.Enum):
        raw = raw.cast(pl.String)
    if raw.dtype.is_decimal():
        raw = raw.cast(pl.Float64)
    if kind in ("date", "datetime") and raw.dtype == pl.String:
        return _times(raw, kind)
    fast = _fast(raw, kind)
    return fast if fast is not None else _slow(raw, kind)


def _fast(raw: pl.Series, kind: ColumnType) -> tuple[pl.Series, pl.Series] | None:
    dtype = raw.dtype
    if kind == "float" and dtype.is_numeric():
        made = raw.cast(pl.Float64)
        if math.isfinite(made.sum()):  # the usual case copies nothing; one value that is not finite spoils the sum
            return made, _none(raw)
        made = made.fill_nan(None)
        beyond = made.is_infinite().fill_null(False)
        return made.set(beyond, None), beyond
    if kind == "int" and dtype.is_integer():
        made = raw.cast(pl.Int64, strict=False)
        return made, made.is_null() & raw.is_not_null()
    if kind == "int" and dtype.is_float():
        there = raw.cast(pl.Float64).fill_nan(None)
        whole = (there == there.round()) & (there.abs() < EXACT)
        return there.set(~whole.fill_null(False), None).cast(pl.Int64), ~whole.fill_null(True)
    if kind == "string" and dtype == pl.String:
        empty = raw == ""
        return raw.set(empty.fill_null(False), None) if empty.any() else raw, _none(raw)
    if kind == "string" and dtype.is_integer():
        return raw.cast(pl.String), _none(raw)
    if kind == "bool" and dtype == pl.Boolean:
        return raw, _none(raw)
    if kind in ("date", "datetime") and dtype in (pl.Date, pl.Datetime):
        moments = raw.cast(pl.Datetime("us")) if dtype == pl.Date else raw
        zoned = moments if getattr(moments.dtype, "time_zone", None) else moments.dt.replace_time_zone("UTC")
        utc = zoned.dt.convert_time_zone("UTC").cast(MOMENT)
        return (utc.dt.date() if kind == "date" else utc), _none(raw)
    return None


def _times(raw: pl.Series, kind: ColumnType) -> tuple[pl.Series, pl.Series]:
    """Text of the commonest form all at once, as hardly one time is there twice; all other text by distinct value."""
    common = raw.set(~raw.str.contains(_ISO).fill_null(False), None)
    seconds = (common.str.slice(0, 10) + "T" + common.str.slice(11, 8)).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False
    )
    micros = common.str.extract(r"\.([0-9]{6})").cast(pl.Int64).fill_null(0)
    made = (seconds.cast(pl.Int64) + micros).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if kind == "date":
        made = made.dt.date()
    others, wrong = _slow(raw.set(made.is_not_null(), None), kind)
    return pl.select(pl.coalesce(made, others)).to_series().alias(raw.name), wrong


def _slow(raw: pl.Series, kind: ColumnType) -> tuple[pl.Series, pl.Series]:
    read = READ[kind]
    distinct = raw.drop_nulls().unique()
    values = [read(value) for value in distinct.to_list()]
    good = pl.Series("typed", [None if v is WRONG else v for v in values], dtype=TYPES[kind], strict=False)
    table = pl.DataFrame(
        [distinct.alias("raw"), good, pl.Series("wrong", [v is WRONG for v in values], dtype=pl.Boolean)]
    )
    joined = raw.alias("raw").to_frame().join(table, on="raw", how="left", maintain_order="left", nulls_equal=False)
    return joined["typed"].alias(raw.name), joined["wrong"].fill_null(False)


def _none(raw: pl.Series) -> pl.Series:
    return pl.Series([False], dtype=pl.Boolean).new_from_index(0, raw.len())
