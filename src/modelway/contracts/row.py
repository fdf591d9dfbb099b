"""A contract as a function of one row, in plain Python: what the server asks before it computes anything."""

from collections.abc import Callable, Mapping
from typing import Any

from modelway.contracts.conditions import conditions
from modelway.contracts.contract import Contract
from modelway.contracts.rules import Compiled, Question, compiled
from modelway.contracts.values import WRONG

CheckRow = Callable[[Mapping[str, Any]], tuple[dict[str, Any], list[str]]]


def compile_row(contract: Contract) -> CheckRow:
    """A raw row → its typed values by column, and why it must be refused ([]: it is accepted; warnings refuse nothing).

    What is asked of a batch (`unique`, shares of missing values between 0 and 1, distributions, checks but for `expr`) and of
    other tables is not asked here. Raises SpecError for a contract that cannot be.
    """
    asked = tuple(_asked(compiled(name, rule)) for name, rule in contract.rules.items())
    across = tuple(c for c in conditions(contract.rules, contract.checks) if c.action != "warn")

    def check(row: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        typed: dict[str, Any] = {}
        reasons: list[str] = []
        for rule, refuses_type, refuses_missing, questions in asked:
            raw = row.get(rule.column)
            value = rule.read(raw)
            if value is WRONG:
                typed[rule.column] = None
                if refuses_type:
                    reasons.append(rule.wrong(raw))
                continue
            typed[rule.column] = value
            if value is None:
                if refuses_missing:
                    reasons.append(rule.missing)
                continue
            reasons += [question.words(value) for question in questions if question.breaks(value)]
        reasons += [condition.words(typed) for condition in across if condition.broken(typed)]
        return typed, reasons

    return check


def _asked(rule: Compiled) -> tuple[Compiled, bool, bool, tuple[Question, ...]]:
    """The rule, whether a wrong type and a missing value refuse the row, and the questions that do."""
    questions = tuple(question for question in rule.questions if rule.action(question.name) != "warn")
    return rule, rule.action("type") != "warn", rule.no_nulls and rule.action("nulls") != "warn", questions
