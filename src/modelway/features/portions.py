"""Rows that may be lazy, looked at in portions, so that what is left out never stands in memory together."""

from collections.abc import Callable, Sequence

import polars as pl

Rows = pl.DataFrame | pl.LazyFrame


def collected(rows: Rows, made: Callable[[pl.LazyFrame], pl.LazyFrame]) -> pl.DataFrame:
    """What is made of the rows; of lazy ones in portions."""
    return made(rows.lazy()).collect(engine="streaming" if isinstance(rows, pl.LazyFrame) else "in-memory")


def in_portions(
    rows: Rows, columns: Sequence[str], made: Callable[[pl.DataFrame], pl.DataFrame], place: str
) -> pl.DataFrame:
    """What `made` makes of each portion of these columns, in their order; it is given the rows' numbers as `place`, too."""
    given = rows.select(columns).with_row_index(place)
    if isinstance(given, pl.DataFrame):
        return made(given)
    schema = made(pl.DataFrame(schema=given.collect_schema())).schema
    return given.map_batches(made, streamable=True, schema=schema).collect(engine="streaming")
