"""Simulated models on simulated rows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from modelway.spec.model import Spec
from modelway.validation.judged import Judged

START = datetime(2020, 1, 1, tzinfo=UTC)
SHARES = np.array([800.0, 200.0])


def spec_of(task="binary", **more) -> Spec:
    return Spec.model_validate({"model": "m", "task": task, "data": {"source": "rows", "target": "y"}, **more})


def binary(n=1_500, noise=(0.3,), seed=0, slope=1.5, **more) -> list[Judged]:
    """One model for each noise, on the same n rows: the true log odds with that much noise added."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    y = (rng.random(n) < _logistic(slope * z - 2)).astype(np.int64)
    return [judged(y, _two(_logistic(slope * z - 2 + sd * rng.normal(size=n))), **more) for sd in noise]


def judged(y, scores, classes=("no", "yes"), days=False, **more) -> Judged:
    n = len(y)
    at = [START + timedelta(days=i) for i in range(n)] if days else None
    known = SHARES if len(classes) == 2 else None
    return Judged(
        **{
            "keys": [f"k{i}" for i in range(n)],
            "target": y,
            "scores": scores,
            "classes": classes,
            "at": at,
            "train_target": known,
            **more,
        }
    )


def groups(n, seed=0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame({"amount": rng.gamma(2, 5, n), "sex": rng.choice(["f", "m"], n)})


def _two(p: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - p, p])


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
