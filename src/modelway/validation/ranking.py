"""Metrics of the order of scores, as statistics of weighted rows.

Scores are sorted once; each resample is a vector of weights, and a running sum of weights gives for every positive how
much lies below it. Equal scores count half (area) or are taken together (precision).
"""

import numpy as np

from modelway.evidence.bootstrap import Statistic


def roc_auc(positive: np.ndarray, scores: np.ndarray) -> Statistic:
    """Area under the ROC curve of scores[N] for positive bool[N]; NaN where a resample lacks a class."""
    over, under = np.flatnonzero(positive), np.flatnonzero(~positive)
    under = under[np.argsort(scores[under], kind="stable")]
    below = np.searchsorted(scores[under], scores[over], side="left")
    up_to = np.searchsorted(scores[under], scores[over], side="right")

    def area(weights: np.ndarray) -> np.ndarray:
        run = _running(weights[:, under])
        chosen = weights[:, over]
        won = (chosen * (run[:, below] + run[:, up_to])).sum(axis=1) / 2
        return _share(won, chosen.sum(axis=1) * run[:, -1])

    return area


def average_precision(positive: np.ndarray, scores: np.ndarray) -> Statistic:
    """Mean over the positives of the precision at their score; NaN where a resample has no positive."""
    order = np.argsort(-scores, kind="stable")
    falling = -scores[order]
    over = np.flatnonzero(positive[order])
    reached = np.searchsorted(falling, falling[over], side="right")
    hits = np.searchsorted(falling[over], falling[over], side="right")

    def precision(weights: np.ndarray) -> np.ndarray:
        drawn = weights[:, order]
        chosen = drawn[:, over]
        at_score = _share(_running(chosen)[:, hits], _running(drawn)[:, reached])
        return _share(np.where(chosen > 0, chosen * at_score, 0.0).sum(axis=1), chosen.sum(axis=1))

    return precision


def roc_auc_ovr(target: np.ndarray, scores: np.ndarray) -> Statistic:
    """Mean of the areas of each class against the rest, over the classes that the rows hold."""
    areas = [
        roc_auc(target == c, scores[:, c]) for c in range(scores.shape[1]) if 0 < (target == c).sum() < len(target)
    ]

    def mean(weights: np.ndarray) -> np.ndarray:
        if not areas:
            return np.full(len(weights), np.nan)
        return np.mean([area(weights) for area in areas], axis=0)

    return mean


def _running(weights: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, … columns."""
    out = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=out[:, 1:])
    return out


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
