"""What a check found in a batch, and the rows parted by it when they are asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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
    """`rows` as they came, `columns` as they were read, and `table`: every breach, a row each (see `Breach`)."""

    rows: pl.DataFrame
    columns: Sequence[pl.Series]
    table: pl.DataFrame

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """By row."""
        return tuple(Breach(*row) for row in self.table.iter_rows())

    @property
    def rejected(self) -> bool:
        """Whether the whole batch is refused."""
        return bool((self.table["action"] == "reject_batch").any())

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """`column: rule` → breaches, warnings too."""
        return _counted(self.table)

    @cached_property
    def warnings(self) -> Mapping[str, int]:
        """`column: rule` → breaches that refuse nothing."""
        return _counted(self.table.filter(pl.col("action") == "warn"))

    @cached_property
    def accepted(self) -> pl.DataFrame:
        """Typed rows that hold."""
        whole = self.rows.with_columns(self.columns)
        if self.rejected:
            return whole.clear()
        if not self._reasons.height:
            return whole
        keep = pl.Series([True]).new_from_index(0, whole.height)
        keep[self._reasons["row"]] = False
        return whole.filter(keep)

    @cached_property
    def quarantined(self) -> pl.DataFrame:
        """Raw rows that do not, with `_reasons`."""
        if not self._reasons.height:
            return self.rows.clear().with_columns(pl.lit(None, pl.String).alias("_reasons"))
        return self.rows[self._reasons["row"]].with_columns(self._reasons["_reasons"])

    @cached_property
    def _reasons(self) -> pl.DataFrame:
        """`row`, `_reasons` of the refused rows, in order; of a rejected batch that is all of them."""
        refusing = self.table.filter(pl.col("action") != "warn")
        told = (
            refusing.drop_nulls("row")
            .group_by("row", maintain_order=True)
            .agg(pl.col("reason").str.join("; ").alias("_reasons"))
        )
        if not self.rejected:
            return told
        first = refusing.filter(pl.col("action") == "reject_batch").row(0, named=True)
        where = "" if first["row"] is None else f"row {first['row']}, "
        others = f"the whole batch is rejected: {where}{first['reason']}"
        every = pl.DataFrame({"row": pl.int_range(self.rows.height, eager=True)})
        joined = every.join(told, on="row", how="left", maintain_order="left")
        return joined.with_columns(pl.col("_reasons").fill_null(others))


def _counted(breaches: pl.DataFrame) -> Mapping[str, int]:
    counted = breaches.group_by("column", "rule").len().sort("column", "rule")
    return {named(column, rule): count for column, rule, count in counted.iter_rows()}


def named(column: str, rule: str) -> str:
    """A rule as it is called where breaches are counted: `amount: min`, or `volume`."""
    return f"{column}: {rule}" if column else rule
