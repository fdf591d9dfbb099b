"""A suite of Great Expectations read as a contract: what each expectation says in our words, and what has no counterpart.

Nothing of that library is imported: a suite is its JSON. What a suite of ours carries in `meta` is taken from there only where
the expectation itself does not say it.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from modelway.contracts.conditions import columns_of, conditions
from modelway.contracts.contract import Contract, to_plain
from modelway.contracts.counterparts import Without
from modelway.contracts.readings import READERS, WITHOUT, Draft, NoCounterpartError, Said
from modelway.errors import SpecError, UnreadableFileError
from modelway.spec.contract import Check, ColumnType, Rule

_QUIET = {"severity", "catch_exceptions", "result_format", "include_config", "batch_id", "description", "meta"}


@dataclass(frozen=True)
class Imported:
    """`without`: expectations that have no counterpart; `assumed`: what the suite does not say and a contract must."""

    contract: Contract
    without: tuple[Without, ...]
    assumed: tuple[str, ...]


def contract_of_suite(suite: Mapping[str, Any]) -> Imported:
    """Read the suite; raises UnreadableFileError for what is none. Rules warn: a suite tells, and refuses nothing."""
    expectations = suite.get("expectations")
    if not isinstance(expectations, Sequence) or isinstance(expectations, str):
        raise UnreadableFileError("the file holds no suite: it has no `expectations`", "give the JSON of a suite")
    draft, without, assumed = Draft(), [], []
    for one in expectations:
        kind = str(one.get("type") or one.get("expectation_type") or "?")
        given = {k: v for k, v in dict(one.get("kwargs") or {}).items() if v is not None and k not in _QUIET}
        ours = dict((one.get("meta") or {}).get("modelway") or {})
        try:
            reader = READERS.get(kind)
            if reader is None:
                raise NoCounterpartError(WITHOUT.get(kind, "a contract has no such rule"))
            trial = deepcopy(draft)  # what cannot be said whole is not said in part
            reader(trial, Said(given, ours))
            draft = trial
        except NoCounterpartError as error:
            without.append(Without(_columns(given), kind, str(error)))
    for column, rule in draft.rules.items():
        if "type" not in rule:
            rule["type"] = "float" if column in draft.numbers else _likely(rule)
            assumed.append(f"{column}: the suite names no type; {rule['type']} is taken from its other expectations")
        if rule["type"] == "date":
            rule |= {key: _days(rule[key]) for key in ("min", "max", "in") if key in rule}
    rules = {name: Rule.model_validate({"on_breach": "warn"} | rule) for name, rule in draft.rules.items()}
    checks = [Check.model_validate({"on_breach": "warn"} | check) for check in draft.checks]
    refused = {number: why for number, check in enumerate(checks) if (why := _cannot_be(check, rules))}
    kept = tuple(check for number, check in enumerate(checks) if number not in refused)
    return Imported(Contract(rules, kept), (*without, *refused.values()), tuple(assumed))


def _cannot_be(check: Check, rules: Mapping[str, Rule]) -> Without | None:
    """Why an expression does not fit the columns' types, in the first line of the refusal."""
    try:
        conditions(rules, [check])
    except SpecError as error:
        return Without(", ".join(columns_of(check)), check.label, error.problem.splitlines()[0])
    return None


def plain_of(contract: Contract) -> dict[str, Any]:
    """`contract` and `checks` as modelway.yaml has them."""
    plain = to_plain(contract)
    checks = plain.pop("_checks", [])
    return {"contract": plain} | ({"checks": checks} if checks else {})


def _columns(given: Mapping[str, Any]) -> str:
    named = [given[key] for key in ("column", "column_A", "column_B") if key in given]
    return ", ".join(str(name) for name in (*named, *given.get("column_list", ())))


def _likely(rule: Mapping[str, Any]) -> ColumnType:
    """The type that its other expectations speak of."""
    told = [rule[key] for key in ("min", "max") if key in rule] or list(rule.get("in", ()))
    if "pattern" in rule:
        return "string"
    if told and all(isinstance(value, bool) for value in told):
        return "bool"
    if told and all(isinstance(value, int | float) for value in told):
        return "float"
    if told and ("min" in rule or "max" in rule):
        return "datetime"
    return "float" if rule.get("distribution", {}).keys() & {"mean", "quantiles"} else "string"


def _days(value: Any) -> Any:
    """A date is written as its midnight in a suite."""
    if isinstance(value, list):
        return [_days(one) for one in value]
    return str(value).removesuffix("T00:00:00+00:00")
