"""A suite of Great Expectations read as a contract: what each expectation says in our words, and what has no counterpart.

Nothing of that library is imported: a suite is its JSON. What a suite of ours carries in `meta` is taken from there only where
the expectation itself does not say it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modelway.contracts.arguments import NoCounterpartError, arguments
from modelway.contracts.conditions import columns_of, conditions
from modelway.contracts.contract import Contract, to_plain
from modelway.contracts.counterparts import Without
from modelway.contracts.readings import READERS, WITHOUT, Draft, Said
from modelway.contracts.rules import compiled
from modelway.errors import SpecError, UnreadableFileError
from modelway.spec.contract import Check, ColumnType, Rule
from modelway.spec.contract_checks import rule_mistakes
from modelway.spec.document import dotted
from modelway.spec.wording import worded

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
    draft, without = Draft(), []
    for number, one in enumerate(expectations):
        kind, given, ours = _parts(number, one)
        try:
            reader = READERS.get(kind)
            if reader is None:
                raise NoCounterpartError(WITHOUT.get(kind, "a contract has no such rule"))
            trial = deepcopy(draft)  # what cannot be said whole is not said in part
            reader(trial, Said(arguments(given), ours))
            _demand_valid(trial, draft)
            draft = trial
        except NoCounterpartError as error:
            without.append(Without(_columns(given), kind, str(error)))
        except SpecError as error:
            without.append(Without(_columns(given), kind, error.problem.splitlines()[0]))
    assumed = list(draft.notes)
    for column, rule in draft.rules.items():
        if "type" not in rule:
            rule["type"] = "float" if column in draft.numbers else _likely(rule)
            assumed.append(f"{column}: the suite names no type; {rule['type']} is taken from its other expectations")
        if rule["type"] == "date":
            rule |= {key: _days(rule[key]) for key in ("min", "max", "in") if key in rule}
    rules = {}
    for name, told in draft.rules.items():
        rules[name], unfit = _fitting(name, Rule.model_validate(_WARNS | told))
        without += unfit
    checks = [Check.model_validate(_WARNS | check) for check in draft.checks]
    refused = {number: why for number, check in enumerate(checks) if (why := _cannot_be(check, rules))}
    kept = tuple(check for number, check in enumerate(checks) if number not in refused)
    return Imported(Contract(rules, kept), (*without, *refused.values()), tuple(assumed))


_WARNS = {"on_breach": "warn"}


def _parts(number: int, one: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """An expectation's type, its arguments, and what a suite of ours carries in `meta`; raises UnreadableFileError."""
    fix = 'write {"type": "expect_…", "kwargs": {…}}, or take it out'
    if not isinstance(one, Mapping):
        raise UnreadableFileError(f"expectations[{number}] is {one!r:.60}, which is no expectation", fix)
    kwargs, meta = one.get("kwargs") or {}, one.get("meta") or {}
    ours = (meta.get("modelway") or {}) if isinstance(meta, Mapping) else meta
    deeper = ours if isinstance(ours, Mapping) else {}
    inner = [(f"meta.modelway.{key}", deeper.get(key, {})) for key in ("rule", "check", "distribution")]
    for name, part in (("kwargs", kwargs), ("meta", meta), ("meta.modelway", ours), *inner):
        if not isinstance(part, Mapping):
            raise UnreadableFileError(
                f"expectations[{number}].{name} is {part!r:.60}, and must hold names with values", fix
            )
    kind = str(one.get("type") or one.get("expectation_type") or "?")
    return kind, {k: v for k, v in kwargs.items() if v is not None and k not in _QUIET}, dict(ours)


def _demand_valid(trial: Draft, before: Draft) -> None:
    """Raises NoCounterpartError or SpecError where what an expectation added is no rule, or no check, of any contract."""
    for column, rule in trial.rules.items():
        if rule != before.rules.get(column):
            with _told({"type": "string"} | _WARNS | rule, Rule) as said:
                Rule.model_validate(said)
    for check in trial.checks[len(before.checks) :]:
        with _told(_WARNS | check, Check) as said:
            columns_of(Check.model_validate(said))


@contextmanager
def _told(said: dict[str, Any], kind: type[Rule] | type[Check]) -> Iterator[dict[str, Any]]:
    """pydantic's refusal in our words."""
    try:
        yield said
    except ValidationError as error:
        first = worded(kind, error.errors(include_url=False), said)[0]
        raise NoCounterpartError(f"{dotted(first.place)} {first.what}".strip()) from error


def _fitting(column: str, rule: Rule) -> tuple[Rule, list[Without]]:
    """The rule without what does not fit the column's type, or is no rule by itself; and why."""
    unfit = {keys[0]: what for keys, what, _ in rule_mistakes(rule)}
    for key in ("min", "max", "in", "distribution"):
        alone = Rule(type=rule.type).model_copy(update={_FIELDS.get(key, key): getattr(rule, _FIELDS.get(key, key))})
        try:
            compiled(column, alone)
        except SpecError as error:
            unfit.setdefault(key, error.problem)
    kept = rule.model_copy(update={_FIELDS.get(key, key): _WARNS.get(key) for key in unfit})
    return kept, [Without(column, key, what) for key, what in unfit.items()]


_FIELDS = {"in": "allowed"}
"""Keys of a rule that its field is not called by."""


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
    several = given.get("column_list", ())
    return ", ".join(str(name) for name in (*named, *(several if isinstance(several, list) else ())))


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
