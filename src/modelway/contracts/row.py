"""A contract as a function of one row, in plain Python: what the server asks before it computes anything."""

from collections.abc import Callable, Mapping
from typing import Any

from modelway.contracts.contract import Contract
from modelway.contracts.rules import Compiled, compiled
from modelway.contracts.values import WRONG

CheckRow = Callable[[Mapping[str, Any]], tuple[dict[str, Any], list[str]]]


def compile_row(contract: Contract) -> CheckRow:
    """A raw row → its typed values by column, and why it must be refused ([]: it is accepted; warnings refuse nothing).

    `unique`, and shares of missing values between 0 and 1, are questions to a batch and not asked here.
    """
    rules = tuple(compiled(name, rule) for name, rule in contract.rules.items())

    def check(row: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        typed: dict[str, Any] = {}
        reasons: list[str] = []
        for rule in rules:
            raw = row.get(rule.column)
            value = rule.read(raw)
            if value is WRONG:
                typed[rule.column] = None
                if rule.action != "warn":
                    reasons.append(rule.wrong(raw))
                continue
            typed[rule.column] = value
            if rule.action != "warn" and (rule.no_nulls or value is not None):
                reasons += _judged(rule, value)
        return typed, reasons

    return check


def _judged(rule: Compiled, value: Any) -> list[str]:
    if value is None:
        return [rule.missing]
    return [question.words(value) for question in rule.questions if question.breaks(value)]
