"""Optuna runs the search: its TPE sampler with a fixed seed, in memory (a search that was killed is run again, equal)."""

import time
from collections.abc import Callable
from typing import Any

from modelway.errors import TooLittleDataError
from modelway.spec.model import Search
from modelway.training.estimate import Progress
from modelway.training.found import Found


def minimise(
    loss: Callable[[Any], tuple[dict[str, Any], float]],
    wanted: Search,
    seed: int,
    progress: Callable[[Progress], None] | None = None,
) -> Found:
    """Run the trials one after another; errors of the user's code end the search at once.

    `loss(trial)` gives the parameters of Optuna's own trial object, and their loss. With `wanted.timeout` the search stops
    after the trial during which the time ran out.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed))
    best: Found | None = None
    started = time.perf_counter()
    for number in range(1, wanted.trials + 1):
        trial = study.ask()
        params, value = loss(trial)
        study.tell(
            trial, value if value == value else None, state=None if value == value else optuna.trial.TrialState.FAIL
        )
        if value == value and (best is None or value < best.loss):
            best = Found(params, value, number)
        if progress is not None:
            progress(Progress(number, wanted.trials, value, best.loss if best else value))
        if wanted.timeout is not None and time.perf_counter() - started > wanted.timeout.total_seconds():
            break
    if best is None:
        raise TooLittleDataError(
            f"no trial of {wanted.trials} gave a finite {wanted.metric}", "choose another metric under training.search"
        )
    return Found(best.params, best.loss, number)
