"""Expressions as Spark SQL text, for tables that do not fit one machine. The law is in `meaning.py`; missing is null.

`log`, `exp`, `**` and the like are Java's: their last bit may be another one than that of `scalars.py`.
"""

from collections.abc import Callable, Mapping

from modelway.expressions.grammar import MINUS, Call, Literal, Name, Node
from modelway.expressions.meaning import names
from modelway.expressions.row import closure, missing
from modelway.expressions.values import DAY_US, Nature


def sql(node: Node, natures: Mapping[str, Nature]) -> str:
    """Compile a checked tree; its columns must be double, string or timestamp, with null for missing."""
    if isinstance(node, Name):
        return finite(quoted(node.name)) if natures[node.name] == "number" else quoted(node.name)
    if not isinstance(node, Call) or (not names(node) and node.function != "moment"):
        return literal(closure(node, {})(()))
    if node.function == "moment":
        at = closure(node, {})(())
        return "cast(null as timestamp)" if at is None else f"timestamp '{at.isoformat()}'"
    given = [sql(inner, natures) for inner in node.given]
    if node.function == "in":
        listed = ", ".join(literal(inner.value) for inner in node.given[1:] if isinstance(inner, Literal))
        return _number(f"{given[0]} in ({listed})")
    return _BUILD[node.function](*given)


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def literal(value: object) -> str:
    """A constant; missing is null."""
    if isinstance(value, str):
        return text(value) if value else "cast(null as string)"
    if missing(value):
        return "cast(null as double)"
    return f"cast({value!r} as double)"


def text(word: str) -> str:
    """A string without any character that SQL could read otherwise."""
    return "decode(unhex('" + word.encode().hex() + "'), 'UTF-8')"


def finite(number: str) -> str:
    """The number, or null where it is not finite."""
    return f"(case when abs({number}) < double('infinity') then {number} end)"


def _number(condition: str) -> str:
    return f"cast(({condition}) as double)"


def _sign(sign: str) -> Callable[..., str]:
    return lambda a, b: finite(f"({a} {sign} {b})")


def _compared(sign: str) -> Callable[..., str]:
    return lambda a, b: _number(f"{a} {sign} {b}")


def _all_there(function: str) -> Callable[..., str]:
    def build(*given: str) -> str:
        there = " and ".join(f"{one} is not null" for one in given)
        return f"(case when {there} then {function}({', '.join(given)}) end)"

    return build


def _remainder(a: str, b: str) -> str:
    rest = f"({a} % {b})"
    mixed = f"case when {rest} != 0 and ({rest} < 0) != ({b} < 0) then {rest} + {b} else {rest} end"
    return f"(case when {b} != 0 then {mixed} end)"


def _coalesced(*given: str) -> str:
    return f"coalesce({', '.join(given)})"


_BUILD: Mapping[str, Callable[..., str]] = {
    **{sign: _sign(sign) for sign in ("+", "-", "*")},
    **{sign: _compared(sign) for sign in ("<", "<=", ">", ">=", "!=")},
    "==": _compared("="),
    "/": lambda a, b: f"(case when {b} != 0 then {finite(f'({a} / {b})')} end)",
    "%": _remainder,
    "**": lambda a, b: finite(f"power({a}, {b})"),
    MINUS: lambda a: f"(- {a})",
    "and": lambda a, b: _number(f"({a} != 0) and ({b} != 0)"),
    "or": lambda a, b: _number(f"({a} != 0) or ({b} != 0)"),
    "not": lambda a: _number(f"{a} = 0"),
    "abs": lambda a: f"abs({a})",
    "sqrt": lambda a: f"(case when {a} >= 0 then sqrt({a}) end)",
    "floor": lambda a: f"(case when abs({a}) < 4503599627370496 then cast(floor({a}) as double) else {a} end)",
    "round": lambda a: f"round({a})",
    "log": lambda a: f"(case when {a} > 0 then ln({a}) end)",
    "log1p": lambda a: f"(case when {a} > -1 then log1p({a}) end)",
    "exp": lambda a: finite(f"exp({a})"),
    "min": _all_there("least"),
    "max": _all_there("greatest"),
    **{
        part: lambda at, part=part: f"cast({part}({at}) as double)"
        for part in ("hour", "weekday", "month", "day", "year")
    },
    "days_between": lambda a, b: f"(cast(unix_micros({b}) - unix_micros({a}) as double) / {DAY_US})",
    "lower": lambda word: f"lower({word})",
    "length": lambda word: f"cast(length({word}) as double)",
    "is_missing": lambda a: _number(f"{a} is null"),
    "coalesce": _coalesced,
    "if_missing": _coalesced,
    "if": lambda c, yes, no: f"(case when {c} != 0 then {yes} when {c} = 0 then {no} end)",
}
