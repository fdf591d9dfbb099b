"""Checks across the columns of one row: an expression that must hold, compiled for rows and for tables from one tree.

A condition is broken where it is false; where a value is missing that it needs, it is missing and breaks nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelway.contracts.values import as_string
from modelway.expressions.grammar import Call, Name, Node, parse
from modelway.expressions.meaning import names, read_condition
from modelway.expressions.row import Closure, closure
from modelway.expressions.values import NAN, Nature, as_moment
from modelway.spec.contract import Action, Check, ColumnType, Rule

NATURES: Mapping[ColumnType, Nature] = {"string": "word", "date": "moment", "datetime": "moment"}
"""What an expression sees in a column; else a number."""


@dataclass(frozen=True)
class Condition:
    """`broken` takes typed values by column."""

    label: str
    text: str
    tree: Node
    natures: Mapping[str, Nature]
    uses: tuple[str, ...]
    action: Action
    holds: Closure

    def broken(self, typed: Mapping[str, Any]) -> bool:
        return bool(self.holds([_cell(typed[name], self.natures[name]) for name in self.uses]) == 0)

    def words(self, values: Mapping[str, Any]) -> str:
        """The reason, said of the typed values."""
        return f"{self.text} does not hold: {told(self.uses, values)}".replace("; ", r";\x20")


def conditions(rules: Mapping[str, Rule], checks: Sequence[Check]) -> list[Condition]:
    """The compiled `expr` checks; raises SpecError naming the check and the place in it."""
    natures = {name: NATURES.get(rule.type, "number") for name, rule in rules.items()}
    truths = {name for name, rule in rules.items() if rule.type == "bool"}
    return [
        _condition(number, check, check.expr, natures, truths)
        for number, check in enumerate(checks)
        if check.expr is not None
    ]


def columns_of(check: Check) -> tuple[str, ...]:
    """The columns that a check needs by name."""
    if check.expr is not None:
        return tuple(dict.fromkeys(names(parse(check.expr, "checks"))))
    if check.change is not None:
        change = check.change
        return (change.of, *as_names(change.by), *((change.order,) if change.order else ()))
    return check.unique


def alike(one: str, other: str) -> bool:
    """Whether two expressions are the same comparison, written from left or from right."""
    return _shape(parse(one, "checks")) == _shape(parse(other, "checks"))


def _shape(node: Node) -> Any:
    if not isinstance(node, Call):
        return node.name if isinstance(node, Name) else ("value", node.value)
    given = [_shape(inner) for inner in node.given]
    mirrored = {"<": ">", "<=": ">="}.get(node.function)
    return (mirrored, *reversed(given)) if mirrored else (node.function, *given)


def as_names(by: str | tuple[str, ...]) -> tuple[str, ...]:
    return (by,) if isinstance(by, str) else by


def told(names: Sequence[str], values: Mapping[str, Any]) -> str:
    """`amount 5, limit 3`."""
    return ", ".join(f"{name} {'missing' if values[name] is None else as_string(values[name])}" for name in names)


def _condition(
    number: int, check: Check, text: str, natures: Mapping[str, Nature], truths: Collection[str]
) -> Condition:
    meaning = read_condition(text, f"checks[{number}]", natures, truths)
    slots = {name: slot for slot, name in enumerate(meaning.uses)}
    return Condition(check.label, text, meaning.tree, natures, meaning.uses, check.action, closure(meaning.tree, slots))


def _cell(value: Any, nature: Nature) -> Any:
    if nature == "number":
        return NAN if value is None else float(value)
    return as_moment(value) if nature == "moment" else (value or "")
