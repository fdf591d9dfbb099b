"""What of the spec becomes columns of the graph, in which order, and what must be known to compute them.

Raw columns come first (all that the contract names, but key, event time, target, entities, ignored and protected ones), then
expressions and functions, then windows, then joins; each in the order of the spec. Dates enter as days since 1970-01-01 with
their fraction.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from modelway.errors import SpecError
from modelway.expressions.meaning import Meaning, read
from modelway.expressions.values import Nature
from modelway.features.derived import TARGET, Expression, Input, Joined, SameInstant, Window
from modelway.features.resolve import resolve_expressions, resolve_joins, resolve_windows
from modelway.records import Column
from modelway.spec.model import ColumnType, Spec

_NATURES: Mapping[str, Nature] = {"string": "word", "date": "moment", "datetime": "moment"}


@dataclass(frozen=True, slots=True)
class Plan:
    """`columns` enter the graph, in this order; `expressions` are in the order in which they can be computed."""

    columns: tuple[Column, ...]
    inputs: tuple[Input, ...]
    expressions: tuple[Expression, ...] = ()
    windows: tuple[Window, ...] = ()
    event_time: str = ""
    positive: str = ""
    same_instant: SameInstant = "counts"
    natures: Mapping[str, Nature] = field(default_factory=dict)
    """By every column, raw or derived, that an expression or a window may use."""
    joins: tuple[Joined, ...] = ()
    lag_us: int = 0
    """Windows and joins see what had arrived this long before the decision."""

    def to_plain(self) -> dict[str, Any]:
        """For `Manifest.features`; `from_plain` is the way back."""
        return msgspec.to_builtins(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Plan":
        return msgspec.convert(plain, cls)

    @property
    def groups(self) -> dict[tuple[str, ...], tuple[Window, ...]]:
        """The windows by their entity columns: one look at the events for each."""
        found: dict[tuple[str, ...], tuple[Window, ...]] = {}
        for window in self.windows:
            found[window.by] = (*found.get(window.by, ()), window)
        return found

    @property
    def remembered(self) -> tuple[str, ...]:
        """The columns of an event that windows aggregate, without the target."""
        return tuple(dict.fromkeys(w.of for w in self.windows if w.of not in ("", TARGET)))

    @property
    def looks_back(self) -> bool:
        """Whether anything but the row itself is needed."""
        return bool(self.windows or self.joins)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that are joined."""
        return tuple(dict.fromkeys(join.table for join in self.joins))

    @property
    def lookups(self) -> dict[tuple[str, str, str, str, int], tuple[Joined, ...]]:
        """The joins by table, columns and delay: one look for each."""
        found: dict[tuple[str, str, str, str, int], tuple[Joined, ...]] = {}
        for join in self.joins:
            place = (join.table, join.key, join.valid_from, join.on, join.delay_us)
            found[place] = (*found.get(place, ()), join)
        return found

    def meaning(self, expression: Expression) -> Meaning:
        return read(expression.text, expression.name, self.natures)


def plan_of(spec: Spec) -> Plan:
    """The plan of a model; raises SpecError naming the feature, the place and the nearest known name."""
    if not spec.contract:
        raise SpecError(
            "modelway.yaml: `contract` is empty, and the contract names the model's columns",
            "name each column with its type, for example contract: {amount: {type: float}}",
        )
    withheld = _withheld(spec)
    raw = {name: rule.type for name, rule in spec.contract.items() if name not in withheld}
    _demand_new_names(spec, withheld)
    visible = _visible(spec)
    expressions = resolve_expressions(spec, visible)
    windows = resolve_windows(spec, visible, expressions)
    joins = resolve_joins(spec, visible)
    columns = (
        *(Column(name, "word" if kind == "string" else "number") for name, kind in raw.items()),
        *(Column(name, expressions[name].kind) for name in spec.features if name in expressions),
        *(Column(window.name, "number") for window in windows),
        *(Column(join.name, join.kind) for join in joins),
    )
    if not columns:
        raise SpecError(
            "modelway.yaml: no column is left for the model: the contract names only key, time, target, entities, ignored"
            " and protected columns",
            "name further columns in the contract, or take some out of data.ignore",
        )
    natures: dict[str, Nature] = {**visible, **{e.name: e.kind for e in expressions.values()}}
    return Plan(
        columns=columns,
        inputs=_inputs(spec, raw, expressions.values(), windows, joins),
        expressions=tuple(expressions.values()),
        windows=windows,
        event_time=spec.data.event_time or "",
        positive=spec.data.positive or "",
        same_instant=spec.data.same_instant,
        natures={**natures, **{w.name: "number" for w in windows}, **{j.name: j.kind for j in joins}},
        joins=joins,
        lag_us=round(spec.data.lag / timedelta(microseconds=1)) if windows or joins else 0,
    )


def _withheld(spec: Spec) -> set[str]:
    data = spec.data
    named = {data.key, data.event_time, data.target, *data.entities, *data.ignore, *data.protected}
    later = {name for name, rule in spec.contract.items() if rule.available_after is not None}
    return {name for name in (*named, *later) if name}


def _demand_new_names(spec: Spec, withheld: set[str]) -> None:
    for name in spec.features:
        if name in spec.contract or name in withheld:
            raise SpecError(f"features.{name}: a column of the data has this name", "give the feature another name")
        if name.startswith("_") or not name.strip():
            raise SpecError(
                f"features.{name}: names that start with _ are Modelway's own", "give the feature another name"
            )


def _visible(spec: Spec) -> dict[str, Nature]:
    """The raw columns that features may use: those of the contract, ignored ones too, entities, and the event time."""
    data = spec.data
    found: dict[str, Nature] = {name: _NATURES.get(rule.type, "number") for name, rule in spec.contract.items()}
    found |= dict.fromkeys(data.entities, "word")
    if data.event_time:
        found[data.event_time] = "moment"
    return {name: nature for name, nature in found.items() if name not in (data.target, *data.protected)}


def _inputs(
    spec: Spec,
    raw: Mapping[str, ColumnType],
    expressions: Iterable[Expression],
    windows: Iterable[Window],
    joins: Iterable[Joined],
) -> tuple[Input, ...]:
    used = [name for expression in expressions for name in expression.uses]
    used += [name for window in windows for name in (*window.by, window.of)] + [join.on for join in joins]
    needed = {*raw, *used} - {spec.data.event_time, TARGET, "", *spec.features}
    types: dict[str, ColumnType] = {name: rule.type for name, rule in spec.contract.items()}
    ordered = dict.fromkeys(name for name in (*spec.contract, *used) if name in needed)
    later = {name for name, rule in spec.contract.items() if rule.available_after is not None}
    return tuple(Input(name, types.get(name, "string"), name in later) for name in ordered)
