"""Looking for better parameters, on folds of the training part only: the holdout stays untouched.

Folds follow time where there is an event time (each is judged by a model fitted on all earlier ones, less the gap), else they
are drawn at random within each class. The loss of a parameter set is its mean over the folds.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from modelway.artifacts.store import ArtifactStore
from modelway.errors import TooLittleDataError, UserCodeError
from modelway.records import TrainingSet, dumps
from modelway.spec.model import Search, Spec
from modelway.training.estimate import Watch, fit_once
from modelway.training.found import Found
from modelway.training.frames import codes, read_training_set, to_pandas
from modelway.training.losses import loss_of
from modelway.training.predict import scores
from modelway.training.split import TRAIN
from modelway.training.user_code import UserCode

if TYPE_CHECKING:
    import pandas as pd

Fold = tuple[np.ndarray, np.ndarray]
"""Row numbers to fit on, row numbers to judge on."""


def time_folds(at: pl.Series, count: int, gap: timedelta = timedelta(0)) -> list[Fold]:
    """`count` folds of equal length in rows after a first stretch of the same length; rows of one instant stay together."""
    order = at.arg_sort().to_numpy()
    moments = at.gather(order)
    edges = [moments[round(len(order) * i / (count + 1))] for i in range(1, count + 1)]
    folds: list[Fold] = []
    for start, end in zip(edges, [*edges[1:], None], strict=True):
        judged = (at >= start) if end is None else (at >= start) & (at < end)
        earlier = (at < start) & (at <= start - gap)
        folds.append((np.flatnonzero(earlier.to_numpy()), np.flatnonzero(judged.to_numpy())))
    return folds


def random_folds(target: np.ndarray, count: int, seed: int, *, classes: bool) -> list[Fold]:
    """Each row is judged once; the rows of a class are spread evenly over the folds."""
    rng = np.random.default_rng(seed)
    place = np.empty(len(target), dtype=np.int64)
    for value in np.unique(target) if classes else (None,):
        members = rng.permutation(np.flatnonzero(target == value) if classes else np.arange(len(target)))
        place[members] = (np.arange(len(members)) + rng.integers(count)) % count
    return [(np.flatnonzero(place != fold), np.flatnonzero(place == fold)) for fold in range(count)]


def search(training_set: TrainingSet, spec: Spec, code: UserCode, artifacts: ArtifactStore, watch: Watch) -> Found:
    """The best parameters of `search_space(trial)`; same data, code and seed find the same.

    Raises UserCodeError when model.py has no search_space, SpecError for an unknown metric, TooLittleDataError when no fold
    can be judged.
    """
    from modelway.training.optuna import minimise

    wanted = spec.training.search or Search()
    if not code.searches:
        raise UserCodeError(
            f"training.search is set, but {code.project / 'model.py'} has no search_space",
            "write def search_space(trial): return {...}, or remove training.search from modelway.yaml",
        )
    judge = loss_of(wanted.metric, spec.task)
    rows = read_training_set(training_set, artifacts, TRAIN)
    frame, target = to_pandas(rows, training_set.columns), codes(rows["_target"], training_set.classes)
    k = training_set.width
    folds = usable_folds(rows, target, spec, len(training_set.classes))

    def loss(trial: Any) -> tuple[dict[str, Any], float]:
        params = _plain(code.search_space(trial), code)
        whole = {**spec.training.params, **params}
        losses = []
        for learn, held in folds:
            made = _scores_of(code, whole, frame.iloc[learn], target[learn], frame.iloc[held], spec, k, watch)
            known = target[held] >= 0 if spec.task == "anomaly" else slice(None)
            losses.append(judge(target[held][known], made[known]))
        return params, float(np.mean(losses))

    return minimise(loss, wanted, spec.training.seed, watch.progress)


def _scores_of(
    code: UserCode,
    params: dict[str, Any],
    learn: "pd.DataFrame",
    target: np.ndarray,
    held: "pd.DataFrame",
    spec: Spec,
    k: int,
    watch: Watch,
) -> np.ndarray:
    estimator = fit_once(code, params, learn, target, spec.task, spec.training.seed, watch.notes)
    return code.call("predicting with the estimator", lambda: scores(estimator, held, spec.task, k))


def usable_folds(rows: pl.DataFrame, target: np.ndarray, spec: Spec, classes: int) -> list[Fold]:
    """The folds in which every class can be learned and at least two are judged; raises TooLittleDataError without any."""
    learned = spec.task in ("binary", "multiclass")
    asked = (spec.training.search or Search()).folds
    if rows["_at"].null_count() == 0 and spec.data.event_time is not None and spec.training.split != "random":
        folds = time_folds(rows["_at"], asked, spec.training.gap)
    else:
        folds = random_folds(target, asked, spec.training.seed, classes=spec.task != "regression")
    fair = [
        (learn, held)
        for learn, held in folds
        if len(learn)
        and len(held)
        and (not learned or len(np.unique(target[learn])) == classes)
        and (not classes or len(np.setdiff1d(target[held], [-1])) > 1)
    ]
    if not fair:
        raise TooLittleDataError(
            f"none of {asked} folds of {len(target)} training rows holds every class",
            "bring in more rows, or write fewer folds under training.search, or remove the search",
        )
    return fair


def _plain(params: dict[str, Any], code: UserCode) -> dict[str, Any]:
    """The parameters with NumPy's numbers as Python's; what JSON cannot carry could not be reproduced."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in params.items()}
    try:
        dumps(plain)
    except TypeError as error:
        raise UserCodeError(
            f"search_space(trial) of {code.project.name} returned what cannot be stored as JSON: {error}",
            "return numbers, text, booleans, lists; make objects of them in build(params)",
        ) from error
    return plain
