"""Upkeep and erasure of tables, killed at every named point: the next call ends it, and no table is torn meanwhile."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from modelway.lake.delta import DeltaLake, DeltaUpkeep
from modelway.testing.lake import lake_rows
from tests.support.killing import KILLED, passages, run_apart

PINS = (3, 6)
WHERE = pl.col("_key").is_in(["k1", "k7", "k19"])


def made(root: Path) -> None:
    lake = DeltaLake(root)
    for n in range(10):
        lake.append("loans", lake_rows(2, 2 * n), app="ingest", upto={0: 2 * n + 2})
        if n == 4:
            DeltaUpkeep(lake).maintain("loans", PINS)


def erase(root: Path) -> None:
    DeltaUpkeep(DeltaLake(root)).erase("loans", WHERE, PINS, {"request": "r"})


def maintain(root: Path) -> None:
    DeltaUpkeep(DeltaLake(root)).maintain("loans", PINS, retain_hours=0)


def versions(root: Path) -> list[pl.DataFrame]:
    lake = DeltaLake(root)
    return [lake.read(name).sort("x") for name in ("loans", *(f"loans@{pin}" for pin in PINS))]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lake")
    made(root)
    return root


@pytest.mark.parametrize("work", [erase, maintain])
def test_killed_at_every_point(untouched, tmp_path, work):
    whole = versions(untouched)
    before = [set(rows["_key"]) for rows in whole]
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(untouched, undisturbed)
    points = passages(work, undisturbed, trace=tmp_path / "points")
    after = versions(undisturbed)
    assert len(points) >= 3
    for passage, point in enumerate(points):
        root = tmp_path / str(passage)
        shutil.copytree(untouched, root)
        assert run_apart(work, root, kill_at=f"{point}:{points[: passage + 1].count(point)}") == KILLED
        for rows, keys in zip(versions(root), before, strict=True):
            assert set(rows["_key"]) in (keys, keys - {"k1", "k7", "k19"})
        lake = DeltaLake(root)
        lake.append("loans", lake_rows(1, 20), app="ingest", upto={0: 21})
        work(root)
        found = versions(root)
        assert found[0].head(after[0].height).equals(after[0])
        assert found[0].height == after[0].height + 1
        assert all(one.equals(other) for one, other in zip(found[1:], after[1:], strict=True))
        lake.ping()
        if work is erase:
            assert DeltaUpkeep(lake).holds("loans", WHERE)[0] == 0
            assert b"k19" not in b"".join(file.read_bytes() for file in root.rglob("*") if file.is_file())
