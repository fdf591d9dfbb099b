"""Area under the ROC curve with its variance, and the paired difference of two areas on the same rows.

For m positives with scores X and n negatives with scores Y,

    AUC = mean_ij ψ(X_i, Y_j),   ψ = 1, ½, 0 for X > Y, =, <
    V10_i = mean_j ψ(X_i, Y_j),  V01_j = mean_i ψ(X_i, Y_j)
    Var(AUC) = S10/m + S01/n     with S10, S01 the sample variances of V10, V01

and the same with covariances for two models. Mid-ranks give V10 and V01 without the m·n pairs, in O(N log N):
V10_i = (R_all(X_i) − R_pos(X_i))/n, V01_j = 1 − (R_all(Y_j) − R_neg(Y_j))/m.

Two departures from the papers, both towards caution where there are few rows: quantiles are Student's with
min(m, n) − 1 degrees of freedom, and where the variance is 0 (no pair of rows is ordered differently) the interval is
the exact one: k = min(m, n) pairs without common rows were all ordered alike, so the probability of a pair that is not
is at most 1 − (α/2)^(1/k) ≈ ln(2/α)/k. The interval of one area is formed on the logit, so that it stays within 0–1.

E. DeLong, D. DeLong, D. Clarke-Pearson, Biometrics 44 (1988) 837. X. Sun, W. Xu, IEEE Signal Processing Letters 21
(2014) 1389.

>>> area(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])).value
0.75
"""

import math
from dataclasses import dataclass

import numpy as np

from modelway.errors import TooLittleDataError
from modelway.evidence.decide import decide
from modelway.records import Finding


@dataclass(frozen=True, slots=True)
class Area:
    """An AUC (0–1), its variance and its interval at 1 − alpha."""

    value: float
    variance: float
    low: float
    high: float


def area(y: np.ndarray, scores: np.ndarray, alpha: float = 0.05) -> Area:
    """The AUC of scores[N] for labels y[N] (1 or True is positive). Raises TooLittleDataError below two rows a class."""
    v10, v01 = placements(y, scores)
    value, variance = float(v10.mean()), _variance(v10, v01)
    fewest = min(len(v10), len(v01))
    if variance == 0:
        slack = no_exception(fewest, alpha)
        return Area(value, 0.0, max(0.0, value - slack), min(1.0, value + slack))
    half = _quantile(alpha, fewest) * math.sqrt(variance) / (value * (1 - value))
    logit = math.log(value / (1 - value))
    return Area(value, variance, _logistic(logit - half), _logistic(logit + half))


def compare(y: np.ndarray, a: np.ndarray, b: np.ndarray, *, margin: float = 0.0, alpha: float = 0.05) -> Finding:
    """AUC(b) − AUC(a) on the same rows; raises TooLittleDataError below two rows a class."""
    a10, a01 = placements(y, a)
    b10, b01 = placements(y, b)
    effect = float(b10.mean() - a10.mean())
    fewest = min(len(a10), len(a01))
    half = _quantile(alpha, fewest) * math.sqrt(_variance(b10 - a10, b01 - a01))
    half = half or no_exception(fewest, alpha)
    return decide(effect, effect - half, effect + half, margin=margin, alpha=alpha, n=len(y), method="DeLong, paired")


def difference_error(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Standard error of AUC(b) − AUC(a) on the same rows, for the power calculation."""
    a10, a01 = placements(y, a)
    b10, b01 = placements(y, b)
    error = math.sqrt(_variance(b10 - a10, b01 - a01))
    return error or no_exception(min(len(a10), len(a01)), 0.05) / 1.96


def placements(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """V10 of the positives and V01 of the negatives, in the order of the rows."""
    from scipy.stats import rankdata

    positive = np.asarray(y).astype(bool)
    x, z = scores[positive], scores[~positive]
    m, n = len(x), len(z)
    if min(m, n) < 2:
        raise TooLittleDataError(f"an AUC needs two rows of each class: there are {m} and {n}", "bring in more rows")
    if np.isnan(scores).any():
        raise TooLittleDataError("an AUC needs a score for every row: some are NaN", "find out why the model gives NaN")
    ranks = rankdata(scores)
    return (ranks[positive] - rankdata(x)) / n, 1.0 - (ranks[~positive] - rankdata(z)) / m


def no_exception(k: int, alpha: float) -> float:
    """Upper bound (two-sided level alpha) on the rate of what did not happen in k independent trials."""
    return 1.0 - (alpha / 2) ** (1.0 / k)


def _variance(v10: np.ndarray, v01: np.ndarray) -> float:
    return float(v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01))


def _quantile(alpha: float, fewest: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(fewest - 1, 1 - alpha / 2))


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))
