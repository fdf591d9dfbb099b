"""Linear models: one matrix product, then the link."""

from typing import Any

import numpy as np

from modelway.errors import ExportError
from modelway.export import scores
from modelway.export.block import Block, numbers
from modelway.export.graph import GraphBuilder


def logistic(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """LogisticRegression(CV): binary by the logistic function, more classes by softmax."""
    raw = _product(graph, model, columns)
    if len(model.classes_) == 2:
        return scores.binary(graph, graph.op("Sigmoid", raw))
    return graph.op("Softmax", raw, axis=1)


def one_against_rest(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """SGDClassifier with the logistic loss: one logistic function a class, then shares."""
    if model.loss != "log_loss":
        raise ExportError(f"SGDClassifier has the loss {model.loss}", "set loss='log_loss'")
    raw = _product(graph, model, columns)
    if len(model.classes_) == 2:
        return scores.binary(graph, graph.op("Sigmoid", raw))
    return scores.normalised(graph, scores.logistic(graph, raw), len(model.classes_))


def decision(graph: GraphBuilder, model: Any, columns: Block) -> str:
    return _product(graph, model, columns)


def regression(graph: GraphBuilder, model: Any, columns: Block) -> str:
    return _product(graph, model, columns)


def generalised(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """PoissonRegressor, GammaRegressor, TweedieRegressor: the linear form, or its exponential."""
    raw = _product(graph, model, columns)
    return graph.op("Exp", raw) if is_exponential(model) else raw


def is_exponential(model: Any) -> bool:
    """Whether a generalised linear model has a logarithm as its link."""
    return type(model._base_loss.link).__name__ == "LogLink"


def _product(graph: GraphBuilder, model: Any, columns: Block) -> str:
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    if isinstance(model.intercept_, np.ndarray) and model.intercept_.size not in (1, len(weights)):
        raise ExportError(f"{type(model).__name__} has {len(weights)} targets", "train one model for each target")
    product = graph.op("MatMul", numbers(graph, columns), graph.constant(weights.T))
    return scores.plus(graph, product, np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64)))
