"""CalibratedClassifierCV: the mean over its members of a curve on each one's decision function, or probability."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export import curves, scores
from modelway.export.block import Block
from modelway.export.graph import GraphBuilder

Inner = Callable[[str, Any, Block], str]
"""What a model inside answers, given its name, itself and its columns; the choice between the two is the caller's."""


def classifier(graph: GraphBuilder, model: Any, columns: Block, scored: Inner, decided: Inner) -> str:
    total = ""
    for number, member in enumerate(model.calibrated_classifiers_):
        made = _member(graph, member, columns, f"calibrated_classifiers_.{number}", scored, decided)
        total = graph.op("Add", total, made) if total else made
    members = len(model.calibrated_classifiers_)
    return graph.op("Div", total, graph.constant(np.float64(members))) if members > 1 else total


def _member(graph: GraphBuilder, member: Any, columns: Block, name: str, scored: Inner, decided: Inner) -> str:
    if member.method not in ("sigmoid", "isotonic"):
        raise ExportError(
            f"calibration with method={member.method!r} depends on all the rows of a request", "use method='sigmoid'"
        )
    known = [int(place) for place in np.searchsorted(member.classes, member.estimator.classes_)]
    raw, width = _raw(graph, member.estimator, columns, name, scored, decided, len(known))
    pairs = list(zip(known, range(width), member.calibrators, strict=False))  # as scikit-learn pairs them
    made = [_curve(graph, curve, _column(graph, raw, place, width), member.method) for _, place, curve in pairs]
    if len(member.classes) == 2:
        return scores.binary(graph, made[0])
    where = {cls: place for place, (cls, _, _) in enumerate(pairs)}
    none = graph.op("Mul", made[0], graph.constant(np.float64(0)))
    shares = [made[where[cls]] if cls in where else none for cls in range(len(member.classes))]
    return scores.normalised(graph, graph.op("Concat", *shares, axis=1), len(member.classes))


def _raw(
    graph: GraphBuilder, model: Any, columns: Block, name: str, scored: Inner, decided: Inner, classes: int
) -> tuple[str, int]:
    """What the curves are put on, and its width: one column for two classes."""
    if hasattr(model, "decision_function"):
        return decided(name, model, columns), 1 if classes == 2 else classes
    raw = scored(name, model, columns)
    return (_column(graph, raw, 1, 2), 1) if classes == 2 else (raw, classes)


def _column(graph: GraphBuilder, tensor: str, place: int, width: int) -> str:
    return tensor if width == 1 else graph.op("Gather", tensor, graph.constant(np.array([place])), axis=1)


def _curve(graph: GraphBuilder, curve: Any, raw: str, method: str) -> str:
    if method == "sigmoid":
        line = scores.plus(graph, scores.times(graph, raw, float(curve.a_)), np.array([float(curve.b_)]))
        return scores.logistic(graph, graph.op("Neg", line))
    return isotonic(graph, curve, raw)


def isotonic(graph: GraphBuilder, curve: Any, values: str) -> str:
    """IsotonicRegression: straight lines between its points, level outside; in float32 where it learned from that."""
    xs, ys = np.asarray(curve.X_thresholds_), np.asarray(curve.y_thresholds_)
    single = xs.dtype == np.float32
    if single:
        values = graph.cast(graph.cast(values, TensorProto.FLOAT), TensorProto.DOUBLE)
    low, high = (graph.constant(np.float64(bound)) for bound in (curve.X_min_, curve.X_max_))
    within = graph.op("Max", graph.op("Min", values, high), low)
    if len(ys) == 1:
        level = graph.op("Mul", within, graph.constant(np.float64(0)))
        made = graph.op("Add", level, graph.constant(np.float64(ys[0])))
    else:
        made = curves.interpolated(graph, within, xs.astype(np.float64), ys.astype(np.float64))
    return graph.cast(graph.cast(made, TensorProto.FLOAT), TensorProto.DOUBLE) if single else made
