"""scikit-learn's multi-layer perceptrons: matrix products and activations, in double."""

from collections.abc import Callable
from typing import Any

import numpy as np

from modelway.errors import ExportError
from modelway.export import scores
from modelway.export.block import Block, numbers
from modelway.export.graph import GraphBuilder

HIDDEN = {"identity": "Identity", "tanh": "Tanh", "logistic": "Sigmoid", "relu": "Relu"}
APPLIED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "identity": lambda x: x,
    "tanh": np.tanh,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
}


def classifier(graph: GraphBuilder, model: Any, columns: Block) -> str:
    raw = _raw(graph, model, columns)
    if model.out_activation_ == "softmax":
        return graph.op("Softmax", raw, axis=1)
    if len(model.classes_) != 2 or model.n_outputs_ != 1:
        raise ExportError(f"{type(model).__name__} has several labels a row", "train one model for each label")
    return scores.binary(graph, graph.op("Sigmoid", raw))


def regressor(graph: GraphBuilder, model: Any, columns: Block) -> str:
    if model.n_outputs_ != 1:
        raise ExportError(f"{type(model).__name__} has {model.n_outputs_} targets", "train one model for each target")
    raw = _raw(graph, model, columns)
    return graph.op("Exp", raw) if model.out_activation_ == "exp" else raw


def _raw(graph: GraphBuilder, model: Any, columns: Block) -> str:
    """double[N, outputs], before the last activation."""
    value, last = numbers(graph, columns), len(model.coefs_) - 1
    for layer, (weights, shift) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        value = graph.op("MatMul", value, graph.constant(np.asarray(weights, dtype=np.float64)))
        value = graph.op("Add", value, graph.row(np.asarray(shift, dtype=np.float64)))
        value = graph.op(HIDDEN[model.activation], value) if layer < last else value
    return value


def rounding(model: Any, columns: np.ndarray, unit: float, rounded: int) -> np.ndarray:
    """double[N]: how far two right sums may lie apart, layer by layer; no activation enlarges a difference.

    Each entry of `columns` was rounded up to `rounded` times, by `unit` of itself.
    """
    value, error = columns, rounded * unit * np.abs(columns)
    for layer, (weights, shift) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        size = np.abs(value) @ np.abs(weights) + np.abs(shift)
        error = error @ np.abs(weights) + (2 * len(weights) + 2) * unit * size
        value = value @ weights + shift
        if layer < len(model.coefs_) - 1:
            value = APPLIED[model.activation](value)
    return np.asarray(error.max(axis=1))
