"""log1p, expm1 and the normal quantile, which ONNX lacks, to the last bits in double."""

import numpy as np

from modelway.export.graph import GraphBuilder

# M. J. Wichura, Algorithm AS 241: The Percentage Points of the Normal Distribution, Applied Statistics 37 (1988), PPND16.
# Numerator and denominator, from the constant up: the middle, the shoulders, the far tails.
_MIDDLE = (
    (
        *(3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4),
        *(4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    ),
    (
        *(1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3),
        *(2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
    ),
)
_SHOULDER = (
    (
        *(1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0),
        *(1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    ),
    (
        *(1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1),
        *(1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
    ),
)
_TAIL = (
    (
        *(6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1),
        *(2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    ),
    (
        *(1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2),
        *(7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
    ),
)


def log1p(graph: GraphBuilder, values: str) -> str:
    """log(1 + x) without the loss near 0: log(u) − ((u − 1) − x) / u, u = 1 + x (W. Kahan's correction)."""
    one = graph.constant(np.float64(1))
    u = graph.op("Add", values, one)
    lost = graph.op("Div", graph.op("Sub", graph.op("Sub", u, one), values), u)
    plain = graph.op("Log", u)
    special = graph.op("IsNaN", lost)  # at −1 and at infinity the plain logarithm is right
    close = graph.op("Where", special, plain, graph.op("Sub", plain, lost))
    return graph.op("Where", graph.op("Equal", u, one), values, close)


def expm1(graph: GraphBuilder, values: str) -> str:
    """exp(x) − 1 without the loss near 0: (u − 1) · x / log(u), u = exp(x) (W. Kahan)."""
    one, half = graph.constant(np.float64(1)), graph.constant(np.float64(0.5))
    u = graph.op("Exp", values)
    less = graph.op("Sub", u, one)
    near = graph.op("Div", graph.op("Mul", less, values), graph.op("Log", u))
    small = graph.op("Less", graph.op("Abs", values), half)
    right = graph.op("Where", small, near, less)
    return graph.op("Where", graph.op("Equal", u, one), values, right)


def normal_quantile(graph: GraphBuilder, shares: str) -> str:
    """The value below which such a share of the standard normal lies; ∓infinity at 0 and 1."""
    half, one = graph.constant(np.float64(0.5)), graph.constant(np.float64(1))
    q = graph.op("Sub", shares, half)
    squared = graph.op("Sub", graph.constant(np.float64(0.180625)), graph.op("Mul", q, q))
    middle = graph.op("Mul", q, _ratio(graph, squared, _MIDDLE))
    tail = graph.op("Min", shares, graph.op("Sub", one, shares))
    r = graph.op("Sqrt", graph.op("Neg", graph.op("Log", tail)))
    shoulder = _ratio(graph, graph.op("Sub", r, graph.constant(np.float64(1.6))), _SHOULDER)
    far = _ratio(graph, graph.op("Sub", r, graph.constant(np.float64(5.0))), _TAIL)
    outer = graph.op("Where", graph.op("LessOrEqual", r, graph.constant(np.float64(5.0))), shoulder, far)
    outer = graph.op("Where", graph.op("IsInf", r), r, outer)
    outer = graph.op("Mul", outer, graph.op("Sign", q))
    near = graph.op("LessOrEqual", graph.op("Abs", q), graph.constant(np.float64(0.425)))
    return graph.op("Where", near, middle, outer)


def _ratio(graph: GraphBuilder, x: str, parts: tuple[tuple[float, ...], tuple[float, ...]]) -> str:
    above, below = (_polynomial(graph, x, part) for part in parts)
    return graph.op("Div", above, below)


def _polynomial(graph: GraphBuilder, x: str, factors: tuple[float, ...]) -> str:
    made = graph.constant(np.float64(factors[-1]))
    for factor in reversed(factors[:-1]):
        made = graph.op("Add", graph.op("Mul", made, x), graph.constant(np.float64(factor)))
    return made
