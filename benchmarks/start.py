"""How long the command takes to begin: what a person waits before anything is done."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures import Result, Target, figure
from benchmarks.machine import user_environment
from benchmarks.measure import Spread
from benchmarks.report import alone

MODELWAY = str(Path(sys.executable).with_name("modelway"))
HEAVY = ("polars", "pandas", "numpy", "sklearn", "mlflow", "lightgbm", "onnxruntime", "sqlalchemy", "pydantic")


def measure(quick: bool) -> Result:
    """Whole processes, after three that warm the disk's cache, in turns so that all meet the same load."""
    repetitions = 5 if quick else 30
    commands = {
        "modelway --help": [MODELWAY, "--help"],
        "modelway --version": [MODELWAY, "--version"],
        "python -c 'import modelway'": [sys.executable, "-c", "import modelway"],
        "python -c pass": [sys.executable, "-c", "pass"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(repetitions + 3):
        for name, command in commands.items():
            seconds = _seconds(command)
            if number >= 3:
                taken[name].append(seconds)
    targets = {"modelway --help": Target(at_most=150)}
    figures = [
        figure(name, Spread.of(values).times(1_000), "ms", targets.get(name), f"p90 {_p90(values) * 1_000:.0f} ms")
        for name, values in taken.items()
    ]
    heavy = _heavy()
    figures.append(figure("heavy libraries that `import modelway` imports", float(len(heavy)), "", Target(at_most=0)))
    return Result("start of the command line, warm", tuple(figures), (f"Looked for: {', '.join(HEAVY)}.",))


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=user_environment(), capture_output=True, check=True)
    return time.perf_counter() - started


def _p90(values: list[float]) -> float:
    return statistics.quantiles(values, n=10)[-1]


def _heavy() -> list[str]:
    code = f"import sys, modelway; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


if __name__ == "__main__":
    alone("start", measure)
