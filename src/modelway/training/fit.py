"""A training set and a model project become a fitted estimator: search when asked, then one fit on the training part.

The estimator learns integer codes 0..k−1 in the order of the training set's classes, so that column i of its scores is class i.
Trained again from the same training set, code and parameters, in the same environment, it gives the same scores.
"""

import pickle
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modelway.artifacts.store import ArtifactStore
from modelway.errors import UserCodeError
from modelway.records import LIMITS, Fit, Limits, TrainingSet, loads
from modelway.spec.model import Spec
from modelway.training.environment import environment
from modelway.training.estimate import Watch, fit_once
from modelway.training.frames import codes, read_training_set, to_pandas
from modelway.training.predict import scores
from modelway.training.search import search
from modelway.training.split import TRAIN
from modelway.training.user_code import UserCode, load_user_code, write_sources


def fit(
    training_set: TrainingSet,
    spec: Spec,
    project: Path,
    artifacts: ArtifactStore,
    watch: Watch | None = None,
    limits: Limits = LIMITS,
) -> Fit:
    """Search for parameters if the spec asks, and fit on the training part. Raises UserCodeError with the user's lines.

    `limits`: of a graph that is brought; one that goes beyond them is a GraphError.
    """
    started = time.perf_counter()
    watch = watch or Watch()
    code = load_user_code(project, limits)
    params, trials = dict(spec.training.params), 0
    if spec.training.search is not None:
        found = search(training_set, spec, code, artifacts, watch)
        params, trials = {**params, **found.params}, found.trials
    made = _fitted(training_set, spec, code, params, artifacts, watch, everything=False)
    return Fit(
        estimator=made,
        params=params,
        trials=trials,
        seconds=time.perf_counter() - started,
        code=artifacts.put(code.bundle()),
        environment=artifacts.put(environment()),
    )


def refit(
    fitted: Fit,
    training_set: TrainingSet,
    spec: Spec,
    artifacts: ArtifactStore,
    watch: Watch | None = None,
    limits: Limits = LIMITS,
    *,
    all_rows: bool | None = None,
) -> Fit:
    """Fit again with the stored code and parameters, without a search: to reproduce, or (`all_rows`) on the holdout too.

    Without `all_rows` on the rows that `fitted` was fitted on. The project folder is not read.
    """
    started = time.perf_counter()
    everything = fitted.refitted if all_rows is None else all_rows
    with unpacked(artifacts.get(fitted.code), spec.model) as project:
        made = _fitted(
            training_set,
            spec,
            load_user_code(project, limits),
            fitted.params,
            artifacts,
            watch or Watch(),
            everything=everything,
        )
    return replace(
        fitted,
        estimator=made,
        seconds=time.perf_counter() - started,
        environment=artifacts.put(environment()),
        refitted=everything,
    )


def load_estimator(digest: str, artifacts: ArtifactStore) -> Any:
    """The fitted estimator, from this workspace's own store only: a pickle from elsewhere is never loaded."""
    import cloudpickle

    return cloudpickle.loads(artifacts.get(digest))


@contextmanager
def unpacked(bundle: bytes, name: str) -> Iterator[Path]:
    """The stored sources of a model project, in a folder of that name that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="modelway-") as place:
        project = Path(place).resolve() / name
        write_sources(loads(dict[str, str], bundle), project)
        yield project


def _fitted(
    training_set: TrainingSet,
    spec: Spec,
    code: UserCode,
    params: Mapping[str, Any],
    artifacts: ArtifactStore,
    watch: Watch,
    *,
    everything: bool,
) -> str:
    """Fit, see that it can predict, and store the estimator; return its digest."""
    rows = read_training_set(training_set, artifacts, "" if everything else TRAIN)
    frame, target = to_pandas(rows, training_set.columns), codes(rows["_target"], training_set.classes)
    estimator = fit_once(code, params, frame, target, training_set.task, spec.training.seed, watch.notes)
    head, count = frame.head(50), training_set.width
    made = code.call("predicting with the estimator", lambda: scores(estimator, head, training_set.task, count))
    if not np.isfinite(made).all():
        raise UserCodeError(
            f"the fitted {type(estimator).__name__} of {spec.model} predicts NaN or infinity for rows that it was trained on",
            "impute missing numbers in the pipeline, or use an estimator that takes them",
        )
    return artifacts.put(_pickled(estimator, code))


def _pickled(estimator: Any, code: UserCode) -> bytes:
    """By value for what model.py defines: it loads where the project is not. Needs the project's modules unloaded."""
    import cloudpickle

    try:
        if "skorch" in sys.modules:
            from modelway.training.torch import pickled

            return pickled(estimator)
        return cloudpickle.dumps(estimator)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise UserCodeError(
            f"the fitted {type(estimator).__name__} of {code.project.name} cannot be stored: {error}",
            "keep no open file, lock or connection in the estimator",
        ) from error
