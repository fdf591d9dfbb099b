"""The way from decisions to the plan's columns, which every engine goes in this process; how windows are answered is its own."""

from collections.abc import Callable, Mapping

import polars as pl

from modelway.features.cells import cells_of, demand_columns
from modelway.features.derived import SameInstant
from modelway.features.finish import Asked, finished, with_plan
from modelway.features.joins import joined
from modelway.features.matter import Matter, entities_of, matter_of
from modelway.features.narrow import counting
from modelway.features.plan import Plan
from modelway.features.portions import Rows

Answer = Callable[[Matter, pl.Series, pl.Series, Asked, bool], pl.DataFrame]
"""Entities of the decisions and of the events, what is asked, whether an event of the same instant counts → a row a decision."""


def computed(
    decisions: pl.DataFrame,
    events: Rows,
    plan: Plan,
    same_instant: SameInstant | None,
    tables: Mapping[str, Rows],
    answer: Answer,
) -> pl.DataFrame:
    """As `FeatureEngine.compute`; `answer` is asked once for each group of windows."""
    here = cells_of(decisions, plan)
    if plan.joins:
        demand_columns(decisions, "decisions")
        here = here.with_columns(joined(decisions, plan, tables))
    if not plan.windows:
        return with_plan(decisions, here, plan)
    demand_columns(decisions, "decisions")
    near, until = counting(decisions, events, plan)
    matter = matter_of(decisions, near, until, here, cells_of(near, plan), plan)
    closed = (same_instant or plan.same_instant) == "counts"
    for by, windows in plan.groups.items():
        asked = Asked(matter, windows)
        mine, theirs = entities_of(decisions, near, by)
        answered = answer(matter, mine, theirs, asked, closed)
        here = here.with_columns(finished(answered, matter, asked, decisions.height))
    return with_plan(decisions, here, plan)
