"""Walks Pipeline, ColumnTransformer and FeatureUnion down to single steps, and has each written."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from modelway.errors import ExportError
from modelway.export import asked, catboost_words, hist_gradient_boosting, last_bits, optbinning, splits, stock
from modelway.export.block import Block, Slot, block, moved, numbers
from modelway.export.composed import COMPOSED
from modelway.export.families import DECISIONS, MODELS, is_single, key
from modelway.export.graph import GraphBuilder
from modelway.export.transformers import TRANSFORMERS
from modelway.records import Exactness

T = TypeVar("T")

WRAPPERS = {
    "sklearn.GridSearchCV": "best_estimator_",
    "sklearn.RandomizedSearchCV": "best_estimator_",
    "sklearn.HalvingGridSearchCV": "best_estimator_",
    "sklearn.HalvingRandomSearchCV": "best_estimator_",
    "sklearn.TunedThresholdClassifierCV": "estimator_",
    "sklearn.FixedThresholdClassifier": "estimator_",
    "sklearn.FrozenEstimator": "estimator",
}
"""Estimators whose scores are those of the estimator inside."""


@dataclass(frozen=True, slots=True)
class Step:
    """One fitted step: its place in the pipeline, its class, how exact its graph is, and whether the stock converter wrote it."""

    path: str
    kind: str
    exactness: Exactness
    stock: bool = False

    def __str__(self) -> str:
        return f"{self.path} ({self.kind})"


@dataclass(slots=True)
class Walk:
    """The graph under construction, the steps passed, and what the adversarial rows of the parity gate must hit."""

    graph: GraphBuilder
    steps: list[Step] = field(default_factory=list)
    splits: dict[str, list[float]] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)
    vocabulary: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def written(self, path: str, step: Any, ours: Callable[[], T] | None, theirs: Callable[[], T]) -> T:
        """By us when we can, else by the stock converter; ExportError with the step's name when neither can."""
        reason: ExportError | None = None
        if ours is not None:
            try:
                made = ours()
            except ExportError as error:
                reason = error
            else:
                self.steps.append(Step(path, type(step).__name__, "single" if is_single(step) else "double"))
                return made
        try:
            made = theirs()
        except ExportError as error:
            told = reason or error
            raise ExportError(f"step {path} ({type(step).__name__}): {told.problem}", told.fix) from error
        self.steps.append(Step(path, type(step).__name__, "single", stock=True))
        return made


def transformed(walk: Walk, path: str, step: Any, columns: Block) -> Block:
    """The columns that leave a transformer."""
    if step is None or step == "passthrough":
        return columns
    if isinstance(step, str) and step == "drop":
        return ()
    name = key(step)
    if name in COMPOSITES:
        return COMPOSITES[name](walk, path, step, columns)
    if name.startswith("sklearn.") and hasattr(step, "get_support"):
        return tuple(slot for slot, kept in zip(columns, step.get_support(), strict=True) if kept)
    _remember_words(walk, step, columns)
    splits.remember_edges(walk.splits, step, columns)
    _check_last_bits(path, step, columns)
    known = TRANSFORMERS.get(name)
    made = walk.written(
        path,
        step,
        known and (lambda: known(walk.graph, step, columns)),
        lambda: stock.transformed(walk.graph, step, columns),
    )
    if last_bits.rounds(step) or any(slot.rounded for slot in columns):
        return tuple(replace(slot, rounded=True) for slot in made)
    return made


def scored(walk: Walk, path: str, model: Any, columns: Block, *, decision: bool = False) -> str:
    """The scores of the last step: probabilities in the order of `classes_`, or predicted values; double[N, k].

    With `decision`, the decision function of a classifier: double[N, 1] for two classes.
    """
    name = key(model)
    if name == "sklearn.Pipeline":
        for step, inner in model.steps[:-1]:
            columns = transformed(walk, _under(path, step), inner, columns)
        return scored(walk, _under(path, model.steps[-1][0]), model.steps[-1][1], columns, decision=decision)
    if name in WRAPPERS:
        return scored(walk, path, getattr(model, WRAPPERS[name]), columns, decision=decision)
    if name == "optbinning.Scorecard":
        return _scorecard(walk, path, model, columns)
    if name in COMPOSED:
        return _composed(walk, path, model, columns, decision)
    _check_last_bits(path, model, columns)
    if name.startswith("sklearn.HistGradientBoosting"):
        columns = hist_gradient_boosting.encoded(walk.graph, model, columns)
    if name.startswith("catboost."):
        for slot in columns:
            if slot.kind == "word" and slot.origin is not None:
                walk.words.setdefault(slot.origin.column, []).extend(walk.vocabulary.get(slot.origin.column, ()))
        columns = catboost_words.encoded(walk.graph, model, columns, walk.vocabulary)
    splits.remember(walk.splits, model, columns)
    known = (DECISIONS if decision else MODELS).get(name)
    return walk.written(
        path or "model",
        model,
        known and (lambda: known(walk.graph, model, columns)),
        (lambda: _no_decision(model)) if decision else (lambda: stock.scored(walk.graph, model, columns)),
    )


