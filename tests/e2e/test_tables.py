"""The lake's tables at the command line: as they are, as they were, changed by hand; and a version made again after upkeep."""

import json
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from modelway.errors import NotFoundError
from modelway.flow.pins import maintain
from modelway.testing.lake import lake_rows
from modelway.workspace import create_workspace, open_workspace
from tests.support.projects import bank, modelway, ok, records


@pytest.fixture
def root(tmp_path: Path) -> Path:
    workspace = create_workspace(tmp_path / "bank", "")
    for n in range(3):
        workspace.lake.append("loans", lake_rows(2, 2 * n))
    workspace.lake.append("loans", lake_rows(1, 6).with_columns(pl.lit("a").alias("phone")))
    workspace.close()
    return tmp_path / "bank"


def test_tables_are_listed_shown_and_compared(root):
    told = records(root, "table", "list")
    assert told[0]["facts"]["rows"] == 7
    assert told[0]["facts"]["small"] == 4
    assert [row["x"] for row in records(root, "table", "show", "loans@0")] == [0.0, 1.0]
    assert len(records(root, "table", "show", "loans@2099-01-01", "--limit", "3")) == 3
    assert set(records(root, "table", "schema", "loans@2")) == {"_key", "_arrived", "x"}
    found = records(root, "table", "diff", "loans@1", "loans@3")
    assert sorted(row["_key"] for row in found) == ["k4", "k5", "k6"]
    assert records(root, "table", "history", "loans")[0]["change"]["note"] == {"added_columns": {"phone": "String"}}
    assert "3 rows added, 0 removed" in ok("table", "diff", "loans@1", "loans", cwd=root)
    assert "7 rows in 4 files (4 small)" in ok("status", cwd=root)
    assert records(root, "status")["tables"][0]["files"] == 4
    assert modelway("table", "show", "loans@99", cwd=root).code == 2
    assert modelway("table", "show", "cards", cwd=root).code == 2


def test_long_cells_are_cut_for_people_and_whole_as_json(root):
    workspace = open_workspace(root)
    long = "x" * 1_000
    odd = (pl.lit(12345.67).alias("amount"), pl.lit(datetime(2026, 1, 5, 4, 1, 2)).alias("at"))
    cells = (pl.lit(long).alias("w"), pl.lit(long.encode()).alias("b"), *odd)
    workspace.lake.append("notes", lake_rows(1).with_columns(*cells))
    workspace.close()
    told = ok("table", "show", "notes", cwd=root)
    assert 300 < told.count("x") < 500
    assert told.count("…") == 2
    assert "12345.67" in told
    assert "04:01:02" in told
    assert records(root, "table", "show", "notes")[0]["w"] == long


def test_moved_positions_are_told_as_such(root):
    workspace = open_workspace(root)
    workspace.lake.move("loans", "ingest", {0: 3}, seen=workspace.lake.version("loans"))
    workspace.close()
    assert [told["change"]["what"] for told in records(root, "table", "history", "loans")][:2] == [
        "positions moved",
        "write",
    ]


@pytest.mark.parametrize(
    "point", ["lake.before-reshape", "lake.after-reshape", "ledger.before-write", "ledger.after-write"]
)
def test_a_column_is_renamed_once_and_told_once_whatever_was_killed(root, point):
    words = ("table", "rename-column", "loans", "x", "amount", "--reason", "clearer")
    assert modelway(*words, cwd=root, env={"MODELWAY_KILL_AT": point}).code == -9
    ok(*words, cwd=root)
    assert "done already" in ok(*words, cwd=root)
    entries = records(root, "history")["entries"]
    assert [(e["action"], e["subject"], e["reason"], e["data"]["version"]) for e in entries] == [
        ("columns", "loans", "clearer", 4)
    ]
    assert sorted(row["amount"] for row in records(root, "table", "show", "loans")) == [float(n) for n in range(7)]
    assert len(records(root, "table", "show", "loans@0")) == 2


def test_a_column_is_dropped_with_a_reason_and_stays_in_older_versions(root):
    assert modelway("table", "drop-column", "loans", "phone", cwd=root).code == 2
    ok("table", "drop-column", "loans", "phone", "--reason", "not needed", cwd=root)
    assert "phone" not in records(root, "table", "schema", "loans")
    assert "phone" in records(root, "table", "schema", "loans@3")


def test_a_version_is_made_again_equal_after_compaction_and_the_cut_of_log_and_files(tmp_path):
    root = bank(tmp_path)
    ok("run", "loans", cwd=root)
    workspace = open_workspace(root)
    before = workspace.lake.version("loans")
    for n in range(40):
        workspace.lake.append("loans", workspace.lake.read("loans").head(1).with_columns(pl.lit(f"n{n}").alias("_key")))
    for _ in range(2):
        maintain(workspace, retain_hours=0)
    facts = workspace.upkeep.facts("loans")
    assert facts.files == 1
    assert facts.versions <= 4
    assert workspace.lake.read(before).height == 600
    with pytest.raises(NotFoundError, match="is not in the lake"):
        workspace.lake.read(f"loans@{before.version + 7}")
    workspace.close()
    again = json.loads(ok("reproduce", "loans@1", "--json", cwd=root))
    assert again["training_set"][0] == again["training_set"][1]
    assert again["worst"] <= again["tolerance"]
