"""Features: from raw events to a training set, and as-of joins of tables that are ready; beside Feast."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import features_data as data
from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.machine import user_environment
from benchmarks.measure import heard
from benchmarks.rivals.environment import ROOT, MissingRivalError, ask, pin

RIVAL = "feast"
CASES = {
    "raw": ("events to training rows", 10),
    "ready": ("as-of join, ready", 3),
    "wide": ("as-of join, wide", 6),
}


def measure(quick: bool) -> Result:
    """One run of ours and Feast's, on the same files; each case in a process of its own."""
    events, rows, entities, wide, columns = _sizes(quick)
    figures: list[Figure] = []
    notes: list[str] = []
    missing: dict[str, None] = {}
    versions: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _write(place, "events", data.events(events, entities))
        _write(place, "asked", data.asked(rows, entities))
        _write(place, "ready", data.ready(events, 20, entities))
        _write(place, "ready_asked", data.asked(rows, entities))
        _write(place, "wide", data.ready(wide, columns, wide))
        _write(place, "wide_asked", data.asked(wide, wide))
        for case, width in (("wide", columns), ("ready", 20), ("raw", 20)):
            mine = _ours(folder, case)
            figures += _alone(case, mine)
            try:
                figures += _beside(case, mine, ask(RIVAL, _case(folder, case, width), seconds=3_600))
                name, _, number = pin(RIVAL).partition(" ")
                versions[name] = number
            except MissingRivalError as error:
                missing[f"No figure: {error}"] = None
    notes += [
        *missing,
        f"{events:,} events of {entities:,} entities, {rows:,} decisions, 20 windows; ready tables of as many rows by 20 columns,"
        f" and {wide:,} by {columns:,}. From Parquet (Snappy) to columns in memory, reading included, each case in a process of its"
        " own; imports do not count. Ours is handed lazy frames and looks at both times; Feast, handed files, at one.",
        "Before Feast the events are aggregated by DuckDB's windows over every event: its value is that of the last event, not of"
        " the decision.",
    ]
    return Result("features", tuple(figures), tuple(notes), versions)


def _sizes(quick: bool) -> tuple[int, int, int, int, int]:
    """Events, decisions, entities; rows and columns of the wide table (feast#3003)."""
    return (50_000, 2_000, 1_000, 500, 50) if quick else (10_000_000, 100_000, 100_000, 17_000, 1_000)


def _write(place: Path, name: str, frame: pl.DataFrame) -> None:
    frame.write_parquet(place / f"{name}.parquet", compression="snappy")


def _case(folder: str, case: str, columns: int) -> dict[str, Any]:
    return {"folder": folder, "case": case, "columns": columns}


def _ours(folder: str, case: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.features_case", json.dumps(_case(folder, case, 0))]
    environment = user_environment()
    environment["PYTHONPATH"] = ":".join(one for one in (str(ROOT), environment.get("PYTHONPATH", "")) if one)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=1_800, check=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def _alone(case: str, mine: dict[str, Any]) -> list[Figure]:
    what = CASES[case][0]
    return [
        figure(f"modelway: {what}, processor", heard(mine["timed"]).cpu, "s"),
        figure(f"modelway: {what}, memory", mine["peak_mb"], "MB"),
    ]


def _beside(case: str, mine: dict[str, Any], theirs: dict[str, Any]) -> list[Figure]:
    """Processor and memory of both; the rows that came back are the same in number."""
    what, least = CASES[case]
    ours, feasts = heard(mine["timed"]), heard(theirs["timed"])
    back = f"{theirs['rows']:,} rows back, of ours {mine['rows']:,}"
    also = ", with its aggregation" if case == "raw" else ""
    return [
        figure(f"feast: {what}{also}, processor", feasts.cpu, "s", note=back),
        figure(f"feast ÷ modelway: {what}", feasts.cpu.median / ours.cpu.median, "×", Target(at_least=least)),
        figure(f"feast: {what}{also}, memory", theirs["peak_mb"], "MB"),
        figure(f"modelway ÷ feast: {what}, memory", mine["peak_mb"] / theirs["peak_mb"], "×", Target(at_most=0.5)),
    ]
