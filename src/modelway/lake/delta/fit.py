"""New rows brought to the types of a table, or refused with every column that does not fit."""

from typing import TYPE_CHECKING

import polars as pl

from modelway.errors import LakeError
from modelway.lake.fitting import holds

if TYPE_CHECKING:
    from deltalake import DeltaTable


def schema_of(handle: "DeltaTable") -> pl.Schema:
    """The columns of this version, as Polars reads them (through pyarrow they would cost 40 MB: it loads pandas)."""
    return pl.Schema(handle.schema().to_arrow())


def writable(rows: pl.DataFrame) -> pl.DataFrame:
    """Delta has no column without a type, none of unsigned integers and none of categories."""
    changed = {
        name: pl.String if dtype == pl.Null or isinstance(dtype, pl.Categorical | pl.Enum) else pl.Int64
        for name, dtype in rows.schema.items()
        if dtype == pl.Null or dtype.is_unsigned_integer() or isinstance(dtype, pl.Categorical | pl.Enum)
    }
    return rows.cast(changed) if changed else rows  # type: ignore[arg-type]


def fitted(rows: pl.DataFrame, stored: pl.Schema, table: str) -> pl.DataFrame:
    """Rows of the table's own types: nulls take any, whole numbers are numbers; else LakeError with every column's two types."""
    casts: dict[str, pl.DataType] = {}
    clashes: list[str] = []
    for name, dtype in rows.schema.items():
        want = stored.get(name)
        if want is None or want == dtype:
            continue
        if holds(want, rows[name]):
            casts[name] = want
        else:
            clashes.append(f"{name} is {want} there and {dtype} in the new rows")
    if clashes:
        first = clashes[0].partition(" is ")[0]
        raise LakeError(
            f"table {table}: column {'; column '.join(clashes)}",
            f"send {first} as {stored[first]}, or name it with one type in the contract",
        )
    return rows.cast(casts) if casts else rows  # type: ignore[arg-type]
