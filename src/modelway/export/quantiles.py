"""QuantileTransformer: the mean of two interpolations, then the normal quantile where it is asked for."""

from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.export.block import Block, block, numbers
from modelway.export.elementary import normal_quantile
from modelway.export.graph import GraphBuilder
from modelway.export.intervals import places

_BOUND = 1e-7
"""scikit-learn's distance from 0 and 1 at which the normal quantile is cut (BOUNDS_THRESHOLD)."""


def quantile(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """The share of the training rows below each value; missing values stay missing."""
    values = numbers(graph, columns)
    knots, levels = np.asarray(step.quantiles_, dtype=np.float64).T, np.asarray(step.references_, dtype=np.float64)
    turned = block(graph.op("Neg", values), "number", [None] * len(columns))
    up = interpolated(graph, columns, knots, levels)
    down = interpolated(graph, turned, -knots[:, ::-1], -levels[::-1])
    shares = graph.op("Mul", graph.constant(np.float64(0.5)), graph.op("Sub", up, down))
    normal = step.output_distribution == "normal"
    for bound, share, sign in ((knots[:, -1], 1.0, 1.0), (knots[:, 0], 0.0, -1.0)):
        if normal:
            moved = graph.op("Add", values, graph.constant(np.float64(sign * _BOUND)))
            at = graph.op("Greater" if sign > 0 else "Less", moved, graph.row(bound))
        else:
            at = graph.op("Equal", values, graph.row(bound))
        shares = graph.op("Where", at, graph.constant(np.float64(share)), shares)
    return block(_cut(graph, normal_quantile(graph, shares)) if normal else shares, "number", [None] * len(columns))


def interpolated(graph: GraphBuilder, columns: Block, knots: np.ndarray, levels: np.ndarray) -> str:
    """double[N, n]: `numpy.interp` of each column between its own sorted `knots` double[n, k] and `levels` double[k]."""
    width, count = knots.shape
    values, found = numbers(graph, columns), places(graph, columns, list(knots))
    steps = np.diff(knots, axis=1)
    slopes = np.divide(np.diff(levels)[None], steps, out=np.zeros_like(steps), where=steps > 0)
    offset = graph.constant(np.arange(width)[None] * count)
    before = graph.op("Max", graph.op("Sub", found, graph.constant(np.float64(1))), graph.constant(np.float64(0)))
    index = graph.op("Add", graph.cast(before, TensorProto.INT64), offset)
    tables = (knots, np.column_stack([slopes, np.zeros(width)]), np.tile(levels, (width, 1)))
    start, slope, level = (graph.op("Gather", graph.constant(table.ravel()), index, axis=0) for table in tables)
    between = graph.op("Add", graph.op("Mul", slope, graph.op("Sub", values, start)), level)
    first = graph.op("Equal", found, graph.constant(np.float64(0)))
    last = graph.op("Equal", found, graph.constant(np.float64(count)))
    there = graph.op("Where", graph.op("Or", first, last), level, between)
    return graph.op("Where", graph.op("IsNaN", values), values, there)


def _cut(graph: GraphBuilder, values: str) -> str:
    """Between the normal quantiles of 1e-7 and 1 − 1e-7, as scikit-learn computes them."""
    from scipy.special import ndtri

    least, most = (ndtri(share) for share in (_BOUND - np.spacing(1), 1 - (_BOUND - np.spacing(1))))
    raised = graph.op("Max", values, graph.constant(np.float64(least)))
    return graph.op("Min", raised, graph.constant(np.float64(most)))
