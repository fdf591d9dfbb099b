"""Paired losses of two versions on the same labelled rows, and by how much they may differ; pure.

The loss is bounded: half the Brier sum for classes (0–1), the absolute error for numbers.
"""

import math
from collections.abc import Sequence

import numpy as np

from modelway.errors import TooLittleDataError
from modelway.evidence.betting import log_e_not_worse, span_of
from modelway.evidence.multiply import needed_log_e


def loss(scores: Sequence[float | None], label: str, classes: Sequence[str]) -> float | None:
    """The loss of one answer; None when the label or the scores cannot be used."""
    if any(s is None or not math.isfinite(s) for s in scores) or not scores:
        return None
    if not classes:
        try:
            value = abs(float(label) - float(scores[0] or 0.0))
        except ValueError:
            return None
        return value if math.isfinite(value) else None
    if label not in classes or len(scores) != len(classes):
        return None
    return sum(((s or 0.0) - (name == label)) ** 2 for s, name in zip(scores, classes, strict=True)) / 2


def in_blocks(differences: Sequence[float], seconds: Sequence[float], length: float) -> list[float]:
    """Means of what happened in successive stretches of `length` seconds; the last, open one waits.

    `seconds`: when each row happened, ascending. A length of 0 leaves the rows as they are.
    """
    if length <= 0 or not differences:
        return [float(d) for d in differences]
    first = seconds[0]
    sums: dict[int, list[float]] = {}
    for d, at in zip(differences, seconds, strict=True):
        sums.setdefault(int((at - first) // length), []).append(d)
    open_block = int((seconds[-1] - first) // length)
    return [math.fsum(ds) / len(ds) for place, ds in sorted(sums.items()) if place != open_block]


def terms(earlier: Sequence[float], expected: float, alpha: float, most: float | None = None) -> tuple[float, float]:
    """Span and margin for coming differences, from `earlier` ones (the holdout's), before any of the coming is seen.

    The margin is the smallest at which the sequential test lets an equal challenger pass in about 80 % of cases within
    `expected` observations, found on as many drawn from the earlier ones (seed 0); never more than `most`.
    """
    d = np.asarray(earlier, dtype=float)
    try:
        span = span_of(d)
    except TooLittleDataError:
        span = 1.0
    n = int(min(max(expected, 2), _MOST_DRAWN))
    drawn = _unlucky(d, n) if len(d) > 1 else np.zeros(n)

    def beyond(margin: float) -> float:
        return log_e_not_worse(drawn, span=span, margin=margin) - needed_log_e(alpha)

    margin = _WIDEST * span
    if beyond(margin) > 0:
        from scipy.optimize import brentq

        low = 1e-6 * span
        margin = float(brentq(beyond, low, margin, xtol=1e-4 * span)) if beyond(low) < 0 else low
    return span, margin if most is None or most <= 0 else min(margin, most)


_MOST_DRAWN = 5_000
_WIDEST = 0.95
_POWER_80 = 0.8416
"""The normal quantile of 80 %."""


def _unlucky(d: np.ndarray, n: int) -> np.ndarray:
    """`n` differences of an equal challenger whose mean is as low as it is in one case of five."""
    drawn = np.random.default_rng(0).choice(d, n)
    return drawn - drawn.mean() - _POWER_80 * float(d.std(ddof=1)) / math.sqrt(n)
