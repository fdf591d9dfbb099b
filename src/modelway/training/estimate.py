"""One fit of one estimator: the same for each trial of a search, for the candidate, and for its reproduction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.errors import UserCodeError
from modelway.records import Task
from modelway.training.steady import settle, steady
from modelway.training.user_code import UserCode

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Progress:
    """Told while a search runs: trial `done` of `of`, the loss of this one and the best so far."""

    done: int
    of: int
    loss: float
    best: float


@dataclass(frozen=True, slots=True)
class Watch:
    """Who wants to know: called at each trial, and given each different warning of the libraries once."""

    progress: Callable[[Progress], None] | None = None
    notes: list[str] = field(default_factory=list)


def fit_once(
    code: UserCode,
    params: Mapping[str, Any],
    frame: "pd.DataFrame",
    target: np.ndarray,
    task: Task,
    seed: int,
    notes: list[str],
) -> Any:
    """One fresh estimator, fitted with one seed on one thread; an exception is told with the step where it arose.

    A detector of anomalies is not given the target.
    """
    with steady(seed, notes):
        estimator = settle(code.build(params, task), seed)
        try:
            given = (frame,) if task == "anomaly" else (frame, target)
            return code.call("fitting the estimator", lambda: estimator.fit(*given) or estimator)
        except UserCodeError as error:
            raise _naming_empty(error, frame) from error


def _naming_empty(error: UserCodeError, frame: "pd.DataFrame") -> UserCodeError:
    """The error, with the columns that no row has a value in: some estimators fail on them, and name none."""
    empty = [str(name) for name, values in frame.items() if ((values != values) | (values == "")).all()]
    if not empty or not len(frame):
        return error
    return UserCodeError(
        f"{error.problem}\n  of the {len(frame):,} rows that it was fitted on, none has a value in: {', '.join(empty)}",
        f"leave {'it' if len(empty) == 1 else 'them'} out of model.py, or see in modelway.yaml why nothing is there"
        f" (window, delay, lag, join); if that is not it: {error.fix}",
    )
