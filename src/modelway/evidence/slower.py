"""Latency of two arms that share the traffic: the whole distribution, valid at every look, in good hours and bad ones.

Thresholds t_1 < … < t_m are fixed before the first counted request: quantiles of what A took earlier. A request of A is *slow
at j* above t_j, one of B above (1 + g)·t_j, with g the growth that is tolerated. If B's latency is, at every moment, at most
(1 + g) times A's in distribution, a request that is slow at j fell to B with at most B's share of the traffic, *however slow
the hour is for both*. So the exact test of `counts.py` holds at each threshold, and the mean of its e-values over the
thresholds is again an e-process, whatever the dependence between them: false alarms ≤ α over all thresholds and looks.

Why not bands round the two distribution functions (S. Howard, A. Ramdas, Bernoulli 28 (2022) 1704: for all n at once
sup|F_n − F| ≤ 0.85·√((ln ln(e·n) + 0.8·ln(1612/α))/n))? They need hours that are alike, and their width is the same at all
quantiles: with 6,000 answers of B it is 0.036, more than all that lies above the 97th percentile. `radius` gives it.

Independent requests are needed. Of one caller who stays with one arm, the first alone may count; and of a busy second a few
requests, drawn without regard to who answered them: a stall of one arm makes all its requests slow at once (`flow/arms.py`).

>>> round(log_e_slower((90, 30), (650, 150), 0.1), 3), slowest((90, 30), (650, 150), 0.1)
(2.331, 1)
>>> round(radius(6_000, 0.05), 4)
0.0357
"""

import math
from collections.abc import Sequence

import numpy as np

from modelway.evidence.counts import log_e_worse
from modelway.evidence.multiply import mean

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999)
"""Where thresholds are put in the distribution of A's earlier latencies."""


def thresholds(earlier: np.ndarray, quantiles: Sequence[float] = QUANTILES) -> tuple[float, ...]:
    """Thresholds in the unit of `earlier`, what A took before (any order); () for none. Equal ones are one."""
    known = np.asarray(earlier, dtype=float)
    known = known[np.isfinite(known)]
    if not len(known):
        return ()
    return tuple(sorted({float(t) for t in np.quantile(known, quantiles)}))


def slow_counts(took: np.ndarray, at: Sequence[float], growth: float = 0.0) -> tuple[int, ...]:
    """How many answers took longer than (1 + growth) · each threshold."""
    known = np.asarray(took, dtype=float)
    return tuple(int((known > t * (1 + growth)).sum()) for t in at)


def log_e_slower(slow: Sequence[int], others: Sequence[int], share: float) -> float:
    """Log e-value against "B is not slower than is tolerated, at any threshold"; 0 without thresholds.

    `slow[j]` of B and `others[j]` of A, B's share of the requests (0–1).
    """
    if not slow:
        return 0.0
    return mean(log_e_worse(k, s, share) for k, s in zip(slow, others, strict=True))


def slowest(slow: Sequence[int], others: Sequence[int], share: float) -> int:
    """The threshold at which the evidence is strongest."""
    found = [log_e_worse(k, s, share) for k, s in zip(slow, others, strict=True)]
    return max(range(len(found)), key=found.__getitem__)


def radius(n: int, alpha: float, first: int = 1) -> float:
    """The half-width of Howard and Ramdas' band on a distribution function after n observations, for all n ≥ first at once."""
    return 0.85 * math.sqrt((math.log(math.log(math.e * n / first)) + 0.8 * math.log(1612 / alpha)) / n)
