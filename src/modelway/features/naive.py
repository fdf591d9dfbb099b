"""The law of windows again, slowly and obviously: one decision, one loop over all events, fractions instead of floats.

The reference that both compilers are compared with, and, with one rule of the law left out (`Law`), what a leak looks like.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import polars as pl

from modelway.expressions.values import LARGEST, NAN, SMALLEST, as_target, days
from modelway.features.cells import PLACE, TOGETHER, cells_of, read_column
from modelway.features.derived import TARGET, Joined, SameInstant, Window
from modelway.features.plan import Plan


@dataclass(frozen=True, slots=True)
class Law:
    """Which rules hold; all of them unless a leak is wanted."""

    nothing_later: bool = True
    """Only events up to the decision; else all later ones too, or, with `as_far_ahead`, those within the reach."""
    as_far_ahead: bool = False
    only_arrived: bool = True
    """Only what had arrived by the decision's own arrival."""
    only_known_labels: bool = True
    """Only targets whose label had arrived."""
    with_delay: bool = True
    """Windows over the target end a delay before the decision."""
    not_own_label: bool = True
    """The row's own target is not in its window."""
    keeps_instant: bool = True
    """An event of the decision's own instant counts only as declared."""
    not_valid_later: bool = True
    """A joined statement that holds from later on is not seen."""


LAW = Law()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of either frame; `words` are the entities, `cells` the values by column, `order` its place in the frame."""

    key: str
    at: datetime | None
    arrived: datetime
    order: int
    cells: dict[str, Any]
    words: dict[str, str] = field(default_factory=dict)
    target: float = NAN
    label_arrived: datetime | None = None
    lag: timedelta = timedelta()
    together: bool = False

    @property
    def known(self) -> datetime:
        """What had arrived by then counts, when the row is decided on."""
        return self.arrived if self.together else self.arrived - self.lag

    def sees(self, at: datetime) -> bool:
        """Whether what happened then counts; of a row that came with its past the lag is one of the events' own times."""
        return not self.together or (self.at is not None and at <= self.at - self.lag)


def rows_of(frame: pl.DataFrame, plan: Plan) -> list[Row]:
    """The rows, oldest version first where place columns say so."""
    ordered = (
        frame.sort([c for c in PLACE if c in frame.columns], maintain_order=True)
        if set(PLACE) & set(frame.columns)
        else frame
    )
    cells = cells_of(ordered, plan).rows(named=True)
    by = dict.fromkeys([*(name for window in plan.windows for name in window.by), *(join.on for join in plan.joins)])
    words = {name: read_column(ordered, name, "word").to_list() for name in by}
    ats, arrivals = (read_column(ordered, name, "moment").to_list() for name in ("_at", "_arrived"))
    targets = ordered[TARGET].to_list() if TARGET in ordered.columns else [None] * ordered.height
    together = ordered[TOGETHER].to_list() if TOGETHER in ordered.columns else [False] * ordered.height
    labels = read_column(ordered, "_label_arrived", "moment").to_list()
    return [
        Row(
            key,
            ats[n],
            arrivals[n],
            n,
            cells[n],
            {name: words[name][n] or "" for name in by},
            as_target(targets[n], plan.positive),
            labels[n],
            timedelta(microseconds=plan.lag_us),
            bool(together[n]),
        )
        for n, key in enumerate(ordered["_key"].to_list())
    ]


def window_value(
    window: Window, decision: Row, events: Sequence[Row], same_instant: SameInstant, law: Law = LAW
) -> float:
    """The value of one window for one decision; NaN when missing."""
    seen = _seen(window, decision, events, same_instant, law)
    seen.sort(key=lambda row: (row.at, row.arrived, row.key))
    if window.stat == "ratio":
        others = [value for row in seen if row is not decision and (value := _value(row, window.of)) is not None]
        made = _ratio(_value(decision, window.of), others)
    else:
        made = _statistic(window.stat, [value for row in seen if (value := _value(row, window.of)) is not None])
    if made is not None:
        return made
    if window.default is not None:
        return window.default
    return 0.0 if window.stat in ("count", "distinct") else NAN


