"""Table versions that a run used survive compaction and vacuum; everything else may go."""

from datetime import UTC, datetime, timedelta

import pytest

from modelway.errors import ModelwayError
from modelway.flow.pins import MANY, maintain, maintain_busy, maintain_daily, pin, pinned
from modelway.testing.lake import lake_rows
from tests.unit.serving.made import make_workspace

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path):
    made = make_workspace(tmp_path)
    yield made
    made.close()


def test_a_pinned_version_is_read_again_after_vacuum_and_an_unpinned_one_is_gone(workspace):
    made = [workspace.lake.append("loans", lake_rows(5, 5 * n)) for n in range(6)]
    pin(workspace.database, "r1", [made[2]])
    pin(workspace.database, "r1", [made[2]])
    assert pinned(workspace.database, "loans") == {made[2].version}
    done = maintain(workspace, retain_hours=0)
    assert done["loans"]["files_after"] == 1
    assert done["loans"]["files_removed"] >= 3
    assert workspace.lake.read(made[2]).sort("x").equals(lake_rows(15))
    assert workspace.lake.read("loans").height == 30
    with pytest.raises(ModelwayError):
        workspace.lake.read(made[4])


def test_maintenance_is_done_once_a_day(workspace):
    workspace.lake.append("loans", lake_rows(5))
    assert maintain_daily(workspace, NOW)
    assert not maintain_daily(workspace, NOW + timedelta(hours=23))
    assert maintain_daily(workspace, NOW + timedelta(hours=25))


def test_a_table_that_took_many_commits_is_compacted_in_between(workspace, monkeypatch):
    monkeypatch.setattr("modelway.flow.pins.MANY", 10)
    assert MANY > 100
    for n in range(10):
        workspace.lake.append("loans", lake_rows(1, n))
    assert maintain_busy(workspace) == []
    workspace.lake.append("loans", lake_rows(1, 10))
    assert maintain_busy(workspace) == ["loans"]
    assert workspace.upkeep.maintain("loans")["files_before"] == 1
    assert maintain_busy(workspace) == []
    assert workspace.lake.read("loans").height == 11
