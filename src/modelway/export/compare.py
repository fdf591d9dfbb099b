"""Scores of both sides on one frame: the Python estimator's and the graph's."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.errors import ParityError
from modelway.export.build import ONE_EACH, score_places
from modelway.records import Column, Task

if TYPE_CHECKING:
    import pandas as pd

RAISED = (ValueError, TypeError, ArithmeticError, LookupError)
"""What estimators raise at values that they do not take."""
CHUNK = 8192
Answers = Callable[["pd.DataFrame"], np.ndarray]
"""Rows → double[N, k]."""


@dataclass(frozen=True)
class Sides:
    """Estimator and graph of one export."""

    estimator: Any
    answers: Answers
    columns: tuple[Column, ...]
    task: Task
    places: tuple[int, ...]

    @classmethod
    def of(
        cls, graph: bytes | Answers, estimator: Any, columns: Sequence[Column], task: Task, classes: int | None
    ) -> "Sides":
        """`graph` is ONNX, or what stands in a graph's place."""
        answers = graph_answers(graph, columns) if isinstance(graph, bytes) else graph
        return cls(estimator, answers, tuple(columns), task, tuple(score_places(estimator, task, classes)))

    def python(self, rows: "pd.DataFrame") -> np.ndarray:
        """double[N, k]; raises what the estimator raises."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if self.task == "regression":
                made = np.asarray(self.estimator.predict(rows), dtype=np.float64)
                if made.size != len(rows):
                    raise ParityError(f"{type(self.estimator).__name__} predicts several targets", ONE_EACH)
                return made.reshape(len(rows), 1)
            if self.task == "anomaly":
                return -np.asarray(self.estimator.score_samples(rows), dtype=np.float64).reshape(len(rows), 1)
            made = np.asarray(self.estimator.predict_proba(rows), dtype=np.float64)
        padded = np.column_stack([made, np.zeros(len(rows))])
        return padded[:, list(self.places)]

    def graph(self, rows: "pd.DataFrame") -> np.ndarray:
        """double[N, k] from the other side, chunk by chunk."""
        parts = [self.answers(rows.iloc[start : start + CHUNK]) for start in range(0, max(len(rows), 1), CHUNK)]
        return np.concatenate(parts)

    def taken(self, rows: "pd.DataFrame") -> np.ndarray:
        """bool[N]: rows that the estimator answers with finite scores; found by halving where it raises."""
        if len(rows) == 0:
            return np.zeros(0, dtype=bool)
        try:
            return np.asarray(np.isfinite(self.python(rows)).all(axis=1))
        except RAISED:
            if len(rows) == 1:
                return np.zeros(1, dtype=bool)
        half = len(rows) // 2
        return np.concatenate([self.taken(rows.iloc[:half]), self.taken(rows.iloc[half:])])

    def agreed(self, rows: "pd.DataFrame", tolerance: float) -> np.ndarray:
        """bool[N]: rows that both sides answer alike."""
        good = self.taken(rows)
        if good.any():
            kept = rows[good]
            good[good] = distance(self.python(kept), self.graph(kept)) <= tolerance
        return good


def graph_answers(onnx: bytes, columns: Sequence[Column]) -> Answers:
    """The graph's scores, from onnxruntime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])

    def answers(rows: "pd.DataFrame") -> np.ndarray:
        feeds: dict[str, np.ndarray] = {}
        for place in session.get_inputs():
            kind = "number" if place.name == "numbers" else "word"
            names = [column.name for column in columns if column.kind == kind]
            feeds[place.name] = rows[names].to_numpy(np.float64 if kind == "number" else object)
        return np.asarray(session.run(["scores"], feeds)[0], dtype=np.float64)

    return answers


def distance(python: np.ndarray, graph: np.ndarray, slack: np.ndarray | float = 0.0) -> np.ndarray:
    """|difference| / max(1, |ŷ|) by row, the worst column; NaN on one side only is infinitely far.

    Of the difference only what is beyond `slack` counts (see `rounding.py`).
    """
    with np.errstate(invalid="ignore"):
        apart = np.maximum(np.abs(python - graph) - slack, 0.0) / np.maximum(1.0, np.abs(python))
    same = (python == graph) | (np.isnan(python) & np.isnan(graph))
    return np.asarray(np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart)).max(axis=1))
