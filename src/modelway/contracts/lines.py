"""A contract as lines, one a rule: to be shown, and to be compared with another one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelway.contracts.conditions import as_names
from modelway.contracts.contract import Contract
from modelway.contracts.rules import compiled, known_values
from modelway.contracts.values import as_string, shown
from modelway.spec.contract import Action, Check, Distribution, Rule, Severity
from modelway.spec.units import write_duration

Sense = Literal["at_least", "at_most", "within", "among", "same"]
"""How `wanted` bounds what may be: by which of two lines the tighter one is known."""


@dataclass(frozen=True)
class Line:
    """`column` is "" for a rule of the batch; `text` is what is wanted, as people read it."""

    column: str
    rule: str
    sense: Sense
    wanted: Any
    text: str
    action: Action
    severity: Severity | None = None
    asked_of: Literal["value", "row", "rows", "batch"] = "value"


def lines_of(contract: Contract) -> list[Line]:
    """In the order of the contract. Raises SpecError for a bound that is not of the column's type."""
    columns = [line for column, rule in contract.rules.items() for line in _of_column(column, rule)]
    return [*columns, *(_of_check(check, contract) for check in contract.checks)]


def _of_column(column: str, rule: Rule) -> Iterator[Line]:
    ready = compiled(column, rule)

    def line(
        name: str, sense: Sense, wanted: Any, text: str, asked_of: Literal["value", "rows", "batch"] = "value"
    ) -> Line:
        severity = rule.severity.get(name) if isinstance(rule.severity, dict) else rule.severity
        return Line(column, name, sense, wanted, text, ready.action(name), severity, asked_of)

    yield line("type", "same", rule.type, rule.type)
    if rule.nulls is not None:
        yield line("nulls", "at_most", rule.nulls, f"{rule.nulls:.4g}", "value" if ready.no_nulls else "rows")
    if rule.unique:
        yield line("unique", "same", True, "yes", "rows")
    for question in ready.questions:
        if question.bound is not None:
            sense: Sense = "at_least" if question.name == "min" else "at_most"
            yield line(question.name, sense, question.bound, shown(question.bound))
        elif question.allowed is not None:
            values = known_values(column, rule.type, rule.allowed or (), "in")
            yield line("in", "among", question.allowed, _listed(values))
        else:
            yield line(question.name, "same", question.pattern, str(question.pattern))
    if rule.references is not None:
        yield line("references", "same", rule.references, rule.references)
    if rule.distribution is not None:
        yield from _of_distribution(column, rule, rule.distribution)


def _of_distribution(column: str, rule: Rule, wanted: Distribution) -> Iterator[Line]:
    def line(name: str, sense: Sense, bound: Any, text: str) -> Line:
        return Line(column, name, sense, bound, text, wanted.on_breach, wanted.severity, "batch")

    if wanted.mean is not None:
        yield line("mean", "within", (wanted.mean.min, wanted.mean.max), _within(wanted.mean.min, wanted.mean.max))
    for share, within in wanted.quantiles.items():
        yield line(f"quantile {share}", "within", (within.min, within.max), _within(within.min, within.max))
    if wanted.new_categories is not None:
        known = known_values(column, rule.type, wanted.new_categories.known, "distribution.new_categories.known")
        yield line("known", "among", frozenset(known), _listed(known))
        yield line("new_categories", "at_most", wanted.new_categories.most, f"{wanted.new_categories.most:.4g}")
    yield line("min_rows", "at_most", wanted.min_rows, str(wanted.min_rows))


def _of_check(check: Check, contract: Contract) -> Line:
    def line(column: str, sense: Sense, wanted: Any, text: str, asked_of: Literal["row", "rows", "batch"]) -> Line:
        return Line(column, check.label, sense, wanted, text, check.action, check.severity, asked_of)

    if check.expr is not None:
        return line("", "same", check.expr, check.expr, "row")
    if check.unique:
        return line(", ".join(check.unique), "same", check.unique, f"{', '.join(check.unique)} together", "rows")
    if check.change is not None:
        change = check.change
        by = f" by {', '.join(as_names(change.by))}" if change.by else ""
        order = f" in order of {change.order}" if change.order else ""
        return line(
            change.of, "within", (change.min, change.max), f"{_within(change.min, change.max)}{by}{order}", "rows"
        )
    if check.volume is not None:
        low, high = check.volume.min, check.volume.max
        return line("", "within", (low, high), _within(low, high), "batch")
    age = check.freshness
    return line(contract.event_time, "at_most", age, write_duration(age) if age is not None else "", "batch")


def _within(low: float | None, high: float | None) -> str:
    told = [f"at least {_number(low)}"] if low is not None else []
    return " and ".join([*told, *([f"at most {_number(high)}"] if high is not None else [])])


def _number(value: float) -> str:
    return str(as_string(value))


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(str(as_string(value)) for value in values)
