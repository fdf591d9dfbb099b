"""From data to a registered version: what each step of a run is given, and the record that it makes."""

import sys
import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from modelway.contracts.contract import contract_of, to_plain
from modelway.errors import EngineError
from modelway.features.plan import Plan, plan_of
from modelway.flow import composing, feeding, frames
from modelway.flow.forms import limits_of
from modelway.flow.judging import validated
from modelway.flow.pins import pin
from modelway.flow.runs import REFIT, Work, record, spec_bytes
from modelway.flow.sending import send_files
from modelway.records import (
    Candidate,
    Fit,
    Manifest,
    OperatingPoint,
    Sources,
    TrainingSet,
    Validation,
    Version,
    dumps,
    loads,
)
from modelway.registry import versions
from modelway.spec.model import Spec
from modelway.workspace import Workspace


def gather(work: Work) -> Sources:
    """Bring in what is new, and pin the table versions and the spec that this run is made from."""
    workspace = work.workspace
    if work.run.id.endswith(REFIT):
        return _of_base(work, "ingest")
    spec = workspace.spec(work.model)
    send_files(workspace, spec, work.tell)
    feeding.ingest(workspace, spec, work.tell)
    tables = frames.tables_of(workspace, spec)
    pin(workspace.database, work.run.id, tables)
    members = composing.pinned(workspace, spec)
    return Sources(workspace.clock.now(), tables, workspace.artifacts.put(spec_bytes(spec)), members)


def prepare(work: Work) -> TrainingSet:
    """Matured rows with their features become a training set."""
    if work.run.id.endswith(REFIT):
        return _of_base(work, "prepare")
    work.tell("features", None)
    return training_set(work.workspace, work.spec, work.record("ingest"))


def training_set(workspace: Workspace, spec: Spec, sources: Sources) -> TrainingSet:
    """The rows that are learned from, with their columns, split and kept; windows of other rows are not computed."""
    from modelway.training.prepare import learnable
    from modelway.training.prepare import prepare as keep

    plan, found = plan_of(spec), frames.known(workspace, spec, sources)
    decisions, without = learnable(found.decisions, spec, found.too_young)
    return keep(
        frames.with_features(workspace, spec, plan, replace(found, decisions=decisions)),
        spec,
        plan.columns,
        sources.tables,
        sources.as_of,
        workspace.artifacts,
        audit=audited(spec),
        too_young=without,
        learned=composing.learned(workspace, sources.members),
    )


def train(work: Work) -> Fit:
    """Fit in a process of its own; a refit repeats code and parameters on all matured rows. A composition is put together."""
    from modelway.compute.port import run as compute
    from modelway.training.task import FIT, Word, order

    workspace, spec = work.workspace, work.spec
    if spec.compose is not None:
        return composing.fitted(workspace, spec, work.record("prepare"), work.record("ingest").members)
    fitted = _of_base(work, "train") if work.run.id.endswith(REFIT) else None
    payload = order(
        work.record("prepare"),
        spec,
        workspace.places.project(work.model),
        workspace.places.artifacts,
        limits_of(workspace),
        fitted,
        all_rows=True if fitted else None,
    )

    def heard(word: bytes) -> None:
        said = loads(Word, word)
        if said.progress is not None:
            work.tell("training: search", said.progress.done / max(1, said.progress.of))

    work.tell("training", None)
    warm_up(workspace)
    return loads(Fit, compute(workspace.compute, f"{work.run.id}/train", FIT, payload, heard))


def warm_up(workspace: Workspace) -> None:
    """Open the tracking store beside the training, which is another process: its first use takes seconds."""
    if "mlflow" not in sys.modules:
        threading.Thread(target=_open_tracking, args=(workspace,), name="open tracking", daemon=True).start()


def _open_tracking(workspace: Workspace) -> None:
    with suppress(EngineError):  # who uses it is told
        workspace.tracking.ping()


def export(work: Work) -> Candidate:
    """What answers for the estimator, proved against it, with its operating point and the profile for drift."""
    from modelway.flow.proving import proved
    from modelway.monitoring.profile import profile
    from modelway.training.fit import load_estimator
    from modelway.training.frames import read_training_set, to_pandas
    from modelway.training.predict import scores
    from modelway.training.split import HOLDOUT, TRAIN

    workspace, spec, made = work.workspace, work.spec, work.record("prepare")
    fitted: Fit = work.record("train")
    if spec.compose is not None:
        return _composed(work, made, fitted)
    estimator = load_estimator(fitted.estimator, workspace.artifacts)
    held = read_training_set(made, workspace.artifacts, HOLDOUT)
    point = operating_point(work, spec, made, scores(estimator, to_pandas(held, made.columns), made.task, made.width))
    graph = proved(workspace, spec, made, fitted, estimator, point, work.tell)
    learned = read_training_set(made, workspace.artifacts, TRAIN)
    learned_scores = scores(estimator, to_pandas(learned, made.columns), made.task, made.width)
    reference = workspace.artifacts.put(profile(learned, made.columns, learned_scores, made.classes))
    return Candidate(graph, point, reference)