def joined_value(join: Joined, decision: Row, statements: pl.DataFrame, law: Law = LAW) -> float | str:
    """The value of one join for one decision, by one loop over all statements; missing is NaN or ""."""
    missing: float | str = "" if join.kind == "word" else NAN if join.default is None else join.default
    things = read_column(statements, join.key, "word").to_list()
    values = read_column(statements, join.column, join.kind).to_list()
    times = [read_column(statements, name, "moment").to_list() for name in ("_at", "_arrived")]
    places = statements.select(name for name in PLACE if name in statements.columns).rows()
    found: tuple[Any, ...] | None = None
    for n, (thing, since, arrived) in enumerate(zip(things, *times, strict=True)):
        if decision.at is None or since is None or not thing or thing != decision.words[join.on]:
            continue
        valid = since <= decision.at - timedelta(microseconds=join.delay_us) or not law.not_valid_later
        if valid and decision.sees(since) and (arrived <= decision.known or not law.only_arrived):
            rank = (since, arrived, places[n], n)
            found = rank if found is None or rank[:3] >= found[:3] else found
    value = None if found is None else values[found[3]]
    return missing if value is None else value


def _seen(window: Window, decision: Row, events: Sequence[Row], same_instant: SameInstant, law: Law) -> list[Row]:
    if decision.at is None or any(not decision.words[name] for name in window.by):
        return []
    delay = timedelta(microseconds=window.delay_us)
    if window.of == TARGET and not law.with_delay:
        delay = timedelta()
    since, until = decision.at - timedelta(microseconds=window.reach_us), decision.at - delay
    seen = []
    for row in _versions(decision, events, law):
        if row.at is None or row.key == decision.key or row.at <= since or not decision.sees(row.at):
            continue
        if any(row.words[name] != decision.words[name] for name in window.by):
            continue
        early = row.at < until or (
            row.at == until and (window.delay_us > 0 or same_instant == "counts" or not law.keeps_instant)
        )
        ahead = not law.nothing_later and (not law.as_far_ahead or row.at <= decision.at + (decision.at - since))
        labelled = row.label_arrived is not None and (row.label_arrived <= decision.known or not law.only_known_labels)
        if (early or ahead) and (labelled or window.of != TARGET):
            seen.append(row)
    own_value = window.of != TARGET and window.delay_us == 0 and same_instant == "counts"
    own_label = window.of == TARGET and not law.not_own_label
    return [*seen, decision] if own_value or own_label else seen


def _versions(decision: Row, events: Sequence[Row], law: Law) -> list[Row]:
    """Of each key the version that counted when the decision arrived; with late ones allowed, the newest."""
    found: dict[str, Row] = {}
    for row in events:
        if law.only_arrived and row.arrived > decision.known:
            continue
        there = found.get(row.key)
        if there is None or (row.arrived, row.order) > (there.arrived, there.order):
            found[row.key] = row
    return list(found.values())


def _value(row: Row, of: str) -> float | str | None:
    if of == "":
        return 1.0
    value = row.target if of == TARGET else row.cells[of]
    if isinstance(value, str) or value is None:
        return value or None
    number = days(value) if isinstance(value, datetime) else float(value)
    if math.isnan(number) or abs(number) >= LARGEST:
        return None
    return number if abs(number) >= SMALLEST else 0.0


def _statistic(stat: str, values: list[Any]) -> float | None:
    n = len(values)
    if n == 0 or (stat == "std" and n == 1):
        return None
    if stat in ("count", "distinct"):
        return float(n if stat == "count" else len(set(values)))
    if stat in ("min", "max", "last"):
        return float(values[-1] if stat == "last" else min(values) if stat == "min" else max(values))
    whole = sum(Fraction(value) for value in values)
    if stat == "sum":
        return float(whole)
    if stat == "mean":
        return float(whole) / n
    mean = whole / n
    return math.sqrt(sum((Fraction(value) - mean) ** 2 for value in values) / (n - 1))


def _ratio(own: Any, others: list[Any]) -> float | None:
    mean = _statistic("mean", others)
    if own is None or not mean:
        return None
    made = float(own) / mean
    return made if math.isfinite(made) else None
