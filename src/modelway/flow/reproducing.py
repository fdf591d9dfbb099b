"""A version made again from what it was made from: pinned tables, stored spec, code and parameters; and compared."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from modelway.errors import UsageError
from modelway.flow import composing, making, runs
from modelway.flow.forms import limits_of
from modelway.flow.proving import exported_of
from modelway.flow.runs import REFIT, record, spec_of
from modelway.flow.scoring import graph_scores
from modelway.flow.sending import Tell, silent
from modelway.records import Candidate, Fit, Sources, TrainingSet, loads
from modelway.registry import versions
from modelway.state import erasures
from modelway.training.environment import environment
from modelway.training.fit import load_estimator
from modelway.training.frames import read_training_set, to_pandas
from modelway.training.predict import scores
from modelway.workspace import Workspace


@dataclass(frozen=True)
class Reproduction:
    """What was compared; `worst` is the largest |difference| / max(1, |ŷ|) over `predictions` rows."""

    version: str
    training_set: tuple[str, str]
    environment: tuple[str, str]
    graph: tuple[str, str]
    """Of a Python model the pickled estimators, which may differ between equal trainings; what they answer may not."""
    predictions: int
    worst: float
    tolerance: float
    erased: int = 0
    """Rows that were erased from the frozen training set since."""
    missing: int = 0
    """Other rows that only one of the two training sets has."""
    differing: int = 0
    """Rows of both that are not equal: their windows counted erased events."""

    @property
    def equal(self) -> bool:
        """The same rows give the same predictions; an environment that differs is shown, and judged by what it did.

        After an erasure: the same rows, up to the erased ones. The model learned from them, so predictions are shown, not judged.
        """
        if self.erased:
            return self.missing == 0
        return self.training_set[0] == self.training_set[1] and self.worst <= self.tolerance

    def rows(self) -> list[tuple[str, str, str, str]]:
        """For a table: what, then, now, equal."""
        named = [("environment", self.environment), ("graph", self.graph)]
        lines = [(what, then[:12], now[:12], _yes(then == now)) for what, (then, now) in named]
        worst = f"worst difference {self.worst:.2g}"
        if not self.erased:
            then, now = (digest[:12] for digest in self.training_set)
            first = ("training set", then, now, _yes(then == now))
            judged = f"{worst} (≤ {self.tolerance:g})", _yes(self.worst <= self.tolerance)
            return [first, *lines, ("predictions", f"{self.predictions} rows", *judged)]
        windows = f", {self.differing} rows with windows that counted them" if self.differing else ""
        found = (
            f"equal up to {self.erased} erased rows{windows}" if self.equal else f"{self.missing} rows are not in both"
        )
        first = ("training set", f"{self.predictions} rows left", found, _yes(self.equal))
        return [first, *lines, ("predictions", f"{self.predictions} rows", f"{worst}, learned without them", "–")]


def reproduce(workspace: Workspace, name: str, tell: Tell = silent) -> Reproduction:
    """Train `MODEL@VERSION` again, or put a composition together; no search is repeated. Raises UsageError, NotFoundError."""
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
    now = making.training_set(workspace, spec, sources)
    if spec.compose is not None:
        again = composing.fitted(workspace, spec, now, sources.members)
    else:
        tell("training with the stored code and parameters", None)
        payload = order(
            now,
            spec,
            workspace.places.project(model),
            workspace.places.artifacts,
            limits_of(workspace),
            fitted,
            all_rows=fitted.refitted,
        )
        again = loads(Fit, compute(workspace.compute, f"reproduce/{version.run}", FIT, payload))
    tell("comparing", None)
    every = read_training_set(then, workspace.artifacts)
    _, erased = erasures.newest(workspace.database, runs.loaded(workspace, base, "prepare").data)
    missing, differing = _compared(every, read_training_set(now, workspace.artifacts)) if erased else (0, 0)
    before = graph_scores(workspace, candidate.graph, every, name)
    estimator = None if spec.compose is not None else load_estimator(again.estimator, workspace.artifacts)
    if candidate.graph.form != "python":
        digest = again.estimator
        if candidate.graph.form == "graph":
            digest = workspace.artifacts.put(exported_of(workspace, estimator, now).onnx)
        graph = replace(candidate.graph, graph=digest, columns=now.columns)
        stood, stands = candidate.graph.graph, graph.graph
        after = graph_scores(workspace, graph, every, f"{name}, trained again")
    else:
        stood, stands = fitted.estimator, again.estimator
        after = scores(estimator, to_pandas(every, now.columns), now.task, now.width)
    return Reproduction(
        version=name,
        training_set=(then.data, now.data),
        environment=(fitted.environment, workspace.artifacts.put(environment())),
        graph=(stood, stands),
        predictions=every.height,
        worst=float(np.max(np.abs(before - after) / np.maximum(1.0, np.abs(before)), initial=0.0)),
        tolerance=1e-9,
        erased=erased,
        missing=missing,
        differing=differing,
    )


def _compared(then: pl.DataFrame, now: pl.DataFrame) -> tuple[int, int]:
    """Keys that only one of the two has; rows of both that differ."""
    left, right = (frame.drop("_part").unique("_key", keep="last").sort("_key") for frame in (then, now))
    alone = left.join(right, on="_key", how="anti").height + right.join(left, on="_key", how="anti").height
    both = [one.join(other, on="_key", how="semi").sort("_key") for one, other in ((left, right), (right, left))]
    same = pl.select(
        pl.all_horizontal(pl.lit(both[0][name]).eq_missing(pl.lit(both[1][name])) for name in left.columns)
    ).to_series()
    return alone, int((~same).sum())


def _yes(equal: bool) -> str:
    return "yes" if equal else "no"
