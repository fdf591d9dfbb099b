"""How a score becomes a decision, chosen on the holdout and kept with the version.

A threshold lies midway between two scores that occur, or beyond all of them, so that no row sits on it and the graph and
the estimator decide alike. A row is positive if its score is ≥ the threshold.

The training part has no out-of-fold scores, so the point is chosen on the holdout: the rank metrics are not touched by
that, but the cost *at* a threshold chosen for its cost on the same rows flatters itself. `crossed_decisions` therefore
decides each half of the rows at the point that the other half chooses: what it costs is what the *way of choosing* costs
on rows that it has not seen (a little more than the shipped point will, since half the rows choose less well).
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from modelway.errors import DataError, SpecError
from modelway.records import OperatingPoint
from modelway.spec.model import Decision

_TIE = 1e-8
"""Scores no further apart than this are one score: no threshold is put between them."""


def choose(
    decision: Decision,
    target: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    audit: pl.DataFrame | None = None,
) -> OperatingPoint:
    """The operating point that the spec's `decision` asks for, on rows with target codes (−1: no label) and scores double[N, k].

    `audit` has the columns with amounts that `cost` names. Raises SpecError for what the task has no meaning for, DataError
    for rows without an amount.
    """
    if len(classes) != 2:
        if decision.top_k is not None or decision.threshold != "argmax":
            raise SpecError(
                "modelway.yaml: decision needs a positive class, but the task is not binary",
                "leave out decision (the largest score wins), or write task: binary",
            )
        return OperatingPoint("argmax" if classes else "value")
    score, positive = np.asarray(scores)[:, -1], classes[1]
    if decision.top_k is not None:
        return OperatingPoint("top_k", _of_count(score, decision.top_k), positive)
    if decision.threshold == "argmax":
        return OperatingPoint("argmax", None, positive)
    if decision.threshold == "by_rate":
        if decision.rate is None:
            raise SpecError("modelway.yaml: decision.threshold is by_rate without a rate", "write for example rate: 5%")
        return OperatingPoint("by_rate", _of_count(score, round(decision.rate * len(score))), positive)
    if decision.threshold == "by_cost":
        known = np.asarray(target) >= 0
        if not known.any():
            raise DataError(
                "decision.threshold is by_cost, and no row of the holdout has a label",
                "send labels, or write threshold: by_rate with a rate",
            )
        amounts = (cost[known] for cost in costs(decision, len(score), audit))
        return OperatingPoint("by_cost", _of_cost(score[known], target[known], *amounts), positive)
    return OperatingPoint("fixed", float(decision.threshold), positive)


def decide(point: OperatingPoint, scores: np.ndarray) -> np.ndarray:
    """The class codes int64[N] that the operating point gives scores double[N, k]."""
    if point.threshold is None:
        return np.argmax(scores, axis=1)
    return (scores[:, -1] >= point.threshold).astype(np.int64)


def crossed_decisions(
    decision: Decision,
    target: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    audit: pl.DataFrame | None,
    seed: int,
) -> np.ndarray:
    """Class codes int64[N], each half of the rows (drawn at random) decided at the point that the other half chooses."""
    half = np.random.default_rng(seed).permutation(len(target)) % 2 == 0
    out = np.zeros(len(target), dtype=np.int64)
    for judged in (half, ~half):
        other = ~judged
        point = choose(decision, target[other], scores[other], classes, None if audit is None else audit.filter(other))
        out[judged] = decide(point, scores[judged])
    return out


def costs(decision: Decision, n: int, audit: pl.DataFrame | None) -> tuple[np.ndarray, np.ndarray]:
    """Cost of a false positive and of a false negative, row by row."""
    return _amounts(decision.cost.false_positive, n, audit), _amounts(decision.cost.false_negative, n, audit)


def _amounts(cost: float | str, n: int, audit: pl.DataFrame | None) -> np.ndarray:
    if not isinstance(cost, str):
        return np.full(n, float(cost))
    if audit is None or cost not in audit.columns:
        raise DataError(
            f"decision.cost names the column {cost!r}, which the rows do not have",
            "write the name of a column of the data, or a number",
        )
    amounts = audit[cost].cast(pl.Float64, strict=False).fill_nan(None)
    if amounts.null_count():
        raise DataError(
            f"decision.cost: {amounts.null_count()} of {n} rows have no number in {cost!r}",
            f"let the contract quarantine them (nulls: 0 on {cost})",
        )
    return amounts.to_numpy()


def _of_count(score: np.ndarray, wanted: int) -> float:
    """The threshold above which nearest to `wanted` rows lie; the stricter of two that are as near."""
    taken, bounds = _bounds(score)
    return float(bounds[np.argmin(np.abs(taken - wanted))])


def _of_cost(score: np.ndarray, target: np.ndarray, false_positive: np.ndarray, false_negative: np.ndarray) -> float:
    """The threshold of least cost; the strictest of equals."""
    order = np.argsort(-score, kind="stable")
    hit = np.asarray(target)[order] == 1
    change = np.where(hit, -false_negative[order], false_positive[order])
    taken, bounds = _bounds(score)
    return float(bounds[np.argmin(np.concatenate([[0.0], np.cumsum(change)])[taken])])


def _bounds(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All thresholds that part the rows differently: how many rows lie above, and the threshold, from none to all."""
    falling = -np.sort(-score)
    steps = np.flatnonzero(falling[:-1] - falling[1:] > _TIE)
    top, bottom = falling[0], falling[-1]
    above = (top + 1) / 2 if top < 1 - _TIE else top + 0.5
    below = bottom / 2 if bottom > _TIE else bottom - 0.5
    return (
        np.concatenate([[0], steps + 1, [len(score)]]),
        np.concatenate([[above], (falling[steps] + falling[steps + 1]) / 2, [below]]),
    )
