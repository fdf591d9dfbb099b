"""PowerTransformer: the power of Yeo and Johnson, or of Box and Cox, then the scaler."""

from typing import Any

import numpy as np

from modelway.export import elementary
from modelway.export import numbers as scalers
from modelway.export.block import Block, block, numbers
from modelway.export.graph import GraphBuilder

_TINY = float(np.finfo(np.float64).eps)


def power(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """I.-K. Yeo and R. A. Johnson, Biometrika 87 (2000); G. E. P. Box and D. R. Cox, JRSS B 26 (1964)."""
    values, lambdas = numbers(graph, columns), np.asarray(step.lambdas_, dtype=np.float64)
    written = _yeo_johnson if step.method == "yeo-johnson" else _box_cox
    made = block(written(graph, values, lambdas), "number", [None] * len(columns))
    return scalers.standard_scaler(graph, step._scaler, made) if step.standardize else made


def _yeo_johnson(graph: GraphBuilder, values: str, lambdas: np.ndarray) -> str:
    zero = graph.constant(np.float64(0))
    up = _grown(graph, graph.op("Max", values, zero), lambdas)
    down = _grown(graph, graph.op("Max", graph.op("Neg", values), zero), 2.0 - lambdas)
    return graph.op("Where", graph.op("GreaterOrEqual", values, zero), up, graph.op("Neg", down))


def _grown(graph: GraphBuilder, values: str, power: np.ndarray) -> str:
    """((x + 1)^λ − 1) / λ, and log(x + 1) for λ = 0."""
    return _powered(graph, elementary.log1p(graph, values), power, np.abs(power) <= _TINY)


def _box_cox(graph: GraphBuilder, values: str, lambdas: np.ndarray) -> str:
    return _powered(graph, graph.op("Log", values), lambdas, np.abs(lambdas) < 1e-19)


def _powered(graph: GraphBuilder, logs: str, power: np.ndarray, none: np.ndarray) -> str:
    """(exp(λ · l) − 1) / λ; l itself where λ is `none`."""
    safe = np.where(none, 1.0, power)
    grown = elementary.expm1(graph, graph.op("Mul", graph.row(safe), logs))
    return graph.op("Where", graph.constant(none[None]), logs, graph.op("Div", grown, graph.row(safe)))
