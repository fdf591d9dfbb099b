"""Curves of one variable as graphs: a straight line between given points, in NumPy's order of operations."""

import numpy as np
from onnx import TensorProto

from modelway.export.forest import Forest, Tree
from modelway.export.graph import GraphBuilder


def interpolated(graph: GraphBuilder, values: str, xs: np.ndarray, ys: np.ndarray) -> str:
    """double[N, 1]: `numpy.interp` of `values` double[N, 1], which must lie within the rising `xs`."""
    slopes = np.append(np.diff(ys) / np.diff(xs), 0.0)
    place = interval(graph, values, xs[1:])
    x, y, slope = (
        graph.op("Gather", graph.constant(np.asarray(v, np.float64)), place, axis=0) for v in (xs, ys, slopes)
    )
    return graph.op("Add", graph.op("Mul", slope, graph.op("Sub", values, x)), y)


def interval(graph: GraphBuilder, values: str, edges: np.ndarray) -> str:
    """int64[N, 1]: how many of the rising `edges` each of `values` double[N, 1] has reached, found by halving."""
    forest = Forest()
    forest.add(_halving(edges))
    return graph.cast(forest.node(graph, values), TensorProto.INT64)


def _halving(edges: np.ndarray) -> Tree:
    """A balanced tree whose leaves are 0 … len(edges), from left to right; v < e is v ≤ the number before e."""
    inner = len(edges)
    left, right = np.zeros((2, 2 * inner + 1), dtype=np.int64)
    split, value = np.zeros((2, 2 * inner + 1))
    leaf = np.zeros(2 * inner + 1, dtype=bool)
    made, waiting = 1, [(0, 0, inner)]
    while waiting:
        node, first, last = waiting.pop()
        if first == last:
            leaf[node], value[node] = True, first
            continue
        middle = (first + last) // 2
        left[node], right[node], made = made, made + 1, made + 2
        split[node] = np.nextafter(edges[middle], -np.inf)
        waiting += [(left[node], first, middle), (right[node], middle + 1, last)]
    none = np.zeros(len(left), dtype=np.int64)
    return Tree(left, right, leaf, none, split, none, value)
