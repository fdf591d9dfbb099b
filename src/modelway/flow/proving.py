"""What will answer for a trained estimator, proved to give its numbers: its exact graph, or a process where that is allowed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.errors import ExportError
from modelway.export.brought import export_brought
from modelway.export.build import Exported, Hints, export_estimator
from modelway.export.parity import check_parity
from modelway.flow.forms import open_offline, open_python
from modelway.flow.runs import Tell
from modelway.records import Column, Fit, Graph, OperatingPoint, PythonModel, TrainingSet, dumps
from modelway.spec.model import PythonProcess, Spec
from modelway.training.brought import BroughtClassifier, BroughtRegressor
from modelway.training.frames import read_training_set, to_pandas
from modelway.training.split import HOLDOUT
from modelway.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

_PARITY_ROWS = 5_000


def proved(
    workspace: Workspace, spec: Spec, made: TrainingSet, fitted: Fit, estimator: Any, point: OperatingPoint, tell: Tell
) -> Graph:
    """A graph where there is an exact one; else, where the spec allows it, the estimator itself in a process of its own.

    Raises ExportError, whose fix says how to allow that, and ParityError.
    """
    allowed = spec.serving.python
    if allowed is None or allowed.when == "no_graph":
        try:
            return _graph(workspace, spec, made, estimator, point, tell)
        except ExportError as error:
            if allowed is None:
                raise type(error)(error.problem, f"{error.fix}; {_ALLOW}") from error
            tell(f"no exact graph ({error.problem}): a Python process", None)
    return _process(workspace, spec, allowed, made, fitted, estimator, point, tell)


_ALLOW = "or let the estimator answer in a process of its own, `serving: {python: {}}` in modelway.yaml, at hundreds of µs a call"


def _graph(
    workspace: Workspace, spec: Spec, made: TrainingSet, estimator: Any, point: OperatingPoint, tell: Tell
) -> Graph:
    tell("exporting", None)
    exported = exported_of(workspace, estimator, made)
    tell("proving parity", None)
    asked = open_offline(workspace, lambda: exported.onnx, made.columns, f"{spec.model}-candidate")
    proof = check_parity(
        lambda rows: _asked(asked, made.columns, rows),
        estimator,
        made.columns,
        made.task,
        _held(workspace, made),
        exactness=exported.exactness,
        seed=spec.training.seed,
        threshold=point.threshold,
        positive=len(made.classes) - 1 if made.task == "binary" else None,
        classes=len(made.classes) or None,
        hints=exported.hints,
    )
    return Graph(workspace.artifacts.put(exported.onnx), made.columns, exported.exactness, proof.parity, proof.refuses)


def exported_of(workspace: Workspace, estimator: Any, made: TrainingSet) -> Exported:
    """The estimator as a graph, not yet proved; one that was brought is that graph."""
    if isinstance(estimator, BroughtClassifier | BroughtRegressor):
        taken, places = estimator.taken_, estimator.places_ if isinstance(estimator, BroughtClassifier) else None
        return export_brought(taken.graph, taken.feeds, made.columns, places)
    words = _words(workspace, made)
    return export_estimator(estimator, made.columns, made.task, classes=len(made.classes) or None, words=words)


def _words(workspace: Workspace, made: TrainingSet) -> dict[str, list[str]]:
    """All words by column that the estimator may have learned from: CatBoost keeps their hashes alone."""
    names = [column.name for column in made.columns if column.kind == "word"]
    rows = read_training_set(made, workspace.artifacts) if names else None
    return {} if rows is None else {name: sorted(rows[name].fill_null("").unique().to_list()) for name in names}


def _process(
    workspace: Workspace,
    spec: Spec,
    allowed: PythonProcess,
    made: TrainingSet,
    fitted: Fit,
    estimator: Any,
    point: OperatingPoint,
    tell: Tell,
) -> Graph:
    wanted = python_model(made, fitted, allowed)
    tell("starting the Python process", None)
    process = open_python(workspace, wanted, f"{spec.model}-candidate", patient=True)
    try:
        tell("proving parity", None)
        proof = check_parity(
            lambda rows: _asked(process, made.columns, rows),
            estimator,
            made.columns,
            made.task,
            _held(workspace, made),
            exactness="double",
            seed=spec.training.seed,
            threshold=point.threshold,
            positive=len(made.classes) - 1 if made.task == "binary" else None,
            classes=len(made.classes) or None,
            hints=Hints(),
        )
        kept = workspace.artifacts.put(dumps(python_model(made, fitted, allowed, process.versions)))
    finally:
        process.close()
    return Graph(kept, made.columns, "double", proof.parity, proof.refuses, form="python")


def python_model(made: TrainingSet, fitted: Fit, allowed: PythonProcess, versions: Any = None) -> PythonModel:
    """What stands in a graph's place; `versions` are those that the process was proved with."""
    return PythonModel(
        estimator=fitted.estimator,
        columns=made.columns,
        task=made.task,
        classes=made.width,
        seconds=allowed.timeout.total_seconds(),
        megabytes=allowed.memory,
        interpreter=allowed.interpreter,
        versions=dict(versions or {}),
    )


def _held(workspace: Workspace, made: TrainingSet) -> "pd.DataFrame":
    held = read_training_set(made, workspace.artifacts, HOLDOUT)
    return to_pandas(held.head(_PARITY_ROWS), made.columns)


def _asked(process: Any, columns: Sequence[Column], rows: "pd.DataFrame") -> np.ndarray:
    numbers, words = ([c.name for c in columns if c.kind == kind] for kind in ("number", "word"))
    return np.array(process(rows[numbers].to_numpy(np.float64), rows[words].to_numpy(object).tolist()))
