"""How far two right sums of the same terms may lie apart: linear models add up, and what they add may be far larger than the sum.

Adding n terms in any order errs by at most about n·u·Σ|terms|, with u = 2⁻⁵³ (Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., 4.2); two orders by twice that. Each term is a product of values that were rounded a few times themselves.
"""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.export import linear, network
from modelway.export.families import MODELS, key
from modelway.export.pipeline import WRAPPERS

if TYPE_CHECKING:
    import pandas as pd

_UNIT, _SINGLE = 2.0**-53, 2.0**-24
STACKS = ("sklearn.StackingClassifier", "sklearn.StackingRegressor")
"""What they transform are the answers of their members, in float32 where all of these are."""
_ROUNDED = 8
"""Times that a term may have been rounded before it is added: imputed, centred, scaled, weighted, multiplied."""


def slack(estimator: Any, rows: "pd.DataFrame", scores: np.ndarray) -> np.ndarray:
    """double[N, 1]: by how much two right answers to a row may differ from rounding alone; 0 where nothing is added up.

    A link (logistic, softmax) never enlarges a difference; an exponential does so in proportion to its score.
    """
    model, steps = _last(estimator)
    written = MODELS.get(key(model))
    if written is None or written.__module__ not in (linear.__name__, network.__name__):
        return np.zeros((len(rows), 1))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        columns: Any = rows
        for step in steps:
            columns = step.transform(columns)
        weights = model.coefs_[0] if written.__module__ == network.__name__ else model.coef_
        unit = _SINGLE if getattr(columns, "dtype", None) == np.asarray(weights).dtype == np.float32 else _UNIT
        if written.__module__ == network.__name__:
            bound = network.rounding(model, _dense(columns), unit, _ROUNDED)[:, None]
            exponential = model.out_activation_ == "exp"
        else:
            bound = _of_a_sum(model, _dense(columns), unit)
            exponential = written is linear.generalised and linear.is_exponential(model)
        if exponential:
            bound = bound * np.maximum(1.0, np.abs(scores).max(axis=1, keepdims=True))
    return np.asarray(np.where(np.isfinite(bound), bound, 0.0))


def _of_a_sum(model: Any, columns: np.ndarray, unit: float) -> np.ndarray:
    weights = np.abs(np.atleast_2d(np.asarray(model.coef_, dtype=np.float64)))
    terms = np.abs(columns) @ weights.T + np.abs(np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64)))
    return np.asarray((2 * weights.shape[1] + _ROUNDED) * unit * terms.max(axis=1, keepdims=True))


def _last(estimator: Any) -> tuple[Any, list[Any]]:
    """The model at the end of pipelines, wrappers and stacks, and what comes before it."""
    steps: list[Any] = []
    while (name := key(estimator)) == "sklearn.Pipeline" or name in WRAPPERS or name in STACKS:
        if name in STACKS:
            steps.append(estimator)
            estimator = estimator.final_estimator_
            continue
        if name in WRAPPERS:
            estimator = getattr(estimator, WRAPPERS[name])
            continue
        steps += [step for _, step in estimator.steps[:-1] if step not in (None, "passthrough")]
        estimator = estimator.steps[-1][1]
    return estimator, steps


def _dense(columns: Any) -> np.ndarray:
    made = columns.toarray() if hasattr(columns, "toarray") else columns
    return np.asarray(made, dtype=np.float64)
