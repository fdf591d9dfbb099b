"""From raw scores to probabilities, with the same formulas as the libraries."""

import numpy as np

from modelway.export.graph import GraphBuilder


def binary(graph: GraphBuilder, positive: str) -> str:
    """double[N, 2] from P(class 1) double[N, 1]."""
    return graph.op("Concat", graph.op("Sub", graph.constant(np.float64(1)), positive), positive, axis=1)


def times(graph: GraphBuilder, tensor: str, factor: float) -> str:
    return tensor if factor == 1.0 else graph.op("Mul", tensor, graph.constant(np.float64(factor)))


def plus(graph: GraphBuilder, tensor: str, values: np.ndarray) -> str:
    """Add one number a column; nothing when all are zero."""
    return graph.op("Add", tensor, graph.row(values)) if np.any(values) else tensor


def normalised(graph: GraphBuilder, tensor: str, classes: int) -> str:
    """Each row divided by its sum; 1 / classes where the sum is zero."""
    total = graph.op("ReduceSum", tensor, graph.constant(np.array([1])), keepdims=1)
    none = graph.op("Equal", total, graph.constant(np.float64(0)))
    shares = graph.op("Div", tensor, graph.op("Where", none, graph.constant(np.float64(1)), total))
    return graph.op("Where", none, graph.constant(np.full((1, classes), 1.0 / classes)), shares)
