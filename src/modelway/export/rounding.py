"""How far two right sums of the same terms may lie apart: linear models add up, and what they add may be far larger than the sum.

Adding n terms in any order errs by at most about n·u·Σ|terms|, with u = 2⁻⁵³ (Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., 4.2); two orders by twice that. Each term is a product of values that were rounded a few times themselves.
"""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.export import linear
from modelway.export.families import MODELS, key
from modelway.export.pipeline import WRAPPERS

if TYPE_CHECKING:
    import pandas as pd

_UNIT = 2.0**-53
_ROUNDED = 8
"""Times that a term may have been rounded before it is added: imputed, centred, scaled, weighted, multiplied."""


def slack(estimator: Any, rows: "pd.DataFrame", scores: np.ndarray) -> np.ndarray:
    """double[N, 1]: by how much two right answers to a row may differ from rounding alone; 0 where nothing is added up.

    A link (logistic, softmax) never enlarges a difference; an exponential does so in proportion to its score.
    """
    model, steps = _last(estimator)
    written = MODELS.get(key(model))
    if written is None or written.__module__ != linear.__name__:
        return np.zeros((len(rows), 1))
    weights = np.abs(np.atleast_2d(np.asarray(model.coef_, dtype=np.float64)))
    intercept = np.abs(np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64)))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        columns: Any = rows
        for step in steps:
            columns = step.transform(columns)
        terms = np.abs(_dense(columns)) @ weights.T + intercept
        bound = (2 * weights.shape[1] + _ROUNDED) * _UNIT * terms.max(axis=1, keepdims=True)
        if written is linear.log_regression:
            bound = bound * np.maximum(1.0, np.abs(scores).max(axis=1, keepdims=True))
    return np.asarray(np.where(np.isfinite(bound), bound, 0.0))


def _last(estimator: Any) -> tuple[Any, list[Any]]:
    """The model at the end of pipelines and wrappers, and what comes before it."""
    steps: list[Any] = []
    while (name := key(estimator)) == "sklearn.Pipeline" or name in WRAPPERS:
        if name in WRAPPERS:
            estimator = getattr(estimator, WRAPPERS[name])
            continue
        steps += [step for _, step in estimator.steps[:-1] if step not in (None, "passthrough")]
        estimator = estimator.steps[-1][1]
    return estimator, steps


def _dense(columns: Any) -> np.ndarray:
    made = columns.toarray() if hasattr(columns, "toarray") else columns
    return np.asarray(made, dtype=np.float64)
