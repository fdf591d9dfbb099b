"""A table that has lived: rows, a new column, compaction, a cut log, a renamed column, an erasure; for whoever else reads it."""

from pathlib import Path

import polars as pl

from modelway.lake.delta import DeltaLake, DeltaUpkeep
from modelway.testing.lake import lake_rows

PIN = 5
ERASED = ("k3", "k9", "k17")


def lived_in(root: Path | str) -> DeltaLake:
    """The table `loans` in a folder; version PIN is pinned."""
    lake = DeltaLake(root)
    upkeep = DeltaUpkeep(lake)
    for n in range(8):
        more = {"word": pl.lit(f"ä{n}"), "score": pl.lit([0.1 * n, 0.2])} if n >= 4 else {}
        lake.append("loans", lake_rows(5, 5 * n).with_columns(**more), app="ingest", upto={0: n + 1})
    upkeep.maintain("loans", {PIN}, retain_hours=0)
    upkeep.reshape("loans", {"x": "amount"}, {"reason": "clearer"})
    upkeep.erase("loans", pl.col("_key").is_in(ERASED), {PIN}, {"request": "r"})
    lake.append("loans", lake_rows(2, 40).rename({"x": "amount"}))
    return lake
