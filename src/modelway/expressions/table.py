"""Expressions over the columns of a table, by polars. The law is in `meaning.py`.

Missing is null here. Functions whose last bit depends on the library are those of `scalars.py`, value by value, and whatever
has no column in it is computed once, as for a row.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from modelway.expressions import scalars
from modelway.expressions.grammar import MINUS, Call, Name, Node
from modelway.expressions.meaning import names
from modelway.expressions.row import closure, missing
from modelway.expressions.values import DAY_US, Nature

MOMENT = pl.Datetime("us", "UTC")
TYPES: Mapping[Nature, pl.DataType] = {"number": pl.Float64(), "word": pl.String(), "moment": MOMENT}


def column(node: Node, natures: Mapping[str, Nature]) -> pl.Expr:
    """Compile a checked tree; the columns that it uses must be of TYPES, with null for missing."""
    if isinstance(node, Name):
        there = pl.col(node.name)
        return finite(there) if natures[node.name] == "number" else there
    if not isinstance(node, Call) or not names(node):
        return _constant(closure(node, {})(()))
    given = [column(inner, natures) for inner in node.given]
    if node.function == "in":
        return (
            given[0]
            .is_in([inner.value for inner in node.given[1:] if not isinstance(inner, Call | Name)])
            .cast(pl.Float64)
        )
    if node.function in scalars.ONE:
        return _each(scalars.ONE[node.function], *given)
    if node.function in scalars.TWO:
        return _each(scalars.TWO[node.function], *given)
    return _BUILD[node.function](*given)


def finite(number: pl.Expr) -> pl.Expr:
    """The number, or null where it is not finite."""
    return pl.when(number.is_finite()).then(number)


def epoch(moment: pl.Expr) -> pl.Expr:
    """Microseconds since 1970-01-01."""
    return moment.dt.epoch("us")


def _constant(value: Any) -> pl.Expr:
    kind = TYPES["word" if isinstance(value, str) else "moment" if isinstance(value, datetime) else "number"]
    return pl.lit(None if missing(value) else value, kind)


def _each(function: Callable[..., float], *given: pl.Expr) -> pl.Expr:
    def apply(columns: Any) -> pl.Series:
        lengths = {len(values) for values in columns}
        rows = 0 if 0 in lengths else max(lengths)
        lists = [(values if len(values) == rows else values.new_from_index(0, rows)).to_list() for values in columns]
        found = [None if None in values else function(*values) for values in zip(*lists, strict=True)]
        return pl.Series(found, dtype=pl.Float64).fill_nan(None)

    return pl.map_batches(list(given), apply, return_dtype=pl.Float64)


def _lower(word: pl.Expr) -> pl.Expr:
    def apply(values: pl.Series) -> pl.Series:
        return pl.Series([None if value is None else value.lower() for value in values.to_list()], dtype=pl.String)

    return word.map_batches(apply, return_dtype=pl.String)


def _if(condition: pl.Expr, then: pl.Expr, otherwise: pl.Expr) -> pl.Expr:
    return pl.when(condition != 0).then(then).when(condition == 0).then(otherwise)


def _all_there(choose: Callable[..., pl.Expr]) -> Callable[..., pl.Expr]:
    def build(*given: pl.Expr) -> pl.Expr:
        return pl.when(~pl.any_horizontal(one.is_null() for one in given)).then(choose(*given))

    return build


def _number(build: Callable[..., pl.Expr]) -> Callable[..., pl.Expr]:
    return lambda *given: build(*given).cast(pl.Float64)


_BUILD: Mapping[str, Callable[..., pl.Expr]] = {
    "+": lambda a, b: finite(a + b),
    "-": lambda a, b: finite(a - b),
    "*": lambda a, b: finite(a * b),
    "/": lambda a, b: finite(a / b),
    MINUS: lambda a: -a,
    "<": _number(lambda a, b: a < b),
    "<=": _number(lambda a, b: a <= b),
    ">": _number(lambda a, b: a > b),
    ">=": _number(lambda a, b: a >= b),
    "==": _number(lambda a, b: a == b),
    "!=": _number(lambda a, b: a != b),
    "and": _number(lambda a, b: (a != 0) & (b != 0)),
    "or": _number(lambda a, b: (a != 0) | (b != 0)),
    "not": _number(lambda a: a == 0),
    "abs": lambda a: a.abs(),
    "sqrt": lambda a: pl.when(a >= 0).then(a.sqrt()),
    "floor": lambda a: a.floor(),
    "min": _all_there(pl.min_horizontal),
    "max": _all_there(pl.max_horizontal),
    "hour": _number(lambda at: at.dt.hour()),
    "weekday": _number(lambda at: at.dt.weekday() - 1),
    "month": _number(lambda at: at.dt.month()),
    "day": _number(lambda at: at.dt.day()),
    "year": _number(lambda at: at.dt.year()),
    "days_between": lambda a, b: (epoch(b) - epoch(a)).cast(pl.Float64) / float(DAY_US),
    "lower": _lower,
    "length": _number(lambda word: word.str.len_chars()),
    "is_missing": _number(lambda a: a.is_null()),
    "coalesce": lambda *given: pl.coalesce(*given),
    "if_missing": lambda *given: pl.coalesce(*given),
    "if": _if,
}
