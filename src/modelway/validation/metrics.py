"""Every metric by its name in the spec, as a statistic of weighted rows: one definition for figure, interval and comparison.

Most metrics are a function of a few weighted sums (`_of_sums`), so that two thousand resamples cost one matrix product;
those of the order of scores are in `ranking.py`. Where a metric has no value (no row was called positive, a target is 0 for
mape) it is NaN, which no gate passes. Definitions are scikit-learn's, but that mape is not defined for targets of 0.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from modelway.evidence.bootstrap import Statistic
from modelway.records import Task
from modelway.validation import ranking

_LEAST = 1e-15
"""Probabilities are not taken for smaller than this (nor larger than one less this), as in training's losses."""


@dataclass(frozen=True)
class Sample:
    """Rows as metrics see them. `decided`: class codes at the operating point; costs row by row, or None."""

    target: np.ndarray
    scores: np.ndarray
    decided: np.ndarray
    false_positive: np.ndarray | None = None
    false_negative: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True, slots=True)
class Definition:
    """What a metric is. `kind`: a share of rows (of `support` of them), a number between 0 and 1, or any number."""

    name: str
    better: Literal["larger", "smaller"]
    statistic: Callable[[Sample], Statistic]
    kind: Literal["share", "unit", "open"] = "open"
    support: Callable[[Sample], np.ndarray] | None = None
    """Rows that the share is a share of, as a mask."""
    decides: bool = False
    """Whether it depends on the operating point."""

    @property
    def sign(self) -> int:
        """Makes differences positive when better."""
        return 1 if self.better == "larger" else -1


def definition(name: str, task: Task) -> Definition | None:
    """The metric of that name for the task, or None."""
    return _KNOWN[task].get(name)


def names(task: Task) -> tuple[str, ...]:
    return tuple(_KNOWN[task])


def main_loss(task: Task) -> str:
    """What baseline and champion are judged on when the spec names nothing else."""
    return {"regression": "rmse", "anomaly": "roc_auc"}.get(task, "log_loss")


def reported(task: Task, *, with_cost: bool) -> tuple[str, ...]:
    """The metrics that every validation shows."""
    return tuple(name for name in _KNOWN[task] if name != "cost" or with_cost)


