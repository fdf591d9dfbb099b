"""How columns are packed: without a dictionary where values rarely repeat, which halves the cost of a commit.

Parquet's writers try a dictionary for each column first, and give it up when it has grown too large.
"""

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from deltalake import WriterProperties

_LOOK = 1_000
"""Rows that are looked at."""
_OWN = ("_key", "_content", "_offset", "_at", "_arrived")
"""Nearly every row has another."""


def packing(rows: pl.DataFrame) -> "WriterProperties":
    """For a commit of these rows."""
    seen = rows.gather_every(max(1, rows.height // _LOOK))
    return _without_dictionary([name for name in rows.columns if _varies(seen, name)])


def packing_of(schema: pl.Schema) -> "WriterProperties":
    """For rows of a table that are written anew, and not looked at."""
    return _without_dictionary([name for name, kind in schema.items() if kind.is_float() or name in _OWN])


def _varies(seen: pl.DataFrame, name: str) -> bool:
    values = seen[name]
    if values.dtype.is_float() or name in _OWN:
        return True
    return not values.dtype.is_nested() and values.n_unique() > seen.height // 2


def _without_dictionary(columns: list[str]) -> "WriterProperties":
    from deltalake import ColumnProperties, WriterProperties

    plain = ColumnProperties(dictionary_enabled=False)
    return WriterProperties(compression="SNAPPY", column_properties=dict.fromkeys(columns, plain))
