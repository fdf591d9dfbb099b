"""A candidate before its gates: scored by its own graph on its holdout, and the champion's graph on the same rows."""

from typing import Any

import numpy as np
import polars as pl

from modelway.errors import GraphError
from modelway.features.plan import Plan, plan_of
from modelway.flow import frames
from modelway.flow.forms import open_run
from modelway.flow.runs import Work, record, spec_of
from modelway.flow.scoring import graph_scores, run_scores
from modelway.isolation.offline import Offline
from modelway.records import Candidate, Fit, Manifest, TrainingSet, Validation, Verdict, loads
from modelway.registry import versions
from modelway.serving.onnxruntime import Run
from modelway.spec.model import Spec
from modelway.state import champions
from modelway.training.frames import codes, read_audit, read_training_set
from modelway.training.prepare import splits_by_time
from modelway.training.split import HOLDOUT, TRAIN
from modelway.validation.gates import validate
from modelway.validation.judged import Judged
from modelway.validation.latency import measure
from modelway.workspace import Workspace


def validated(work: Work) -> Validation:
    """Every gate on the holdout; comparisons with the champion on rows that are new to both.

    A graph that takes its process along on the way is refused for that alone.
    """
    workspace, spec, made, candidate = work.workspace, work.spec, work.record("prepare"), work.record("export")
    held = read_training_set(made, workspace.artifacts, HOLDOUT)
    try:
        run = open_run(workspace, candidate.graph, work.run.id, patient=True)
        scores, latency = run_scores(run, candidate.graph.columns, held), _latency(workspace, candidate, run, held)
    except GraphError as error:
        return Validation((), (Verdict("graph", "fail", error.problem),), candidate.operating_point)
    judged = _candidate(workspace, spec, made, scores, held)
    rival, new = None, None
    champion = _champion(workspace, work.model)
    if champion is not None:
        number, manifest, made_by = champion
        work.tell("scoring the champion on the same rows", None)
        rows = champion_rows(work, spec, manifest, held)
        theirs = graph_scores(workspace, manifest, rows, f"{work.model}@{number}")
        target = codes(held["_target"], made.classes)
        rival = Judged(
            held["_key"].to_list(), target, theirs, manifest.classes, operating_point=manifest.operating_point
        )
        new = new_to(workspace, spec, made_by, held)
    work.tell("gates", None)
    return validate(
        spec,
        judged,
        champion=rival,
        comparable=new,
        latency_ms=latency,
        operating_point=candidate.operating_point,
        seed=spec.training.seed,
    )


def _candidate(workspace: Workspace, spec: Spec, made: TrainingSet, scores: np.ndarray, held: pl.DataFrame) -> Judged:
    """The candidate's own scores on its holdout, with all that the gates ask of the rows."""
    learned = read_training_set(made, workspace.artifacts, TRAIN)
    targets = codes(learned["_target"], made.classes)
    seen = targets[targets >= 0] if made.classes else targets
    audit = held.select("_key").join(
        read_audit(made, workspace.artifacts), on="_key", how="left", maintain_order="left"
    )
    entity = [name for name in spec.data.entities if name in audit.columns]
    return Judged(
        keys=held["_key"].to_list(),
        target=codes(held["_target"], made.classes),
        scores=scores,
        classes=made.classes,
        train_target=np.bincount(seen, minlength=len(made.classes)) if made.classes else np.array([seen.mean()]),
        at=None if held["_at"].null_count() else held["_at"].to_list(),
        clusters=_clusters(audit, entity) if entity else None,
        audit=audit,
    )


def _clusters(audit: pl.DataFrame, entity: list[str]) -> np.ndarray:
    named = audit.select(pl.concat_str([pl.col(c).cast(pl.String).fill_null("") for c in entity], separator="\x1f"))
    return named.to_series().to_numpy()


def _champion(workspace: Workspace, model: str) -> tuple[int, Manifest, str] | None:
    """The version that serves: its number, its manifest, the run that made it."""
    with workspace.database.read() as connection:
        number = champions.champion(connection, model)
    if number is None:
        return None
    version = versions.get(workspace.database, model, number)
    return number, loads(Manifest, workspace.artifacts.get(version.digest)), version.run


def champion_rows(work: Work, spec: Spec, manifest: Manifest, held: pl.DataFrame) -> pl.DataFrame:
    """The holdout's rows with the champion's columns: as they are when both compute the same, else computed anew."""
    theirs = spec_of(work.workspace, manifest.spec)
    plan = Plan.from_plain(manifest.features)
    if plan == plan_of(spec) and theirs.contract == spec.contract:
        return held
    found = frames.known(work.workspace, spec, work.record("ingest"))
    wanted = found.decisions.join(held.select("_key"), on="_key", how="semi")
    rows = work.workspace.features.compute(wanted, found.events, plan, plan.same_instant, found.tables)
    return held.select("_key").join(rows, on="_key", how="left", maintain_order="left")


def new_to(workspace: Workspace, spec: Spec, run: str, held: pl.DataFrame) -> np.ndarray:
    """bool[N]: rows later than all that the run learned from (and the gap), or, without event time, rows it never saw."""
    made: TrainingSet = record(workspace, run, "prepare")
    fitted: Fit = record(workspace, run, "train")
    learned = read_training_set(made, workspace.artifacts, "" if fitted.refitted else TRAIN)
    if splits_by_time(spec) and not held["_at"].null_count() and not learned["_at"].null_count():
        last: Any = learned["_at"].max()
        return (held["_at"] > last + spec.training.gap).to_numpy()
    return (~held["_key"].is_in(learned["_key"].implode())).to_numpy()


def _latency(workspace: Workspace, candidate: Candidate, run: Run, held: pl.DataFrame) -> dict[str, float]:
    """Of the candidate on one row, as the server calls it: without the way to the process that its graph has here alone.

    A composition's members have passed their gates, and are asked in this process.
    """
    from modelway.training.frames import normalised

    columns = candidate.graph.columns
    row = normalised(held.head(1), columns)
    numbers = [list(values) for values in row.select(c.name for c in columns if c.kind == "number").iter_rows()] or [[]]
    words = [list(values) for values in row.select(c.name for c in columns if c.kind == "word").iter_rows()] or [[]]
    if isinstance(run, Offline):
        return measure(lambda: run(numbers, words), way=run.way)
    served = open_run(workspace, candidate.graph, "the candidate")
    return measure(lambda: served(numbers, words))
