"""A column's rule as questions to a typed value, and what is said when one is answered with no; pure."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelway.contracts.patterns import read_alike
from modelway.contracts.values import READ, WRONG, quoted, shown
from modelway.errors import SpecError
from modelway.spec.contract import Action, ColumnType, Rule

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
    allowed: frozenset[Any] | None = None
    """Of `in`: the values, typed."""
    pattern: str | None = None
    """Of `pattern`: the expression, as written."""
    alike: bool = False
    """Whether Rust's engine may be asked for it (see `patterns`)."""


@dataclass(frozen=True)
class Compiled:
    """A rule made ready; values that are missing are asked nothing but `nulls`."""

    column: str
    read: Callable[[Any], Any]
    questions: tuple[Question, ...]
    nulls: float | None
    unique: bool
    references: str | None
    kind: ColumnType
    on_breach: Action | Mapping[str, Action]

    def action(self, name: str) -> Action:
        """What a breach of this rule of the column does."""
        return self.on_breach if isinstance(self.on_breach, str) else self.on_breach.get(name, "quarantine")

    @property
    def no_nulls(self) -> bool:
        return self.nulls == 0

    def too_many(self, missing: int, rows: int) -> bool:
        """Whether so many missing values of a batch are too many."""
        return self.nulls is not None and missing > at_most(self.nulls, rows)

    def wrong(self, value: Any) -> str:
        return f"{self.column}: {quoted(value)} is no {_A[self.kind]}"

    @property
    def missing(self) -> str:
        return f"{self.column}: missing"


def compiled(column: str, rule: Rule) -> Compiled:
    """Raises SpecError when a bound is not of the column's type."""
    read = READ[rule.type]
    questions = [*_bounds(column, rule, read), *_allowed(column, rule), *_pattern(column, rule)]
    if rule.distribution and rule.distribution.new_categories:
        known_values(column, rule.type, rule.distribution.new_categories.known, "distribution.new_categories.known")
    return Compiled(column, read, tuple(questions), rule.nulls, rule.unique, rule.references, rule.type, rule.on_breach)


def at_most(share: float, rows: int) -> int:
    """How many rows a share of them is at most; 29 % of 100 are 29, though 0.29 × 100 is less in doubles."""
    return math.floor(share * rows + 1e-9)


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


def known_values(column: str, kind: ColumnType, values: Sequence[Any], name: str) -> list[Any]:
    """The values of a list, typed; raises SpecError for one that is not of the column's type."""
    return [_bound(column, name, value, READ[kind]) for value in values]


def _allowed(column: str, rule: Rule) -> list[Question]:
    if rule.allowed is None:
        return []
    known = frozenset(known_values(column, rule.type, rule.allowed, "in"))
    said = ", ".join(shown(value) for value in rule.allowed[:8]) + (", …" if len(rule.allowed) > 8 else "")
    return [
        Question("in", lambda v: v not in known, lambda v: f"{column}: {shown(v)} is none of {said}", allowed=known)
    ]


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
            pattern=rule.pattern,
            alike=read_alike(rule.pattern),
        )
    ]


def _bound(column: str, name: str, value: Any, read: Callable[[Any], Any]) -> Any:
    found = read(value)
    if found is WRONG or found is None:
        raise SpecError(
            f"contract.{column}.{name}: {value!r} is not of the column's type", "write a value of that type"
        )
    return found
