"""A contract as expectations: which expectation of Great Expectations stands for which rule, and what has none.

Nothing of that library is imported: an expectation is its type, its arguments, and the rules that it stands for. A suite is asked
of two views of a batch, since a value of the wrong type would keep Great Expectations from evaluating the column's other rules:
- `given`: each value as the column's type reads it, and what cannot be read as the text that it is; types and missing values;
- `read`: the same with what cannot be read as missing; everything else.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from modelway.contracts.conditions import Condition, columns_of, conditions
from modelway.contracts.contract import Contract
from modelway.contracts.rules import compiled, known_values
from modelway.contracts.values import as_string
from modelway.expressions.grammar import MINUS, Call, Name, Node
from modelway.expressions.grammar import Literal as Value
from modelway.expressions.values import as_moment
from modelway.spec.contract import RULES, Action, Check, ColumnType, Distribution, Rule
from modelway.spec.units import share_named

View = Literal["given", "read"]
TYPES: Mapping[ColumnType, tuple[str, ...]] = {
    "float": ("float", "float64", "float32"),
    "int": ("int", "int64", "int32", "int16", "int8"),
    "string": ("str",),
    "bool": ("bool",),
    "date": ("date",),
    "datetime": ("Timestamp", "datetime", "datetime64[ns]", "datetime64[us]"),
}
"""Names of Python's and of pandas' types: a column of objects is judged value by value, any other by its dtype."""


@dataclass(frozen=True)
class Expectation:
    """`type` and `kwargs` as in a suite; `column`, `rules`: as the contract's breaches name them."""

    type: str
    kwargs: Mapping[str, Any]
    column: str
    rules: tuple[str, ...]
    view: View = "read"
    part: Rule | Check | Distribution | None = None
    action: Action = "quarantine"

    @property
    def severity(self) -> str:
        """In Great Expectations' words, by what a breach does: what refuses rows is critical, a warning is one."""
        return "warning" if self.action == "warn" else "critical"

    @property
    def meta(self) -> dict[str, Any]:
        """What the suite does not say and the contract does: from it a contract can be read back."""
        said = {"column": self.column, "rules": list(self.rules), "asked_of": self.view}
        if isinstance(self.part, Rule):
            return {
                "modelway": said | {"rule": self.part.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
            }
        if isinstance(self.part, Distribution):
            kept = self.part.model_dump(
                mode="json", include={"min_rows", "on_breach", "severity"}, exclude_defaults=True
            )
            return {"modelway": said | {"distribution": kept}}
        if self.part is not None:
            return {"modelway": said | {"check": self.part.model_dump(mode="json", exclude_defaults=True)}}
        return {"modelway": said}


@dataclass(frozen=True, slots=True)
class Without:
    """A rule that has no counterpart, and why."""

    column: str
    rule: str
    why: str


@dataclass(frozen=True)
class Counterparts:
    expectations: tuple[Expectation, ...]
    without: tuple[Without, ...]


def counterparts(contract: Contract) -> Counterparts:
    """Every rule of the contract is in one of the two lists. Raises SpecError for a contract that cannot be."""
    found = [_acting(one, rule) for name, rule in contract.rules.items() for one in _of_column(name, rule)]
    told = {condition.text: condition for condition in conditions(contract.rules, contract.checks)}
    found += [_of_check(check, told.get(check.expr or ""), contract) for check in contract.checks]
    return Counterparts(
        tuple(one for one in found if isinstance(one, Expectation)),
        tuple(one for one in found if isinstance(one, Without)),
    )


def _acting(one: "Expectation | Without", rule: Rule) -> "Expectation | Without":
    if isinstance(one, Without):
        return one
    actions = {compiled(one.column, rule).action(name) for name in one.rules if name in RULES}
    whole = {rule.distribution.on_breach} if rule.distribution and not actions else set()
    return replace(one, action="warn" if (actions | whole) == {"warn"} else "quarantine")


def mostly(share: float) -> float:
    """What `mostly` says for a largest share of breaches; rounded down, as 1 − 0.42 is more than 0.58 in doubles."""
    return math.floor((1 - share) * 1e9 + 1e-3) / 1e9


def _of_column(column: str, rule: Rule) -> Iterator[Expectation | Without]:
    ready = compiled(column, rule)
    of: dict[str, Any] = {"column": column}
    types = {**of, "type_list": list(TYPES[rule.type])}
    yield Expectation("expect_column_values_to_be_in_type_list", types, column, ("type",), "given", rule)
    if rule.nulls is not None:
        share = {} if ready.no_nulls else {"mostly": mostly(rule.nulls)}
        yield Expectation("expect_column_values_to_not_be_null", of | share, column, ("nulls",), "given")
    if rule.unique:
        yield Expectation("expect_column_values_to_be_unique", of, column, ("unique",))
    bounds = {q.name: _plain(q.bound) for q in ready.questions if q.bound is not None}
    if bounds:
        given = of | {f"{name}_value": bound for name, bound in bounds.items()}
        yield Expectation("expect_column_values_to_be_between", given, column, tuple(bounds))
    for question in ready.questions:
        if question.allowed is not None:
            values = [_plain(value) for value in known_values(column, rule.type, rule.allowed or (), "in")]
            yield Expectation("expect_column_values_to_be_in_set", of | {"value_set": values}, column, ("in",))
        if question.pattern is not None:
            given = of | {"regex": question.pattern}
            yield Expectation("expect_column_values_to_match_regex", given, column, ("pattern",))
    if rule.references is not None:
        yield Without(column, "references", f"the values of {rule.references} are no part of a suite")
    if rule.distribution is not None:
        yield from _of_distribution(column, rule, rule.distribution)


def _of_distribution(column: str, rule: Rule, wanted: Distribution) -> Iterator[Expectation]:
    of: dict[str, Any] = {"column": column}
    if wanted.mean is not None:
        bounds = {"min_value": wanted.mean.min, "max_value": wanted.mean.max}
        yield Expectation("expect_column_mean_to_be_between", of | _there(bounds), column, ("mean",), "read", wanted)
    for share, within in wanted.quantiles.items():
        ranges = {"quantiles": [share_named(share)], "value_ranges": [[within.min, within.max]]}
        given = of | {"quantile_ranges": ranges}
        yield Expectation(
            "expect_column_quantile_values_to_be_between", given, column, (f"quantile {share}",), "read", wanted
        )
    if wanted.new_categories is not None:
        known = known_values(column, rule.type, wanted.new_categories.known, "distribution.new_categories.known")
        given = of | {"value_set": [_plain(v) for v in known], "mostly": mostly(wanted.new_categories.most)}
        yield Expectation("expect_column_values_to_be_in_set", given, column, ("new_categories",), "read", wanted)


def _of_check(check: Check, condition: Condition | None, contract: Contract) -> Expectation | Without:
    columns = ", ".join(columns_of(check))
    if condition is not None:
        found = _of_condition(condition, contract.rules)
        if found is None:
            return Without(", ".join(condition.uses), check.label, f"no expectation says {condition.text}")
        return Expectation(found[0], found[1], ", ".join(condition.uses), (check.label,), "read", check, check.action)
    if check.unique:
        given: dict[str, Any] = {"column_list": list(check.unique), "ignore_row_if": "any_value_is_missing"}
        return Expectation(
            "expect_compound_columns_to_be_unique", given, columns, (check.label,), "read", check, check.action
        )
    if check.volume is not None:
        bounds = _there({"min_value": check.volume.min, "max_value": check.volume.max})
        return Expectation(
            "expect_table_row_count_to_be_between", bounds, "", (check.label,), "read", check, check.action
        )
    if check.change is not None:
        return Without(columns, check.label, "no expectation compares a row with the one before it of the same entity")
    return Without(contract.event_time, check.label, "a suite knows no arrival times")


def _of_condition(condition: Condition, rules: Mapping[str, Rule]) -> tuple[str, dict[str, Any]] | None:
    """The expectation of an expression that is a comparison; None for all others."""
    tree = condition.tree
    if not isinstance(tree, Call):
        return None
    if tree.function == "not" and isinstance(tree.given[0], Call) and tree.given[0].function == "in":
        column, *values = tree.given[0].given
        if isinstance(column, Name) and rules[column.name].type in ("string", "float"):
            refused = [value.value for value in values if isinstance(value, Value)]
            return "expect_column_values_to_not_be_in_set", {"column": column.name, "value_set": refused}
    if tree.function not in _MIRRORED:
        return None
    left, right = tree.given
    if isinstance(left, Name) and isinstance(right, Name):
        return _of_pair(tree.function, left.name, right.name, rules)
    if isinstance(left, Name) and (bound := _number(right)) is not None:
        return _of_bound(tree.function, left.name, bound, rules)
    return None


_MIRRORED = {"<": ">", "<=": ">=", ">": ">", ">=": ">=", "==": "=="}


def _of_pair(sign: str, left: str, right: str, rules: Mapping[str, Rule]) -> tuple[str, dict[str, Any]] | None:
    kinds = {rules[left].type, rules[right].type}
    if left == right or "bool" in kinds or (len(kinds) > 1 and kinds != {"int", "float"}):
        return None
    ignored = {"ignore_row_if": "either_value_is_missing"}
    if sign == "==":
        return "expect_column_pair_values_to_be_equal", {"column_A": left, "column_B": right} | ignored
    more, less = (right, left) if sign.startswith("<") else (left, right)
    given = {"column_A": more, "column_B": less, "or_equal": sign.endswith("=")}
    return "expect_column_pair_values_a_to_be_greater_than_b", given | ignored


def _of_bound(sign: str, column: str, bound: float, rules: Mapping[str, Rule]) -> tuple[str, dict[str, Any]] | None:
    if rules[column].type != "float" or sign == "==":
        return None
    side = "max" if sign.startswith("<") else "min"
    given = {"column": column, f"{side}_value": bound, f"strict_{side}": not sign.endswith("=")}
    return "expect_column_values_to_be_between", given


def _number(node: Node) -> float | None:
    if isinstance(node, Call) and node.function == MINUS:
        inner = _number(node.given[0])
        return None if inner is None else -inner
    return node.value if isinstance(node, Value) and isinstance(node.value, float) else None


def _there(bounds: Mapping[str, Any]) -> dict[str, Any]:
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _plain(value: Any) -> Any:
    """As JSON holds it: times, and dates as their midnight, in ISO 8601."""
    return value if isinstance(value, str | int | float | bool) else as_string(as_moment(value))
