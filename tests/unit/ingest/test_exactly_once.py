"""Killed at any point and started again, or two at once: every row is in its table once, with its offsets."""

import math
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from modelway.clock import WallClock
from modelway.contracts.contract import Contract
from modelway.contracts.table import check_table
from modelway.events.folder import FolderEventLog
from modelway.events.log import ARROW, NewEvent
from modelway.ingest import quarantine
from modelway.ingest.batch import ingest_batch
from modelway.ingest.files import ipc_bytes
from modelway.ingest.source import APP, Source
from modelway.lake.delta import DeltaLake
from modelway.spec.model import Rule
from tests.support.killing import KILLED, passages, run_apart, start_apart

CONTRACT = Contract({"id": Rule(type="string", nulls=0), "x": Rule(type="float", min=0)})
SOURCE = Source("loans", lambda rows: check_table(rows, CONTRACT, "id"), key="id")
GOOD, BAD, BATCH = 30, 8, 12


def filled(root: Path) -> None:
    """Good rows, rows that break the contract, and some rows twice."""
    log = FolderEventLog(root / "events", WallClock())
    rows = [(f"g{n}", float(n)) for n in range(GOOD)] + [(f"b{n}", -1.0) for n in range(BAD)]
    random.Random(1).shuffle(rows)
    for key, x in [*rows, *rows[:9]]:
        log.append("loans", [NewEvent(key, b'{"id": "%s", "x": %f}' % (key.encode(), x))], durable=False)
    log.close()


def ingest_all(root: Path, limit: int = BATCH) -> None:
    log, lake = FolderEventLog(root / "events", WallClock()), DeltaLake(root / "lake")
    while ingest_batch(log, lake, SOURCE, limit=limit):
        pass


def demand_whole(root: Path) -> None:
    lake = DeltaLake(root / "lake")
    rows, refused = lake.read("loans"), lake.read("loans_quarantine")
    assert sorted(rows["_key"]) == sorted(f"g{n}" for n in range(GOOD))
    assert Counter(refused["_key"]) == Counter(refused_keys(root))
    assert lake.positions("loans", APP) == FolderEventLog(root / "events", WallClock()).ends("loans")


def refused_keys(root: Path) -> list[str]:
    """Each refused event once, also when a row was sent, and refused, twice."""
    events = FolderEventLog(root / "events", WallClock()).read("loans", {})
    return [event.key for event in events if event.key.startswith("b")]


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("undisturbed")
    filled(root)
    found = passages(ingest_all, root, trace=root / "trace")
    demand_whole(root)
    return found


def killed_and_started_again(root: Path, kill_at: str) -> None:
    filled(root)
    assert run_apart(ingest_all, root, kill_at=kill_at) == KILLED
    assert run_apart(ingest_all, root) == 0
    demand_whole(root)


def test_killed_at_every_named_point(points, tmp_path):
    named = sorted(set(points))
    assert {"lake.before-commit", "lake.after-commit", "ingest.before-quarantine", "ingest.after-quarantine"} <= set(
        named
    )
    for number, name in enumerate(named):
        place = tmp_path / str(number)
        killed_and_started_again(place, f"{name}:2")


@pytest.mark.slow
def test_killed_at_fifty_seeded_points(points, tmp_path, record_property):
    chosen = random.Random(7).choices(range(1, len(points) + 1), k=50)
    between = sum(
        points[passage - 1] in ("lake.before-commit", "ingest.after-quarantine", "ingest.before-commit")
        for passage in chosen
    )
    for number, passage in enumerate(chosen):
        killed_and_started_again(tmp_path / str(number), f"*:{passage}")
    record_property("kills", len(chosen))
    record_property("kills between a write and its commit", between)
    print(f"{len(chosen)} kills, {between} of them between a write and its commit")
    assert between >= 10


def test_killed_again_and_again(points, tmp_path):
    filled(tmp_path)
    chosen, kills = random.Random(3), 0
    while run_apart(ingest_all, tmp_path, kill_at=f"*:{chosen.randint(1, 12)}") == KILLED:
        kills += 1
        assert kills < 200
    assert kills >= 5
    demand_whole(tmp_path)


def test_several_ingesters_at_once(tmp_path):
    """Again and again: what races is the making of the tables too, and that is over in a moment."""
    for number in range(8):
        root = tmp_path / str(number)
        filled(root)
        racers = [start_apart(ingest_all, root, limit) for limit in (5, BATCH, 30)]
        for racer in racers:
            racer.join(120)
        assert [racer.exitcode for racer in racers] == [0, 0, 0]
        demand_whole(root)


