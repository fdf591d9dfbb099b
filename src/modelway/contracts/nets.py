"""Which rows of a typed column may break a question: found for all columns in one pass, before the law is asked of those few.

A net catches every row that breaks one of its questions, and may catch others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

from modelway.contracts.patterns import PLAIN_TEXT, certain
from modelway.contracts.rules import Compiled, Question

_DENSE = 4
"""Whole numbers whose span is less than so many times their count are counted in an array."""


@dataclass(frozen=True)
class Net:
    column: str
    questions: tuple[Question, ...]
    mask: pl.Expr | None
    """None: nothing is known beforehand, every value is asked."""


def nets_of(rule: Compiled, dtype: pl.DataType) -> Iterator[Net]:
    """Bounds share one net; sets and patterns have one each."""
    bounds = tuple(q for q in rule.questions if q.bound is not None)
    if bounds:
        yield Net(rule.column, bounds, pl.any_horizontal(_beyond(rule.column, q, dtype) for q in bounds))
    for question in rule.questions:
        if question.bound is None:
            yield Net(rule.column, (question,), _mask(rule.column, question, dtype))


def catch(frame: pl.DataFrame, nets: Sequence[Net]) -> list[pl.Series]:
    """The rows that each net catches, in order of the rows: one pass over the frame."""
    asked = [
        (pl.col(net.column).is_not_null() if net.mask is None else net.mask).arg_true().implode().alias(str(number))
        for number, net in enumerate(nets)
    ]
    found = frame.select(asked)
    return [found[name][0] for name in found.columns]


def repeated(values: pl.Series) -> pl.Series:
    """Rows whose value was there before; missing values repeat nothing."""
    if values.dtype == pl.Int64 and values.len() > 1 and (rows := _dense_repeats(values)) is not None:
        return rows
    return (values.is_not_null() & ~values.is_first_distinct()).arg_true()


def _dense_repeats(values: pl.Series) -> pl.Series | None:
    """The same by counting, for whole numbers close together; None when they are not."""
    low, high = values.min(), values.max()
    if not isinstance(low, int) or not isinstance(high, int) or high - low >= _DENSE * values.len():
        return None
    there = values.is_not_null().arg_true() if values.null_count() else None
    numbers = (values if there is None else values.drop_nulls()).to_numpy() - low
    again = np.bincount(numbers) > 1
    if not again.any():
        return pl.Series([], dtype=pl.UInt32)
    copies = pl.Series(np.flatnonzero(again[numbers]), dtype=pl.UInt32)
    rows = copies if there is None else there.gather(copies)
    return rows.filter(~values.gather(rows).is_first_distinct())


def _beyond(column: str, question: Question, dtype: pl.DataType) -> pl.Expr:
    bound = pl.lit(question.bound, dtype)
    return pl.col(column) < bound if question.name == "min" else pl.col(column) > bound


def _mask(column: str, question: Question, dtype: pl.DataType) -> pl.Expr | None:
    values = pl.col(column)
    if question.allowed is not None:
        return ~values.is_in(pl.Series(list(question.allowed), dtype=dtype).implode())
    if question.pattern is None or dtype != pl.String:
        return None
    if (narrowed := certain(question.pattern)) is not None and _taken(narrowed):
        return ~values.str.contains(narrowed)
    if question.alike and _taken(question.pattern):
        return ~(values.str.contains(PLAIN_TEXT) & values.str.contains(question.pattern))
    return None


@lru_cache(maxsize=256)
def _taken(pattern: str) -> bool:
    """Whether Rust's engine takes a pattern: it refuses those that grow beyond its bound, such as a word of 900 letters."""
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError:
        return False
    return True
