"""How a raw value is read under a column's type: the one law for rows and tables.

Missing is None, NaN, "" and, but for strings, text of blanks. Text that wholly is a number counts as that number: many files
keep numbers as text. A boolean is no number, nor is infinity, nor what is too large for a double; a value that cannot be read
is WRONG.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

from modelway.spec.model import ColumnType

WRONG: Final = object()
EXACT = 2**53
"""Up to here a double holds every whole number."""
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_TRUTH = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False, "1.0": True, "0.0": False}

Read = Callable[[Any], Any]


def as_float(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool):
        return WRONG
    if isinstance(value, int | float):
        return None if value != value else _finite(value)
    if not isinstance(value, str):
        return WRONG
    text = value.strip()
    if not text:
        return None
    return _finite(text) if _NUMBER.fullmatch(text) else WRONG


def _finite(number: float | str) -> Any:
    try:
        made = float(number)
    except OverflowError:  # a whole number with more digits than a double has; text becomes infinity instead
        return WRONG
    return WRONG if math.isinf(made) else made


def as_int(value: Any) -> Any:
    if isinstance(value, str) and _WHOLE.fullmatch(text := value.strip()):
        value = int(text)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if _SMALLEST <= value <= _LARGEST else WRONG
    number = as_float(value)
    if number is None or number is WRONG:
        return number
    return int(number) if number.is_integer() and abs(number) < EXACT else WRONG


def as_string(value: Any) -> Any:
    """Text as it is; what is no text as JSON writes it, whole numbers without a fraction."""
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, int | float) else WRONG


def as_bool(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return None if value != value else value == 1 if value in (0, 1) else WRONG
    if not isinstance(value, str):
        return WRONG
    text = value.strip().lower()
    return _TRUTH.get(text, WRONG) if text else None


def as_datetime(value: Any) -> Any:
    """Aware, in UTC; without a zone it is taken as UTC."""
    if value is None or value != value:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, str):
        return WRONG
    text = value.strip()
    if not text:
        return None
    try:
        return as_datetime(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return WRONG


def as_date(value: Any) -> Any:
    found = as_datetime(value)
    return found.date() if isinstance(found, datetime) else found


READ: dict[ColumnType, Read] = {
    "float": as_float,
    "int": as_int,
    "string": as_string,
    "bool": as_bool,
    "date": as_date,
    "datetime": as_datetime,
}


def shown(value: Any) -> str:
    """A typed value in a reason."""
    return quoted(value) if isinstance(value, str) else str(as_string(value))


def quoted(value: Any) -> str:
    """A raw value in a reason, as text whatever it was (mixed columns are text in tables), cut when it is long."""
    text = as_string(value)
    text = str(value) if text is WRONG else str(text)
    return repr(text if len(text) <= 80 else text[:79] + "…").replace("; ", r";\x20")  # reasons are joined by "; "
