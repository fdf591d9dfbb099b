"""Paired losses on the same requests: an interval and two tests that are valid at every look.

Each observation is d = loss(A) − loss(B), bounded by ±span (what lies beyond is cut off). In units x = (d/span + 1)/2 in
[0, 1], a gambler who bets a fixed share f of his purse against "the mean of x is ≤ m" owns after n rows

    K_f(m) = Π_i (1 + f·(x_i/m − 1)),   0 < f < 1

times his stake. If the null hypothesis holds, K_f is a non-negative supermartingale, and so is the mean K over a fixed
grid of f: the probability that K *ever* reaches 1/α is ≤ α. K falls with m, so {m : K(m) < 1/α} is a half-line, the lower
end of a confidence sequence; the upper end is that of 1 − x. The grid is fixed beforehand, so the order of the rows does
not matter, and a restarted process finds the same value. Variance need not be known: where the losses hardly differ, the
large f win. Choose a span that the differences rarely reach: power falls with it.

**Daily series.** The product needs E[x_i | past] ≤ m. A label about the coming h days overlaps with the next ones, so
successive d are dependent by construction, and the bound fails. `blocks` therefore turns the series into means of
non-overlapping blocks of the horizon's length: what overlap is left between neighbours is measured in
`tools/prove_evidence.py`.

I. Waudby-Smith, A. Ramdas, J. R. Stat. Soc. B 86 (2024) 1 (with predictable bets; here a mixture, as T. Cover's portfolio).

>>> rng = np.random.default_rng(0)
>>> d = rng.normal(0.02, 0.05, 400).clip(-1, 1)
>>> compare(d, span=0.5, margin=0.01, alpha=0.05).answer
'better'
"""

import math

import numpy as np

from modelway.errors import TooLittleDataError
from modelway.evidence.decide import decide
from modelway.evidence.multiply import NEVER
from modelway.records import Finding

_BETS = np.concatenate([2.0 ** np.arange(-10, 0, 0.5), [0.6, 0.8, 0.9, 0.99]])
"""The grid of f: from 1/1024 (very large samples) to nearly all."""


def compare(d: np.ndarray, *, span: float, margin: float, alpha: float) -> Finding:
    """The mean of d = loss(A) − loss(B) (positive: B better), by a confidence sequence at 1 − alpha.

    d[n] in time order or not, independent rows (`blocks` first, for a series with overlapping labels). `needed` counts
    further rows of d.
    """
    d = _cut(d, span)
    if len(d) == 0:
        return Finding("undecided", None, None, None, alpha, None, "betting, paired")
    low, high = interval(d, span=span, alpha=alpha)
    return decide(float(d.mean()), low, high, margin=margin, alpha=alpha, n=len(d), method="betting, paired")


def log_e_not_worse(d: np.ndarray, *, span: float, margin: float) -> float:
    """Log e-value against "B is worse by more than margin": large values promote."""
    return _log_wealth(_unit(_cut(d, span), span), (1 - margin / span) / 2)


def log_e_harm(d: np.ndarray, *, span: float, tolerated: float = 0.0) -> float:
    """Log e-value against "B is not worse than A by more than `tolerated`": large values roll back."""
    return _log_wealth(1 - _unit(_cut(d, span), span), 1 - (1 - tolerated / span) / 2)


def interval(d: np.ndarray, *, span: float, alpha: float) -> tuple[float, float]:
    """Both ends of the confidence sequence for the mean of d, cut off at ±span; (−span, span) without rows."""
    x = _unit(_cut(d, span), span)
    if len(x) == 0:
        return -span, span
    low = _lower_end(x, alpha / 2)
    high = 1 - _lower_end(1 - x, alpha / 2)
    return (2 * low - 1) * span, (2 * high - 1) * span


def blocks(d: np.ndarray, length: int) -> np.ndarray:
    """Means of non-overlapping blocks of `length` successive rows; an unfinished last block waits for its rows."""
    if length < 1:
        raise ValueError(f"a block has at least one row, not {length}")
    whole = len(d) // length
    return np.asarray(d[: whole * length], dtype=float).reshape(whole, length).mean(axis=1)


def span_of(d: np.ndarray, factor: float = 1.5) -> float:
    """A span for coming differences, from earlier ones (the holdout's): their largest size times `factor`."""
    widest = float(np.max(np.abs(d), initial=0.0))
    if not widest > 0 or not math.isfinite(widest):
        raise TooLittleDataError("the two models' losses do not differ, or are not finite", "give a span by hand")
    return widest * factor


def _log_wealth(x: np.ndarray, m: float) -> float:
    """ln K against "mean of x ≤ m"."""
    if m <= 0:
        return 0.0 if not np.any(x > 0) else -NEVER
    if m >= 1 or len(x) == 0:
        return 0.0
    purse = np.log1p(_BETS[:, None] * (x / m - 1)).sum(axis=1)
    top = float(purse.max())
    return max(top + math.log(float(np.exp(purse - top).mean())), NEVER)


def _lower_end(x: np.ndarray, alpha: float) -> float:
    from scipy.optimize import brentq

    def beyond(m: float) -> float:
        return _log_wealth(x, m) + math.log(alpha)

    mean = float(x.mean())
    edge = 1e-9
    if mean <= edge or beyond(edge) <= 0:
        return 0.0
    return float(brentq(beyond, edge, min(mean, 1 - edge), xtol=1e-9)) if beyond(min(mean, 1 - edge)) < 0 else mean


def _cut(d: np.ndarray, span: float) -> np.ndarray:
    if not span > 0:
        raise ValueError(f"a span is a number > 0, not {span}")
    d = np.asarray(d, dtype=float)
    if np.isnan(d).any():
        raise TooLittleDataError("a paired difference is NaN", "leave out rows without both losses")
    return np.clip(d, -span, span)


def _unit(d: np.ndarray, span: float) -> np.ndarray:
    return (d / span + 1) / 2
