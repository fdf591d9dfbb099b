"""The parity gate: no graph is registered that answers otherwise than the Python model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.errors import ParityError
from modelway.export.build import Hints, export_estimator, labels
from modelway.export.cases import adversarial_rows
from modelway.export.compare import RAISED, Answers, Sides, distance
from modelway.export.monte_carlo import moved
from modelway.export.refusals import find_refusals, refused
from modelway.export.rounding import slack
from modelway.records import Column, Exactness, Parity, Task

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE: Mapping[Exactness, float] = {"double": 1e-9, "single": 1e-6}
TIE = 1e-12
"""Scores this close to the threshold, or to each other, are equal but for the order of additions."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The outcome of the gate, and the rows that the server must refuse (see `refusals.py`)."""

    parity: Parity
    refuses: Mapping[str, Any] = field(default_factory=dict)


def check_parity(
    graph: bytes | Answers,
    estimator: Any,
    columns: Sequence[Column],
    task: Task,
    sample: "pd.DataFrame",
    *,
    exactness: Exactness,
    seed: int,
    threshold: float | None = None,
    positive: str | int | None = None,
    classes: int | None = None,
    hints: Hints | None = None,
) -> Proof:
    """Compare graph and estimator on `sample` (holdout rows) and on adversarial rows made from it with `seed`.

    `graph` is ONNX, or who answers in its place.
    Decisions are compared at `threshold` on the score of `positive` (a label, or the place of its score; the last
    when None), else by argmax. `hints` are those of the export (worked out again when None). Raises ParityError
    when a score differs by more than 1e-9 · max(1, |ŷ|) (1e-6 where `exactness` is "single") beyond what rounding may do
    to the terms of a linear model (`rounding.slack`) or in a net (`monte_carlo.moved`), when a decision differs, or when the
    estimator takes none of the rows.
    """
    hints = hints or export_estimator(estimator, columns, task, classes=classes).hints
    sides = Sides.of(graph, estimator, columns, task, classes)
    sample = sample[[column.name for column in columns]].reset_index(drop=True)
    base = _one_that_is_taken(sides, sample)
    words = {c.name: [*hints.words.get(c.name, ()), *sample[c.name].unique()] for c in columns if c.kind == "word"}
    largest = {c.name: _largest(sample[c.name].to_numpy(np.float64)) for c in columns if c.kind == "number"}
    refuses = find_refusals(sides.taken, _judge(sides, exactness), base, columns, largest, words)
    rows, names = _rows({"holdout": sample} | adversarial_rows(sample, base, columns, hints, seed), refuses)
    gate = _Gate(sides, exactness, hints, _decision(estimator, threshold, positive, task))
    return Proof(gate.passed(rows, names), refuses)


@dataclass(frozen=True, slots=True)
class _Decision:
    threshold: float | None
    place: int | None

    def made(self, scores: np.ndarray) -> np.ndarray:
        if self.place is None:
            return np.zeros(len(scores))
        if self.threshold is None:
            return np.asarray(scores.argmax(axis=1))
        return scores[:, self.place] >= self.threshold

    def tied(self, scores: np.ndarray, slack: np.ndarray) -> np.ndarray:
        if self.place is None or (self.threshold is None and scores.shape[1] < 2):
            return np.zeros(len(scores), dtype=bool)
        if self.threshold is None:
            highest = np.sort(scores, axis=1)
            return np.asarray(highest[:, -1] - highest[:, -2] <= TIE + 2 * slack[:, 0])
        return np.asarray(np.abs(scores[:, self.place] - self.threshold) <= TIE + slack[:, 0])


