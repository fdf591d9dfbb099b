"""Rows with their labels as windows over the target see them: each label counts from its arrival until its correction arrives."""

from typing import Any

import polars as pl

from modelway.training.classes import target_text

_AS_OF: dict[str, Any] = {"coalesce": False, "check_sortedness": False}
"""Both sides are in the order of their times; polars cannot check that within keys, and would warn."""


def own_labels(rows: pl.DataFrame, target: str) -> pl.DataFrame:
    """`_key`, `_label`, `_label_arrived` of the rows that bring their target with them."""
    named = rows.select("_key", target_text(rows[target]).alias("_label"), pl.col("_arrived").alias("_label_arrived"))
    return named.filter(pl.col("_label").is_not_null())


def versions(rows: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    """Every version of every row with the label known when it came, else the key's first; a corrected label makes a version too.

    `rows` in order of arrival, several to a key where a row was corrected; `told` has `_key`, `_label`, `_label_arrived` of every
    label, in any order. Returns the rows' columns and these two; a version that a label made has arrived with it.
    """
    every = told.sort("_label_arrived", maintain_order=True)
    first = every.unique("_key", keep="first", maintain_order=True)
    came = rows.with_columns(pl.col("_arrived").alias("_came"))
    then = came.join_asof(every, left_on="_arrived", right_on="_label_arrived", by="_key", **_AS_OF)
    unknown = then.filter(pl.col("_label").is_null()).drop("_label", "_label_arrived")
    known = then.filter(pl.col("_label").is_not_null())
    corrections = every.filter(pl.int_range(pl.len()).over("_key") > 0)
    again = corrections.join_asof(came, left_on="_label_arrived", right_on="_came", by="_key", **_AS_OF)
    made = again.filter(pl.col("_came") < pl.col("_label_arrived")).with_columns(_arrived="_label_arrived")
    parts = [known, unknown.join(first, on="_key", how="left"), made.select(known.columns)]
    return pl.concat(parts).drop("_came")
