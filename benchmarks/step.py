"""What a step of the pipeline costs beside its work: its record kept in the control database, under a lease, so that it is never
done twice."""

import tempfile
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Result, figure
from benchmarks.measure import Timed, heard, timed
from benchmarks.report import alone
from benchmarks.rivals.environment import MissingRivalError, ask, pin
from benchmarks.work import STEPS, work
from modelway.flow import runs as flow_runs
from modelway.flow.holding import insist
from modelway.flow.runs import Work
from modelway.records import (
    Candidate,
    Fit,
    Graph,
    OperatingPoint,
    Parity,
    Sources,
    TrainingSet,
    Trigger,
    Validation,
    Version,
)
from modelway.state import runs as store
from modelway.workspace import Workspace, create_workspace

RIVALS = ("dagster", "prefect")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measure(quick: bool) -> Result:
    """Steps by the hundred, runs of six steps by the five; the rivals do the same work in the same run."""
    steps, runs, repetitions = (30, 3, 2) if quick else (300, 5, 5)
    bare = timed(lambda: [work(number) for number in range(steps)], repetitions)
    with tempfile.TemporaryDirectory() as folder:
        workspace = create_workspace(Path(folder), "")
        ours = _steps(workspace, steps, repetitions)
        whole = _runs(workspace, runs, repetitions)
        workspace.close()
    one = bare.wall.median / steps
    figures = [
        figure("the bare function", bare.wall.times(1e6 / steps), "µs"),
        *_rows("modelway", ours, steps, whole, runs, one),
    ]
    notes = [
        "A step of ours reads whether it is done, does the work, and commits its record with the lease's fence checked in the "
        "same transaction: one fsync a step (SQLite in WAL mode, synchronous FULL).",
        f"A run is opened, leased, started, goes through {STEPS} steps and is finished. Rivals: one process, their own SQLite, "
        "import and start of a server not counted; they also keep events for their consoles. A step within a run is, of theirs, "
        f"the slope between a run of {STEPS} and one of {STEPS * 10} steps.",
    ]
    versions: dict[str, str] = {}
    for rival in RIVALS:
        try:
            told = ask(rival, {"runs": runs, "repetitions": min(3, repetitions)})
        except MissingRivalError as error:
            notes.append(f"No figure: {error}")
            continue
        name, _, number = pin(rival).partition(" ")
        versions[name] = number
        figures += _rival(rival, told, runs, one, ours.wall.median / steps, whole.wall.median / runs)
    return Result("overhead of a pipeline step", tuple(figures), tuple(notes), versions)


def _rows(name: str, steps: Timed, number: int, whole: Timed, runs: int, bare: float) -> list[Figure]:
    overhead = steps.wall.median / number - bare
    return [
        figure(f"{name}: a step within a run", steps.wall.times(1e3 / number), "ms", note=f"overhead {overhead * 1e3:.2f} ms"),
        figure(f"{name}: processor time of a step", steps.cpu.times(1e3 / number), "ms"),
        figure(f"{name}: a run of {STEPS} steps", whole.wall.times(1e3 / runs), "ms"),
    ]  # fmt: skip


def _rival(rival: str, told: dict[str, Any], runs: int, bare: float, step: float, run: float) -> list[Figure]:
    short, long = heard(told["short"]), heard(told["long"])
    slope = (long.wall.median - short.wall.median / runs) / (STEPS * 9)
    processor = (long.cpu.median - short.cpu.median / runs) / (STEPS * 9)
    return [
        figure(f"{rival}: a step within a run", slope * 1e3, "ms", note=f"overhead {(slope - bare) * 1e3:.2f} ms"),
        figure(f"{rival}: processor time of a step", processor * 1e3, "ms"),
        figure(f"{rival}: a run of {STEPS} steps", short.wall.times(1e3 / runs), "ms"),
        figure(f"{rival} ÷ modelway: overhead of a step", (slope - bare) / (step - bare), "×"),
        figure(f"{rival} ÷ modelway: a run of {STEPS} steps", short.wall.median / runs / run, "×"),
    ]


def _steps(workspace: Workspace, number: int, repetitions: int) -> Timed:
    """The step alone: its runs are opened beforehand."""
    opened = count()
    names: list[str] = []

    def open_runs() -> None:
        names[:] = [f"bench-{next(opened)}" for _ in range(number)]
        for name in names:
            store.open_run(workspace.database, name, "bench", Trigger("manual", "benchmark"), NOW)

    with insist(workspace, "run/bench", "benchmark/0/a") as lease:

        def do() -> None:
            for at, name in enumerate(names):
                made = Work(workspace, store.Run(name, "bench", _TRIGGER, "running", NOW, None, 1, ""), lease)
                flow_runs.step(made, "ingest", lambda _, at=at: Sources(NOW, (), work(at)))

        return timed(do, repetitions, before=open_runs)


def _runs(workspace: Workspace, number: int, repetitions: int) -> Timed:
    opened = count()

    def do() -> None:
        for _ in range(number):
            name = f"whole-{next(opened)}"
            store.open_run(workspace.database, name, "bench", _TRIGGER, NOW)
            with insist(workspace, f"run/{name}", "benchmark/0/a") as lease:
                made = Work(workspace, store.start(workspace.database, name, lease), lease)
                for at, step in enumerate(flow_runs.STEPS):
                    flow_runs.step(made, step, lambda _, at=at, step=step: _record(step, work(at)))
                store.finish(workspace.database, name, NOW, lease=lease)

    return timed(do, repetitions)


_TRIGGER = Trigger("manual", "benchmark")


def _record(step: str, digest: str) -> Any:
    """The smallest record of the step's kind."""
    point = OperatingPoint()
    found = Validation((), (), point)
    made = {
        "ingest": Sources(NOW, (), digest),
        "prepare": TrainingSet(digest, (), (), "binary", ("no", "yes"), 2, 1, 1, 0, NOW),
        "train": Fit(digest, {}, 0, 0.0, "", ""),
        "export": Candidate(Graph(digest, (), "double", Parity(1, 0.0, 1e-9, {})), point, ""),
        "validate": found,
        "register": Version("bench", 1, digest, "run", NOW, True, found),
    }
    return made[step]


if __name__ == "__main__":
    alone("step", measure)
