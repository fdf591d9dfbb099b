"""Whether windows saw what they must not: their values against the slow reference, and the broken rule by its name."""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from modelway.features.derived import Joined, Window
from modelway.features.naive import LAW, Law, Row, joined_value, rows_of, window_value
from modelway.features.plan import Plan

BROKEN: Mapping[str, Law] = {
    "an event within a window's reach after the decision": Law(nothing_later=False, as_far_ahead=True),
    "an event later than the decision": Law(nothing_later=False),
    "an event that had not arrived": Law(only_arrived=False),
    "a label that was not known": Law(only_known_labels=False),
    "a target within the delay": Law(with_delay=False),
    "the row's own target": Law(not_own_label=False),
    "an event of the same instant": Law(keeps_instant=False),
}
BROKEN_JOINS: Mapping[str, Law] = {
    "a statement that had not arrived": Law(only_arrived=False),
    "a statement that holds from later on": Law(not_valid_later=False),
}


@dataclass(frozen=True, slots=True)
class Leak:
    """A window's or join's value that the law does not give; `kind` is "" when no single broken rule explains it."""

    column: str
    key: str
    kind: str
    found: float | str
    right: float | str


def find_leaks(
    made: pl.DataFrame,
    decisions: pl.DataFrame,
    events: pl.DataFrame,
    plan: Plan,
    *,
    tables: Mapping[str, pl.DataFrame] | None = None,
    sample: int = 200,
    seed: int = 0,
) -> list[Leak]:
    """Check the windows, and the joins of the `tables` that are given, of up to `sample` decisions, drawn by `seed`.

    `made` are the decisions with the plan's columns.
    """
    rows, past = rows_of(decisions, plan), rows_of(events, plan)
    computed = {name: made[name].to_list() for name in (w.name for w in plan.windows)}
    places = list(range(len(rows)))
    chosen = sorted(random.Random(seed).sample(places, min(sample, len(places))))
    leaks = [leak for place in chosen for leak in _of_row(rows[place], past, plan, computed, place)]
    for join in plan.joins:
        if join.table in (tables or {}):
            given, statements = made[join.name].to_list(), (tables or {})[join.table]
            leaks += [leak for place in chosen for leak in _of_join(join, rows[place], statements, given[place])]
    return leaks


def _of_join(join: Joined, row: Row, statements: pl.DataFrame, found: float | str) -> Iterator[Leak]:
    right = joined_value(join, row, statements, LAW)
    if not same_value(found, right):
        broken = ((name, joined_value(join, row, statements, law)) for name, law in BROKEN_JOINS.items())
        yield Leak(
            join.name, row.key, next((name for name, value in broken if same_value(found, value)), ""), found, right
        )


def same_value(one: float | str, other: float | str) -> bool:
    """Equal words, or equal numbers, or both missing."""
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    return same(one, other)


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
