"""How one value of a row is read: as a number, a word, a moment, an entity or a target. The only law for rows and for tables.

Missing is NaN for a number, "" for a word and an entity, None for a moment.
"""

import math
from datetime import UTC, date, datetime
from typing import Any, Literal

Nature = Literal["number", "word", "moment"]

NAN = math.nan
LARGEST, SMALLEST = 1e100, 1e-100
"""Windows see numbers within ±LARGEST (others are missing there), and those under SMALLEST as 0."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000
_YES = {"yes": 1.0, "no": 0.0, "y": 1.0, "n": 0.0, "true": 1.0, "false": 0.0, "positive": 1.0, "negative": 0.0}


def as_number(value: Any) -> float:
    """A double; booleans are 1 and 0, dates days since 1970-01-01; text counts when it wholly is a number, else missing."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return NAN
    return NAN if value is None else days(as_moment(value))


def as_word(value: Any) -> str:
    """Text as it is; numbers and booleans as JSON writes them, whole numbers without a fraction."""
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return value.isoformat() if isinstance(value, date) else str(value)


def as_moment(value: Any) -> datetime | None:
    """Aware, in UTC; a date is its midnight, a time without a zone is taken as UTC; text as ISO 8601."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, str):
        return None
    try:
        return as_moment(datetime.fromisoformat(value.strip()))
    except ValueError:
        return None


def as_target(value: Any, positive: str) -> float:
    """The target as windows see it: 1 for the positive class and else 0, or the number of a regression."""
    if positive:
        text = as_word(value).strip()
        return NAN if text == "" else float(text == positive)
    if isinstance(value, str):
        return _YES.get(value.strip().casefold(), as_number(value))
    return as_number(value)


def in_window(value: float) -> float:
    """A number as windows see it."""
    if not -LARGEST < value < LARGEST:
        return NAN
    return value if value >= SMALLEST or value <= -SMALLEST else 0.0


def microseconds(moment: datetime) -> int:
    """Since 1970-01-01 UTC."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def days(moment: datetime | None) -> float:
    """Days since 1970-01-01 with their fraction."""
    return NAN if moment is None else float(microseconds(moment)) / DAY_US
