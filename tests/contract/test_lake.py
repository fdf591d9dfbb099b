"""The lake's checks over Delta tables, and what is delta-rs's own: races between processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from modelway.lake.delta import DeltaLake
from modelway.testing.lake import LakeChecks, lake_rows


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(tmp_path / "lake")


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
