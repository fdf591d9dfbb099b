"""Which versions can be answered at a look (`serving/plain.py`): their columns are raw numbers, asked for bounds alone."""

import sys
from collections.abc import Sequence

import numpy as np

from modelway.contracts.conditions import conditions
from modelway.contracts.contract import Contract
from modelway.contracts.rules import Compiled, compiled
from modelway.features.plan import Plan
from modelway.serving.plain import Plain


def plain_of(contract: Contract, plan: Plan, names: Sequence[str]) -> Plain | None:
    """`contract`: as the server asks it, of the inputs `names` alone; None where a row must be judged as a whole."""
    rules = [compiled(name, contract.rules[name]) for name in names if name in contract.rules]
    columns = [column.name for column in plan.columns]
    across = any(condition.action != "warn" for condition in conditions(contract.rules, contract.checks))
    derived = plan.expressions or plan.looks_back
    if not names or across or derived or len(rules) < len(names) or not set(columns) <= set(names):
        return None
    bounds = [_bounds(rule) for rule in rules]
    if not all(bounds):
        return None
    low, high = zip(*(bound for bound in bounds if bound), strict=True)
    return Plain(
        names=tuple(names),
        low=np.array(low),
        high=np.array(high),
        whole=np.array([rule.kind == "int" for rule in rules]),
        missing=np.array([not rule.no_nulls or rule.action("nulls") == "warn" for rule in rules]),
        order=tuple(names.index(name) for name in columns),
    )


def _bounds(rule: Compiled) -> tuple[float, float] | None:
    """What is accepted, both included; None for a column that is no number, or is asked more than bounds."""
    asked = [question for question in rule.questions if rule.action(question.name) != "warn"]
    if rule.kind not in ("float", "int") or not {question.name for question in asked} <= {"min", "max"}:
        return None
    told = {question.name: question.bound for question in asked}
    low, high = told.get("min", -sys.float_info.max), told.get("max", sys.float_info.max)
    return float(low), float(high)
