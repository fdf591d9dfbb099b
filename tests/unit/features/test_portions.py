"""Lazy rows come in several portions, in their order, each with its number."""

import polars as pl

from modelway.features.portions import collected, in_portions


def test_rows_of_several_portions_keep_their_order_and_their_numbers(tmp_path):
    rows = pl.DataFrame({"a": range(100_000), "b": 1.0})
    rows.write_parquet(tmp_path / "rows.parquet", row_group_size=10_000)
    portions = []

    def made(given: pl.DataFrame) -> pl.DataFrame:
        portions.append(given.height)
        return given.filter(pl.col("a") % 7 == 0).select("place", twice=pl.col("a") * 2)

    lazy = pl.scan_parquet(tmp_path / "rows.parquet")
    found = in_portions(lazy, ["a"], made, "place")
    assert len([one for one in portions if one]) > 1
    assert found["place"].to_list() == list(range(0, 100_000, 7))
    assert found.equals(in_portions(rows, ["a"], made, "place"))
    assert collected(lazy, lambda every: every.select(pl.col("a").sum())).item() == sum(range(100_000))
