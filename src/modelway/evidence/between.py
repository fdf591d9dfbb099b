"""Differences of two independent arms with intervals, looked at once, over several stretches of time.

Each arm has in each stretch an interval of its own: Clopper and Pearson's of a share, Student's of a mean. With weights w_s that
add up to 1, the interval of Σ w_s (a_s − b_s) is recovered from theirs by squaring and adding (Newcombe; MOVER of Zou and Donner):

    low = d − √ Σ w_s² ((a_s − low(a_s))² + (high(b_s) − b_s)²)      high likewise

Within a stretch the shares of the arms stand still, so what moves with the hour meets both alike; over stretches with different
shares a plain difference of means would take the hour for the arm. w_s is in proportion to n_a·n_b/(n_a + n_b).

R. Newcombe, Statistics in Medicine 17 (1998) 873. G. Zou, A. Donner, Statistics in Medicine 27 (2008) 1693.

>>> [round(x, 4) for x in difference([(share(30, 1000, 0.05), share(10, 1000, 0.05))])]
[0.02, 0.0072, 0.0336]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Side:
    """One arm in one stretch: `n` independent units, their mean, and its interval."""

    n: int
    mean: float
    low: float
    high: float


def share(hits: int, n: int, alpha: float) -> Side:
    """A share (0–1) with Clopper and Pearson's interval, at least 1 − alpha; n > 0."""
    from scipy.special import betaincinv

    low = float(betaincinv(hits, n - hits + 1, alpha / 2)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - alpha / 2)) if hits < n else 1.0
    return Side(n, hits / n, low, high)


def mean_of(values: Sequence[float] | np.ndarray, alpha: float) -> Side | None:
    """A mean with Student's interval; None for fewer than two values, or where all are equal: that says nothing of the next."""
    from scipy.special import stdtrit

    x = np.asarray(values, dtype=float)
    spread = float(x.std(ddof=1)) if len(x) > 1 else 0.0
    if not spread:
        return None
    gap, middle = float(stdtrit(len(x) - 1, 1 - alpha / 2)) * spread / math.sqrt(len(x)), float(x.mean())
    return Side(len(x), middle, middle - gap, middle + gap)


def difference(stretches: Sequence[tuple[Side, Side]]) -> tuple[float, float, float]:
    """The mean of a − b over the stretches, and its interval; (0, −∞, ∞) for none."""
    sizes = [a.n * b.n / (a.n + b.n) for a, b in stretches]
    if not sizes:
        return 0.0, -math.inf, math.inf
    weights = [size / math.fsum(sizes) for size in sizes]
    d = below = above = 0.0
    for w, (a, b) in zip(weights, stretches, strict=True):
        d += w * (a.mean - b.mean)
        below += w**2 * ((a.mean - a.low) ** 2 + (b.high - b.mean) ** 2)
        above += w**2 * ((a.high - a.mean) ** 2 + (b.mean - b.low) ** 2)
    return d, d - math.sqrt(below), d + math.sqrt(above)
