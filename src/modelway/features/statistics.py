"""The statistics of a window over the values that are there; exact, so that their order does not matter (but for `last`)."""

import math
from collections.abc import Sequence
from typing import Any

from modelway.expressions.values import NAN
from modelway.features.derived import Stat
from modelway.features.exact import deviation, total


def aggregate(stat: Stat, values: Sequence[Any], default: float | None) -> float:
    """The statistic, or `or_default` where there is none; `values` come in the order of (at, arrived, key)."""
    if not values:
        return or_default(stat, NAN, default)
    match stat:
        case "count":
            return float(len(values))
        case "distinct":
            return float(len(set(values)))
        case "sum":
            return total(values)
        case "mean":
            return total(values) / len(values)
        case "std":
            return or_default(stat, deviation(values), default)
        case "min":
            return float(min(values))
        case "max":
            return float(max(values))
        case "last":
            return float(values[-1])
        case "ratio":
            raise ValueError("a ratio needs the row's own value: see `ratio`")


def ratio(own: float | None, others: Sequence[float], default: float | None) -> float:
    """The row's own value divided by the mean of the others; missing without either, and where it is not finite."""
    if own is None or not others:
        return or_default("ratio", NAN, default)
    mean = total(others) / len(others)
    made = own / mean if mean else NAN
    return or_default("ratio", made if -math.inf < made < math.inf else NAN, default)


def or_default(stat: Stat, value: float, default: float | None) -> float:
    """The value; where it is missing (nothing seen, or one value for std) the default, else 0 for count and distinct."""
    if value == value:
        return value
    if default is not None:
        return default
    return 0.0 if stat in ("count", "distinct") else NAN
