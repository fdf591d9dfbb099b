"""The second, narrower port of features: table versions in, a folder of Parquet out, for data that outgrow one machine.

`engine.FeatureEngine` takes and gives frames, which must fit in memory. Here nothing passes through this process but names.
`spark.py` is the adapter.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from modelway.features.plan import Plan


@dataclass(frozen=True, slots=True)
class Pinned:
    """A Delta table at one version, by the place where the engine reads it."""

    place: str
    version: int


@dataclass(frozen=True)
class TableWork:
    """The training rows of a plan as of one moment: matured decisions, a key each, with what was known of each.

    `rows` holds every row and correction of the source, `labels` every label that was sent (`key`, `label`). Without a topic of
    labels (`target` is then the column's name) a row's own target counts as a label that arrived with it. `out` is a folder
    that does not exist yet; of it all is there or nothing.
    """

    plan: Plan
    rows: Pinned
    as_of: datetime
    out: Path
    labels: Pinned | None = None
    target: str = ""
    matured_after: timedelta | None = None
    tables: Mapping[str, Pinned] = field(default_factory=dict)
    together: bool = False
    """Whether the rows came in files: each with its past (`engine.py`), and taken at its last word."""


class TableFeatures(ABC):
    """Point-in-time columns from tables to a folder of Parquet files."""

    @abstractmethod
    def compute(self, work: TableWork) -> Path:
        """Leave `_key`, `_at`, `_arrived`, `_target` (text) and the plan's columns, missing ones null, in `work.out`; returns it.

        By the law of `engine.py`; counts, distinct, extremes and words to the last bit, sums and what follows from them to
        1e-9 of the sum of absolute values. Raises EngineError when the engine fails, DataError for a plan that it cannot do.
        """

    @abstractmethod
    def ping(self) -> None:
        """Return if the engine can be started; else raise EngineError."""
