"""Many questions at once: the share of false alarms among all alarms is kept at q.

Benjamini–Hochberg: with sorted p-values p_(1) ≤ … ≤ p_(m), reject the k smallest for the largest k with p_(k) ≤ k·q/m.
Valid for independent and for positively dependent questions. Fifty models with thirty features each give 75 alarms a
day at p < 0.05 when nothing has changed; this gives one on about 1 day in 20.

e-BH: with e-values sorted downward, reject the k largest for the largest k with e_(k) ≥ m/(k·q). Valid under *any*
dependence, and with stopping at will when the e-values are e-processes.

Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57 (1995) 289. R. Wang, A. Ramdas, J. R. Stat. Soc. B 84 (2022) 822.

>>> adjusted(np.array([0.01, 0.04, 0.03, 0.5])).round(4).tolist()
[0.04, 0.0533, 0.0533, 0.5]
"""

import math

import numpy as np


def adjusted(p: np.ndarray) -> np.ndarray:
    """Benjamini–Hochberg adjusted p-values: column i is rejected at rate q exactly if adjusted[i] ≤ q. NaN stays NaN."""
    p = np.asarray(p, dtype=float)
    out = np.full(len(p), math.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    m = len(order)
    scaled = p[order] * m / np.arange(1, m + 1)
    out[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return out


def benjamini_hochberg(p: np.ndarray, q: float) -> np.ndarray:
    """Which of the null hypotheses are rejected at false discovery rate q; a missing p-value never is."""
    return adjusted(p) <= q


def e_bh(log_e: np.ndarray, q: float) -> np.ndarray:
    """Which null hypotheses are rejected at false discovery rate q, given log e-values."""
    log_e = np.asarray(log_e, dtype=float)
    m = len(log_e)
    order = np.argsort(-log_e, kind="stable")
    enough = log_e[order] >= np.log(m / (np.arange(1, m + 1) * q))
    count = int(np.flatnonzero(enough)[-1]) + 1 if enough.any() else 0
    rejected = np.zeros(m, dtype=bool)
    rejected[order[:count]] = True
    return rejected