def _composed(walk: Walk, path: str, model: Any, columns: Block, decision: bool) -> str:
    def inner(name: str, member: Any, own: Block, *, decision: bool = False) -> str:
        return scored(walk, _under(path, name), member, own, decision=decision)

    try:
        made = COMPOSED[key(model)](walk.graph, model, columns, inner, decision=decision)
    except ExportError as error:
        if error.problem.startswith("step "):
            raise
        raise ExportError(f"step {path or 'model'} ({type(model).__name__}): {error.problem}", error.fix) from error
    walk.steps.append(Step(path or "model", type(model).__name__, "double"))
    return made


def _no_decision(model: Any) -> str:
    raise ExportError(
        f"no exact graph is known for the decision function of {type(model).__name__}",
        "use a model of docs/explanation/exact-export.md inside",
    )


def _scorecard(walk: Walk, path: str, model: Any, columns: Block) -> str:
    """Weights of evidence, then the estimator inside; points are a way to show them, and no part of its probabilities."""
    process = model.binning_process_
    _remember_words(walk, process, columns)
    splits.remember_edges(walk.splits, process, columns)
    walk.steps.append(Step(_under(path, "binning_process_"), type(process).__name__, "double"))
    return scored(walk, _under(path, "estimator_"), model.estimator_, optbinning.weights(walk.graph, model, columns))


def _pipeline(walk: Walk, path: str, step: Any, columns: Block) -> Block:
    for name, inner in step.steps:
        columns = transformed(walk, _under(path, name), inner, columns)
    return columns


def _column_transformer(walk: Walk, path: str, step: Any, columns: Block) -> Block:
    made: Block = ()
    for name, inner, _ in step.transformers_:
        chosen = tuple(columns[i] for i in step._transformer_to_input_indices.get(name, []))
        if chosen:
            out = transformed(walk, _under(path, name), inner, chosen)
            made += _weighted(walk, out, (step.transformer_weights or {}).get(name))
    return made


def _feature_union(walk: Walk, path: str, step: Any, columns: Block) -> Block:
    made: Block = ()
    for name, inner in step.transformer_list:
        out = transformed(walk, _under(path, name), inner, columns)
        made += _weighted(walk, out, (step.transformer_weights or {}).get(name))
    return made


COMPOSITES: dict[str, Callable[[Walk, str, Any, Block], Block]] = {
    "sklearn.Pipeline": _pipeline,
    "sklearn.ColumnTransformer": _column_transformer,
    "sklearn.FeatureUnion": _feature_union,
}


def _weighted(walk: Walk, columns: Block, weight: float | None) -> Block:
    if weight is None or not columns:
        return columns
    heavy = walk.graph.op("Mul", numbers(walk.graph, columns), walk.graph.constant(np.float64(weight)))
    if weight == 0:
        return block(heavy, "number", [None] * len(columns))
    return moved(columns, heavy, np.full(len(columns), 1.0 / weight), np.zeros(len(columns)))


def _remember_words(walk: Walk, step: Any, columns: Block) -> None:
    for slot, known in _known_words(step, columns):
        if slot.kind == "word" and slot.origin is not None:
            walk.words.setdefault(slot.origin.column, []).extend(str(word) for word in known)


def _known_words(step: Any, columns: Block) -> Iterable[tuple[Slot, Iterable[Any]]]:
    if process := optbinning.process(step):
        return [(one.slot, one.words) for one in optbinning.variables(process, columns)]
    if key(step) in asked.ENCODERS:
        return [(slot, asked.categories(step, n)) for n, slot in zip(step.feature_names_in_, columns, strict=True)]
    categories = getattr(step, "categories_", None)
    return [] if categories is None or len(categories) != len(columns) else zip(columns, categories, strict=True)


def _check_last_bits(path: str, step: Any, columns: Block) -> None:
    try:
        last_bits.check(step, columns)
    except ExportError as error:
        raise ExportError(f"step {path or 'model'}: {error.problem}", error.fix) from error


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