def _of_sums(columns: Sequence[np.ndarray], combine: Callable[..., np.ndarray]) -> Statistic:
    """`combine(*sums)` of the weighted sums of row values; a division by zero gives NaN."""
    table = np.column_stack(columns).astype(float)

    def statistic(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            value = np.asarray(combine(*(weights @ table).T), dtype=float)
        return np.where(np.isfinite(value), value, np.nan)

    return statistic


def _mean(values: np.ndarray) -> Statistic:
    return _of_sums([values, np.ones(len(values))], lambda total, rows: total / rows)


def _by_class(columns: np.ndarray, tops: int, combine: Callable[[np.ndarray], np.ndarray]) -> Statistic:
    """Mean over the classes with a value; `combine` gets sums[draws, tops, classes] and gives NaN where there is none."""

    def statistic(weights: np.ndarray) -> np.ndarray:
        sums = (weights @ columns).reshape(len(weights), tops, -1)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = combine(sums)
        there = np.isfinite(values)
        counted = there.sum(axis=1)
        total = np.where(there, values, 0.0).sum(axis=1)
        return np.divide(total, counted, out=np.full(len(weights), np.nan), where=counted > 0)

    return statistic


def _roc_auc(s: Sample) -> Statistic:
    return ranking.roc_auc(s.target == 1, s.scores[:, -1])


def _average_precision(s: Sample) -> Statistic:
    return ranking.average_precision(s.target == 1, s.scores[:, -1])


def _roc_auc_ovr(s: Sample) -> Statistic:
    return ranking.roc_auc_ovr(s.target, s.scores)


def _log_loss(s: Sample) -> Statistic:
    likely = s.scores[np.arange(len(s)), s.target]
    return _mean(-np.log(np.clip(likely, _LEAST, 1 - _LEAST)))


def _brier(s: Sample) -> Statistic:
    return _mean((s.scores[:, 1] - s.target) ** 2)


def _accuracy(s: Sample) -> Statistic:
    return _mean((s.decided == s.target).astype(float))


def _balanced_accuracy(s: Sample) -> Statistic:
    actual = np.eye(s.scores.shape[1])[s.target]
    right = actual * (s.decided == s.target)[:, None]
    return _by_class(np.hstack([right, actual]), 2, lambda sums: sums[:, 0] / sums[:, 1])


def _macro_f1(s: Sample) -> Statistic:
    k = s.scores.shape[1]
    actual, called = np.eye(k)[s.target], np.eye(k)[s.decided]
    right = actual * (s.decided == s.target)[:, None]
    return _by_class(np.hstack([right, actual + called]), 2, lambda sums: 2 * sums[:, 0] / sums[:, 1])


def _precision(s: Sample) -> Statistic:
    called = s.decided == 1
    return _of_sums([called & (s.target == 1), called], lambda hits, calls: hits / calls)


def _recall(s: Sample) -> Statistic:
    actual = s.target == 1
    return _of_sums([actual & (s.decided == 1), actual], lambda hits, there: hits / there)


def _f1(s: Sample) -> Statistic:
    actual, called = s.target == 1, s.decided == 1
    both = actual.astype(float) + called
    return _of_sums([actual & called, both], lambda hits, either: 2 * hits / either)


def _alert_share(s: Sample) -> Statistic:
    return _mean((s.decided == 1).astype(float))


def _cost(s: Sample) -> Statistic:
    if s.false_positive is None or s.false_negative is None:
        return _mean(np.full(len(s), np.nan))
    wrongly_called = (s.decided == 1) & (s.target == 0)
    missed = (s.decided == 0) & (s.target == 1)
    return _mean(np.where(wrongly_called, s.false_positive, 0.0) + np.where(missed, s.false_negative, 0.0))


def _error(s: Sample) -> np.ndarray:
    return np.asarray(s.scores[:, 0] - s.target, dtype=float)


def _mae(s: Sample) -> Statistic:
    return _mean(np.abs(_error(s)))


def _rmse(s: Sample) -> Statistic:
    return _of_sums([_error(s) ** 2, np.ones(len(s))], lambda total, rows: np.sqrt(total / rows))


def _r2(s: Sample) -> Statistic:
    y = s.target - s.target.mean()
    return _of_sums(
        [_error(s) ** 2, y, y**2, np.ones(len(s))],
        lambda lost, total, squares, rows: 1 - lost / (squares - total**2 / rows),
    )


def _mape(s: Sample) -> Statistic:
    with np.errstate(invalid="ignore", divide="ignore"):
        return _mean(np.where(s.target == 0, np.nan, np.abs(_error(s)) / np.abs(s.target)))


def _all(s: Sample) -> np.ndarray:
    return np.ones(len(s), dtype=bool)


def _table(*definitions: Definition) -> Mapping[str, Definition]:
    return {d.name: d for d in definitions}


ALERT_SHARE = "alert_share"
"""The share of the rows that the operating point calls anomalies: the one figure of a detector that asks for no label."""
_ROC_AUC = Definition("roc_auc", "larger", _roc_auc, "unit")
_AVERAGE_PRECISION = Definition("average_precision", "larger", _average_precision, "unit")
_PRECISION = Definition("precision", "larger", _precision, "share", lambda s: s.decided == 1, decides=True)
_RECALL = Definition("recall", "larger", _recall, "share", lambda s: s.target == 1, decides=True)
_COST = Definition("cost", "smaller", _cost, decides=True)
_ACCURACY = Definition("accuracy", "larger", _accuracy, "share", _all, decides=True)
_BALANCED = Definition("balanced_accuracy", "larger", _balanced_accuracy, "unit", decides=True)
_LOG_LOSS = Definition("log_loss", "smaller", _log_loss)

_KNOWN: Mapping[Task, Mapping[str, Definition]] = {
    "binary": _table(
        _ROC_AUC,
        _AVERAGE_PRECISION,
        _LOG_LOSS,
        Definition("brier", "smaller", _brier, "unit"),
        _ACCURACY,
        _BALANCED,
        Definition("f1", "larger", _f1, "unit", decides=True),
        _PRECISION,
        _RECALL,
        _COST,
    ),
    "multiclass": _table(
        _ACCURACY,
        _BALANCED,
        _LOG_LOSS,
        Definition("macro_f1", "larger", _macro_f1, "unit", decides=True),
        Definition("roc_auc_ovr", "larger", _roc_auc_ovr, "unit"),
    ),
    "regression": _table(
        Definition("mae", "smaller", _mae),
        Definition("rmse", "smaller", _rmse),
        Definition("r2", "larger", _r2),
        Definition("mape", "smaller", _mape),
    ),
    "anomaly": _table(
        _ROC_AUC,
        _AVERAGE_PRECISION,
        _PRECISION,
        _RECALL,
        _COST,
        Definition(ALERT_SHARE, "smaller", _alert_share, "share", _all, decides=True),
    ),
}
