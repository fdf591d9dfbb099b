"""`export_estimator`: a fitted estimator as one ONNX graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export.block import Block, Origin, Slot, block
from modelway.export.graph import GraphBuilder
from modelway.export.pipeline import Step, Walk, scored
from modelway.records import Column, Exactness, Task

METHODS: Mapping[Task, str] = {"regression": "predict", "anomaly": "score_samples"}
SEVERAL = ("MultiOutputRegressor", "MultiOutputClassifier", "RegressorChain", "ClassifierChain")
ONE_EACH = "train one model for each target"


@dataclass(frozen=True, slots=True)
class Hints:
    """What adversarial rows should hit: values at which trees split, and words that encoders know, by column."""

    splits: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stock: tuple[str, ...] = ()
    """Steps that the stock converter wrote: the first to suspect when graph and estimator differ."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A graph in bytes, not yet proved: hand it to `parity.check_parity`. Equal estimators give equal bytes."""

    onnx: bytes
    exactness: Exactness
    steps: tuple[Step, ...]
    hints: Hints


def export_estimator(
    estimator: Any,
    columns: Sequence[Column],
    task: Task,
    *,
    classes: int | None = None,
    words: Mapping[str, Sequence[str]] | None = None,
) -> Exported:
    """The estimator, fitted on a pandas frame with these columns in this order, as a graph (see `records.Graph`).

    `scores` follow `estimator.classes_`; with `classes`, the labels are codes 0 … classes − 1, and one that the
    estimator has not met gets probability 0. `words` are those of training by column, for models that keep hashes of
    them only (CatBoost). Raises ExportError with the step that has no exact graph.
    """
    check_fitted(estimator, columns, task)
    walk = Walk(GraphBuilder(), vocabulary=words or {})
    try:
        made = scored(walk, "", estimator, _inputs(walk.graph, columns))
    except ExportError as error:
        raise ExportError(f"{type(estimator).__name__} cannot be exported: {error.problem}", error.fix) from error
    places = score_places(estimator, task, classes)
    exactness: Exactness = "single" if any(step.exactness == "single" for step in walk.steps) else "double"
    return Exported(
        onnx=walk.graph.finish(_spread(walk.graph, made, places), len(places)),
        exactness=exactness,
        steps=tuple(walk.steps),
        hints=Hints(
            splits={name: tuple(sorted(set(values))) for name, values in sorted(walk.splits.items())},
            words={name: tuple(sorted(set(values))) for name, values in sorted(walk.words.items())},
            stock=tuple(str(step) for step in walk.steps if step.stock),
        ),
    )


def score_places(estimator: Any, task: Task, classes: int | None) -> list[int]:
    """For each column of the scores, the estimator's own column, or −1 for a class that it has not met."""
    if task in METHODS:
        return [0]
    own = list(labels(estimator))
    if classes is None:
        return list(range(len(own)))
    if not set(own) <= set(range(classes)):
        raise ExportError(
            f"the estimator knows the classes {own}, not codes below {classes}", "fit it on codes, as training does"
        )
    return [own.index(code) if code in own else -1 for code in range(classes)]


def labels(estimator: Any) -> Any:
    """The classes in the order of the scores; optbinning's Scorecard leaves them to the estimator inside."""
    return estimator.classes_ if hasattr(estimator, "classes_") else estimator.estimator_.classes_


def check_fitted(estimator: Any, columns: Sequence[Column], task: Task) -> None:
    """Raises ExportError when the estimator is not fitted, on other columns, or cannot do the task."""
    from sklearn.base import is_outlier_detector
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    name = type(estimator).__name__
    if name in SEVERAL or isinstance(getattr(estimator, "classes_", None), list):
        raise ExportError(f"{name} predicts several targets, and a version has one", ONE_EACH)
    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError) as error:
        raise ExportError(f"{name} is not fitted", "fit it before the export") from error
    seen = getattr(estimator, "feature_names_in_", None)
    wanted = [column.name for column in columns]
    if seen is not None and list(seen) != wanted:
        raise ExportError(f"{name} was fitted on {list(seen)}, not on {wanted}", "export with the columns of training")
    if is_outlier_detector(estimator) and task != "anomaly":
        raise ExportError(
            f"{name} says how odd a row is, which is no {task} score",
            "use a classifier or a regressor, or write task: anomaly",
        )
    method = METHODS.get(task, "predict_proba")
    if not hasattr(estimator, method):
        raise ExportError(f"{name} has no {method} (task: {task})", "use an estimator that has it")


def _inputs(graph: GraphBuilder, columns: Sequence[Column]) -> Block:
    made: dict[str, Slot] = {}
    for kind, name, element in (("number", "numbers", TensorProto.DOUBLE), ("word", "words", TensorProto.STRING)):
        names = [column.name for column in columns if column.kind == kind]
        if names:
            tensor = graph.input(name, element, len(names))
            slots = block(tensor, "number" if kind == "number" else "word", [Origin(n) for n in names])
            made |= dict(zip(names, slots, strict=True))
    return tuple(made[column.name] for column in columns)


def _spread(graph: GraphBuilder, scores: str, places: Sequence[int]) -> str:
    """A column of zeros for every class that the estimator has not met."""
    if -1 not in places:
        return scores
    padded = graph.op("Pad", scores, graph.constant(np.array([0, 0, 0, 1])))
    return graph.op("Gather", padded, graph.constant(np.array(places)), axis=1)
