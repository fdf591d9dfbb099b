"""Whether windows saw what they must not: their values against the slow reference, and the broken rule by its name."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from modelway.features.derived import Window
from modelway.features.naive import LAW, Law, Row, rows_of, window_value
from modelway.features.plan import Plan

BROKEN: Mapping[str, Law] = {
    "an event within a window's reach after the decision": Law(nothing_later=False, as_far_ahead=True),
    "an event later than the decision": Law(nothing_later=False),
    "an event that had not arrived": Law(only_arrived=False),
    "a label that was not known": Law(only_known_labels=False),
    "a target within the delay": Law(with_delay=False),
    "the row's own target": Law(not_own_label=False),
}


@dataclass(frozen=True, slots=True)
class Leak:
    """A window's value that the law does not give; `kind` is "" when no single broken rule explains it."""

    column: str
    key: str
    kind: str
    found: float
    right: float


def find_leaks(
    made: pl.DataFrame, decisions: pl.DataFrame, events: pl.DataFrame, plan: Plan, *, sample: int = 200, seed: int = 0
) -> list[Leak]:
    """Check the windows of up to `sample` decisions, drawn by `seed`; `made` are the decisions with the plan's columns."""
    rows, past = rows_of(decisions, plan), rows_of(events, plan)
    computed = {name: made[name].to_list() for name in (w.name for w in plan.windows)}
    places = list(range(len(rows)))
    chosen = sorted(random.Random(seed).sample(places, min(sample, len(places))))
    return [leak for place in chosen for leak in _of_row(rows[place], past, plan, computed, place)]


def _of_row(
    row: Row, past: Sequence[Row], plan: Plan, computed: Mapping[str, Sequence[float]], place: int
) -> Iterator[Leak]:
    for window in plan.windows:
        found, right = computed[window.name][place], window_value(window, row, past, plan.same_instant, LAW)
        if not same(found, right):
            yield Leak(window.name, row.key, _kind(window, row, past, plan, found), found, right)


def _kind(window: Window, row: Row, past: Sequence[Row], plan: Plan, found: float) -> str:
    for name, law in BROKEN.items():
        if same(found, window_value(window, row, past, plan.same_instant, law)):
            return name
    return ""


def same(one: float, other: float) -> bool:
    """Equal, or both missing."""
    return one == other or (math.isnan(one) and math.isnan(other))
