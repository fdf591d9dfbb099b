"""SplineTransformer: B-splines by the recursion of de Boor, all columns and splines at once, in scipy's order of operations.

C. de Boor, A Practical Guide to Splines, 1978, chapter X; `0 / 0` counts as 0, which is how knots that coincide are taken.
"""

from typing import Any

import numpy as np

from modelway.errors import ExportError
from modelway.export.block import Block, block, numbers
from modelway.export.graph import GraphBuilder


def spline(graph: GraphBuilder, step: Any, columns: Block) -> Block:
    """Values of every spline, column by column."""
    _check(step)
    width = step.bsplines_[0].c.shape[1] - (not step.include_bias)
    if width == 0:
        return ()
    knots, degree = np.array([own.t for own in step.bsplines_], dtype=np.float64), int(step.degree)
    values = numbers(graph, columns)
    if getattr(step, "handle_missing", "error") == "zeros":
        gone = graph.op("IsNaN", values)
        there = graph.op("Where", gone, graph.row(knots[:, degree]), values)
        made = _extrapolated(graph, step, there, knots, degree)
        made = graph.op("Where", _deep(graph, gone), graph.constant(np.float64(0)), made)
    else:
        made = _extrapolated(graph, step, values, knots, degree)
    kept = graph.op("Gather", made, graph.constant(np.arange(width)), axis=2)
    flat = graph.op("Reshape", kept, graph.constant(np.array([-1, width * len(columns)])))
    return block(flat, "number", [None] * (width * len(columns)))


def _check(step: Any) -> None:
    if step.extrapolation == "error":
        raise ExportError(
            "SplineTransformer raises beyond its knots (extrapolation='error')", "set extrapolation='constant'"
        )
    if step.degree < {"constant": 1, "linear": 2}.get(step.extrapolation, 0):
        # scikit-learn 1.9 changes its own `degree` from column to column here, and bounds the later ones by wrong knots
        raise ExportError(
            f"degree={step.degree} with extrapolation={step.extrapolation!r} goes wrong in scikit-learn itself",
            "use degree=2 or more; for steps, KBinsDiscretizer",
        )


def _extrapolated(graph: GraphBuilder, step: Any, values: str, knots: np.ndarray, degree: int) -> str:
    """double[N, n, splines] of `values` double[N, n]."""
    low, high = knots[:, degree], knots[:, -degree - 1]
    if step.extrapolation == "continue":
        return _basis(graph, values, knots, degree)
    if step.extrapolation == "periodic":
        basis = _basis(graph, _wrapped(graph, values, low, high), knots, degree)
        return _folded(graph, basis, degree, step.bsplines_[0].c.shape[1])
    inside = graph.op("Min", graph.op("Max", values, graph.row(low)), graph.row(high))
    basis = _only_outermost(graph, _basis(graph, inside, knots, degree), values, knots, degree)
    if step.extrapolation == "constant":
        return basis
    below = graph.op("Min", graph.op("Sub", values, graph.row(low)), graph.constant(np.float64(0)))
    above = graph.op("Max", graph.op("Sub", values, graph.row(high)), graph.constant(np.float64(0)))
    first = np.array([own(own.t[degree], nu=1) for own in step.bsplines_])
    last = np.array([own(own.t[-degree - 1], nu=1) for own in step.bsplines_])
    first[:, degree:] = 0.0
    last[:, : last.shape[1] - degree] = 0.0
    for beyond, slope in ((below, first), (above, last)):
        basis = graph.op("Add", basis, graph.op("Mul", _deep(graph, beyond), graph.constant(slope[None])))
    return basis


def _only_outermost(graph: GraphBuilder, basis: str, values: str, knots: np.ndarray, degree: int) -> str:
    """Beyond the knots scikit-learn keeps `degree` splines of that side: where knots coincide at an end, another one is not 0."""
    place = np.arange(knots.shape[1] - degree - 1)
    low, high = knots[:, degree], knots[:, -degree - 1]
    for compare, end, next_one, inner in (
        ("Less", low, knots[:, degree + 1], place >= degree),
        ("Greater", high, knots[:, -degree - 2], place < len(place) - degree),
    ):
        if (end == next_one).any():
            beyond = _deep(graph, graph.op(compare, values, graph.row(end)))
            gone = graph.op("And", beyond, graph.constant(inner[None, None]))
            basis = graph.op("Where", gone, graph.constant(np.float64(0)), basis)
    return basis


