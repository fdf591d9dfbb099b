"""What a check found in a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from modelway.records import Breach

BREACHES: dict[str, Any] = {
    "row": pl.Int64(),
    "key": pl.String(),
    "column": pl.String(),
    "rule": pl.String(),
    "value": pl.String(),
    "action": pl.String(),
    "reason": pl.String(),
}


@dataclass(frozen=True)
class Checked:
    """`accepted`: typed rows; `quarantined`: raw rows with `_reasons`; `table`: every breach, a row each (see `Breach`)."""

    accepted: pl.DataFrame
    quarantined: pl.DataFrame
    table: pl.DataFrame
    rejected: bool = False
    warnings: Mapping[str, int] = field(default_factory=dict)

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """By row."""
        return tuple(Breach(*row) for row in self.table.iter_rows())
