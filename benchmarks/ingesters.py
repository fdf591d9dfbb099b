"""Ingesting processes as a platform runs them, watched from outside: processor seconds, memory, and how far the table is."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.machine import user_environment
from benchmarks.topics import TOPIC
from modelway.ingest.source import APP
from modelway.workspace import Workspace, create_workspace

MODEL = "pay"
_WORDS = ", ".join(f"word_{number}" for number in range(12))
SPEC = f"""
model: {MODEL}
task: regression
data: {{source: {TOPIC}, key: id, event_time: at, target: amount, doubles_within: 30d}}
contract:
  id: {{type: string, nulls: 0}}
  customer: {{type: int, min: 0}}
  at: {{type: datetime, nulls: 0}}
  amount: {{type: float, min: 0, nulls: 0}}
  count: {{type: int, min: 0, max: 100}}
""" + "".join(
    [f"  word_{n}: {{type: string, in: [{_WORDS}]}}\n" for n in range(5)]
    + [f"  number_{n}: {{type: float, min: -1000, max: 1000}}\n" for n in range(10)]
)
ONE_CORE = ("taskset", "-c", "0")
ONE_THREAD = {"POLARS_MAX_THREADS": "1"}
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Caught:
    """From the first commit that was seen to the last: events, seconds on the clock, and of the processors; the most memory."""

    events: int
    wall: float
    cpu: float
    memory: list[int]

    @property
    def per_million(self) -> float:
        """Processor seconds."""
        return self.cpu / self.events * 1e6


@contextmanager
def workspace(
    folder: Path, bootstrap: str, prefix: str, *, every: str = "1s", batch: int = 50_000, more: str = ""
) -> Iterator[Workspace]:
    """One model whose contract is that of `benchmarks.ingest`; `more` settings of Kafka."""
    events = f'events: {{kafka: {{bootstrap: "{bootstrap}", prefix: "{prefix}"{more}}}}}\n'
    made = create_workspace(folder, f"{events}ingestion: {{processes: 1, every: {every}, rows: {batch}}}\n")
    place = made.places.project(MODEL)
    place.mkdir()
    (place / "modelway.yaml").write_text(SPEC)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def ingesters(
    root: Path, count: int = 1, before: tuple[str, ...] = (), more: Mapping[str, str] | None = None
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """So many, until the block ends."""
    command = [*before, sys.executable, "-m", "modelway.control.ingester", str(root)]
    environment = {**user_environment(), **(more or {})}
    with (root.parent / "ingesters.log").open("ab") as said:
        running = [subprocess.Popen(command, env=environment, stdout=said, stderr=said) for _ in range(count)]
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)


def caught_up(opened: Workspace, running: list["subprocess.Popen[bytes]"], within: float = 1_800) -> Caught:
    """Watch until the table has all that is in the topic."""
    end = sum(opened.log.ends(TOPIC).values())
    first: tuple[int, float, float] | None = None
    memory: list[int] = []
    until = time.monotonic() + within
    while True:
        here = sum(opened.lake.positions(TOPIC, APP).values())
        spent = sum(processor(process.pid) for process in running)
        memory.append(max(resident(process.pid) for process in running))
        begun = len(list(opened.places.inner.glob("ingester-*.lock"))) >= len(running)  # all are past their imports
        if here and begun and first is None:
            first = (here, time.perf_counter(), spent)
        if first is not None and here >= end:
            break
        if time.monotonic() > until or any(process.poll() is not None for process in running):
            raise AssertionError(f"{here} of {end} events after {within} s, or a process ended")
        time.sleep(_LOOK_SECONDS)
    return Caught(here - first[0], time.perf_counter() - first[1], spent - first[2], memory)


def by_one(bootstrap: str, prefix: str, rows: int, more: str = "") -> Caught:
    """One process on one core takes the whole topic; its counts are checked."""
    with (
        tempfile.TemporaryDirectory() as folder,
        workspace(Path(folder) / "w", bootstrap, prefix, batch=min(50_000, rows // 10), more=more) as opened,
    ):
        with ingesters(opened.places.root, before=ONE_CORE, more=ONE_THREAD) as running:
            caught = caught_up(opened, running)
        demand(opened.lake.read(TOPIC, ["id"]), rows)
        refused = opened.lake.read(f"{TOPIC}_quarantine", ["_offset"]).height
        if refused < rows // 100:
            raise AssertionError(f"{refused} refused rows of {rows // 100}")
    return caught


def demand(ids: pl.DataFrame, rows: int) -> None:
    """Each record that holds is there, once."""
    wanted = rows - rows // 100
    if ids.height != wanted or ids["id"].n_unique() != wanted:
        raise AssertionError(f"{ids.height} rows with {ids['id'].n_unique()} ids, and not {wanted}")


def processor(pid: int) -> float:
    """Seconds of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Bytes in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
