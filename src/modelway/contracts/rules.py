"""A column's rule as questions to a typed value, and what is said when one is answered with no; pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelway.contracts.patterns import read_alike
from modelway.contracts.values import READ, WRONG, quoted, shown
from modelway.errors import SpecError
from modelway.spec.model import Action, Rule

_A = {
    "float": "number",
    "int": "whole number",
    "string": "text",
    "bool": "true or false",
    "date": "date",
    "datetime": "time",
}


@dataclass(frozen=True)
class Question:
    """`breaks` says whether a typed value breaks rule `name`; `words` is the reason, said of a typed value."""

    name: str
    breaks: Callable[[Any], bool]
    words: Callable[[Any], str]
    bound: Any = None
    """Of `min` and `max`: what a value is compared with."""
    pattern: str | None = None
    """Of `pattern`: the expression, where a table may ask Rust's engine for it."""


@dataclass(frozen=True)
class Compiled:
    """A rule made ready; values that are missing are asked nothing but `nulls`."""

    column: str
    read: Callable[[Any], Any]
    questions: tuple[Question, ...]
    no_nulls: bool
    nulls: float | None
    unique: bool
    action: Action
    kind: str

    def wrong(self, value: Any) -> str:
        return f"{self.column}: {quoted(value)} is no {_A[self.kind]}"

    @property
    def missing(self) -> str:
        return f"{self.column}: missing"


def compiled(column: str, rule: Rule) -> Compiled:
    """Raises SpecError when a bound is not of the column's type."""
    read = READ[rule.type]
    questions = [*_bounds(column, rule, read), *_allowed(column, rule, read), *_pattern(column, rule)]
    none = rule.nulls is not None and rule.nulls == 0
    return Compiled(column, read, tuple(questions), none, rule.nulls, rule.unique, rule.on_breach, rule.type)


def _bounds(column: str, rule: Rule, read: Callable[[Any], Any]) -> list[Question]:
    found = []
    if rule.min is not None:
        low = _bound(column, "min", rule.min, read)
        found.append(Question("min", lambda v: v < low, lambda v: f"{column}: {shown(v)} is below {shown(low)}", low))
    if rule.max is not None:
        high = _bound(column, "max", rule.max, read)
        found.append(
            Question("max", lambda v: v > high, lambda v: f"{column}: {shown(v)} is above {shown(high)}", high)
        )
    return found


def _allowed(column: str, rule: Rule, read: Callable[[Any], Any]) -> list[Question]:
    if rule.allowed is None:
        return []
    known = frozenset(_bound(column, "in", value, read) for value in rule.allowed)
    said = ", ".join(shown(value) for value in rule.allowed[:8]) + (", …" if len(rule.allowed) > 8 else "")
    return [Question("in", lambda v: v not in known, lambda v: f"{column}: {shown(v)} is none of {said}")]


def _pattern(column: str, rule: Rule) -> list[Question]:
    if rule.pattern is None:
        return []
    try:
        pattern = re.compile(rule.pattern)
    except re.error as error:
        raise SpecError(
            f"contract.{column}.pattern: {rule.pattern!r} is no regular expression: {error}", "mend it"
        ) from error
    words = f"does not match {rule.pattern}"
    return [
        Question(
            "pattern",
            lambda v: pattern.search(str(v)) is None,
            lambda v: f"{column}: {shown(v)} {words}",
            pattern=rule.pattern if read_alike(rule.pattern) else None,
        )
    ]


def _bound(column: str, name: str, value: Any, read: Callable[[Any], Any]) -> Any:
    found = read(value)
    if found is WRONG or found is None:
        raise SpecError(
            f"contract.{column}.{name}: {value!r} is not of the column's type", "write a value of that type"
        )
    return found
