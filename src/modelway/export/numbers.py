"""Imputer, indicator and scalers, in double and in the order of operations of scikit-learn."""

from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export import words
from modelway.export.block import Block, block, held, moved, numbers
from modelway.export.graph import GraphBuilder


def imputer(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """SimpleImputer: fill, drop the columns that had no value in training, append the indicators."""
    if all(slot.kind == "word" for slot in columns):
        return words.imputer(graph, step, columns)
    fill = np.asarray(step.statistics_, dtype=np.float64)
    kept = ~np.isnan(fill) | step.keep_empty_features
    left = tuple(slot for slot, keep in zip(columns, kept, strict=True) if keep)
    values = numbers(graph, left)
    filled = held(left, graph.op("Where", _missing(graph, values, step.missing_values), graph.row(fill[kept]), values))
    return filled + indicator(graph, step.indicator_, columns) if step.add_indicator else filled


def indicator(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """MissingIndicator: 1 where the value is missing, for the columns that it chose in training."""
    chosen = tuple(columns[i] for i in step.features_)
    if not chosen:
        return ()
    if all(slot.kind == "word" for slot in chosen):
        return words.indicator(graph, step, chosen)
    gone = _missing(graph, numbers(graph, chosen), step.missing_values)
    return block(graph.cast(gone, TensorProto.DOUBLE), "number", [None] * len(chosen))


def standard_scaler(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    centre = step.mean_ if step.with_mean else None
    return _centred_and_scaled(graph, columns, centre, step.scale_ if step.with_std else None)


def robust_scaler(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    centre = step.center_ if step.with_centering else None
    return _centred_and_scaled(graph, columns, centre, step.scale_ if step.with_scaling else None)


def max_abs_scaler(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    return _centred_and_scaled(graph, columns, None, step.scale_)


def min_max_scaler(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """x · scale + min, cut to the range when `clip` is set."""
    values = graph.op("Mul", numbers(graph, columns), graph.row(step.scale_))
    values = graph.op("Add", values, graph.row(step.min_))
    if step.clip:
        low, high = (graph.constant(np.float64(v)) for v in step.feature_range)
        cut = graph.op("Max", graph.op("Min", values, high), low)
        values = graph.op("Where", graph.op("IsNaN", values), values, cut)
    return moved(columns, values, 1.0 / step.scale_, -step.min_ / step.scale_)


def normalizer(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """Each row divided by its length (l2), its sum (l1) or its largest value, each without signs; a row of zeros stays."""
    values = numbers(graph, columns)
    across = graph.constant(np.array([1]))
    if step.norm == "l2":
        length = graph.op("Sqrt", graph.op("ReduceSum", graph.op("Mul", values, values), across, keepdims=1))
    else:
        kind = "ReduceSum" if step.norm == "l1" else "ReduceMax"
        length = graph.op(kind, graph.op("Abs", values), across, keepdims=1)
    # scikit-learn takes lengths up to ten steps of a double for zero
    none = graph.op("Less", length, graph.constant(10 * np.finfo(np.float64).eps))
    shares = graph.op("Div", values, graph.op("Where", none, graph.constant(np.float64(1)), length))
    return block(shares, "number", [None] * len(columns))


def _centred_and_scaled(
    graph: GraphBuilder, columns: Block, centre: np.ndarray | None, scale: np.ndarray | None
) -> Block:
    values = numbers(graph, columns)
    if centre is not None:
        values = graph.op("Sub", values, graph.row(centre))
    if scale is not None:
        values = graph.op("Div", values, graph.row(scale))
    one, none = np.ones(len(columns)), np.zeros(len(columns))
    return moved(columns, values, one if scale is None else scale, none if centre is None else centre)


def _missing(graph: GraphBuilder, values: str, marker: Any) -> str:
    if isinstance(marker, (int, float)) and not isinstance(marker, bool):
        if np.isnan(marker):
            return graph.op("IsNaN", values)
        return graph.op("Equal", values, graph.constant(np.float64(marker)))
    raise ExportError(
        f"missing_values={marker!r} on numbers", "set missing_values=np.nan: missing numbers are NaN here"
    )