@dataclass(frozen=True, slots=True)
class _Gate:
    sides: Sides
    exactness: Exactness
    hints: Hints
    decision: _Decision

    def passed(self, rows: "pd.DataFrame", names: np.ndarray) -> Parity:
        tolerance = TOLERANCE[self.exactness]
        try:
            python = self.sides.python(rows)
        except RAISED as error:
            raise ParityError(
                f"{type(self.sides.estimator).__name__} raises on rows that no single column explains: {error}",
                "let the pipeline take missing and unseen values: SimpleImputer, handle_unknown='ignore'",
            ) from error
        graph = self.sides.graph(rows)
        estimator = self.sides.estimator
        loose = np.maximum(slack(estimator, rows, python), moved(estimator, python, lambda: self.sides.python(rows)))
        far = distance(python, graph, loose)
        if far.max() > tolerance:
            raise self._apart(rows, names, python, graph, far)
        tied = self.decision.tied(python, loose)
        differ = (self.decision.made(python) != self.decision.made(graph)) & ~tied
        if differ.any():
            raise self._decided_otherwise(rows, names, python, graph, differ)
        cases = {str(name): int((names == name).sum()) for name in dict.fromkeys(names)}
        return Parity(len(rows), float(far.max()), tolerance, cases | {"ties": int(tied.sum())}, int(differ.sum()))

    def _apart(self, rows: Any, names: Any, python: Any, graph: Any, far: np.ndarray) -> ParityError:
        worst, wrong = int(far.argmax()), int((far > TOLERANCE[self.exactness]).sum())
        return ParityError(
            f"the graph of {self._culprit()} differs from the Python model on {wrong} of {len(rows)} rows; the worst is "
            f"in case '{names[worst]}': Python {python[worst].tolist()}, graph {graph[worst].tolist()}, "
            f"{_shown(rows, worst)}",
            self._way_out(),
        )

    def _decided_otherwise(self, rows: Any, names: Any, python: Any, graph: Any, differ: np.ndarray) -> ParityError:
        worst = int(differ.argmax())
        return ParityError(
            f"the graph of {self._culprit()} decides otherwise than the Python model on {int(differ.sum())} of "
            f"{len(rows)} rows, first in case '{names[worst]}': Python {python[worst].tolist()}, "
            f"graph {graph[worst].tolist()}, {_shown(rows, worst)}",
            "move the threshold off the scores that occur, by 1e-6 or more",
        )

    def _culprit(self) -> str:
        return ", ".join(self.hints.stock) or type(self.sides.estimator).__name__

    def _way_out(self) -> str:
        if self.hints.stock:
            return "the stock converter wrote it, and wrongly: use a step that docs/explanation/exact-export.md lists"
        return "this is a fault of modelway's own export: please report it with the versions of the libraries"


def _judge(sides: Sides, exactness: Exactness) -> Callable[["pd.DataFrame"], np.ndarray]:
    """Which far values are taken: those with finite scores from Python and, in single precision, the same from the graph."""

    def trusted(rows: "pd.DataFrame") -> np.ndarray:
        return sides.agreed(rows, TOLERANCE[exactness]) if exactness == "single" else sides.taken(rows)

    return trusted


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=1.0))


def _one_that_is_taken(sides: Sides, sample: "pd.DataFrame") -> "pd.DataFrame":
    """The fullest row of the first ones that the estimator answers."""
    if len(sample) == 0:
        raise ParityError("there are no rows to compare graph and estimator on", "give a holdout of at least one row")
    first = sample.iloc[:200]
    empty = (first.isna() | (first == "")).sum(axis=1).to_numpy()
    ordered = first.iloc[np.argsort(empty, kind="stable")]
    good = sides.taken(ordered)
    if not good.any():
        raise ParityError(
            f"{type(sides.estimator).__name__} answers none of the first {len(first)} holdout rows with finite scores",
            "look at its predictions on the holdout",
        )
    return ordered[good].iloc[:1].reset_index(drop=True)


def _rows(frames: "Mapping[str, pd.DataFrame]", refuses: Mapping[str, Any]) -> "tuple[pd.DataFrame, np.ndarray]":
    """All rows that are not to be refused, and the name of each one's case."""
    import pandas as pd

    rows = pd.concat(list(frames.values()), ignore_index=True)
    names = np.repeat(np.array(list(frames), dtype=object), [len(frame) for frame in frames.values()])
    kept = ~refused(refuses, rows)
    return rows[kept].reset_index(drop=True), names[kept]


def _decision(estimator: Any, threshold: float | None, positive: str | int | None, task: Task) -> _Decision:
    if task == "regression":
        return _Decision(None, None)
    if task == "anomaly":
        return _Decision(threshold, None if threshold is None else 0)
    own = [str(label) for label in labels(estimator)]
    if isinstance(positive, str):
        if positive not in own:
            raise ParityError(f"the positive class {positive!r} is none of {own}", "give the place of its score")
        return _Decision(threshold, own.index(positive))
    return _Decision(threshold, len(own) - 1 if positive is None else positive)


def _shown(rows: Any, place: int) -> str:
    row = rows.iloc[place].to_dict()
    return "row {" + ", ".join(f"{name}: {value!r}" for name, value in list(row.items())[:20]) + "}"
