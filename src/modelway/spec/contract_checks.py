"""What the contract's parts must agree on: bounds of the column's type, columns that exist, names of rules."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from modelway.spec.contract import RULES, Check, Rule
from modelway.spec.document import Mistake
from modelway.spec.fields import meant
from modelway.spec.model import Spec

_NUMBERS = ("float", "int")
_TIMES = ("date", "datetime")


def contract_mistakes(spec: Spec) -> Iterator[Mistake]:
    if not spec.contract:
        fix = "name each column with its type, for example contract: {amount: {type: float}}"
        yield Mistake(("contract",), "is empty, and it names the model's columns", fix)
    for name, rule in spec.contract.items():
        place = ("contract", name)
        if not name.strip() or name.startswith("_"):
            yield Mistake(place, "names that start with _ are Modelway's own", "give the column another name")
        yield from (Mistake((*place, *key), what, fix) for key, what, fix in rule_mistakes(rule))
    for number, check in enumerate(spec.checks):
        yield from (Mistake(("checks", number, *key), what, fix) for key, what, fix in _check(check, spec))


def rule_mistakes(rule: Rule) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Keys in the rule, what is wrong, and the fix."""
    yield from (((key,), what, fix) for key, what, fix in (*_rule(rule), *_named(rule)))
    yield from ((("distribution", key), what, fix) for key, what, fix in _distribution(rule))


def _rule(rule: Rule) -> Iterator[tuple[str, str, str]]:
    """Key, what is wrong, and the fix."""
    if rule.pattern is not None:
        try:
            re.compile(rule.pattern)
        except re.error as error:
            yield "pattern", f"{rule.pattern!r} is no regular expression: {error}", r"write for example '^[A-Z]{2}$'"
        if rule.type != "string":
            yield "pattern", f"a {rule.type} has no pattern", "leave it out, or write type: string"
    bounds = [(key, getattr(rule, key)) for key in ("min", "max") if getattr(rule, key) is not None]
    wrong = list(_misfits(rule, bounds))
    yield from wrong
    if len(bounds) == 2 and not wrong and _comparable(bounds[0][1]) > _comparable(bounds[1][1]):
        yield "min", f"{bounds[0][1]} is more than max, {bounds[1][1]}", "exchange them"
    if rule.allowed is not None and not rule.allowed:
        yield "in", "allows no value at all", "write the allowed values, or leave it out"


def _misfits(rule: Rule, bounds: list[tuple[str, float | str]]) -> Iterator[tuple[str, str, str]]:
    for key, bound in bounds:
        if rule.type in ("string", "bool"):
            yield key, f"a {rule.type} has no {key}", "leave it out, or write `in` with the allowed values"
        elif not _fits(bound, rule.type):
            yield key, f"{bound!r} is no {rule.type}", f"write for example {_EXAMPLES[rule.type]}"


_EXAMPLES = {"float": "0.5", "int": "0", "date": "2024-01-31", "datetime": "2024-01-31T12:00:00"}


def _fits(bound: float | str, kind: str) -> bool:
    if kind in ("float", "int"):
        return not isinstance(bound, str)
    try:
        return isinstance(bound, str) and bool(datetime.fromisoformat(bound))
    except ValueError:
        return False


def _comparable(bound: float | str) -> float:
    if not isinstance(bound, str):
        return bound
    moment = datetime.fromisoformat(bound)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _named(rule: Rule) -> Iterator[tuple[str, str, str]]:
    """Rules that `on_breach` and `severity` name, and the table that `references` names."""
    for key in ("on_breach", "severity"):
        by_rule = getattr(rule, key)
        for name in by_rule if isinstance(by_rule, dict) else ():
            if name not in RULES:
                yield key, f"there is no rule {name!r}{meant(name, RULES)}", f"write one of {', '.join(RULES)}"
    if rule.references is not None:
        table, _, column = rule.references.rpartition(".")
        if not table.strip() or not column.strip():
            yield "references", f"{rule.references!r} is no TABLE.COLUMN", "write for example customers.customer_id"


def _distribution(rule: Rule) -> Iterator[tuple[str, str, str]]:
    wanted = rule.distribution
    if wanted is None:
        return
    if wanted.mean is None and not wanted.quantiles and wanted.new_categories is None:
        yield "mean", "the distribution asks for nothing", "write mean, quantiles or new_categories, or leave it out"
    for key in ("mean", "quantiles"):
        if getattr(wanted, key) and rule.type not in _NUMBERS:
            yield key, f"a {rule.type} has no {key}", "leave it out, or write type: float"
    if wanted.new_categories is not None and rule.type in _TIMES:
        yield "new_categories", f"a {rule.type} has no categories", "leave it out"
    if wanted.new_categories is not None and not wanted.new_categories.known:
        yield "new_categories", "knows no value at all", "write the known values, or leave it out"


def _check(check: Check, spec: Spec) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Columns of `unique` and `change`, and the event time of `freshness`; an expression is read where it is compiled."""
    known = spec.contract
    for name in check.unique:
        if name not in known:
            yield ("unique",), f"there is no column {name!r}{meant(name, known)}", _listed(known)
    if check.unique and (len(check.unique) < 2 or len(set(check.unique)) < len(check.unique)):
        yield ("unique",), "needs two columns or more, each once", "for one column write unique: true in its rule"
    if check.change is not None:
        yield from _change(check, spec)
    if check.freshness is not None and spec.data.event_time not in known:
        what = "needs to know when rows happened"
        fix = "name the column in data.event_time, and give it a line under contract with type: datetime"
        yield ("freshness",), what, fix
    if check.volume is not None and check.volume.max is not None and check.volume.min > check.volume.max:
        yield ("volume", "min"), f"{check.volume.min} is more than max, {check.volume.max}", "exchange them"


def _change(check: Check, spec: Spec) -> Iterator[tuple[tuple[str, ...], str, str]]:
    change, known = check.change, spec.contract
    if change is None:
        return
    by = (change.by,) if isinstance(change.by, str) else change.by
    for key, names in (("of", (change.of,)), ("by", by), ("order", (change.order,) if change.order else ())):
        for name in names:
            if name not in known:
                yield ("change", key), f"there is no column {name!r}{meant(name, known)}", _listed(known)
    if change.of in known and known[change.of].type not in _NUMBERS:
        yield (
            ("change", "of"),
            f"{change.of!r} is a {known[change.of].type}, and a change is of a number",
            "name another",
        )
    if change.min is not None and change.max is not None and change.min > change.max:
        yield ("change", "min"), f"{change.min:g} is more than max, {change.max:g}", "exchange them"


def _listed(known: dict[str, Rule]) -> str:
    return f"columns of the contract: {', '.join(list(known)[:30]) or 'none'}"
