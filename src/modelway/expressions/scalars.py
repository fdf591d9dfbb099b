"""The functions whose last bit depends on the library that computes them: one definition for rows and for tables.

Each takes numbers that are there and finite, and gives NaN where the law says missing.
"""

import math
from collections.abc import Callable, Mapping

from modelway.expressions.values import NAN


def power(base: float, exponent: float) -> float:
    try:
        return finite(math.pow(base, exponent))
    except (ValueError, OverflowError):
        return NAN


def remainder(value: float, divisor: float) -> float:
    """The sign is the divisor's."""
    return value % divisor if divisor else NAN


def log(value: float) -> float:
    return math.log(value) if value > 0 else NAN


def log1p(value: float) -> float:
    return math.log1p(value) if value > -1 else NAN


def exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return NAN


def rounded(value: float) -> float:
    """To a whole number, away from zero at halves."""
    down = math.floor(value) if abs(value) < 2.0**52 else value
    part = value - down
    return float(down + (part > 0.5 or (part == 0.5 and value > 0)))


def finite(value: float) -> float:
    return value if -math.inf < value < math.inf else NAN


ONE: Mapping[str, Callable[[float], float]] = {"log": log, "log1p": log1p, "exp": exp, "round": rounded}
TWO: Mapping[str, Callable[[float, float], float]] = {"**": power, "%": remainder}
