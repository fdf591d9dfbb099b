"""Durations ("7d"), shares ("20%") and counted amounts ("200 requests") as people write them."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
LONGEST = timedelta(days=36_500)
"""100y: one more would soon leave the calendar, or the microseconds of 64 bits, in the middle of a computation."""


def parse_duration(value: Any) -> timedelta:
    """`7d`, `12h`, `30m`, `45s`, `2w`, `1y`, or "every 7d", up to 100y; raises ValueError with an example."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(?:every )?\s*(\d+(?:\.\d+)?)\s*([a-z]+)", str(value).strip())
    if not match or match[2] not in _UNITS:
        raise ValueError(f"{value!r} is not a duration; write for example 7d, 12h or 30m")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"{value!r} is longer than 100y, the longest duration; write a shorter one")
    return timedelta(seconds=seconds)


def write_duration(value: timedelta) -> str:
    """The shortest of `7d`, `12h`, `30m`, `45s` that is exact."""
    seconds = value.total_seconds()
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{int(seconds // _UNITS[unit])}{unit}"
    return f"{seconds:g}s"


def parse_share(value: Any) -> float:
    """`20%`, `"0.5 %"`, `+0.1 points` (percentage points) or 0.2 → a number from 0 to 1."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        share = float(value)
    else:
        match = re.fullmatch(r"\+?\s*(\d+(?:\.\d+)?)\s*(%|points?)", str(value).strip())
        if not match:
            raise ValueError(f"{value!r} is not a share; write for example 20% or 0.2")
        share = float(match[1]) / 100
    if not 0 <= share <= 1:
        raise ValueError(f"{value!r} is not between 0 and 1 (or 0% and 100%)")
    return share


def share_named(text: str) -> float:
    """A share that stands as a key: `50%` or `0.5`."""
    try:
        return parse_share(float(text))
    except ValueError:
        return parse_share(text)


def parse_count(value: Any) -> int:
    """`200`, `200 requests`, `30 trials` → a whole number ≥ 0."""
    match = re.fullmatch(r"(\d+)(?: [a-z]+)?", str(value).strip())
    if not match or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a count; write for example 200 requests")
    return int(match[1])


_DURATION = {
    "type": "string",
    "pattern": r"^(every )?\s*\d+(\.\d+)?\s*(ms|s|m|min|h|d|w|y)$",
    "examples": ["7d", "12h", "30m"],
}
_SHARE = {"type": ["number", "string"], "minimum": 0, "maximum": 1, "examples": ["20%", 0.2]}
_COUNT = {"type": ["integer", "string"], "minimum": 0, "examples": [200, "200 requests"]}

Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema(_DURATION),
]
Share = Annotated[float, BeforeValidator(parse_share), WithJsonSchema(_SHARE)]
Count = Annotated[int, BeforeValidator(parse_count), WithJsonSchema(_COUNT)]
