"""Drift of 30 number columns, 100,000 rows against 100,000, as a look at a version computes it; against Evidently's preset."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.figures import Result, Target, figure
from benchmarks.measure import Timed, heard, timed
from benchmarks.report import alone
from benchmarks.rivals.environment import MissingRivalError, ask, pin
from benchmarks.tables import drifted
from modelway.monitoring.drift import drift
from modelway.monitoring.profile import profile, read_profile
from modelway.records import Column
from modelway.spec.model import Drift

TARGETS = {"with the kept profile": Target(at_least=50), "without": Target(at_least=25)}


def measure(quick: bool) -> Result:
    """Both read the same two Parquet files before the clock starts; imports are not counted."""
    rows, columns, repetitions = (2_000, 4, 2) if quick else (100_000, 30, 7)
    notes = [
        f"{columns} columns, {rows:,} rows against {rows:,}. Ours: Kolmogorov–Smirnov's D by column and for the prediction, its "
        "p-value, and the adjustment over all columns; the kept profile is read from its bytes each time.",
        "Evidently's default is the normed Wasserstein distance; with its method ks it asks the question that ours does. Its "
        "figures include the summaries by column that it always makes.",
    ]
    with tempfile.TemporaryDirectory() as folder:
        places = _files(Path(folder), rows, columns)
        ours = _ours(*places, repetitions)
        figures = []
        for name, found in ours.items():
            figures += [
                figure(f"modelway, {name}: clock", found.wall, "s", note=f"first call {found.first or 0:.3g} s"),
                figure(f"modelway, {name}: processor", found.cpu, "s"),
            ]
        versions = {}
        try:
            theirs = ask("evidently", {"files": [str(p) for p in places], "repetitions": min(3, repetitions)})
        except MissingRivalError as error:
            return Result("drift", tuple(figures), (*notes, f"No figure: {error}"))
        versions = dict([pin("evidently").split(" ")])
        for method, label in (("default", "evidently, default"), ("ks", "evidently, ks")):
            found = heard(theirs[method])
            figures += [
                figure(f"{label}: clock", found.wall, "s", note=f"first call {found.first or 0:.3g} s"),
                figure(f"{label}: processor", found.cpu, "s"),
            ]
            for name, mine in ours.items():
                target = TARGETS[name] if method == "default" else None
                figures += [
                    figure(f"{label} ÷ modelway {name}: clock", found.wall.median / mine.wall.median, "×", target),
                    figure(f"{label} ÷ modelway {name}: processor", found.cpu.median / mine.cpu.median, "×", target),
                ]
        worst = max(abs(a - b) for a, b in zip(theirs["ks_distances"], _distances(*places), strict=True))
        figures.append(figure("largest difference of D from scipy's", worst, "", Target(at_most=1 / 1_023)))
    return Result("drift of 30 columns", tuple(figures), tuple(notes), versions)


def _files(folder: Path, rows: int, columns: int) -> tuple[Path, Path]:
    places = folder / "reference.parquet", folder / "current.parquet"
    for place, frame in zip(places, drifted(rows, columns), strict=True):
        frame.write_parquet(place)
    return places


def _ours(reference: Path, current: Path, repetitions: int) -> dict[str, Timed]:
    before, after = pl.read_parquet(reference), pl.read_parquet(current)
    columns = tuple(Column(name, "number") for name in before.columns)
    old, new = _scores(before), _scores(after)
    classes, settings = ("no", "yes"), Drift()
    kept = profile(before, columns, old, classes)
    return {
        "with the kept profile": timed(lambda: drift(read_profile(kept), after, new, settings), repetitions),
        "without": timed(
            lambda: drift(read_profile(profile(before, columns, old, classes)), after, new, settings), repetitions
        ),
    }


def _distances(reference: Path, current: Path) -> list[float]:
    before, after = pl.read_parquet(reference), pl.read_parquet(current)
    columns = tuple(Column(name, "number") for name in before.columns)
    kept = read_profile(profile(before, columns, _scores(before), ("no", "yes")))
    return [found.distance for found in drift(kept, after, _scores(after), Drift())[:-1]]


def _scores(frame: pl.DataFrame) -> np.ndarray:
    """Answers of a model, as the log keeps them: double[rows, 2]."""
    yes = 1 / (1 + np.exp(-frame[frame.columns[0]].to_numpy()))
    return np.column_stack([1 - yes, yes])


if __name__ == "__main__":
    alone("drift", measure)
