"""One fit of one estimator: the same for each trial of a search, for the candidate, and for its reproduction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

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
    """One fresh estimator, fitted with one seed on one thread; an exception is told with the step where it arose."""
    with steady(seed, notes):
        estimator = settle(code.build(params, task), seed)
        return code.call("fitting the estimator", lambda: estimator.fit(frame, target) or estimator)
