"""The columns of a whole table of decisions, by the embedded engine."""

import polars as pl

from modelway.features.derived import SameInstant
from modelway.features.plan import Plan


def compute(
    decisions: pl.DataFrame, events: pl.DataFrame, plan: Plan, same_instant: SameInstant | None = None
) -> pl.DataFrame:
    """The decisions with all columns of the plan; see `engine.FeatureEngine.compute`."""
    from modelway.features.ibis import IbisEngine

    return IbisEngine().compute(decisions, events, plan, same_instant)
