"""The arguments of an expectation, as a suite's JSON gives them: each of the form that its reader needs, or refused in words."""

import math
from collections.abc import Callable, Mapping
from typing import Any


class NoCounterpartError(Exception):
    """Why an expectation, or one of its arguments, cannot be said in a contract."""


class Arguments(dict[str, Any]):
    """By name; one that is asked for and not there is refused."""

    def __missing__(self, name: str) -> Any:
        raise NoCounterpartError(f"its argument {name} is missing")


def arguments(given: Mapping[str, Any]) -> Arguments:
    """Raises NoCounterpartError for an argument of another form, for example a parameter that is filled in later."""
    for name, value in given.items():
        fits, wanted = _FORMS.get(name, (_anything, ""))
        if not fits(value):
            raise NoCounterpartError(f"its argument {name} is {_shown(value)} and not {wanted}")
    return Arguments(given)


def finite(value: Any) -> float:
    """A number; raises NoCounterpartError for what is none, or none that a double holds."""
    if not _number(value) or not math.isfinite(value):
        raise NoCounterpartError(f"{_shown(value)} is no bound: it must be a number")
    return float(value)


def _anything(value: Any) -> bool:
    del value
    return True


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_text, value))


def _number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        float(value)
    except OverflowError:  # a whole number with more digits than a double has
        return False
    return True


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


def _bound(value: Any) -> bool:
    return _text(value) or (_number(value) and math.isfinite(value))


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _values(value: Any) -> bool:
    return isinstance(value, list) and all(one is None or isinstance(one, bool) or _bound(one) for one in value)


def _ranges(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    shares, bounds = value.get("quantiles"), value.get("value_ranges")
    if not isinstance(shares, list) or not isinstance(bounds, list) or len(shares) != len(bounds):
        return False
    pairs = all(isinstance(pair, list) and len(pair) == 2 for pair in bounds)
    return all(map(_share, shares)) and pairs and all(one is None or _number(one) for pair in bounds for one in pair)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


_Form = tuple[Callable[[Any], bool], str]
_NAME: _Form = (_text, "a name")
_BOUND: _Form = (_bound, "a number or a time")
_TRUTH: _Form = (_truth, "true or false")
_FORMS: Mapping[str, _Form] = {
    **dict.fromkeys(("column", "column_A", "column_B", "type_"), _NAME),
    **dict.fromkeys(("column_list", "type_list"), (_texts, "a list of names")),
    **dict.fromkeys(("min_value", "max_value", "value"), _BOUND),
    **dict.fromkeys(("strict_min", "strict_max", "or_equal"), _TRUTH),
    "mostly": (_share, "a share between 0 and 1"),
    "value_set": (_values, "a list of values"),
    "regex": (_text, "a regular expression"),
    "regex_list": (_texts, "a list of regular expressions"),
    "quantile_ranges": (_ranges, "a list of quantiles with as many value_ranges"),
}
