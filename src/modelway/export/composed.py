"""Models made of models: votes, stacks, calibrated ones, and those that predict a transformed target."""

from typing import Any, Protocol

import numpy as np

from modelway.errors import ExportError
from modelway.export import calibrated, targets
from modelway.export.block import Block, block
from modelway.export.graph import GraphBuilder


class Inner(Protocol):
    """Writes a model inside: its scores, or its decision function."""

    def __call__(self, name: str, model: Any, columns: Block, /, *, decision: bool = False) -> str: ...


class Composed(Protocol):
    """Writes a model of models."""

    def __call__(self, graph: GraphBuilder, model: Any, columns: Block, inner: Inner, /, *, decision: bool) -> str: ...


def voting(graph: GraphBuilder, model: Any, columns: Block, inner: Inner, *, decision: bool) -> str:
    """VotingClassifier (soft), VotingRegressor: the weighted mean of the members."""
    _only_scores(model, decision)
    named = [
        (name, weight)
        for (name, given), weight in zip(model.estimators, _weights(model), strict=True)
        if given != "drop"
    ]
    total = ""
    for (name, weight), member in zip(named, model.estimators_, strict=True):
        made = inner(name, member, columns)
        made = graph.op("Mul", made, graph.constant(np.float64(weight))) if model.weights is not None else made
        total = graph.op("Add", total, made) if total else made
    return graph.op("Div", total, graph.constant(np.float64(sum(weight for _, weight in named))))


def stacking(_: GraphBuilder, model: Any, columns: Block, inner: Inner, *, decision: bool) -> str:
    """StackingClassifier, StackingRegressor: the members' answers are the columns of the last model."""
    names = [name for name, given in model.estimators if given != "drop"]
    made: Block = ()
    for name, member, method in zip(names, model.estimators_, model.stack_method_, strict=True):
        made += _column(model, name, member, method, columns, inner)
    below = made + columns if model.passthrough else made
    return inner("final_estimator", model.final_estimator_, below, decision=decision)


def calibrated_classifier(graph: GraphBuilder, model: Any, columns: Block, inner: Inner, *, decision: bool) -> str:
    _only_scores(model, decision)
    return calibrated.classifier(
        graph, model, columns, inner, lambda name, member, own: inner(name, member, own, decision=True)
    )


def transformed_target(graph: GraphBuilder, model: Any, columns: Block, inner: Inner, *, decision: bool) -> str:
    _only_scores(model, decision)
    raw = inner("regressor", model.regressor_, columns)
    return targets.inverse(graph, model.transformer_, raw, model.regressor_)


COMPOSED: dict[str, Composed] = {
    "sklearn.VotingClassifier": voting,
    "sklearn.VotingRegressor": voting,
    "sklearn.StackingClassifier": stacking,
    "sklearn.StackingRegressor": stacking,
    "sklearn.CalibratedClassifierCV": calibrated_classifier,
    "sklearn.TransformedTargetRegressor": transformed_target,
}


def _column(model: Any, name: str, member: Any, method: str, columns: Block, inner: Inner) -> Block:
    """The columns that one member adds: of two classes, the second alone."""
    if not hasattr(model, "classes_"):
        return block(inner(name, member, columns), "number", [None])
    classes = len(member.classes_)
    if method == "decision_function":
        return block(inner(name, member, columns, decision=True), "number", [None] * (1 if classes == 2 else classes))
    if method != "predict_proba":
        raise ExportError(
            f"the stack takes the classes that {name} predicts",
            "set stack_method='auto' and members with predict_proba",
        )
    made = block(inner(name, member, columns), "number", [None] * classes)
    return made[1:] if len(model.classes_) == 2 else made


def _weights(model: Any) -> list[float]:
    return [1.0] * len(model.estimators) if model.weights is None else [float(weight) for weight in model.weights]


def _only_scores(model: Any, decision: bool) -> None:
    if decision:
        raise ExportError(f"{type(model).__name__} has no decision function", "use its probabilities")
