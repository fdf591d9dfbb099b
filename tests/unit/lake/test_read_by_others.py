"""The same tables read by DuckDB: by Arrow's dataset and by the list of files (its Delta extension is no part of the wheel)."""

from pathlib import Path

import duckdb
import polars as pl
import pytest

from modelway.lake.delta import DeltaLake, DeltaUpkeep
from tests.support.tables import ERASED, PIN, lived_in


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> DeltaLake:
    return lived_in(tmp_path_factory.mktemp("lake"))


@pytest.mark.parametrize("name", ["loans", f"loans@{PIN}"])
def test_duckdb_reads_the_same_rows_from_the_same_version(lake, name):
    ours = lake.read(name).sort("_key")
    handle = lake.handles.open("loans", lake.version(name).version)
    files = duckdb.read_parquet(handle.file_uris(), union_by_name=True)
    dataset = handle.to_pyarrow_dataset()
    with duckdb.connect() as connection:
        for theirs in (files.pl(), connection.from_arrow(dataset).pl()):
            assert (
                theirs.select(ours.columns)
                .with_columns(pl.col("_arrived").dt.convert_time_zone("UTC"))
                .sort("_key")
                .equals(ours)
            )


def test_the_table_has_lived(lake):
    """It was compacted, cut, renamed in and erased from: else the others would read nothing special."""
    facts = DeltaUpkeep(lake).facts("loans")
    assert facts.versions < facts.table.version
    assert "amount" in lake.read("loans").columns
    assert "x" in lake.read(f"loans@{PIN}").columns
    assert not set(ERASED) & set(lake.read(f"loans@{PIN}")["_key"])
    assert Path(lake.handles.place.uri("loans")).is_dir()
