"""Several processes on one table, killed at random; a full disk; many commits with upkeep as it is: never a torn table."""

import random
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from modelway.lake.delta import DeltaLake, DeltaUpkeep
from modelway.lake.upkeep import VERSIONS
from modelway.testing.lake import lake_rows
from tests.support.running import until

WRITER = """
import sys
from modelway.lake.delta import DeltaLake
from modelway.testing.lake import lake_rows
root, app, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
lake = DeltaLake(root)
while (at := lake.positions("loans", app).get(0, 0)) < count:
    lake.append("loans", lake_rows(3, 3 * at), app=app, upto={0: at + 1})
"""
KEEPER = """
import sys
from modelway.errors import LakeError
from modelway.lake.delta import DeltaLake, DeltaUpkeep
lake = DeltaLake(sys.argv[1])
while True:
    try:
        if lake.version("loans"):
            DeltaUpkeep(lake).maintain("loans", {3, 9}, retain_versions=60, thorough=False)
    except LakeError as error:
        assert error.transient, error
"""
READER = """
import sys
from modelway.lake.delta import DeltaLake
lake, last = DeltaLake(sys.argv[1]), {}
while True:
    if lake.version("loans") is None:
        continue
    rows = lake.read("loans")
    counts = dict(rows.group_by("x").len().iter_rows())
    assert rows.height % 3 == 0, rows.height
    assert all(counts.get(x, 0) >= n for x, n in last.items())
    last = counts
"""


def started(code: str, *words: object) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code, *map(str, words)], stderr=subprocess.PIPE)


@pytest.mark.slow
def test_writers_a_reader_and_upkeep_at_once_are_killed_at_random_and_nothing_is_lost_doubled_or_torn(tmp_path):
    dice, kills, commits = random.Random(7), 0, 100
    roles = {
        "a": (WRITER, tmp_path, "a", commits), "b": (WRITER, tmp_path, "b", commits),
        "keeper": (KEEPER, tmp_path), "reader": (READER, tmp_path),
    }  # fmt: skip
    processes = {name: started(*role) for name, role in roles.items()}
    try:
        deadline = time.monotonic() + 200
        while any(processes[name].poll() != 0 for name in "ab"):
            assert time.monotonic() < deadline
            name = dice.choice(list(roles))
            pause = time.monotonic() + dice.uniform(0.05, 0.7)
            until(lambda pause=pause: time.monotonic() > pause)
            for one, process in processes.items():
                assert process.poll() in (None, 0), (one, process.stderr.read().decode())
            if processes[name].poll() is None and kills < 30:
                processes[name].send_signal(signal.SIGKILL)
                processes[name].wait()
                processes[name].stderr.close()
                processes[name], kills = started(*roles[name]), kills + 1
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
            process.stderr.close()
    assert kills >= 7
    lake = DeltaLake(tmp_path)
    lake.ping()
    assert lake.read("loans").sort("x").equals(pl.concat([lake_rows(3 * commits)] * 2).sort("x"))
    assert {app: lake.positions("loans", app) for app in "ab"} == {"a": {0: commits}, "b": {0: commits}}
    for pin in (3, 9):
        height = lake.read(f"loans@{pin}").height
        assert 0 < height <= 3 * (pin + 1)
        assert height % 3 == 0


FULL = """
import resource, signal, sys
from modelway.errors import EngineError
from modelway.lake.delta import DeltaLake, DeltaUpkeep
from modelway.testing.lake import lake_rows
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
lake = DeltaLake(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
work = {"append": lambda: lake.append("loans", lake_rows(40_000, 40_000), app="ingest", upto={0: 2}),
        "maintain": lambda: DeltaUpkeep(lake).maintain("loans", {0}, retain_hours=0)}[sys.argv[3]]
try:
    work()
except EngineError as error:
    print(error.problem)
"""


@pytest.mark.parametrize("work", ["append", "maintain"])
@pytest.mark.parametrize("room", [50, 900, 2_000, 60_000])
def test_a_write_that_the_disk_cuts_short_leaves_the_table_as_it_was(tmp_path, work, room):
    """Files may not grow beyond `room` bytes: a write is cut in the middle, as on a full disk."""
    lake = DeltaLake(tmp_path)
    for n in range(4):
        lake.append(
            "loans", lake_rows(10_000, 10_000 * n), app="ingest" if n == 3 else "", upto={0: 1} if n == 3 else None
        )
    said = subprocess.run([sys.executable, "-c", FULL, str(tmp_path), str(room), work], capture_output=True, timeout=60)
    assert said.returncode == 0, said.stderr.decode()
    again = DeltaLake(tmp_path)
    again.ping()
    rows = again.read("loans").sort("x")
    assert again.read("loans@0").height == 10_000
    assert rows.equals(lake_rows(rows.height))
    assert rows.height == (40_000 if again.positions("loans", "ingest") == {0: 1} else 80_000)
    again.append("loans", lake_rows(40_000, 40_000), app="ingest", upto={0: 2})
    DeltaUpkeep(again).maintain("loans", {0}, retain_hours=0)
    assert again.read("loans").sort("x").equals(lake_rows(80_000))


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_files_log_and_the_time_to_open_stay_bounded_over_thousands_of_commits(tmp_path):
    """At upkeep's own threshold (a pass every 300 commits) and its own bound of versions; nothing is extrapolated."""
    from modelway.flow.pins import MANY

    lake, seen = DeltaLake(tmp_path), []
    upkeep, pins = DeltaUpkeep(lake), [100, 1_500]
    for n in range(VERSIONS + 8 * MANY):
        lake.append("loans", lake_rows(1, n), app="ingest", upto={0: n + 1})
        if n % MANY == MANY - 1:
            upkeep.maintain("loans", pins, thorough=False)
            facts, started_at = upkeep.facts("loans"), time.process_time()
            DeltaLake(tmp_path).version("loans")
            opened = time.process_time() - started_at
            everything = sum(1 for _ in (tmp_path / "loans").rglob("*"))
            seen.append((n + 1, facts.versions, facts.files, everything, facts.log_bytes, opened))
    print(*seen, sep="\n")
    settled = VERSIONS + 5 * MANY  # a checkpoint names the files that were removed in the minute before it
    rows = [entry for entry in seen if entry[0] > settled]
    assert max(entry[1] for entry in rows) <= VERSIONS + MANY + len(pins) + 2
    assert max(entry[2] for entry in rows) <= 2
    assert max(entry[3] for entry in rows) <= 1.1 * min(entry[3] for entry in rows)
    assert max(entry[4] for entry in rows) <= 1.5 * min(entry[4] for entry in rows)
    assert max(entry[5] for entry in rows) < 0.2
    assert lake.read("loans").height == VERSIONS + 8 * MANY
    assert lake.read("loans@100").height <= 101
