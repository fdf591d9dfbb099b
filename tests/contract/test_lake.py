"""The lake's checks over Delta tables, and what is delta-rs's own: races between processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelway.errors import LakeError
from modelway.lake.delta import DeltaLake, DeltaUpkeep
from modelway.testing.lake import LakeChecks, lake_rows


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(tmp_path / "lake")


@pytest.fixture
def upkeep(lake: DeltaLake) -> DeltaUpkeep:
    return DeltaUpkeep(lake)


class TestDelta(LakeChecks): ...


RACER = """
import sys
from pathlib import Path
from modelway.lake.delta import DeltaLake
from modelway.testing.lake import lake_rows
lake, done = DeltaLake(Path(sys.argv[1])), 0
while (at := lake.positions("loans", "ingest").get(0, 0)) < 25:
    done += lake.append("loans", lake_rows(1, at), app="ingest", upto={0: at + 1}) is not None
print(done)
"""


def test_of_two_racing_writers_each_offset_is_committed_once(tmp_path):
    racers = [subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path)], stdout=subprocess.PIPE) for _ in range(2)]
    done = [int(racer.communicate(timeout=90)[0]) for racer in racers]
    assert sum(done) == 25
    lake = DeltaLake(tmp_path)
    assert lake.read("loans").sort("x").equals(lake_rows(25))


def damaged_log(place: Path) -> Path:
    file = place / "_delta_log" / f"{1:020d}.json"
    file.write_text('{"x')
    return file


def empty_log(place: Path) -> Path:
    file = place / "_delta_log" / f"{1:020d}.json"
    file.write_text("")
    return file


def lost_log(place: Path) -> Path:
    file = place / "_delta_log" / f"{1:020d}.json"
    file.unlink()
    return file


def lost_rows(place: Path) -> Path:
    file = next(place.glob("*.parquet"))
    file.unlink()
    return file


def cut_rows(place: Path) -> Path:
    file = next(place.glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:100])
    return file


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damaged_log, "cannot be read"),
        (empty_log, "is empty"),
        (lost_log, "is missing"),
        (lost_rows, "is missing"),
        (cut_rows, "has 100 bytes instead of"),
    ],
)
def test_a_damaged_table_is_named_with_the_file_by_reader_and_ping(tmp_path, damage, says, capfd):
    for n in range(3):
        DeltaLake(tmp_path).append("loans", lake_rows(3, 3 * n))
    file = damage(tmp_path / "loans")
    calls = [lambda: DeltaLake(tmp_path).ping()]
    if damage is not empty_log:  # delta-rs passes over it
        calls += [lambda: DeltaLake(tmp_path).read("loans"), lambda: DeltaLake(tmp_path).scan("loans")]
    for call in calls:
        with pytest.raises(LakeError) as caught:
            call()
        assert caught.value.problem.startswith(f"table loans is damaged: {file} {says}")
        assert "\n" not in caught.value.problem
        assert "backup" in caught.value.fix
    assert capfd.readouterr().err == ""


def test_rows_that_cannot_be_read_are_named_with_their_file(tmp_path):
    lake = DeltaLake(tmp_path)
    lake.append("loans", lake_rows(3000))
    file = next((tmp_path / "loans").glob("*.parquet"))
    whole = bytearray(file.read_bytes())
    whole[100:2000] = bytes(1900)
    file.write_bytes(whole)
    with pytest.raises(LakeError) as caught:
        lake.read("loans")
    assert f"{file} cannot be read" in caught.value.problem


def test_a_table_that_is_closed_to_this_user_is_not_called_damaged(tmp_path, monkeypatch):
    lake = DeltaLake(tmp_path)
    lake.append("loans", lake_rows(3))
    file = next((tmp_path / "loans").glob("*.parquet"))
    monkeypatch.setattr("modelway.lake.delta.places.os.access", lambda path, how: path != file)
    for call in (lake.ping, lambda: lake.read("loans")):
        with pytest.raises(LakeError) as caught:
            call()
        assert caught.value.problem == f"{file} is closed to this user (permission denied)"


def test_a_ping_goes_by_the_newest_version_whatever_was_compacted(tmp_path):
    lake = DeltaLake(tmp_path)
    for n in range(4):
        lake.append("loans", lake_rows(3, 3 * n))
    DeltaUpkeep(lake).maintain("loans", retain_hours=0)
    lake.ping()


def test_a_commit_into_a_log_that_was_cut_meanwhile_is_taken_back_and_made_again(tmp_path, monkeypatch):
    """A process that slept between its look and its commit must not write where no reader looks."""
    sleeper, other = DeltaLake(tmp_path), DeltaLake(tmp_path)
    sleeper.append("loans", lake_rows(1), app="ingest", upto={0: 1})
    asleep = sleeper.handles.newest("loans")
    for n in range(1, 5):
        other.append("loans", lake_rows(1, n), app="ingest", upto={0: n + 1})
    DeltaUpkeep(other).maintain("loans", retain_hours=0)
    awake, looks = sleeper.handles.newest, iter([asleep])
    monkeypatch.setattr(sleeper.handles, "newest", lambda table: next(looks, None) or awake(table))
    assert sleeper.append("loans", lake_rows(1, 1), app="ingest", upto={0: 2}) is None
    assert sleeper.append("loans", lake_rows(1, 5), app="ingest", upto={0: 6}) is not None
    assert DeltaLake(tmp_path).read("loans").sort("x").equals(lake_rows(6))
    assert not (tmp_path / "loans" / "_delta_log" / f"{1:020d}.json").exists()


def test_files_that_no_commit_knows_are_swept_when_they_are_a_day_old(tmp_path):
    lake = DeltaLake(tmp_path)
    version = lake.append("loans", lake_rows(3))
    for name, age in (("old", 2 * 24 * 3600), ("young", 3600)):
        file = tmp_path / "loans" / f"{name}.parquet"
        file.write_bytes(b"x")
        os.utime(file, times=(time.time() - age, time.time() - age))
    DeltaUpkeep(lake).maintain("loans", {version.version})
    assert not (tmp_path / "loans" / "old.parquet").exists()
    assert (tmp_path / "loans" / "young.parquet").exists()
    assert lake.read("loans").height == 3


def test_a_table_of_an_earlier_version_gets_the_properties_that_bound_its_log(tmp_path):
    from deltalake import write_deltalake

    write_deltalake(
        tmp_path / "loans", lake_rows(3), configuration={"delta.logRetentionDuration": "interval 3650 days"}
    )
    lake = DeltaLake(tmp_path)
    for _ in range(2):
        DeltaUpkeep(lake).maintain("loans")
    assert lake.version("loans").version == 1
    assert (
        lake.handles.open("loans").metadata().configuration["delta.deletedFileRetentionDuration"]
        == "interval 1 minutes"
    )
    assert lake.read("loans").height == 3
