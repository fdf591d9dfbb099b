"""A graph that a team brings, as an estimator: `fit` learns nothing, it sees whether the graph can answer such rows.

The graph is asked in a process of its own (`brought_child.py`): one that hangs, crashes or grows takes no training, and no control
loop along.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from modelway.errors import EngineError, GraphError, ModelwayError, NotFoundError, UserCodeError
from modelway.files.onnx import Feed, TeamGraph, feeds_named, read_graph
from modelway.isolation.offline import Offline
from modelway.records import LIMITS, Column, Kind, Limits

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 64
_KINDS: tuple[Kind, ...] = ("number", "word")
_CHILD = Path(__file__).with_name("brought_child.py")
_LARGEST = {"int64": 2.0**53, "int32": 2.0**31 - 1}


@dataclass(frozen=True)
class Taken:
    """A graph with the columns that go into it; its process is started on use, and does not travel with it."""

    graph: TeamGraph
    feeds: tuple[Feed, ...]
    limits: Limits = LIMITS
    name: str = "the graph"

    def raw(self, rows: "pd.DataFrame") -> np.ndarray:
        """double[N, c]: what the graph gives, as the team would call it.

        Raises ValueError for values that it cannot be fed, EngineError when it refuses them, GraphError when it takes its process
        along.
        """
        for feed in self.feeds:
            _demand_whole(feed, rows)
        numbers = rows[self._names("number")].to_numpy(np.float64)
        words = rows[self._names("word")].to_numpy(object).tolist()
        return np.array(self.process(numbers, words), dtype=np.float64).reshape(len(rows), -1)

    @cached_property
    def process(self) -> Offline:
        feeds = [
            {
                "name": feed.input.name,
                "element": feed.input.element,
                "flat": feed.input.flat,
                "word": word,
                "places": [self._names("word" if word else "number").index(name) for name in feed.columns],
            }
            for feed in self.feeds
            for word in [feed.input.kind == "word"]
        ]
        columns = [Column(name, kind) for kind in _KINDS for name in self._names(kind)]
        told = {"feeds": feeds, "scored": self.graph.scores}
        return Offline(self.name, lambda: self.graph.onnx, _CHILD, columns, self.limits, told=told)

    def _names(self, kind: Kind) -> list[str]:
        return [name for feed in self.feeds if feed.input.kind == kind for name in feed.columns]

    def __reduce__(self) -> tuple[Any, ...]:
        return Taken, (self.graph, self.feeds, self.limits, self.name)


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
        limits: Limits = LIMITS,
    ) -> None:
        self.file = file
        self.inputs = inputs
        self.output = output
        self.scores = scores
        self.limits = limits

    def fit(self, rows: "pd.DataFrame", target: np.ndarray) -> "BroughtClassifier":
        self.classes_ = np.unique(target)
        self.feature_names_in_ = np.array(rows.columns, dtype=object)
        self.taken_, raw = taken(self.file, self.inputs or {}, self.output, rows, self.limits)
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

    def __init__(
        self,
        file: str | Path,
        inputs: Mapping[str, Sequence[str]] | None = None,
        output: str = "",
        limits: Limits = LIMITS,
    ) -> None:
        self.file = file
        self.inputs = inputs
        self.output = output
        self.limits = limits

    def fit(self, rows: "pd.DataFrame", target: np.ndarray) -> "BroughtRegressor":
        del target  # nothing is learned
        self.feature_names_in_ = np.array(rows.columns, dtype=object)
        self.taken_, raw = taken(self.file, self.inputs or {}, self.output, rows, self.limits)
        if raw.shape[1] != 1:
            raise UserCodeError(
                f"{self.file} gives {raw.shape[1]} numbers a row, and a regression is one", "name another output"
            )
        return self

    def predict(self, rows: "pd.DataFrame") -> np.ndarray:
        return self.taken_.raw(rows)[:, 0]


def taken(
    file: str | Path, inputs: Mapping[str, Sequence[str]], output: str, rows: "pd.DataFrame", limits: Limits
) -> tuple[Taken, np.ndarray]:
    """The graph, and what it gives for random rows like these. Raises UserCodeError when it cannot be loaded, fed or trusted."""
    try:
        made = read_graph(_bytes(Path(file)), str(file), output)
        columns = [Column(str(name), "word" if rows[name].dtype == object else "number") for name in rows.columns]
        one = Taken(made, feeds_named(made, columns, str(file), inputs), limits, "/".join(Path(file).parts[-2:]))
    except ModelwayError as error:
        raise UserCodeError(error.problem, error.fix) from error
    drawn = random_rows(rows)
    try:
        raw = one.raw(drawn)
    except GraphError:
        raise
    except (ValueError, EngineError) as error:
        problem = error.problem if isinstance(error, EngineError) else error
        raise UserCodeError(f"{file} cannot answer rows of these columns: {problem}", "look at its inputs") from error
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


def _demand_whole(feed: Feed, rows: "pd.DataFrame") -> None:
    largest = _LARGEST.get(feed.input.element)
    if largest is None:
        return
    if not (np.abs(rows[list(feed.columns)].to_numpy(np.float64)) <= largest).all():
        raise ValueError(f"{feed.input.name} takes whole numbers: a missing one, or one beyond ±{largest:g}, is none")
