"""A version made again from what it was made from: pinned tables, stored spec, code and parameters; and compared."""

from dataclasses import dataclass

import numpy as np

from modelway.errors import UsageError
from modelway.export.build import export_estimator
from modelway.features.plan import plan_of
from modelway.flow import frames, making
from modelway.flow.feeding import Tell, silent
from modelway.flow.runs import REFIT, record, spec_of
from modelway.flow.scoring import graph_scores
from modelway.records import Candidate, Fit, Sources, TrainingSet, loads
from modelway.registry import versions
from modelway.training.environment import environment
from modelway.training.fit import load_estimator
from modelway.training.frames import read_training_set
from modelway.workspace import Workspace


@dataclass(frozen=True)
class Reproduction:
    """What was compared; `worst` is the largest |difference| / max(1, |ŷ|) over `predictions` rows."""

    version: str
    training_set: tuple[str, str]
    environment: tuple[str, str]
    graph: tuple[str, str]
    predictions: int
    worst: float
    tolerance: float

    @property
    def equal(self) -> bool:
        """The same rows give the same predictions; an environment that differs is shown, and judged by what it did."""
        return self.training_set[0] == self.training_set[1] and self.worst <= self.tolerance

    def rows(self) -> list[tuple[str, str, str, str]]:
        """For a table: what, then, now, equal."""
        named = [("training set", self.training_set), ("environment", self.environment), ("graph", self.graph)]
        lines = [(what, then[:12], now[:12], _yes(then == now)) for what, (then, now) in named]
        worst = f"worst difference {self.worst:.2g} (≤ {self.tolerance:g})"
        return [*lines, ("predictions", f"{self.predictions} rows", worst, _yes(self.worst <= self.tolerance))]


def reproduce(workspace: Workspace, name: str, tell: Tell = silent) -> Reproduction:
    """Train `MODEL@VERSION` again; the search is not repeated. Raises UsageError, NotFoundError."""
    from modelway.compute.port import run as compute
    from modelway.training.task import FIT, order

    model, _, number = name.partition("@")
    if not number.isdigit():
        raise UsageError(f"{name!r} names no version", "write MODEL@VERSION, for example loans@3")
    version = versions.get(workspace.database, model, int(number))
    base = version.run.removesuffix(REFIT)
    sources: Sources = record(workspace, base, "ingest")
    then: TrainingSet = record(workspace, base, "prepare")
    fitted: Fit = record(workspace, version.run, "train")
    candidate: Candidate = record(workspace, version.run, "export")
    spec = spec_of(workspace, sources.spec)
    tell("reading the pinned tables", None)
    found = frames.known(workspace, spec, sources)
    rows = frames.with_features(workspace, spec, plan_of(spec), found)
    now = making.stored(workspace, spec, rows, sources, found.too_young)
    tell("training with the stored code and parameters", None)
    payload = order(
        now, spec, workspace.places.project(model), workspace.places.artifacts, fitted, all_rows=fitted.refitted
    )
    again = loads(Fit, compute(workspace.compute, f"reproduce/{version.run}", FIT, payload))
    tell("comparing", None)
    estimator = load_estimator(again.estimator, workspace.artifacts)
    graph = workspace.artifacts.put(
        export_estimator(estimator, now.columns, now.task, classes=len(now.classes) or None).onnx
    )
    every = read_training_set(then, workspace.artifacts)
    before = graph_scores(workspace, candidate.graph.graph, then.columns, every, name)
    after = graph_scores(workspace, graph, now.columns, every, f"{name}, trained again")
    return Reproduction(
        version=name,
        training_set=(then.data, now.data),
        environment=(fitted.environment, workspace.artifacts.put(environment())),
        graph=(candidate.graph.graph, graph),
        predictions=every.height,
        worst=float(np.max(np.abs(before - after) / np.maximum(1.0, np.abs(before)), initial=0.0)),
        tolerance=1e-9,
    )


def _yes(equal: bool) -> str:
    return "yes" if equal else "no"
