"""Scores of the Python estimator, as the exported graph must give them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.errors import DataError
from modelway.records import Task

if TYPE_CHECKING:
    import pandas as pd


def scores(estimator: Any, frame: "pd.DataFrame", task: Task, k: int) -> np.ndarray:
    """double[N, k]: probabilities in the order of the training set's k classes; for regression double[N, 1], the value, and for
    anomaly double[N, 1], how odd the row is: `−score_samples`.

    The estimator has learned integer codes; a class that it has not met gets probability 0.
    """
    if task == "regression":
        return np.asarray(estimator.predict(frame), dtype=np.float64).reshape(len(frame), 1)
    if task == "anomaly":
        return -np.asarray(estimator.score_samples(frame), dtype=np.float64).reshape(len(frame), 1)
    made = np.asarray(estimator.predict_proba(frame), dtype=np.float64)
    known = np.asarray(getattr(estimator, "classes_", np.arange(made.shape[1])), dtype=np.int64)
    if made.shape != (len(frame), len(known)):
        raise DataError(
            f"predict_proba of {type(estimator).__name__} gave {made.shape} for {len(frame)} rows and {len(known)} classes",
            "predict_proba must give one row a row and one column a class",
        )
    out = np.zeros((len(frame), k))
    out[:, known] = made
    return out
