"""Expressions as closures over the cells of one row, plain Python. The law is in `meaning.py`."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelway.expressions import scalars
from modelway.expressions.grammar import MINUS, Call, Literal, Node
from modelway.expressions.values import NAN, as_moment, microseconds

Cells = Sequence[Any]
Closure = Callable[[Cells], Any]
"""From the cells to a float (missing NaN), a word (missing "") or a moment (missing None)."""

_DAY = 86_400_000_000.0


def closure(node: Node, slots: Mapping[str, int]) -> Closure:
    """Compile a checked tree; `slots` says in which cell a column lies."""
    if isinstance(node, Literal):
        value = node.value
        return lambda cells: value
    if not isinstance(node, Call):
        return _cell(slots[node.name])
    given = [closure(inner, slots) for inner in node.given]
    if node.function == "moment":
        at = as_moment(given[0](()))
        return lambda cells: at
    if node.function == "in":
        return _among(given[0], frozenset(inner.value for inner in node.given[1:] if isinstance(inner, Literal)))
    return _BUILD[node.function](*given)


def missing(value: Any) -> bool:
    return value != value or value == "" or value is None


def _cell(slot: int) -> Closure:
    def read(cells: Cells) -> Any:
        value = cells[slot]
        return NAN if type(value) is float and not -math.inf < value < math.inf else value

    return read


def _arithmetic(sign: Callable[[float, float], float]) -> Callable[[Closure, Closure], Closure]:
    def build(left: Closure, right: Closure) -> Closure:
        def compute(cells: Cells) -> float:
            value = sign(left(cells), right(cells))
            return value if -math.inf < value < math.inf else NAN

        return compute

    return build


def _divided(left: Closure, right: Closure) -> Closure:
    def compute(cells: Cells) -> float:
        value, by = left(cells), right(cells)
        value = value / by if by else NAN
        return value if -math.inf < value < math.inf else NAN

    return compute


def _two(function: Callable[[float, float], float]) -> Callable[[Closure, Closure], Closure]:
    def build(left: Closure, right: Closure) -> Closure:
        def compute(cells: Cells) -> float:
            a, b = left(cells), right(cells)
            return NAN if a != a or b != b else function(a, b)

        return compute

    return build


def _one(function: Callable[[Any], float]) -> Callable[[Closure], Closure]:
    def build(given: Closure) -> Closure:
        def compute(cells: Cells) -> float:
            value = given(cells)
            return NAN if missing(value) else function(value)

        return compute

    return build


_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def _compared(sign: str, left: Closure, right: Closure) -> Closure:
    test = _SIGNS[sign]

    def compute(cells: Cells) -> float:
        a, b = left(cells), right(cells)
        return NAN if missing(a) or missing(b) else float(test(a, b))

    return compute


def _among(given: Closure, allowed: frozenset[Any]) -> Closure:
    return _one(lambda value: float(value in allowed))(given)


def _and(left: Closure, right: Closure) -> Closure:
    def compute(cells: Cells) -> float:
        a, b = left(cells), right(cells)
        return 0.0 if a == 0 or b == 0 else (NAN if a != a or b != b else 1.0)

    return compute


def _or(left: Closure, right: Closure) -> Closure:
    def compute(cells: Cells) -> float:
        a, b = left(cells), right(cells)
        if (a == a and a != 0) or (b == b and b != 0):
            return 1.0
        return NAN if a != a or b != b else 0.0

    return compute


def _if(condition: Closure, then: Closure, otherwise: Closure) -> Closure:
    def compute(cells: Cells) -> Any:
        value, yes, no = condition(cells), then(cells), otherwise(cells)
        if value != value:
            return "" if isinstance(yes, str) else (NAN if isinstance(yes, float) else None)
        return yes if value else no

    return compute


def _coalesce(*given: Closure) -> Closure:
    def compute(cells: Cells) -> Any:
        value = None
        for one in given:
            value = one(cells)
            if not missing(value):
                break
        return value

    return compute


def _extreme(least: bool) -> Callable[..., Closure]:
    choose = min if least else max

    def build(*given: Closure) -> Closure:
        def compute(cells: Cells) -> float:
            values = [one(cells) for one in given]
            return NAN if any(value != value for value in values) else choose(values)

        return compute

    return build


def _is_missing(given: Closure) -> Closure:
    return lambda cells: float(missing(given(cells)))


def _days_between(left: Closure, right: Closure) -> Closure:
    def compute(cells: Cells) -> float:
        a, b = left(cells), right(cells)
        return NAN if a is None or b is None else float(microseconds(b) - microseconds(a)) / _DAY

    return compute


_BUILD: Mapping[str, Callable[..., Closure]] = {
    "+": _arithmetic(operator.add),
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _divided,
    MINUS: _one(operator.neg),
    "not": _one(lambda value: float(value == 0)),
    "and": _and,
    "or": _or,
    **{sign: (lambda left, right, sign=sign: _compared(sign, left, right)) for sign in _SIGNS},
    **{name: _two(function) for name, function in scalars.TWO.items()},
    **{name: _one(function) for name, function in scalars.ONE.items()},
    "abs": _one(abs),
    "sqrt": _one(lambda value: math.sqrt(value) if value >= 0 else NAN),
    "floor": _one(lambda value: float(math.floor(value))),
    "min": _extreme(True),
    "max": _extreme(False),
    "hour": _one(lambda at: float(at.hour)),
    "weekday": _one(lambda at: float(at.weekday())),
    "month": _one(lambda at: float(at.month)),
    "day": _one(lambda at: float(at.day)),
    "year": _one(lambda at: float(at.year)),
    "days_between": _days_between,
    "lower": lambda given: lambda cells: given(cells).lower(),
    "length": _one(lambda word: float(len(word))),
    "is_missing": _is_missing,
    "coalesce": _coalesce,
    "if_missing": _coalesce,
    "if": _if,
}