def _basis(graph: GraphBuilder, values: str, knots: np.ndarray, degree: int) -> str:
    """double[N, n, len(knots) − degree − 1]: the splines of `degree`, each from two of one degree less."""
    deep = _deep(graph, values)
    last = knots.shape[1] - degree - 2
    starts, ends = knots[:, :-1].copy(), knots[:, 1:].copy()
    starts[:, : degree + 1], ends[:, last:] = -np.inf, np.inf  # the outermost intervals go on for ever
    starts[:, last + 1 :], ends[:, :degree] = np.inf, -np.inf
    at_or_after = graph.op("GreaterOrEqual", deep, graph.constant(starts[None]))
    before = graph.op("Less", deep, graph.constant(ends[None]))
    inside = graph.op("And", at_or_after, before)
    made = graph.op("Where", inside, graph.constant(np.float64(1)), graph.constant(np.float64(0)))
    for order in range(1, degree + 1):
        made = _one_degree_more(graph, made, deep, knots, order)
    return made


def _one_degree_more(graph: GraphBuilder, made: str, deep: str, knots: np.ndarray, order: int) -> str:
    """N(i) = w(i) · (x − t(i)) + w(i + 1) · (t(i + order + 1) − x), where w(i) is the lower spline by its width."""
    count = knots.shape[1] - order  # of splines of one degree less
    width = knots[:, order:] - knots[:, :-order]
    shares = graph.op("Div", made, graph.constant(np.where(width == 0, np.inf, width)[None]))
    rising = graph.op("Mul", _cut(graph, shares, 0, count - 1), _away(graph, deep, knots[:, : count - 1], False))
    falling = graph.op("Mul", _cut(graph, shares, 1, count), _away(graph, deep, knots[:, order + 1 :], True))
    return graph.op("Add", rising, falling)


def _away(graph: GraphBuilder, deep: str, knots: np.ndarray, turned: bool) -> str:
    """x − t, or t − x when `turned`."""
    given = graph.constant(knots[None])
    return graph.op("Sub", given, deep) if turned else graph.op("Sub", deep, given)


def _wrapped(graph: GraphBuilder, values: str, low: np.ndarray, high: np.ndarray) -> str:
    """low + (x − low) mod period, with the remainder of Python: never negative."""
    period = graph.row(np.where(high > low, high - low, 1.0))
    rest = graph.op("Mod", graph.op("Sub", values, graph.row(low)), period, fmod=1)
    negative = graph.op("Less", rest, graph.constant(np.float64(0)))
    wrapped = graph.op("Add", graph.row(low), graph.op("Where", negative, graph.op("Add", rest, period), rest))
    single = graph.constant((high <= low)[None])  # a column that had one value only: scikit-learn puts 0
    return graph.op("Where", single, graph.constant(np.float64(0)), wrapped)


def _folded(graph: GraphBuilder, basis: str, degree: int, width: int) -> str:
    """The last `degree` splines are the first ones, one period on."""
    if degree == 0:
        return basis
    tail = graph.op(
        "Pad", _cut(graph, basis, width, width + degree), graph.constant(np.array([0, 0, 0, 0, 0, width - degree]))
    )
    return graph.op("Add", _cut(graph, basis, 0, width), tail)


def _cut(graph: GraphBuilder, tensor: str, start: int, end: int) -> str:
    bounds = (graph.constant(np.array([place])) for place in (start, end, 2))
    return graph.op("Slice", tensor, *bounds)


def _deep(graph: GraphBuilder, tensor: str) -> str:
    return graph.op("Unsqueeze", tensor, graph.constant(np.array([2])))
