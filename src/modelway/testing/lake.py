"""What every lake must keep: subclass LakeChecks in a test module and give it a `lake` and an `upkeep` fixture."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from modelway.errors import LakeError, NotFoundError, UsageError
from modelway.lake.tables import Lake
from modelway.lake.upkeep import Upkeep
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
    """Each check takes the fixtures `lake`, empty, and `upkeep`, of the same tables."""

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

    def test_numbers_are_recorded_beside_the_positions(self, lake: Lake) -> None:
        assert lake.number("loans", "ingest", "topic") is None
        lake.append("loans", lake_rows(1), app="ingest", upto={0: 1}, numbers={"topic": -(2**63), "epoch": 4})
        lake.append("loans", lake_rows(1, 1), app="ingest", upto={0: 2}, numbers={"epoch": 3})
        assert [lake.number("loans", "ingest", name) for name in ("topic", "epoch", "none")] == [-(2**63), 3, None]
        assert lake.number("loans", "another", "topic") is None
        assert lake.positions("loans", "ingest") == {0: 2}
        with pytest.raises(ValueError, match="position"):
            lake.append("loans", lake_rows(1), app="ingest", numbers={"0": 9})

    def test_positions_are_moved_by_a_commit_without_rows(self, lake: Lake) -> None:
        lake.append("loans", lake_rows(3), app="ingest", upto={0: 30, 1: 7}, numbers={"topic": 1})
        before = lake.append("loans", lake_rows(3, 3), app="other", upto={0: 5})
        assert before is not None
        assert lake.move("loans", "ingest", {0: 2}, numbers={"topic": 2}, seen=TableVersion("loans", 0)) is None
        assert lake.move("loans", "ingest", {0: 2}, numbers={"topic": 2}, seen=before) is not None
        assert lake.positions("loans", "ingest") == {0: 2}
        assert lake.positions("loans", "other") == {0: 5}
        assert lake.number("loans", "ingest", "topic") == 2
        assert lake.read("loans").height == 6
        assert lake.append("loans", lake_rows(1, 6), app="ingest", upto={0: 2}) is None
        assert lake.append("loans", lake_rows(1, 6), app="ingest", upto={0: 3, 1: 1}) is not None
        assert lake.positions("loans", "ingest") == {0: 3, 1: 1}
        with pytest.raises(NotFoundError):
            lake.move("none", "ingest", {}, seen=before)

    def test_positions_that_moved_meanwhile_are_not_moved(self, lake: Lake) -> None:
        seen = lake.append("loans", lake_rows(1), app="ingest", upto={0: 1})
        assert seen is not None
        lake.append("loans", lake_rows(1, 1), app="ingest", upto={0: 2})
        assert lake.move("loans", "ingest", {0: 0}, seen=seen) is None
        assert lake.positions("loans", "ingest") == {0: 2}

    def test_what_was_added_between_two_versions_is_told(self, lake: Lake, upkeep: Upkeep) -> None:
        for n in range(4):
            lake.append("loans", lake_rows(2, 2 * n))
        assert lake.changes("loans", -1, 0).collect().sort("x").equals(lake_rows(2))
        assert lake.changes("loans", 0, 2).collect().sort("x").equals(lake_rows(4, 2))
        upkeep.maintain("loans")
        assert lake.changes("loans", 2).collect().sort("x").equals(lake_rows(2, 6))
        assert lake.changes("loans", 3).collect().height == 0
        lake.append("loans", lake_rows(1, 8).with_columns(pl.lit("a").alias("w")))
        found = lake.changes("loans", 2).collect().sort("x")
        assert found["w"].to_list() == [None, None, "a"]
        assert found.columns == lake.scan("loans").collect_schema().names()
        with pytest.raises(NotFoundError):
            lake.changes("loans", 2, 99)

    def test_changes_that_the_files_no_longer_tell_are_not_found(self, lake: Lake, upkeep: Upkeep) -> None:
        for n in range(3):
            lake.append("loans", lake_rows(2, 2 * n))
        upkeep.maintain("loans", retain_hours=0)
        newest = lake.append("loans", lake_rows(2, 6))
        assert newest is not None
        with pytest.raises(NotFoundError, match="can no longer be told"):
            lake.changes("loans", 0)
        assert lake.changes("loans", newest.version - 1).collect().sort("x").equals(lake_rows(2, 6))

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

    def test_every_column_that_does_not_fit_is_named_at_once_and_values_are_never_changed(self, lake: Lake) -> None:
        whole = pl.DataFrame({"n": [1], "f": [0.5], "s": ["a"]})
        lake.append("loans", whole)
        with pytest.raises(LakeError) as caught:
            lake.append("loans", pl.DataFrame({"n": [0.5], "f": [2**53 + 1], "s": [1]}))
        for told in ("n is Int64 there and Float64", "f is Float64 there and Int64", "s is String there and Int64"):
            assert told in caught.value.problem
        lake.append("loans", pl.DataFrame({"n": [2], "f": [2**53], "s": [None]}))
        assert lake.read("loans").sort("n")["f"].to_list() == [0.5, float(2**53)]

    def test_a_table_is_named_with_a_version_or_a_moment(self, lake: Lake) -> None:
        lake.append("loans", lake_rows(1))
        between = _after()
        lake.append("loans", lake_rows(1, 1))
        lake.append("loans", lake_rows(1, 2))
        assert lake.read("loans@1").height == 2
        assert lake.version(f"loans@{between.isoformat()}") == TableVersion("loans", 0)
        assert lake.scan(f"loans@{between:%Y-%m-%dT%H:%M:%S.%f}").collect().height == 1
        assert lake.version(f"loans@{_after().isoformat()}") == TableVersion("loans", 2)
        with pytest.raises(NotFoundError):
            lake.version("loans@2001-01-01")
        with pytest.raises(NotFoundError):
            lake.version("loans@9")
        with pytest.raises(UsageError, match="names no version"):
            lake.read("loans@yesterday")
        assert lake.version("none@1") is None

    def test_what_differs_between_two_versions_is_told_row_by_row(self, lake: Lake, upkeep: Upkeep) -> None:
        lake.append("loans", lake_rows(3))
        lake.append("loans", lake_rows(1, 3))
        upkeep.maintain("loans")
        lake.append("loans", lake_rows(1, 3).with_columns(pl.lit("a").alias("w")))
        newest = lake.version("loans")
        assert newest is not None
        found = upkeep.diff(TableVersion("loans", 0), newest).sort("w")
        assert found.select("_change", "_key", "w").rows() == [("added", "k3", None), ("added", "k3", "a")]
        assert upkeep.diff(newest, TableVersion("loans", 1)).select("_change", "w").rows() == [("removed", "a")]
        assert upkeep.diff(newest, newest).height == 0

    def test_a_columns_new_name_and_its_end_are_one_commit_each(self, lake: Lake, upkeep: Upkeep) -> None:
        lake.append("loans", lake_rows(3).with_columns(pl.lit("a").alias("w")), app="ingest", upto={0: 3})
        before = lake.append("loans", lake_rows(1, 3).with_columns(pl.lit("b").alias("w")))
        assert before is not None
        assert upkeep.reshape("loans", {"x": "amount"}, {"reason": "clearer"}) == TableVersion("loans", 2)
        assert upkeep.reshape("loans", {"x": "amount"}, {"reason": "clearer"}) is None
        assert upkeep.reshape("loans", {"w": None}, {"reason": "not needed"}) == TableVersion("loans", 3)
        assert upkeep.reshape("loans", {"w": None}, {"reason": "not needed"}) is None
        found = lake.read("loans").sort("amount")
        assert found.columns == ["_key", "_arrived", "amount"]
        assert found.rename({"amount": "x"}).equals(lake_rows(4))
        assert lake.positions("loans", "ingest") == {0: 3}
        assert lake.read(before).sort("x").select("x", "w").rows() == [(0.0, "a"), (1.0, "a"), (2.0, "a"), (3.0, "b")]
        with pytest.raises(NotFoundError, match="wrote rows anew"):
            lake.changes("loans", 1)
        told = upkeep.history("loans")
        assert [change.version for change in told] == [3, 2, 1, 0]
        assert told[0].note["columns"] == {"w": None}
        for columns in ({"z": "y"}, {"amount": "_key"}, {"_key": None}, {"amount": "_arrived"}):
            with pytest.raises(UsageError):
                upkeep.reshape("loans", columns, {})

    @pytest.mark.parametrize("new", ["", " ", "a\0b", "_mine", "w", "W", "X", "É"])
    def test_a_column_gets_no_name_that_no_table_can_hold(self, lake: Lake, upkeep: Upkeep, new: str) -> None:
        lake.append("loans", lake_rows(3).with_columns(pl.lit("a").alias("w"), pl.lit("b").alias("é")))
        with pytest.raises(UsageError):
            upkeep.reshape("loans", {"x": new}, {"reason": "clearer"})
        assert lake.version("loans") == TableVersion("loans", 0)

    def test_a_version_stays_as_it_is(self, lake: Lake, upkeep: Upkeep) -> None:
        for n in range(3):
            lake.append("loans", lake_rows(1, n).with_columns(pl.lit("a").alias("w")))
        newest = TableVersion("loans", 2)
        for named in ("loans@1", "loans@2", "loans@2099-01-01"):
            with pytest.raises(UsageError, match="names a version"):
                upkeep.reshape(named, {"w": None}, {"reason": "not needed"})
            with pytest.raises(UsageError, match="names a version"):
                upkeep.maintain(named)
            with pytest.raises(UsageError, match="names a version"):
                upkeep.erase(named, pl.lit(True), (), {})
            with pytest.raises(UsageError, match="names a version"):
                lake.move(named, "ingest", {0: 1}, seen=newest)
        assert lake.version("loans") == newest

    def test_added_columns_stand_in_the_log_and_stay_there(self, lake: Lake, upkeep: Upkeep) -> None:
        lake.append("loans", lake_rows(1))
        lake.append("loans", lake_rows(1, 1).with_columns(pl.lit("a").alias("w")))
        for n in range(2, 6):
            lake.append("loans", lake_rows(1, n))
        upkeep.maintain("loans", retain_hours=0)
        told = {change.version: change.note for change in upkeep.history("loans")}
        assert told[1] == {"added_columns": {"w": "String"}}
        assert 3 not in told

    def test_facts_are_those_of_the_newest_version(self, lake: Lake, upkeep: Upkeep) -> None:
        for n in range(3):
            lake.append("loans", lake_rows(2, 2 * n))
        facts = upkeep.facts("loans")
        assert (facts.table, facts.rows, facts.files, facts.small) == (TableVersion("loans", 2), 6, 3, 3)
        assert facts.versions == 3
        assert facts.bytes > 0
        upkeep.maintain("loans", retain_hours=0)
        assert upkeep.facts("loans").files == 1

    def test_versions_are_bounded_in_number_and_pinned_ones_outlive_them(self, lake: Lake, upkeep: Upkeep) -> None:
        for n in range(30):
            lake.append("loans", lake_rows(1, n), app="ingest", upto={0: n + 1})
            if n % 10 == 9:
                upkeep.maintain("loans", {4, 13}, retain_versions=5, thorough=False)
        assert upkeep.facts("loans").versions <= 5 + 1 + 3  # the youngest, the first of them, two pins and the schema's
        assert lake.read("loans").sort("x").equals(lake_rows(30))
        assert lake.read("loans@4").sort("x").equals(lake_rows(5))
        assert lake.positions("loans", "ingest") == {0: 30}
        with pytest.raises(NotFoundError):
            lake.read("loans@7")
        lake.append("loans", lake_rows(1, 30))
        assert lake.read("loans").height == 31

    def test_rows_are_erased_from_every_version_that_stays_and_from_every_file(
        self, lake: Lake, upkeep: Upkeep
    ) -> None:
        for n in range(6):
            lake.append("loans", lake_rows(5, 5 * n), app="ingest", upto={0: 5 * n + 5})
            if n == 3:
                upkeep.maintain("loans", {1})
        pinned = [v.version for name in ("loans@1", "loans@5", "loans") if (v := lake.version(name)) is not None]
        where = pl.col("_key").is_in(["k3", "k7", "k29"]) | (pl.col("nowhere") == "x")
        assert upkeep.holds("loans", where)[0] > 3
        done = upkeep.erase("loans", where, pinned, {"request": "r"})
        assert (done.rows, dict(done.pinned)) == (3, {1: 2, 5: 2, pinned[2]: 3})
        assert upkeep.holds("loans", where)[0] == 0
        left = lake_rows(30).filter(~pl.col("_key").is_in(["k3", "k7", "k29"]))
        assert lake.read("loans").sort("x").equals(left)
        assert lake.read(TableVersion("loans", pinned[2])).sort("x").equals(left)
        assert lake.read("loans@1").sort("x").equals(left.head(8))
        assert lake.positions("loans", "ingest") == {0: 30}
        with pytest.raises(NotFoundError):
            lake.read("loans@2")
        again = upkeep.erase("loans", where, pinned, {"request": "r"})
        assert (again.rows, dict(again.pinned), again.states) == (0, {}, done.states)
        lake.append("loans", lake_rows(1, 30), app="ingest", upto={0: 31})
        upkeep.maintain("loans", pinned, retain_hours=0)
        assert lake.read("loans").height == 28
        assert lake.read("loans@1").height == 8

    def test_arrival_bounds_are_half_open(self, lake: Lake) -> None:
        lake.append("loans", lake_rows(10))
        found = lake.read("loans", ["x"], since=START + timedelta(hours=2), until=START + timedelta(hours=5))
        assert sorted(found["x"].to_list()) == [2.0, 3.0, 4.0]

    def test_maintenance_keeps_all_rows_and_the_versions_that_are_kept(self, lake: Lake, upkeep: Upkeep) -> None:
        versions = [lake.append("loans", lake_rows(5, 5 * n), app="ingest", upto={0: 5 * n + 5}) for n in range(6)]
        kept = versions[2]
        assert kept is not None
        upkeep.maintain("loans", {kept.version}, retain_hours=0)
        upkeep.maintain("loans", {kept.version}, retain_hours=0)
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


def _after() -> datetime:
    """A moment after the newest commit and before the next: the store's clock counts milliseconds."""
    start = datetime.now(UTC)
    while (now := datetime.now(UTC)) < start + timedelta(milliseconds=3):
        pass
    return now - timedelta(milliseconds=1)
