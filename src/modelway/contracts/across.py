"""Checks over a table of typed columns that look at several columns, or at several rows."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import polars as pl

from modelway.contracts import breaches
from modelway.contracts.conditions import Condition, as_names, columns_of, told
from modelway.contracts.values import shown
from modelway.expressions import table
from modelway.spec.contract import Change, Check


def broken_conditions(values: pl.DataFrame, asked: Sequence[Condition]) -> Iterator[pl.DataFrame]:
    """All expressions in one pass; one frame of breaches for each that is broken."""
    if not asked:
        return
    used = dict.fromkeys(name for condition in asked for name in condition.uses)
    seen = values.select(pl.col(name).cast(table.TYPES[asked[0].natures[name]]) for name in used)
    if not used:  # an expression without columns holds of every row or of none
        seen = values.select(pl.lit(0.0).alias("_")).head(values.height)
    masks = [
        (table.column(one.tree, one.natures) == 0).arg_true().implode().alias(str(number))
        for number, one in enumerate(asked)
    ]
    found = seen.select(masks)
    for number, one in enumerate(asked):
        rows = found[str(number)][0]
        if rows.len():
            value = partial(told, one.uses)
            yield breaches.of_rows(
                one.uses, one.label, one.action, rows, value, one.words, values.select(one.uses)[rows]
            )


def broken_across_rows(values: pl.DataFrame, checks: Sequence[Check], event_time: str) -> Iterator[pl.DataFrame]:
    """`unique` over several columns, and `change`."""
    for check in checks:
        if check.unique:
            yield from _again(values, check)
        if check.change is not None:
            yield from _jumped(values, check, check.change, event_time)


def _again(values: pl.DataFrame, check: Check) -> Iterator[pl.DataFrame]:
    whole = pl.all_horizontal(pl.col(name).is_not_null() for name in check.unique)
    there = values.select(check.unique).with_row_index("_row").filter(whole)
    again = there.filter(~pl.struct(check.unique).is_first_distinct())
    if again.height:
        yield breaches.of_rows(
            check.unique,
            check.label,
            check.action,
            again["_row"],
            lambda row: told(check.unique, row),
            lambda row: _escaped(f"{told(check.unique, row)} were there together before in this batch"),
            again.drop("_row"),
        )


def _jumped(values: pl.DataFrame, check: Check, change: Change, event_time: str) -> Iterator[pl.DataFrame]:
    """Rows with one of the columns missing stand in no order, and are passed over."""
    by, of = as_names(change.by), change.of
    order = change.order or (event_time if event_time in values.columns else None)
    named = list(dict.fromkeys((of, *by, *((order,) if order else ()))))
    there = values.select(named).with_row_index("_row").drop_nulls()
    ordered = there.sort([*by, *((order,) if order else ()), "_row"])
    number = pl.col(of).cast(pl.Float64)
    before = number.shift(1).over(by) if by else number.shift(1)
    moved = ordered.with_columns(before.alias("_before"), (number - before).alias("_by"))
    beyond = [
        *([pl.col("_by") < change.min] if change.min is not None else []),
        *([pl.col("_by") > change.max] if change.max is not None else []),
    ]
    found = moved.filter(pl.any_horizontal(beyond)).sort("_row")
    if found.height:
        columns = columns_of(check)
        yield breaches.of_rows(
            columns,
            check.label,
            check.action,
            found["_row"],
            lambda row: str(shown(row[of])),
            lambda row: _escaped(_moved(row, change, by)),
            found,
        )


def _moved(row: Mapping[str, Any], change: Change, by: Sequence[str]) -> str:
    of = f" of {told(by, row)}" if by else ""
    by_how_much = row["_by"]
    low = change.min is not None and by_how_much < change.min
    bound = f"below {shown(change.min)}" if low else f"above {shown(change.max)}"
    return (
        f"{change.of}{of}: {shown(row[change.of])} after {shown(row['_before'])}, a change of {by_how_much:g}, {bound}"
    )


def _escaped(reason: str) -> str:
    """Reasons are joined by "; "."""
    return reason.replace("; ", r";\x20")
