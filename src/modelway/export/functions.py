"""FunctionTransformer of numpy's and scipy's functions: a closed list, found by identity and never by name alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto

from modelway.errors import ExportError
from modelway.export import elementary
from modelway.export.block import Block, block, numbers
from modelway.export.graph import GraphBuilder

Written = Callable[[GraphBuilder, str], str]


def known(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """The function of every column; raises ExportError for a function that is not in the list, or is given arguments."""
    if step.func is None:
        return columns
    if clip := _limits(step):
        return block(_clipped(graph, numbers(graph, columns), *clip), "number", [None] * len(columns))
    name = _name(step.func)
    if name is None:
        raise ExportError(
            f"FunctionTransformer has a function of its own ({getattr(step.func, '__qualname__', step.func)})",
            f"use one of numpy's ({', '.join(sorted(FUNCTIONS))}), or compute the column as a feature in modelway.yaml",
        )
    if step.kw_args:
        raise ExportError(f"FunctionTransformer gives {name} arguments (kw_args)", "leave kw_args out")
    made = FUNCTIONS[name](graph, numbers(graph, columns))
    return block(made, "number", [None] * len(columns))


def exact(step: Any) -> bool:
    """Whether the function gives what Python gives to the last bit."""
    return step.func is None or step.func is np.clip or _name(step.func) in EXACT


def _name(func: Any) -> str | None:
    import scipy.special

    name = getattr(func, "__name__", "")
    homes = (np, scipy.special)
    return name if name in FUNCTIONS and any(getattr(home, name, None) is func for home in homes) else None


def _limits(step: Any) -> tuple[float, float] | None:
    """The bounds of numpy.clip, where it is that."""
    given = dict(step.kw_args or {})
    if step.func is not np.clip or not given or not given.keys() <= {"a_min", "a_max", "min", "max"}:
        return None
    low, high = given.get("a_min", given.get("min")), given.get("a_max", given.get("max"))
    bounds = (-np.inf if low is None else low, np.inf if high is None else high)
    return (float(bounds[0]), float(bounds[1])) if all(np.isscalar(bound) for bound in bounds) else None


def _clipped(graph: GraphBuilder, values: str, low: float, high: float) -> str:
    raised = graph.op("Max", values, graph.constant(np.float64(low)))
    return graph.op("Min", raised, graph.constant(np.float64(high)))


def _plain(kind: str) -> Written:
    return lambda graph, values: graph.op(kind, values)


def _over(kind: str, base: float) -> Written:
    """A logarithm to another base."""
    return lambda graph, values: graph.op("Div", graph.op(kind, values), graph.constant(np.log(base)))


def _square(graph: GraphBuilder, values: str) -> str:
    return graph.op("Mul", values, values)


def _cube_root(graph: GraphBuilder, values: str) -> str:
    root = graph.op("Pow", graph.op("Abs", values), graph.constant(np.float64(1 / 3)))
    return graph.op("Mul", graph.op("Sign", values), root)


def _truncated(graph: GraphBuilder, values: str) -> str:
    down, up = graph.op("Floor", values), graph.op("Ceil", values)
    return graph.op("Where", graph.op("Less", values, graph.constant(np.float64(0))), up, down)


def _is_missing(graph: GraphBuilder, values: str) -> str:
    return graph.cast(graph.op("IsNaN", values), TensorProto.DOUBLE)


def _finite(graph: GraphBuilder, values: str) -> str:
    """numpy.nan_to_num: NaN is 0, infinities the largest doubles."""
    largest = float(np.finfo(np.float64).max)
    there = graph.op("Where", graph.op("IsNaN", values), graph.constant(np.float64(0)), values)
    return _clipped(graph, there, -largest, largest)


def _log_odds(graph: GraphBuilder, values: str) -> str:
    rest = graph.op("Sub", graph.constant(np.float64(1)), values)
    return graph.op("Sub", graph.op("Log", values), graph.op("Log", rest))


FUNCTIONS: dict[str, Written] = {
    "absolute": _plain("Abs"),
    "fabs": _plain("Abs"),
    "negative": _plain("Neg"),
    "reciprocal": _plain("Reciprocal"),
    "sign": _plain("Sign"),
    "square": _square,
    "sqrt": _plain("Sqrt"),
    "cbrt": _cube_root,
    "log": _plain("Log"),
    "log2": _over("Log", 2.0),
    "log10": _over("Log", 10.0),
    "log1p": elementary.log1p,
    "exp": _plain("Exp"),
    "expm1": elementary.expm1,
    "sin": _plain("Sin"),
    "cos": _plain("Cos"),
    "tanh": _plain("Tanh"),
    "expit": _plain("Sigmoid"),
    "logit": _log_odds,
    "floor": _plain("Floor"),
    "ceil": _plain("Ceil"),
    "rint": _plain("Round"),
    "trunc": _truncated,
    "isnan": _is_missing,
    "nan_to_num": _finite,
}
"""By the name in numpy, or in scipy.special."""

STEPPED = ("sign", "floor", "ceil", "rint", "trunc")
EXACT = (*STEPPED, "absolute", "fabs", "negative", "reciprocal", "square", "sqrt", "isnan", "nan_to_num")
