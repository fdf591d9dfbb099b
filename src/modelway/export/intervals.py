"""In which interval between sorted edges a value lies: what bins, quantiles and isotonic steps ask."""

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from modelway.export.block import Block, numbers
from modelway.export.forest import Forest, Tree
from modelway.export.graph import GraphBuilder

DIRECT = 256
"""Up to so many edges are compared one by one; more are searched by a tree for each column."""


def places(graph: GraphBuilder, columns: Block, edges: Sequence[np.ndarray]) -> str:
    """double[N, n]: how many of the column's own sorted edges are ≤ the value, as `searchsorted(side="right")`; NaN: 0."""
    values, total = numbers(graph, columns), sum(map(len, edges))
    if total == 0:
        return graph.op("Mul", graph.cast(graph.op("IsNaN", values), TensorProto.DOUBLE), graph.constant(np.float64(0)))
    return _compared(graph, values, edges) if total <= DIRECT else _searched(graph, values, edges)


def _compared(graph: GraphBuilder, values: str, edges: Sequence[np.ndarray]) -> str:
    owner = np.repeat(np.arange(len(edges)), [len(own) for own in edges])
    spread = graph.op("Gather", values, graph.constant(owner), axis=1)
    reached = graph.cast(graph.op("GreaterOrEqual", spread, graph.row(np.concatenate(edges))), TensorProto.DOUBLE)
    return graph.op("MatMul", reached, graph.constant((owner[:, None] == np.arange(len(edges))).astype(np.float64)))


def _searched(graph: GraphBuilder, values: str, edges: Sequence[np.ndarray]) -> str:
    forest = Forest()
    for column, own in enumerate(edges):
        forest.add(_tree(np.asarray(own, dtype=np.float64), column), column)
    return forest.node(graph, values, len(edges))


def _tree(edges: np.ndarray, column: int) -> Tree:
    """A balanced tree whose leaves hold the number of edges to their left."""
    spans, left, right = [(0, len(edges))], [], []
    for low, high in spans:  # grows on the way
        inner = high > low
        left.append(len(spans) if inner else 0)
        right.append(len(spans) + 1 if inner else 0)
        if inner:
            middle = (low + high) // 2
            spans += [(low, middle), (middle + 1, high)]
    low, high = np.array(spans).T
    leaf = low == high
    # value < edge is value ≤ the double before it
    split = np.nextafter(np.append(edges, 0.0), -np.inf)[np.where(leaf, len(edges), (low + high) // 2)]
    return Tree(
        left=np.array(left),
        right=np.array(right),
        leaf=leaf,
        feature=np.full(len(spans), column),
        split=split,
        missing_left=np.ones(len(spans), bool),
        value=low.astype(np.float64),
    )
