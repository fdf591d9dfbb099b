"""What a contract may learn of a column: what holds in the file, in each part of it, and is likely to hold for ever."""

from typing import Any

import polars as pl

from modelway.scaffold.columns import Facts

FEW, MANY, CATEGORIES = 100, 1000, 20
"""Rows from which a whole number is a rule; rows from which "never missing" and a median are; most categories listed."""
TYPES = {"whole": "int", "float": "float", "truth": "bool", "date": "date", "time": "datetime", "text": "string"}
_PARTS = 10
_LOW, _HIGH = 0.1, 0.9
"""Quantiles between which every batch's median should lie: a column in cents has left them, a busy day has not."""


def rule_of(c: Facts, order: pl.Series | None = None) -> dict[str, Any]:
    """The rule of a column that enters the model; `order` is the event time, if there is one.

    A number that was never missing sets a row aside when it is: the model has learned nothing of it. Bounds, categories and
    the median only warn.
    """
    rule: dict[str, Any] = {"type": TYPES[c.kind]}
    if c.kind == "whole" and c.rows < FEW:
        rule["type"] = "float"
    if c.word and c.distinct <= CATEGORIES and c.present >= 5 * c.distinct:
        return rule | {"in": sorted(c.values.drop_nulls().unique().to_list()), "on_breach": "warn"}
    bounds = _bounds(c)
    if c.missing == 0 and c.rows >= MANY:
        rule |= {"nulls": 0, **bounds} | ({"on_breach": dict.fromkeys(bounds, "warn")} if bounds else {})
    elif bounds:
        rule |= {**bounds, "on_breach": "warn"}
    median = _median(c, order)
    return rule | ({"distribution": {"quantiles": {"50%": median}}} if median else {})


def key_rule(c: Facts) -> dict[str, Any]:
    """Its values came once each: one that comes again in a batch is told of (it may be a correction)."""
    once = {"unique": True, "on_breach": {"unique": "warn"}} if c.distinct == c.rows else {}
    return {"type": TYPES[c.kind]} | once


def _bounds(c: Facts) -> dict[str, float]:
    """No number below 0, as amounts and counts have none; and of many different ones none above 1, as shares have none."""
    if not c.numeric or c.rows < FEW or not c.present:
        return {}
    low, high = float(c.values.min()), float(c.values.max())  # type: ignore[arg-type]
    if low < 0:
        return {}
    return {"min": 0, "max": 1} if c.kind == "float" and c.distinct > CATEGORIES and high <= 1 else {"min": 0}


def _median(c: Facts, order: pl.Series | None) -> dict[str, float] | None:
    """Wide bounds of the median; None where it says little, or would not hold in each tenth of the file."""
    if not c.numeric or c.present < MANY or c.distinct <= CATEGORIES:
        return None
    values = c.values.cast(pl.Float64)
    there = values.filter(values.is_finite().fill_null(False))
    low, high = _quantile(there, _LOW, up=False), _quantile(there, _HIGH, up=True)
    orders = [values, *([values.gather(order.arg_sort())] if order is not None else [])]
    medians = [median for one in orders for median in _medians(one)]
    if not all(low < median < high for median in medians):
        return None
    says_more = {"min": low > float(there.min()), "max": high < float(there.max())}  # type: ignore[arg-type]
    return {name: _short(bound) for name, bound in (("min", low), ("max", high)) if says_more[name]}


def _short(value: float) -> float:
    return int(value) if value.is_integer() else value


def _medians(values: pl.Series) -> list[float]:
    """Of each tenth, in order, that has values enough."""
    rows = len(values) // _PARTS
    parts = [values.slice(start, rows).drop_nulls() for start in range(0, rows * _PARTS, rows)]
    return [float(part.median()) for part in parts if 2 * len(part) >= rows]  # type: ignore[arg-type]


def _quantile(values: pl.Series, share: float, *, up: bool) -> float:
    """Rounded outward, to two digits that count."""
    value = float(values.quantile(share, "nearest") or 0.0)
    near = float(f"{value:.1e}")
    if near == value or (near > value) == up:
        return near
    step = 10.0 ** (int(f"{value:.1e}".split("e")[1]) - 1)
    return float(f"{near + (step if up else -step):.1e}")
