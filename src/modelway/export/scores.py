"""From raw scores to probabilities, with the same formulas as the libraries."""

import numpy as np

from modelway.export.graph import GraphBuilder


def binary(graph: GraphBuilder, positive: str) -> str:
    """double[N, 2] from P(class 1) double[N, 1]."""
    return graph.op("Concat", graph.op("Sub", graph.constant(np.float64(1)), positive), positive, axis=1)


def logistic(graph: GraphBuilder, tensor: str) -> str:
    """1 / (1 + e^−x) right to the last digits where it is tiny too, which matters when shares are made of such numbers.

    onnxruntime's `Sigmoid` is 0 far from 0, and its `Exp` stops rising before it overflows: from there on Python has 0.
    """
    one = graph.constant(np.float64(1))
    made = graph.op("Div", one, graph.op("Add", one, graph.op("Exp", graph.op("Neg", tensor))))
    gone = graph.op("Less", tensor, graph.constant(np.float64(-np.log(np.finfo(np.float64).max))))
    return graph.op("Where", gone, graph.constant(np.float64(0)), made)


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