def _composed(work: Work, made: TrainingSet, fitted: Fit) -> Candidate:
    """As `export` does, with what the members answer together in place of an estimator."""
    from modelway.flow.scoring import graph_scores
    from modelway.monitoring.profile import profile
    from modelway.training.frames import read_training_set
    from modelway.training.split import HOLDOUT, TRAIN

    workspace, spec = work.workspace, work.spec
    held, learned = (read_training_set(made, workspace.artifacts, part) for part in (HOLDOUT, TRAIN))
    work.tell("asking the members", None)
    graph = composing.proved(workspace, spec, made, fitted, work.record("ingest").members, held)
    point = operating_point(work, spec, made, graph_scores(workspace, graph, held, work.run.id))
    reference = profile(learned, made.columns, graph_scores(workspace, graph, learned, work.run.id), made.classes)
    return Candidate(graph, point, workspace.artifacts.put(reference))


def operating_point(work: Work, spec: Spec, made: TrainingSet, scored: np.ndarray) -> OperatingPoint:
    """Chosen on the holdout; a refitted version keeps the point of the one that was proved."""
    from modelway.training.frames import codes, read_audit, read_training_set
    from modelway.training.split import HOLDOUT
    from modelway.validation.operating_point import choose

    if work.run.id.endswith(REFIT):
        base: Candidate = _of_base(work, "export")
        return base.operating_point
    held = read_training_set(made, work.workspace.artifacts, HOLDOUT)
    audit = held.select("_key").join(
        read_audit(made, work.workspace.artifacts), on="_key", how="left", maintain_order="left"
    )
    return choose(spec.decision, codes(held["_target"], made.classes), scored, made.classes, audit)


def validate(work: Work) -> Validation:
    """All gates on the holdout, against the baseline and, on rows new to both, against the champion."""
    work.tell("validating", None)
    if work.run.id.endswith(REFIT):
        return _of_base(work, "validate")
    return validated(work)


def register(work: Work) -> Version:
    """The manifest becomes a version, accepted or refused; both are kept."""
    workspace = work.workspace
    validation: Validation = work.record("validate")
    digest = workspace.artifacts.put(dumps(manifest_of(work)))
    return versions.register(
        workspace.database,
        work.model,
        work.run.id,
        digest,
        validation,
        workspace.clock.now(),
        work.lease,
        who=work.run.trigger.who,
    )


def manifest_of(work: Work) -> Manifest:
    """Everything that is served, released and rolled back as one."""
    spec, made, candidate = work.spec, work.record("prepare"), work.record("export")
    plan: Plan = plan_of(spec)
    return Manifest(
        model=spec.model,
        task=spec.task,
        graph=candidate.graph.graph,
        columns=made.columns,
        classes=made.classes,
        exactness=candidate.graph.exactness,
        contract=to_plain(contract_of(spec)),
        features=plan.to_plain(),
        operating_point=candidate.operating_point,
        key=spec.data.key or "",
        event_time=spec.data.event_time or "",
        entities=spec.data.entities,
        spec=work.record("ingest").spec,
        reference=candidate.reference,
        refuses=candidate.graph.refuses,
        form=candidate.graph.form,
    )


def tell_tracking(work: Work) -> str:
    """Tell the tracking server what the run did; every call may be repeated. Returns the tracking run."""
    from modelway.training import journal

    workspace, tracking = work.workspace, work.workspace.tracking
    version: Version = work.record("register")
    made, fitted = work.record("prepare"), work.record("train")
    tracked = journal.begin(tracking, work.model, work.run.id, work.run.trigger, work.run.created)
    journal.tell_training(tracking, tracked, made, fitted, workspace.artifacts)
    journal.tell_validation(tracking, tracked, version.validation, manifest_of(work))
    for name, figure in _figures(work, made, fitted).items():
        tracking.file(tracked, name, figure)
    tracking.register(
        work.model, version.number, tracked, {"modelway.digest": version.digest, "modelway.run": work.run.id}
    )
    tracking.finish(tracked, workspace.clock.now())
    return tracked


def _figures(work: Work, made: TrainingSet, fitted: Fit) -> dict[str, bytes]:
    """By file name: plots of the candidate on its holdout; of a composition what it is made of."""
    from modelway.training import journal

    artifacts = work.workspace.artifacts
    if work.spec.compose is not None:
        return {"composition.json": artifacts.get(fitted.estimator)}
    drawn = journal.holdout_figures(made, fitted, artifacts)
    return {f"plots/{name}": figure for name, figure in drawn.items()}


def audited(spec: Spec) -> list[str]:
    """Columns that are kept beside the training set: protected ones, and the amounts that costs refer to."""
    cost = spec.decision.cost
    amounts = [c for c in (cost.false_positive, cost.false_negative) if isinstance(c, str)]
    groups = [gate.by for gate in spec.gates if gate.by]
    return list(dict.fromkeys([*spec.data.protected, *groups, *amounts, *spec.data.entities]))


def _of_base(work: Work, name: str) -> Any:
    return record(work.workspace, work.run.id.removesuffix(REFIT), name)


DO = {
    "ingest": gather,
    "prepare": prepare,
    "train": train,
    "export": export,
    "validate": validate,
    "register": register,
}
