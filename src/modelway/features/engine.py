"""The port of the feature engine: the plan's columns for a table of decisions; `arrays.py` is embedded, `ibis.py` runs on DuckDB.

**The law of windows.** The window of a decision (key k, event time t, known at a) over an entity holds the row itself (when
there is no delay and an event of the same instant counts), and every event e of the same entity with

    e.key ≠ k,   t − reach < e.at ≤ t − delay,   e.arrived ≤ a − lag < the arrival of the next correction of e

A decision that came in a file came together with its past (`_together`), and one arrival for all says nothing: there a − lag is
a, and the lag is one of the events' own times, e.at ≤ t − lag.

(`< t` instead of `≤ t` without a delay when an event of the same instant does not count). A target counts if also its label's
arrival is ≤ a − lag. A missing entity or event time has an empty window. Values are taken as `values.in_window` says.

**The law of joins.** A decision sees the last statement s about its thing, by (valid_from, arrival, place in the log), with

    s.valid_from ≤ t − delay,   s.arrived ≤ a − lag

or, when it came together with its past, s.valid_from ≤ t − lag and s.arrived ≤ a.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import polars as pl

from modelway.features.derived import SameInstant
from modelway.features.plan import Plan


class FeatureEngine(ABC):
    """Point-in-time columns for tables."""

    @abstractmethod
    def compute(
        self,
        decisions: pl.DataFrame,
        events: pl.DataFrame | pl.LazyFrame,
        plan: Plan,
        same_instant: SameInstant | None = None,
        tables: Mapping[str, pl.DataFrame | pl.LazyFrame] | None = None,
    ) -> pl.DataFrame:
        """The decisions, in their order, with all columns of the plan: numbers Float64 (NaN), words String ("").

        Both frames have `_key`, `_at`, `_arrived` and raw columns; events hold every version of every row, in the order in
        which they came or with their place columns, and for windows over the target `_target` and `_label_arrived`. Decisions
        may have `_together` (absent: false). A raw column that is not there is missing in every row. `same_instant` is the
        plan's unless given. `tables` are the joined ones, every statement that ever arrived, by name; one that is not given has
        no statements. What is lazy is read as far as needed.
        Raises DataError for a frame without those columns, EngineError when the engine fails.
        """

    @abstractmethod
    def ping(self) -> None:
        """Return if the engine can be used; else raise EngineError."""

    @abstractmethod
    def close(self) -> None: ...
