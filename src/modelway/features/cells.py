"""A table's raw columns as the plan reads them, with the expressions beside them; missing is null."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import polars as pl

from modelway.errors import DataError
from modelway.expressions.table import MOMENT, TYPES, column, epoch
from modelway.expressions.values import DAY_US, Nature, as_moment, as_number, as_word
from modelway.features.derived import Expression
from modelway.features.functions import compile_function
from modelway.features.plan import Plan

PLACE = ("_partition", "_offset", "_index")
TOGETHER = "_together"
"""Of a decision: whether it came with its past, in a file."""


def demand_columns(frame: pl.DataFrame, what: str) -> None:
    """Raises DataError when a frame cannot be placed in time."""
    demand_names(frame.columns, what)
    demand_arrivals(frame["_arrived"].null_count(), what)


def demand_names(columns: Sequence[str], what: str) -> None:
    """Raises DataError when the columns of time are not there."""
    absent = [name for name in ("_key", "_at", "_arrived") if name not in columns]
    if absent:
        raise DataError(
            f"the {what} have no {', '.join(absent)}", "read them from the lake, where ingestion wrote them"
        )


def demand_arrivals(missing: int, what: str) -> None:
    """Raises DataError when so many rows have no arrival."""
    if missing:
        raise DataError(f"{missing} of the {what} have no arrival time", "ingest them again")


def knowing(decisions: pl.DataFrame, lag_us: int) -> pl.DataFrame:
    """`t`, `known` and `upto` of each decision in µs: what had arrived at `known`, and is no later than `upto`, is seen."""
    times = pl.DataFrame(
        [read_column(decisions, name, "moment").dt.epoch("us").alias(name) for name in ("_at", "_arrived")]
    )
    together = decisions[TOGETHER] if TOGETHER in decisions.columns else pl.lit(False)
    lag = times.select(pl.when(together).then(lag_us).otherwise(0).alias("lag")).to_series()
    return times.select(t=pl.col("_at"), known=pl.col("_arrived") - lag_us + lag, upto=pl.col("_at") - lag)


def cells_of(frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """The plan's inputs, the event time and the early expressions, in the types of their natures."""
    found = {i.name: read_column(frame, i.name, plan.natures[i.name]) for i in plan.inputs}
    if plan.event_time in plan.natures:
        found[plan.event_time] = read_column(frame, "_at", "moment")
    cells = pl.DataFrame(found) if found else pl.DataFrame({"": pl.Series([None] * frame.height)})
    return with_expressions(cells, plan, (e for e in plan.expressions if not e.late))


def with_expressions(cells: pl.DataFrame, plan: Plan, expressions: Iterable[Expression]) -> pl.DataFrame:
    """Each in its turn: a later one may use an earlier one."""
    for expression in expressions:
        if expression.source:
            cells = cells.with_columns(_called(cells, expression))
            continue
        made = column(plan.meaning(expression).tree, plan.natures).cast(TYPES[expression.kind])
        cells = cells.with_columns(_there(made, expression.kind).alias(expression.name))
    return cells


def _called(cells: pl.DataFrame, expression: Expression) -> pl.Series:
    """A Python function on every row."""
    call = compile_function(expression.source, expression.text, expression.kind, expression.name)
    made = [call(row) for row in cells.select(expression.uses).iter_rows()]
    values = pl.Series(expression.name, made, TYPES[expression.kind])
    return values.fill_nan(None) if expression.kind == "number" else values.replace("", None)


def read_column(frame: pl.DataFrame, name: str, nature: Nature) -> pl.Series:
    """A raw column in its nature, as `values.py` reads single values; all missing when the frame has no such column."""
    if name not in frame.columns:
        return pl.Series(name, [None], TYPES[nature]).new_from_index(0, frame.height)
    values = frame[name]
    if values.dtype == pl.Null:
        return values.cast(TYPES[nature])
    if isinstance(values.dtype, pl.Categorical | pl.Enum):
        values = values.cast(pl.String)
    return {"number": _numbers, "word": _words, "moment": _moments}[nature](values)


def days_of(moments: pl.Series) -> pl.Series:
    """Days since 1970-01-01 with their fraction."""
    return moments.to_frame().select(epoch(pl.first()).cast(pl.Float64) / float(DAY_US)).to_series()


def _there(made: pl.Expr, nature: Nature) -> pl.Expr:
    return made if nature == "number" else pl.when(made != "").then(made)


def _numbers(values: pl.Series) -> pl.Series:
    if (values.dtype.is_numeric() and not values.dtype.is_decimal()) or values.dtype == pl.Boolean:
        return values.cast(pl.Float64).fill_nan(None)
    if values.dtype.is_temporal():
        return days_of(_moments(values))
    return read_each(values, as_number, pl.Float64()).fill_nan(None)


def _words(values: pl.Series) -> pl.Series:
    words = values if values.dtype == pl.String else read_each(values, as_word, pl.String())
    return words.to_frame().select(pl.when(pl.first() != "").then(pl.first())).to_series()


def _moments(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if isinstance(values.dtype, pl.Datetime):
        zoned = values if values.dtype.time_zone else values.dt.replace_time_zone("UTC")
        return zoned.cast(pl.Datetime("us", zoned.dtype.time_zone)).dt.convert_time_zone("UTC")  # type: ignore[attr-defined]
    return read_each(values, as_moment, MOMENT)


def read_each(values: pl.Series, read: Callable[[Any], Any], kind: pl.DataType) -> pl.Series:
    """The law of `values.py` on each distinct value."""
    if values.dtype.is_float():
        values = values.fill_nan(None)
    distinct = values.drop_nulls().unique()
    read_once = pl.Series([read(value) for value in distinct.to_list()], dtype=kind, strict=False)
    table = pl.DataFrame({"raw": distinct, "read": read_once})
    joined = values.alias("raw").to_frame().join(table, on="raw", how="left", maintain_order="left")
    return joined["read"].alias(values.name)
