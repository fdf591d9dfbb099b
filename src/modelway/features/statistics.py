"""The statistics of a window over the values that are there; exact, so that their order does not matter (but for `last`)."""

from collections.abc import Sequence
from typing import Any

from modelway.features.derived import Stat
from modelway.features.exact import deviation, total
from modelway.features.values import NAN


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


def or_default(stat: Stat, value: float, default: float | None) -> float:
    """The value; where it is missing (nothing seen, or one value for std) the default, else 0 for count and distinct."""
    if value == value:
        return value
    if default is not None:
        return default
    return 0.0 if stat in ("count", "distinct") else NAN
