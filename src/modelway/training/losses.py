"""What a search makes small: a metric by its name in the spec, turned so that less is better."""

from collections.abc import Callable

import numpy as np

from modelway.errors import SpecError
from modelway.records import Task

Loss = Callable[[np.ndarray, np.ndarray], float]
"""(target: codes[N] or numbers[N], scores: double[N, k]) → loss."""


def loss_of(metric: str, task: Task) -> Loss:
    """The loss of a metric; `log_loss`, the default, means rmse for regression, roc_auc for anomaly.

    Raises SpecError naming the known ones.
    """
    known = {"regression": _NUMBERS, "anomaly": _RANKS}.get(task, _CLASSES)
    name = {"regression": "rmse", "anomaly": "roc_auc"}.get(task, metric) if metric == "log_loss" else metric
    if name not in known:
        raise SpecError(
            f"modelway.yaml: training.search.metric is {metric!r}",
            f"for {task} write one of: {', '.join(sorted(known))}",
        )
    return known[name]


def _log_loss(target: np.ndarray, scores: np.ndarray) -> float:
    likely = np.clip(scores[np.arange(len(target)), target], 1e-15, 1.0)
    return float(-np.log(likely).mean())


def _brier(target: np.ndarray, scores: np.ndarray) -> float:
    return float(((scores - np.eye(scores.shape[1])[target]) ** 2).sum(axis=1).mean() / 2)


def _accuracy(target: np.ndarray, scores: np.ndarray) -> float:
    return -float((scores.argmax(axis=1) == target).mean())


def _roc_auc(target: np.ndarray, scores: np.ndarray) -> float:
    """Binary, or the mean over the classes that are there, each against the rest."""
    from sklearn.metrics import roc_auc_score

    return -_one_against_rest(roc_auc_score, target, scores)


def _average_precision(target: np.ndarray, scores: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    return -_one_against_rest(average_precision_score, target, scores)


def _one_against_rest(metric: Callable[..., float], target: np.ndarray, scores: np.ndarray) -> float:
    k = scores.shape[1]
    if k == 1:
        return float(metric(target == 1, scores[:, 0]))
    wanted = [1] if k == 2 else [c for c in range(k) if 0 < (target == c).sum() < len(target)]
    return float(np.mean([metric(target == c, scores[:, c]) for c in wanted]))


def _rmse(target: np.ndarray, scores: np.ndarray) -> float:
    return float(np.sqrt(((target - scores[:, 0]) ** 2).mean()))


def _mae(target: np.ndarray, scores: np.ndarray) -> float:
    return float(np.abs(target - scores[:, 0]).mean())


def _r2(target: np.ndarray, scores: np.ndarray) -> float:
    spread = float(((target - target.mean()) ** 2).sum())
    return float(((target - scores[:, 0]) ** 2).sum()) / spread - 1.0 if spread else 0.0


_CLASSES: dict[str, Loss] = {
    "log_loss": _log_loss,
    "brier": _brier,
    "accuracy": _accuracy,
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
}
_RANKS: dict[str, Loss] = {"roc_auc": _roc_auc, "average_precision": _average_precision}
_NUMBERS: dict[str, Loss] = {"rmse": _rmse, "mae": _mae, "r2": _r2}
