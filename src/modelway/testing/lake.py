"""What every lake must keep: subclass LakeChecks in a test module and give it a `lake` fixture."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from modelway.errors import LakeError, NotFoundError
from modelway.lake.tables import Lake
from modelway.records import TableVersion

START = datetime(2024, 1, 1, tzinfo=UTC)


def lake_rows(count: int, start: int = 0) -> pl.DataFrame:
    """Rows that say which they are, one an hour."""
    numbers = list(range(start, start + count))
    times = [START + timedelta(hours=n) for n in numbers]
    return pl.DataFrame({"_key": [f"k{n}" for n in numbers], "_arrived": times, "x": [float(n) for n in numbers]}).cast(
        {"_arrived": pl.Datetime("us", "UTC"), "_key": pl.String, "x": pl.Float64}
    )


class LakeChecks:
    """Each check takes the fixture `lake`: empty."""

    def test_rows_and_offsets_are_one_commit(self, lake: Lake) -> None:
        assert lake.positions("loans", "ingest") == {}
        assert lake.append("loans", lake_rows(3), app="ingest", upto={0: 3}) is not None
        assert lake.positions("loans", "ingest") == {0: 3}
        assert lake.positions("loans", "another") == {}
        assert lake.append("loans", lake_rows(2, 3), app="ingest", upto={0: 5, 2: 9}) is not None
        assert lake.positions("loans", "ingest") == {0: 5, 2: 9}
        assert lake.read("loans").sort("x")["_key"].to_list() == ["k0", "k1", "k2", "k3", "k4"]

    @pytest.mark.parametrize("upto", [{0: 5}, {0: 4}, {0: 5, 1: 7}])
    def test_offsets_that_were_committed_are_not_committed_again(self, lake: Lake, upto: dict[int, int]) -> None:
        lake.append("loans", lake_rows(5), app="ingest", upto={0: 5})
        assert lake.append("loans", lake_rows(5), app="ingest", upto=upto) is None
        assert lake.read("loans").height == 5
        assert lake.positions("loans", "ingest") == {0: 5}

    def test_offsets_without_rows_are_a_commit_too(self, lake: Lake) -> None:
        lake.append("loans", lake_rows(1), app="ingest", upto={0: 1})
        assert lake.append("loans", lake_rows(0), app="ingest", upto={0: 8}) is not None
        assert lake.positions("loans", "ingest") == {0: 8}
        assert lake.read("loans").height == 1

    def test_a_write_on_what_was_seen_is_refused_when_it_changed(self, lake: Lake) -> None:
        seen = lake.append("loans", lake_rows(1))
        lake.append("loans", lake_rows(1, 1))
        assert lake.append("loans", lake_rows(1, 2), seen=seen) is None
        assert lake.append("loans", lake_rows(1, 2), seen=lake.version("loans")) is not None
        assert lake.read("loans").height == 3

    def test_every_version_can_be_read_again(self, lake: Lake) -> None:
        versions = [lake.append("loans", lake_rows(2, 2 * n)) for n in range(4)]
        for count, version in enumerate(versions, 1):
            assert version is not None
            assert lake.read(version).height == 2 * count
        assert lake.version("loans") == versions[-1]

    def test_new_columns_are_added_and_old_rows_have_none(self, lake: Lake) -> None:
        lake.append("loans", lake_rows(1))
        lake.append("loans", lake_rows(1, 1).with_columns(pl.lit("a").alias("w")))
        lake.append("loans", lake_rows(1, 2))
        assert lake.read("loans").sort("x")["w"].to_list() == [None, "a", None]

    def test_a_column_of_another_type_is_refused_with_both_types(self, lake: Lake) -> None:
        lake.append("loans", lake_rows(1))
        with pytest.raises(LakeError, match=r"x is Float64 there and String"):
            lake.append("loans", lake_rows(1, 1).with_columns(pl.lit("a").alias("x")))
        lake.append("loans", lake_rows(1, 1).with_columns(pl.lit(None).alias("x")))
        assert lake.read("loans").sort("_key")["x"].to_list() == [0.0, None]

    def test_arrival_bounds_are_half_open(self, lake: Lake) -> None:
        lake.append("loans", lake_rows(10))
        found = lake.read("loans", ["x"], since=START + timedelta(hours=2), until=START + timedelta(hours=5))
        assert sorted(found["x"].to_list()) == [2.0, 3.0, 4.0]

    def test_maintenance_keeps_all_rows_and_the_versions_that_are_kept(self, lake: Lake) -> None:
        versions = [lake.append("loans", lake_rows(5, 5 * n), app="ingest", upto={0: 5 * n + 5}) for n in range(6)]
        kept = versions[2]
        assert kept is not None
        lake.maintain("loans", {kept.version}, retain_hours=0)
        lake.maintain("loans", {kept.version}, retain_hours=0)
        assert lake.read(kept).sort("x").equals(lake_rows(15))
        assert lake.read("loans").sort("x").equals(lake_rows(30))
        assert lake.positions("loans", "ingest") == {0: 30}
        assert lake.append("loans", lake_rows(5), app="ingest", upto={0: 30}) is None

    def test_what_is_not_there_is_not_found(self, lake: Lake) -> None:
        assert lake.version("loans") is None
        assert lake.tables() == []
        with pytest.raises(NotFoundError, match="loans"):
            lake.read("loans")
        lake.append("loans", lake_rows(1))
        with pytest.raises(NotFoundError, match="loans@7"):
            lake.read(TableVersion("loans", 7))
        assert lake.tables() == ["loans"]

    def test_ping_returns(self, lake: Lake) -> None:
        lake.ping()
