"""A large CSV into the embedded lake by `modelway ingest`, beside what polars needs to read it once; killed, and gone on with."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.bank import MODELWAY
from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.ingesters import MODEL, SPEC
from benchmarks.machine import user_environment
from benchmarks.report import alone, show
from benchmarks.tables import payments
from benchmarks.topics import TOPIC
from modelway.ingest.source import APP
from modelway.workspace import Workspace, create_workspace

ROWS = 6_700_000
"""About a GiB."""
_MADE = 250_000
_LOOK_SECONDS = 0.05
_LIMIT = "import sys, polars; polars.scan_csv(sys.argv[1]).sink_parquet(sys.argv[2])"


@dataclass(frozen=True)
class Watched:
    """A process from start to end: seconds on the clock and of the processors, the most memory in MB, whether it was killed."""

    wall: float
    cpu: float
    memory: float
    killed: bool


@dataclass(frozen=True)
class Sending:
    """Seconds until the first row was in the log, and until the last one was; the most memory by then, in MB."""

    first: float
    last: float
    memory: float


def measure(quick: bool, rows: int = 0) -> Result:
    """One file; ours in a workspace of its own, polars, and ours again in another one, killed twice."""
    rows = rows or (50_000 if quick else ROWS)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        _write(here / "payments.csv", rows)
        size = (here / "payments.csv").stat().st_size / 1e6
        ours, sending = _sent(here, rows)
        command = [sys.executable, "-c", _LIMIT, str(here / "payments.csv"), str(here / "out.parquet")]
        limit = _watched(command, here, lambda process: False)
        figures = [*_figures(rows, size, ours, sending, limit), *_killed(here, rows)]
    notes = (
        f"{rows:,} rows of 20 columns, {size:,.0f} MB: ids, words, numbers, a time; all in the contract, 1 % refused. "
        "`modelway ingest` is a process of its own, its imports counted: it reads the file to its end, sends it to the log with an "
        "fsync each 20,000 rows, and brings the log into the Delta table, where it looks for doubles.",
        "Polars reads the same file as a stream and writes one Parquet file: no contract, no log, no fsync, no look for doubles.",
        "Killed with signal 9 when half of the events were in the log, and again when half of those were in the table; then the "
        "same command once more. Lost and doubled are counted by key.",
    )
    return Result("a large CSV into the lake", tuple(figures), notes)


def _figures(rows: int, size: float, ours: Watched, sending: Sending, limit: Watched) -> list[Figure]:
    sent = sending.last - sending.first
    into_log = [figure("of it into the log", size / sent, "MB/s", note=f"{sent:.1f} s")] if sent else []
    return [
        figure("CSV → log → contract → Delta: rows", rows / ours.wall, "rows/s"),
        figure("CSV → log → contract → Delta", size / ours.wall, "MB/s"),
        figure("CSV → log → contract → Delta: processor", ours.cpu / rows * 1e6, "s per million rows"),
        figure("CSV → log → contract → Delta: the most memory", ours.memory, "MB"),
        figure(
            "of it reading to the end, imports with it", size / sending.first, "MB/s", note=f"{sending.first:.1f} s"
        ),
        *into_log,
        figure("of it until all is in the log: the most memory", sending.memory, "MB"),
        figure("polars, CSV → Parquet", size / limit.wall, "MB/s"),
        figure("polars, CSV → Parquet: processor", limit.cpu / rows * 1e6, "s per million rows"),
        figure("polars, CSV → Parquet: the most memory", limit.memory, "MB"),
        figure("modelway ÷ polars: processor", ours.cpu / limit.cpu, "×"),
        figure("modelway ÷ polars: clock", ours.wall / limit.wall, "×"),
    ]


def _write(path: Path, rows: int) -> None:
    with path.open("wb") as file:
        for start in range(0, rows, _MADE):
            made = payments(min(_MADE, rows - start), start)
            number = (pl.int_range(pl.len()) + start).cast(pl.String).str.zfill(9)
            made = made.with_columns(id=pl.lit("p") + number)
            file.write(made.write_csv(include_header=start == 0).encode())


def _workspace(here: Path, name: str) -> Workspace:
    made = create_workspace(here / name, "")
    place = made.places.project(MODEL)
    place.mkdir()
    source = f"source: {{files: [{here / 'payments.csv'}]}}"
    (place / "modelway.yaml").write_text(SPEC.replace(f"source: {TOPIC}", source))
    return made


def _sent(here: Path, rows: int) -> tuple[Watched, Sending]:
    opened, begun = _workspace(here, "whole"), time.perf_counter()
    seen: list[tuple[int, float, float]] = []

    def look(process: int) -> bool:
        events = _events(opened)
        if events and (not seen or events > seen[-1][0]):
            seen.append((events, time.perf_counter() - begun, _memory(process)))
        return False

    done = _watched(_ingest(opened), here, look)
    _demand(opened, rows)
    opened.close()
    return done, Sending(seen[0][1], seen[-1][1], seen[-1][2])


def _killed(here: Path, rows: int) -> list[Figure]:
    opened = _workspace(here, "killed")
    half = rows // 40_000
    kills = [
        _watched(_ingest(opened), here, lambda _: _events(opened) >= max(1, half)),
        _watched(_ingest(opened), here, lambda _: _taken(opened) >= max(1, half)),
    ]
    last = _watched(_ingest(opened), here, lambda _: False)
    lost, doubled = _demand(opened, rows)
    opened.close()
    return [
        figure("killed with signal 9", sum(one.killed for one in kills), "times", Target(at_least=2)),
        figure("killed and gone on with: rows lost", lost, "rows", Target(at_most=0)),
        figure("killed and gone on with: rows doubled", doubled, "rows", Target(at_most=0)),
        figure("killed and gone on with: the last command", last.wall, "s"),
    ]


def _ingest(opened: Workspace) -> list[str]:
    return [MODELWAY, "ingest", MODEL, "--json", "--workspace", str(opened.places.root)]


def _events(opened: Workspace) -> int:
    return sum(opened.log.ends(MODEL).values())


def _taken(opened: Workspace) -> int:
    return sum(opened.lake.positions(MODEL, APP).values())


def _demand(opened: Workspace, rows: int) -> tuple[int, int]:
    """Rows lost and rows doubled, among those that hold and those that are refused."""
    ids = opened.lake.read(MODEL, ["id"])["id"]
    refused = opened.lake.read(f"{MODEL}_quarantine", ["_offset"]).height
    wanted = sum(
        min(_MADE, rows - start) - len(range(0, min(_MADE, rows - start), 100)) for start in range(0, rows, _MADE)
    )
    lost, doubled = wanted - ids.n_unique(), len(ids) - ids.n_unique()
    if refused < rows - wanted:
        raise AssertionError(f"{refused} refused rows of {rows - wanted}")
    return lost, doubled


def _watched(command: list[str], here: Path, enough: Callable[[int], bool]) -> Watched:
    """Killed with signal 9 as soon as it is enough. Raises AssertionError when it fails by itself."""
    begun, memory, killed = time.perf_counter(), 0.0, False
    with (here / "said.log").open("wb") as said:
        process = subprocess.Popen(command, env=user_environment(), stdout=said, stderr=said)
        while True:
            memory = max(memory, _memory(process.pid))
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            if not killed and enough(process.pid):
                process.kill()
                killed = True
            time.sleep(_LOOK_SECONDS)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and not killed:
        raise AssertionError(f"{command[0]} ended with {process.returncode}: {(here / 'said.log').read_text()[-500:]}")
    return Watched(time.perf_counter() - begun, used.ru_utime + used.ru_stime, memory, killed)


def _memory(process: int) -> float:
    """The most that it has had, in MB; 0 for one that has ended."""
    told = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1e3 for line in told if line.startswith("VmHWM:")), 0.0)


def main() -> None:
    """`python -m benchmarks.backfill --rows N`: another size, of which no result is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    if asked.rows:
        show(measure(False, asked.rows))
    else:
        alone("backfill", measure)


if __name__ == "__main__":
    main()
