"""Fitting as a task of the compute port: what goes in and out is JSON, and the artefacts are found by their folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from modelway.records import LIMITS, Fit, Limits, TrainingSet, dumps, loads
from modelway.spec.model import Spec
from modelway.training.estimate import Progress, Watch
from modelway.training.fit import fit, refit

FIT = "modelway.training.task:fit_task"


class Order(msgspec.Struct, frozen=True):
    """What to fit: with `fitted`, its code and parameters again (`all_rows`: on the holdout too), else the project anew."""

    training_set: TrainingSet
    spec: Mapping[str, Any]
    project: str
    artifacts: str
    fitted: Fit | None = None
    all_rows: bool | None = None
    limits: Limits = LIMITS


class Word(msgspec.Struct, frozen=True):
    """What a fit tells while it runs: how far the search is, or a warning of a library."""

    progress: Progress | None = None
    note: str = ""


def order(
    training_set: TrainingSet,
    spec: Spec,
    project: Path,
    artifacts: Path,
    limits: Limits,
    fitted: Fit | None = None,
    *,
    all_rows: bool | None = None,
) -> bytes:
    """The payload of `FIT`; its result is a `Fit` as JSON. `artifacts` is the folder of the artefact store."""
    plain = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return dumps(Order(training_set, plain, str(project), str(artifacts), fitted, all_rows, limits))


def fit_task(payload: bytes, tell: Callable[[bytes], None]) -> bytes:
    """Carry out an `order`; tells `Word`s as JSON."""
    from modelway.artifacts.folder import FolderArtifactStore

    asked = loads(Order, payload)
    spec, store = Spec.model_validate(asked.spec), FolderArtifactStore(Path(asked.artifacts))
    watch = Watch(lambda progress: tell(dumps(Word(progress))))
    if asked.fitted is None:
        made = fit(asked.training_set, spec, Path(asked.project), store, watch, asked.limits)
    else:
        made = refit(asked.fitted, asked.training_set, spec, store, watch, asked.limits, all_rows=asked.all_rows)
    for note in watch.notes:
        tell(dumps(Word(note=note)))
    return dumps(made)
