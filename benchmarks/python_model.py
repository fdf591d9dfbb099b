"""What a Python model costs a call: the same estimators as a graph in this process, as themselves in it, and in a process of their
own."""

import gc
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from threadpoolctl import threadpool_limits

from benchmarks.figures import Figure, Result, figure
from benchmarks.measure import Spread
from benchmarks.report import alone
from modelway.export.build import export_estimator
from modelway.isolation.live import Launch
from modelway.isolation.process import PythonProcess
from modelway.records import Column, PythonModel
from modelway.serving.onnxruntime import Run, open_session
from modelway.training.predict import scores

NUMBERS, WORDS = [f"number_{n}" for n in range(25)], [f"word_{n}" for n in range(5)]
SIZES = (1, 1_000)


def measure(quick: bool) -> Result:
    """Calls in rounds, every way in each round, so that what else the machine does falls on all alike."""
    rounds, calls = (1, {1: 5, 1_000: 2}) if quick else (15, {1: 200, 1_000: 30})
    figures: list[Figure] = []
    megabytes, starts = [], []
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        for name, (columns, estimator) in _cases().items():
            began = time.perf_counter()
            process = _process(estimator, columns, Path(folder))
            starts.append(time.perf_counter() - began)
            graph = None if isinstance(estimator, Nothing) else _graph(estimator, columns)
            for rows in SIZES:
                figures += _row(
                    name, rows, _ways(estimator, columns, rows, graph, process), rounds, calls[rows], process.pid or 0
                )
            megabytes.append(_megabytes(process.pid))
            process.close()
    figures += [
        figure("start of a process, with its libraries", Spread.of(starts), "s"),
        figure("memory of a process", Spread.of(megabytes), "MB", note="resident, after the calls"),
    ]
    notes = (
        f"{rounds} rounds. A figure is the processor's time a call, of both processes together: the rounds' median. Beside it "
        "the clock, which other work on the machine lengthens: medians of the rounds' percentiles. 25 columns of numbers, where "
        "words are named 5 of them beside. Lists in, lists out, as the server calls it; one thread everywhere. `nothing` is an "
        "estimator that returns zeros: what is left is the way there and back, and the frame.",
    )
    return Result("a Python model in a process of its own", tuple(figures), notes)


class Nothing(ClassifierMixin, BaseEstimator):
    """The cheapest estimator that there can be."""

    classes_ = np.array([0, 1])

    def fit(self, rows: pd.DataFrame, target: np.ndarray) -> "Nothing":
        return self

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        return np.zeros((len(rows), 2))


def _cases() -> Mapping[str, tuple[tuple[Column, ...], Any]]:
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = tuple(Column(name, "number") for name in NUMBERS)
    both = (*numbers, *(Column(name, "word") for name in WORDS))
    parts = ColumnTransformer([("n", StandardScaler(), NUMBERS), ("w", OneHotEncoder(handle_unknown="ignore"), WORDS)])
    made = {
        "nothing": (numbers, Nothing()),
        "nothing, with words": (both, Nothing()),
        "scaler, logistic regression": (numbers, make_pipeline(StandardScaler(), LogisticRegression())),
        "scaler, one-hot, logistic regression, with words": (both, make_pipeline(parts, LogisticRegression())),
        "100 boosted trees": (numbers, HistGradientBoostingClassifier(max_iter=100, random_state=0)),
    }
    frame = _frame(5_000)
    target = (frame[NUMBERS[0]] + frame[NUMBERS[1]] > 0).to_numpy().astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {n: (c, e.fit(frame[[one.name for one in c]], target)) for n, (c, e) in made.items()}


def _frame(rows: int) -> pd.DataFrame:
    random = np.random.default_rng(0)
    numbers = {name: random.normal(size=rows) for name in NUMBERS}
    return pd.DataFrame(numbers | {name: random.choice(list("abcdefgh"), rows).astype(object) for name in WORDS})


def _process(estimator: Any, columns: tuple[Column, ...], place: Path) -> PythonProcess:
    import benchmarks.python_model as here

    cloudpickle.register_pickle_by_value(here)  # as what model.py defines: the process knows no benchmarks
    pickled = cloudpickle.dumps(estimator)
    model = PythonModel("", columns, "binary", 2, 60.0, 2048)
    return PythonProcess(Launch("benchmark", model, lambda: pickled, "", place / "python.log"))


def _graph(estimator: Any, columns: tuple[Column, ...]) -> Run:
    return open_session(export_estimator(estimator, columns, "binary", classes=2).onnx, "benchmark")


def _ways(
    estimator: Any, columns: tuple[Column, ...], rows: int, graph: Run | None, process: PythonProcess
) -> dict[str, Callable[[], Any]]:
    frame = _frame(rows)[[column.name for column in columns]]
    numbers, words = ([c.name for c in columns if c.kind == kind] for kind in ("number", "word"))
    lists = frame[numbers].to_numpy().tolist(), frame[words].to_numpy(object).tolist()
    ways: dict[str, Callable[[], Any]] = {"onnxruntime": lambda: graph(*lists)} if graph is not None else {}
    return ways | {
        "the estimator, here": lambda: scores(estimator, frame, "binary", 2),
        "its own process": lambda: process(*lists),
    }


def _row(name: str, rows: int, ways: dict[str, Callable[[], Any]], rounds: int, calls: int, child: int) -> list[Figure]:
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    wall: dict[str, list[list[float]]] = {way: [] for way in ways}
    gc.collect()
    for number in range(rounds + 1):
        for way, call in ways.items():
            before = _processor(child)
            taken = [_seconds(call) for _ in range(calls)]
            if number:  # the first round warms up
                cpu[way].append((_processor(child) - before) / calls)
                wall[way].append(taken)
    unit = "one row" if rows == 1 else f"{rows:,} rows"
    made = []
    for way, found in wall.items():
        p10, p50, p99 = (float(np.median([np.quantile(one, q) for one in found])) * 1e6 for q in (0.1, 0.5, 0.99))
        told = f"on the clock p10 {p10:,.0f}, p50 {p50:,.0f}, p99 {p99:,.0f} µs"
        made.append(figure(f"{name}, {unit}: {way}", Spread.of(cpu[way]).times(1e6), "µs", note=told))
    return made


def _processor(child: int) -> float:
    """Seconds of the processor that this process and its child have had."""
    return time.process_time() + time.clock_gettime(
        (~child << 3) | 2
    )  # the child's clock, as clock_getcpuclockid names it


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _megabytes(pid: int | None) -> float:
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS:"))
    return int(line.split()[1]) / 1e3


if __name__ == "__main__":
    alone("python_model", measure)
