"""A graph that a team brings, as an estimator: `fit` learns nothing, it sees whether the graph can answer such rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from modelway.errors import ModelwayError, NotFoundError, UserCodeError
from modelway.files.onnx import Feed, TeamGraph, feeds_named, read_graph
from modelway.records import Column

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 64
_INTEGERS = {"int64": (np.int64, 2.0**53), "int32": (np.int32, 2.0**31 - 1)}


@dataclass(frozen=True)
class Taken:
    """A graph with the columns that go into it; its session is opened on use, and does not travel with it."""

    graph: TeamGraph
    feeds: tuple[Feed, ...]

    def raw(self, rows: "pd.DataFrame") -> np.ndarray:
        """double[N, c]: what the graph gives, as the team would call it. Raises ValueError for values that it cannot be fed."""
        made = self.session.run([self.graph.scores], {feed.input.name: _tensor(feed, rows) for feed in self.feeds})[0]
        return np.asarray(made, dtype=np.float64).reshape(len(rows), -1)

    @cached_property
    def session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(self.graph.onnx, options, providers=["CPUExecutionProvider"])

    def __reduce__(self) -> tuple[Any, ...]:
        return Taken, (self.graph, self.feeds)


class BroughtClassifier(ClassifierMixin, BaseEstimator):
    """Probabilities out of a graph's `output`; `scores` names the graph's column of each class (absent: in their order).

    `inputs` names the columns of each input that takes several. A graph with one score gives the probability of the last class
    of two.
    """

    def __init__(
        self,
        file: str | Path,
        inputs: Mapping[str, Sequence[str]] | None = None,
        output: str = "",
        scores: Sequence[int] | None = None,
    ) -> None:
        self.file = file
        self.inputs = inputs
        self.output = output
        self.scores = scores

    def fit(self, rows: "pd.DataFrame", target: np.ndarray) -> "BroughtClassifier":
        self.classes_ = np.unique(target)
        self.feature_names_in_ = np.array(rows.columns, dtype=object)
        self.taken_, raw = taken(self.file, self.inputs or {}, self.output, rows)
        self.places_ = self._places(raw.shape[1])
        made = self.predict_proba(rows.head(_ROWS))
        if made.min() < -1e-6 or made.max() > 1 + 1e-6 or np.abs(made.sum(axis=1) - 1).max() > 1e-3:
            raise UserCodeError(
                f"the scores of {self.file} are no probabilities: they go from {made.min():g} to {made.max():g}",
                "end the graph with Softmax or Sigmoid, or name another output",
            )
        return self

    def _places(self, columns: int) -> tuple[int, ...]:
        classes = len(self.classes_)
        places = tuple(self.scores) if self.scores is not None else tuple(range(columns))
        if columns == 1 and classes == 2:
            return ()
        if len(places) != classes or not set(places) <= set(range(columns)):
            raise UserCodeError(
                f"{self.file} gives {columns} scores a row, and the target has {classes} classes",
                "name the graph's column of each class: scores=[…] in build of model.py",
            )
        return places

    def predict_proba(self, rows: "pd.DataFrame") -> np.ndarray:
        raw = self.taken_.raw(rows)
        return np.column_stack([1 - raw[:, 0], raw[:, 0]]) if not self.places_ else raw[:, list(self.places_)]

    def predict(self, rows: "pd.DataFrame") -> np.ndarray:
        return np.asarray(self.classes_[self.predict_proba(rows).argmax(axis=1)])


class BroughtRegressor(RegressorMixin, BaseEstimator):
    """One number a row out of a graph's `output`; `inputs` names the columns of each input that takes several."""

    def __init__(self, file: str | Path, inputs: Mapping[str, Sequence[str]] | None = None, output: str = "") -> None:
        self.file = file
        self.inputs = inputs
        self.output = output

    def fit(self, rows: "pd.DataFrame", target: np.ndarray) -> "BroughtRegressor":
        del target  # nothing is learned
        self.feature_names_in_ = np.array(rows.columns, dtype=object)
        self.taken_, raw = taken(self.file, self.inputs or {}, self.output, rows)
        if raw.shape[1] != 1:
            raise UserCodeError(
                f"{self.file} gives {raw.shape[1]} numbers a row, and a regression is one", "name another output"
            )
        return self

    def predict(self, rows: "pd.DataFrame") -> np.ndarray:
        return self.taken_.raw(rows)[:, 0]


def taken(
    file: str | Path, inputs: Mapping[str, Sequence[str]], output: str, rows: "pd.DataFrame"
) -> tuple[Taken, np.ndarray]:
    """The graph, and what it gives for random rows like these. Raises UserCodeError when it cannot be loaded, fed or trusted."""
    try:
        made = read_graph(_bytes(Path(file)), str(file), output)
        columns = [Column(str(name), "word" if rows[name].dtype == object else "number") for name in rows.columns]
        one = Taken(made, feeds_named(made, columns, str(file), inputs))
    except ModelwayError as error:
        raise UserCodeError(error.problem, error.fix) from error
    drawn = random_rows(rows)
    try:
        raw = one.raw(drawn)
    except Exception as error:  # what a foreign graph makes ONNX Runtime raise has no common root
        raise UserCodeError(f"{file} cannot answer rows of these columns: {error}", "look at its inputs") from error
    if not np.isfinite(raw).all():
        raise UserCodeError(
            f"{file} gave NaN or infinity for {int((~np.isfinite(raw).all(axis=1)).sum())} of {len(raw)} random rows without holes",
            "look at the graph: it must give a number for each row",
        )
    return one, raw


def random_rows(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Values of the columns drawn apart from one another, so that each row is new; missing numbers left out."""
    import pandas as pd

    random, made = np.random.default_rng(0), {}
    for name in rows.columns:
        known = rows[name][rows[name].notna()].to_numpy()
        fallback = np.array([""], dtype=object) if rows[name].dtype == object else np.zeros(1)
        made[name] = random.choice(known if len(known) else fallback, _ROWS)
    return pd.DataFrame(made, columns=list(rows.columns))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFoundError(f"{file} cannot be read: {error.strerror}", "put the graph there") from error


def _tensor(feed: Feed, rows: "pd.DataFrame") -> np.ndarray:
    names, element = list(feed.columns), feed.input.element
    if element == "string":
        block = rows[names].to_numpy(object)
    else:
        block = rows[names].to_numpy(np.float64)
        if element in _INTEGERS:
            kind, largest = _INTEGERS[element]
            if not (np.abs(block) <= largest).all():
                raise ValueError(
                    f"{feed.input.name} takes whole numbers: a missing one, or one beyond ±{largest:g}, is none"
                )
            block = block.astype(kind)
        elif element == "float":
            with np.errstate(over="ignore"):
                block = block.astype(np.float32)
    return block.reshape(-1) if feed.input.flat else block
