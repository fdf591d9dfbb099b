"""Real Spark reads what the lake wrote, equal: the newest version, and a pinned one after the log was cut and rows were erased."""

from datetime import datetime

import polars as pl
import pytest

from tests.support.tables import PIN, lived_in

pytestmark = pytest.mark.engines


def test_spark_reads_the_newest_and_the_pinned_version(spark, tmp_path):
    lake = lived_in(tmp_path)
    found = spark.read(tmp_path / "loans", "", str(PIN))
    for version, name in (("", "loans"), (str(PIN), f"loans@{PIN}")):
        ours = lake.read(name).sort("_key")
        theirs = pl.DataFrame(
            [{**row, "_arrived": datetime.fromisoformat(row["_arrived"])} for row in found[version]],
            schema_overrides={"_arrived": ours.schema["_arrived"]},
        )
        assert theirs.select(ours.columns).equals(ours)
