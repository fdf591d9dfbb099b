"""The columns of a whole table of decisions, by the embedded engine."""

from collections.abc import Mapping

import polars as pl

from modelway.features.derived import SameInstant
from modelway.features.plan import Plan


def compute(
    decisions: pl.DataFrame,
    events: pl.DataFrame | pl.LazyFrame,
    plan: Plan,
    same_instant: SameInstant | None = None,
    tables: Mapping[str, pl.DataFrame | pl.LazyFrame] | None = None,
) -> pl.DataFrame:
    """The decisions with all columns of the plan; see `engine.FeatureEngine.compute`."""
    from modelway.features.arrays import ArrayEngine

    return ArrayEngine().compute(decisions, events, plan, same_instant, tables)
