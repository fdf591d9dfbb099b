"""Do two samples come from one distribution? A distance for size and a p-value for evidence; an alarm needs both.

**Numbers**, Kolmogorov–Smirnov: D = sup|F − G| of the two empirical distribution functions, 0–1. For equal sizes the
p-value is exact,

    P(D ≥ k/n) = 2·Σ_{j≥1} (−1)^{j−1} C(2n, n−jk)/C(2n, n)

else Kolmogorov's limit at √(nm/(n+m))·D, which for unequal sizes is too large by up to a fifth of itself and never
noticeably too small (the usual small-sample correction for one sample would make it too small). Ties make both cautious.

**Counts by category**: X² = Σ (a·√(m/n) − b·√(n/m))²/(a + b) for sizes n, m, judged against a Gamma distribution with the
mean and the variance that X² has over all ways to share the pooled rows out (both sizes and all category totals kept):
the usual χ² where categories are full, and still near where most of them hold a row or two (5.6 % at 5 % in the worst
case measured). The distance is Jensen–Shannon's: √ of the divergence in bits, 0–1; `psi` is the banks' index.

J. Hodges, Arkiv för Matematik 3 (1958) 469. R. Dawson, Biometrika 41 (1954) 280 (variance of X²).

>>> distance, p = ks(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6]))
>>> distance, round(p, 6)
(0.5, 0.771429)
>>> distance, p = chi2(np.array([50, 50]), np.array([70, 30]))
>>> round(distance, 3), round(p, 4)
(0.174, 0.0039)
"""

import math

import numpy as np

from modelway.errors import TooLittleDataError


def ks(reference: np.ndarray, current: np.ndarray) -> tuple[float, float]:
    """(D, p) of two *sorted* arrays of numbers without NaN; raises TooLittleDataError if one is empty."""
    n, m = len(reference), len(current)
    if not n or not m:
        raise TooLittleDataError(f"two samples of {n} and {m} rows cannot be compared", "wait for rows in both")
    distance = max(_above(reference, current), _above(current, reference))
    return distance, _equal_sizes(distance, n) if n == m else _limit(distance, n, m)


def chi2(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """(Jensen–Shannon distance, p) of the rows counted by category, the same categories in both.

    p is 1 when fewer than two categories hold a row; raises TooLittleDataError if one sample is empty.
    """
    a, b = _counts(a, b)
    there = a + b > 0
    return jensen_shannon(a, b), _homogeneous(a[there], b[there])


def jensen_shannon(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two samples counted by category: 0 (equal shares) to 1 (no category in common)."""
    a, b = _counts(a, b)
    p, q = a / a.sum(), b / b.sum()
    mean = (p + q) / 2
    return math.sqrt(max(0.0, (_relative_entropy(p, mean) + _relative_entropy(q, mean)) / 2))


def psi(a: np.ndarray, b: np.ndarray, least: float = 1e-4) -> float:
    """Population stability index Σ (q − p)·ln(q/p) of the shares p of a and q of b; a share counts as `least` at least."""
    a, b = _counts(a, b)
    p, q = np.maximum(a / a.sum(), least), np.maximum(b / b.sum(), least)
    return float(((q - p) * np.log(q / p)).sum())


def _above(first: np.ndarray, second: np.ndarray) -> float:
    """Largest |F − G| at the points of `first`, both functions taken from the right."""
    at_most = np.searchsorted(first, first, side="right") / len(first)
    return float(np.abs(at_most - np.searchsorted(second, first, side="right") / len(second)).max())


def _equal_sizes(distance: float, n: int) -> float:
    from scipy.special import gammaln

    k = round(distance * n)
    if k == 0:
        return 1.0
    j = np.arange(1, n // k + 1)
    chosen = 2 * gammaln(n + 1) - gammaln(n - j * k + 1) - gammaln(n + j * k + 1)
    signs = np.where(j % 2 == 1, 1.0, -1.0)
    return float(np.clip(2 * (signs * np.exp(chosen)).sum(), 0.0, 1.0))


def _limit(distance: float, n: int, m: int) -> float:
    from scipy.special import kolmogorov

    return float(kolmogorov(math.sqrt(n * m / (n + m)) * distance))


def _homogeneous(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.special import gammaincc

    n, m, cells = float(a.sum()), float(b.sum()), len(a)
    whole = n + m
    if cells < 2 or whole < 4:
        return 1.0
    statistic = float(((a * math.sqrt(m / n) - b * math.sqrt(n / m)) ** 2 / (a + b)).sum())
    mean = whole / (whole - 1) * (cells - 1)
    variance = _variance(np.array([n, m]), a + b, whole)
    return float(gammaincc(mean**2 / variance, statistic * mean / variance)) if variance > 1e-9 else 1.0


def _variance(sizes: np.ndarray, totals: np.ndarray, whole: float) -> float:
    """Of X² over all tables with these margins."""
    v1, w1 = _spread(sizes, whole)
    v2, w2 = _spread(totals, whole)
    return 2 * whole / (whole - 3) * (v1 - w1) * (v2 - w2) + whole**2 / (whole - 1) * w1 * w2


def _spread(margin: np.ndarray, whole: float) -> tuple[float, float]:
    k = len(margin)
    return (k - 1) * (whole - k) / (whole - 1), float(((whole / margin).sum() - k**2) / (whole - 2))


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> float:
    """In bits; a category without rows adds nothing."""
    there = p > 0
    return float((p[there] * np.log2(p[there] / q[there])).sum())


def _counts(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if not a.sum() or not b.sum():
        raise TooLittleDataError(
            f"two samples of {a.sum():.0f} and {b.sum():.0f} rows cannot be compared", "wait for rows in both"
        )
    return a, b
