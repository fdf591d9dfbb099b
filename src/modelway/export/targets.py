"""The way back from a transformed target: the inverse of named functions and of scalers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export.families import is_single, key
from modelway.export.graph import GraphBuilder

Number = np.float32 | np.float64


def inverse(graph: GraphBuilder, transformer: Any, raw: str, regressor: Any) -> str:
    """double[N, 1]: `transformer.inverse_transform` of predictions; in single where the regressor gives single."""
    if not _single(regressor):
        return _inverse(_Ops(graph, np.float64), transformer, raw)
    made = _inverse(_Ops(graph, np.float32), transformer, graph.cast(raw, TensorProto.FLOAT))
    return graph.cast(made, TensorProto.DOUBLE)


class _Ops:
    """Operators with a number, in the precision of the predictions."""

    def __init__(self, graph: GraphBuilder, element: type[Number]) -> None:
        self._graph, self._element = graph, element

    def number(self, value: float) -> str:
        return self._graph.constant(self._element(value))

    def __call__(self, kind: str, *inputs: str | float) -> str:
        return self._graph.op(kind, *(value if isinstance(value, str) else self.number(value) for value in inputs))


def _inverse(ops: _Ops, step: Any, value: str) -> str:
    name = key(step)
    if name == "sklearn.Pipeline":
        for _, inner in reversed(step.steps):
            value = value if inner is None or inner == "passthrough" else _inverse(ops, inner, value)
        return value
    if name not in STEPS:
        raise ExportError(f"the target is transformed by {type(step).__name__}", WAY_OUT)
    return STEPS[name](ops, step, value)


def _function(ops: _Ops, step: Any, value: str) -> str:
    if step.inverse_func is None:
        return value
    for known, written in FUNCTIONS:
        if step.inverse_func is known and not step.inv_kw_args:
            return written(ops, value)
    called = getattr(step.inverse_func, "__name__", "a function")
    raise ExportError(f"the inverse of the target's transformation is {called}", WAY_OUT)


FUNCTIONS: tuple[tuple[Any, Callable[[_Ops, str], str]], ...] = (
    (np.expm1, lambda ops, v: ops("Sub", ops("Exp", v), 1.0)),
    (np.exp, lambda ops, v: ops("Exp", v)),
    (np.exp2, lambda ops, v: ops("Pow", ops.number(2.0), v)),
    (np.log, lambda ops, v: ops("Log", v)),
    (np.log1p, lambda ops, v: ops("Log", ops("Add", v, 1.0))),
    (np.square, lambda ops, v: ops("Mul", v, v)),
    (np.sqrt, lambda ops, v: ops("Sqrt", v)),
    (np.cbrt, lambda ops, v: ops("Mul", ops("Sign", v), ops("Pow", ops("Abs", v), 1.0 / 3.0))),
    (np.sinh, lambda ops, v: ops("Mul", ops("Sub", ops("Exp", v), ops("Exp", ops("Neg", v))), 0.5)),
    (np.reciprocal, lambda ops, v: ops("Div", 1.0, v)),
    (np.negative, lambda ops, v: ops("Neg", v)),
)
WAY_OUT = (
    f"use a scaler, PowerTransformer, or func and inverse_func of NumPy: {', '.join(f.__name__ for f, _ in FUNCTIONS)}"
)


def _standard(ops: _Ops, step: Any, value: str) -> str:
    value = ops("Mul", value, float(step.scale_[0])) if step.with_std else value
    return ops("Add", value, float(step.mean_[0])) if step.with_mean else value


def _robust(ops: _Ops, step: Any, value: str) -> str:
    value = ops("Mul", value, float(step.scale_[0])) if step.with_scaling else value
    return ops("Add", value, float(step.center_[0])) if step.with_centering else value


def _min_max(ops: _Ops, step: Any, value: str) -> str:
    return ops("Div", ops("Sub", value, float(step.min_[0])), float(step.scale_[0]))


def _max_abs(ops: _Ops, step: Any, value: str) -> str:
    return ops("Mul", value, float(step.scale_[0]))


def _power_transformer(ops: _Ops, step: Any, value: str) -> str:
    """Yeo and Johnson's (2000) or Box and Cox's (1964) transformation, undone."""
    value = _standard(ops, step._scaler, value) if step.standardize else value
    power = float(step.lambdas_[0])
    if step.method == "box-cox":
        if power == 0.0:
            return ops("Exp", value)
        return ops("Pow", ops("Add", ops("Mul", value, power), 1.0), 1.0 / power)
    left = ops("Min", value, 0.0)
    right = ops("Max", value, 0.0)
    up = _yeo_johnson(ops, right, power)
    down = ops("Neg", _yeo_johnson(ops, ops("Neg", left), 2.0 - power))
    return ops("Where", ops("Less", value, 0.0), down, up)


def _yeo_johnson(ops: _Ops, value: str, power: float) -> str:
    """(1 + power · value)^(1 / power) − 1 of numbers from 0."""
    if abs(power) < np.spacing(1.0):
        return ops("Sub", ops("Exp", value), 1.0)
    return ops("Sub", ops("Pow", ops("Add", ops("Mul", value, power), 1.0), 1.0 / power), 1.0)


STEPS: dict[str, Callable[[_Ops, Any, str], str]] = {
    "sklearn.FunctionTransformer": _function,
    "sklearn.StandardScaler": _standard,
    "sklearn.RobustScaler": _robust,
    "sklearn.MinMaxScaler": _min_max,
    "sklearn.MaxAbsScaler": _max_abs,
    "sklearn.PowerTransformer": _power_transformer,
}


def _single(regressor: Any) -> bool:
    while key(regressor) == "sklearn.Pipeline":
        regressor = regressor.steps[-1][1]
    return is_single(regressor)
