"""What is known of each column: what kind it is, how much is missing, how many values there are."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from modelway.files.texts import CODE, NUMBER

Kind = Literal["whole", "float", "truth", "date", "time", "text"]
_KINDS: tuple[tuple[pl.DataType, Kind], ...] = (
    (pl.Boolean(), "truth"), (pl.Date(), "date"), (pl.Datetime("us", "UTC"), "time"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """Counts are rows; `distinct` counts values that are there. `values` is the column, numbers written as text as numbers."""

    name: str
    kind: Kind
    rows: int
    missing: int
    distinct: int
    values: pl.Series
    quoted: bool = False
    """A typed file (NDJSON, Parquet) keeps these numbers as text; the contract reads them as numbers."""

    @property
    def present(self) -> int:
        return self.rows - self.missing

    @property
    def numeric(self) -> bool:
        return self.kind in ("whole", "float")

    @property
    def word(self) -> bool:
        return self.kind == "text"


def facts_of(column: pl.Series) -> Facts:
    """Look at one column as `files.read_table` gives it."""
    quoted = False
    if column.dtype == pl.String and (numbers := _numbers(column)) is not None:
        column, quoted = numbers, True
    if column.dtype.is_float():
        column = column.fill_nan(None)
    distinct = column.n_unique() - (1 if column.null_count() else 0)
    return Facts(column.name, _kind(column), len(column), column.null_count(), distinct, column, quoted)


def _kind(column: pl.Series) -> Kind:
    if column.dtype.is_integer():
        return "whole"
    if column.dtype.is_float():
        return "float"
    return next((kind for dtype, kind in _KINDS if column.dtype == dtype), "text")


def _numbers(column: pl.Series) -> pl.Series | None:
    """Text that wholly is numbers, as numbers."""
    present = column.drop_nulls()
    if present.is_empty() or not present.head(100).str.contains(NUMBER).all():
        return None
    trimmed = present.str.strip_chars()
    if not trimmed.str.contains(NUMBER).all() or trimmed.str.contains(CODE).any():
        return None
    return column.str.strip_chars().cast(pl.Float64)