@pytest.mark.parametrize("overtaken", [1, 2, 3])
def test_one_that_is_overtaken_in_smaller_steps_looks_again(tmp_path, overtaken):
    """The other's position lies within what this one has read: both tables are there, or neither is yet."""
    filled(tmp_path)
    log, lake, passes = FolderEventLog(tmp_path / "events", WallClock()), DeltaLake(tmp_path / "lake"), []

    def check(rows: pl.DataFrame):
        passes.append(rows.height)
        if len(passes) <= overtaken:
            ingest_batch(log, DeltaLake(tmp_path / "lake"), SOURCE, limit=5)
        return check_table(rows, CONTRACT, "id")

    while ingest_batch(log, lake, replace(SOURCE, check=check), limit=BATCH):
        pass
    demand_whole(tmp_path)


def test_a_row_sent_again_later_is_one_row_and_other_content_is_a_correction(tmp_path):
    log, lake = FolderEventLog(tmp_path / "events", WallClock()), DeltaLake(tmp_path / "lake")

    def send(*rows: bytes):
        log.append("loans", [NewEvent("k", row) for row in rows])
        return ingest_batch(log, lake, SOURCE)

    first = send(b'{"id": "a", "x": 1}', b'{"id": "b", "x": 2}', b'{"id": "a", "x": 1.0}')
    assert (first.read, first.accepted, first.doubles, first.corrections) == (3, 2, 1, 0)
    again = send(b'{"id": "a", "x": 1}', b'{"x": 5, "id": "b"}')
    assert (again.accepted, again.doubles, again.corrections) == (1, 1, 1)
    rows = lake.read("loans").sort("_arrived")
    assert rows.filter(pl.col("_key") == "b")["x"].to_list() == [2.0, 5.0]
    assert rows["_arrived"].is_sorted()


def test_a_refused_row_does_not_come_back_over_its_correction(tmp_path):
    """The source has sent it again, corrected; then the rule is mended and what is refused is checked again."""
    log, lake = FolderEventLog(tmp_path / "events", WallClock()), DeltaLake(tmp_path / "lake")
    for row in (b'{"id": "a", "x": -1}', b'{"id": "a", "x": 8}', b'{"id": "b", "x": -2}', b'{"id": "b", "x": -2}'):
        log.append("loans", [NewEvent("k", row)])
    ingest_batch(log, lake, SOURCE)
    assert [line["key"] for line in quarantine.listed(lake, SOURCE)] == ["b", "b"]
    mended = Contract({"id": Rule(type="string", nulls=0), "x": Rule(type="float")})
    taken = replace(SOURCE, check=lambda rows: check_table(rows, mended, "id"))
    done = quarantine.replay(lake, taken, datetime.now(UTC))
    assert (done.accepted, done.doubles) == (1, 1)
    assert sorted(lake.read("loans").select("_key", "x").iter_rows()) == [("a", 8.0), ("b", -2.0)]
    assert quarantine.listed(lake, taken) == []
    assert quarantine.replay(lake, taken, datetime.now(UTC)) is None


def test_refused_rows_are_kept_as_they_came_and_known_by_the_tables_keys(tmp_path):
    """A key that is a whole number in a column of doubles; infinity, which JSON has no word for."""
    rule = Rule(type="float", min=-5)
    source = Source(
        "loans", lambda rows: check_table(rows, Contract({"id": Rule(type="float"), "x": rule}), "id"), key="id"
    )
    log, lake = FolderEventLog(tmp_path / "events", WallClock()), DeltaLake(tmp_path / "lake")
    for chunk in ({"id": [1.0, 2.0, 3.0], "x": [-9.0, math.inf, 0.5]}, {"id": [1.0], "x": [0.7]}):
        log.append("loans", [NewEvent("chunk", ipc_bytes(pl.DataFrame(chunk)), ARROW)])
        ingest_batch(log, lake, source)
    assert [(line["key"], line["row"]) for line in quarantine.listed(lake, source)] == [("2", '{"id":2.0,"x":"inf"}')]
    assert quarantine.replay(lake, source, datetime.now(UTC)).accepted == 0
    assert sorted(lake.read("loans").select("_key", "x").iter_rows()) == [("1", 0.7), ("3", 0.5)]
