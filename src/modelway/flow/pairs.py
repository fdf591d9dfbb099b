"""What is known about a release, read from the predictions table and the labels: counts of both arms, paired losses and scores."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from modelway.errors import GraphError, NotFoundError
from modelway.flow import frames
from modelway.flow.gathered import lately, look
from modelway.flow.rehearsing import why_rehearsal_failed
from modelway.flow.release_rows import looked_at, requests_per_day, thresholds
from modelway.flow.runs import REFIT, record
from modelway.flow.scoring import graph_scores
from modelway.records import Fit, Manifest, Release, TrainingSet, loads
from modelway.registry import versions
from modelway.rollout.evidence import Evidence
from modelway.rollout.losses import in_blocks, loss, terms
from modelway.spec.model import Spec
from modelway.training.classes import target_text
from modelway.training.frames import read_training_set
from modelway.training.split import HOLDOUT, TRAIN
from modelway.workspace import Workspace

_log = logging.getLogger("modelway.control")
_HELD_ROWS = 20_000
"""Rows of the holdout, the latest, from which span and margin are found."""
_FEWEST = 30.0
"""Observations that are expected at least: fewer would only make the margin wider."""
_SCORED = 20_000
"""Pairs of scores that are compared at the most, the first ones."""


def evidence_of(workspace: Workspace, spec: Spec, standing: Release, approved: tuple[str, ...]) -> Evidence:
    """All that a look at an open release with a champion needs; span and margin are found once, before the shadow begins."""
    now, has_losses = workspace.clock.now(), spec.task != "anomaly"
    if standing.state == "waiting":
        per_day = lately(workspace, spec.model, "per day", lambda: requests_per_day(workspace, spec, now))
        held = _held_differences(workspace, spec, standing)
        span, margin = _terms(spec, held, per_day)
        return Evidence(
            span=span,
            margin=margin,
            has_losses=has_losses,
            score_span=held.score_span,
            requests_per_day=per_day,
            sampled=looked_at(per_day, spec.release),
            rehearsed=why_rehearsal_failed(workspace, spec, standing),
            approved=approved,
        )
    slow_ms = _slow_ms(workspace, spec, standing)
    sampled = float(standing.evidence.get("sampled", 1.0))
    found = look(workspace, spec, standing, slow_ms, sampled)
    (challenger, champion), paired = found.arms, found.pairs
    manifests = {n: manifest_of(workspace, spec, n) for n in _both(standing)}
    per_day = 0.0
    if "basis" not in standing.evidence:
        per_day = lately(workspace, spec.model, "per day", lambda: requests_per_day(workspace, spec, now))
    return Evidence(
        challenger=challenger,
        champion=champion,
        unit="callers" if spec.sticky is not None else "requests",
        slow_ms=slow_ms,
        losses=tuple(_losses(workspace, spec, standing, paired, manifests)) if has_losses else (),
        has_losses=has_losses,
        span=float(standing.evidence.get("span", 1.0)),
        margin=float(standing.evidence.get("margin", 0.0)),
        scores=() if spec.release.guard.scores is None else moved_scores(paired, *manifests.values()),
        score_span=float(standing.evidence.get("score_span", 1.0)),
        sampled=sampled,
        requests_per_day=per_day,
        approved=approved,
    )


def _slow_ms(workspace: Workspace, spec: Spec, standing: Release) -> tuple[tuple[float, float], ...]:
    """Thresholds of latency: those that the canary began with; before it, those that would be now."""
    if standing.state in ("canary", "full"):
        return tuple((float(a), float(b)) for a, b in standing.evidence.get("slow_ms", ()))
    return lately(workspace, spec.model, f"slow {standing.id}", lambda: thresholds(workspace, spec, standing))


def moved_scores(paired: pl.DataFrame, challenger: Manifest, champion: Manifest) -> tuple[tuple[float, ...], ...]:
    """score(challenger) − score(champion), by class but the first, or of the number; of one caller the first pair alone.

    The first so many pairs are enough. None where the two do not tell the same classes apart.
    """
    if challenger.classes != champion.classes:
        return ()
    one_each = paired.filter(pl.col("caller").is_null() | pl.col("caller").is_first_distinct()).head(_SCORED)
    width = champion.width
    places = range(min(1, width - 1), width)
    ours, theirs = (_table(one_each[name], width) for name in ("challenger", "champion"))
    moved = ours - theirs
    usable = moved[np.isfinite(moved).all(axis=1)]
    return tuple(tuple(usable[:, place].tolist()) for place in places)


def _table(scores: pl.Series, width: int) -> np.ndarray:
    """double[n, width]; a row of another width is NaN."""
    rows = (
        ([math.nan if s is None else s for s in row] if len(row) == width else [math.nan] * width) for row in scores
    )
    return np.array([*rows], dtype=float).reshape(len(scores), width)


@lru_cache(maxsize=32)
def _learned(workspace: Workspace, model: str, number: int) -> frozenset[str]:
    """Keys of the rows that a version has learned from: on them it proves nothing. A registered version never changes."""
    version = versions.get(workspace.database, model, number)
    try:
        made: TrainingSet = record(workspace, version.run, "prepare")
        fitted: Fit = record(workspace, version.run, "train")
    except NotFoundError:
        return frozenset()  # no run of this workspace made it
    rows = read_training_set(made, workspace.artifacts, "" if fitted.refitted else TRAIN)
    return frozenset(rows["_key"].to_list())


def new_to_both(workspace: Workspace, standing: Release, paired: pl.DataFrame) -> pl.DataFrame:
    """The pairs on rows that neither version has learned from."""
    return new_to_all(workspace, standing.model, _both(standing), paired)


def new_to_all(workspace: Workspace, model: str, numbers: Sequence[int], paired: pl.DataFrame) -> pl.DataFrame:
    """The rows that none of the versions has learned from."""
    known = frozenset[str]().union(*(_learned(workspace, model, number) for number in numbers))
    return paired.filter([key not in known for key in paired["_key"].to_list()]) if paired.height else paired


def _both(standing: Release) -> tuple[int, int]:
    return standing.version, standing.champion or 0


def _losses(
    workspace: Workspace, spec: Spec, standing: Release, paired: pl.DataFrame, manifests: Mapping[int, Manifest]
) -> list[float]:
    found = matured(workspace, spec, new_to_both(workspace, standing, paired))
    challenger, champion = (manifests[version].classes for version in _both(standing))
    differences: list[float] = []
    seconds: list[float] = []
    for at, label, ours, theirs in found.select("at", "_label", "challenger", "champion").iter_rows():
        a, b = loss(theirs, label, champion), loss(ours, label, challenger)
        if a is not None and b is not None:
            differences.append(a - b)
            seconds.append(at.timestamp())
    return in_blocks(differences, seconds, spec.monitoring.horizon.total_seconds())


def matured(workspace: Workspace, spec: Spec, paired: pl.DataFrame) -> pl.DataFrame:
    """The rows (`_key`, `at`) with labels that are final by now."""
    if paired.height == 0:
        return paired.with_columns(pl.lit(None, pl.String).alias("_label"))
    now = workspace.clock.now()
    wait = spec.data.labels.matured_after if spec.data.labels else timedelta(0)
    told = frames.labels(workspace, spec, until=now).select("_key", "_label")
    own = _own_labels(workspace, spec, paired["_key"])
    known = pl.concat([told, own.join(told, on="_key", how="anti")])
    old_enough = paired.filter(pl.col("at") + wait <= now).sort("at", "_key")
    return old_enough.join(known, on="_key", how="inner", maintain_order="left").filter(pl.col("_label").is_not_null())


def _own_labels(workspace: Workspace, spec: Spec, keys: pl.Series) -> pl.DataFrame:
    """Labels that came with the rows of the source, where the spec names no other place."""
    table = None if spec.data.labels else workspace.lake.version(spec.topic)
    if table is None:
        return pl.DataFrame(schema={"_key": pl.String, "_label": pl.String})
    scanned = workspace.lake.scan(table)
    if spec.data.target not in scanned.collect_schema().names():
        return pl.DataFrame(schema={"_key": pl.String, "_label": pl.String})
    rows = (
        scanned.filter(pl.col("_key").is_in(keys.implode())).select("_key", spec.data.target, *frames.ORDER).collect()
    )
    newest = frames.newest(rows)
    return newest.select("_key", target_text(newest[spec.data.target]).alias("_label"))


@dataclass(frozen=True)
class _Held:
    """Both graphs on the challenger's holdout: loss(champion) − loss(challenger), in blocks, and the champion's gain over a model
    that knows no columns; how far their scores lie apart."""

    differences: Sequence[float] = ()
    gain: float = 0.0
    score_span: float = 1.0


def _terms(spec: Spec, held: _Held, per_day: float) -> tuple[float, float]:
    """Span and margin of the paired losses."""
    at_most, horizon = spec.release.at_most, spec.monitoring.horizon
    expected = per_day * (at_most / timedelta(days=1))
    if horizon:
        expected = min(expected, at_most / horizon)
    span, margin = terms(held.differences, max(expected, _FEWEST), spec.release.alpha, held.gain / 2)
    declared = spec.release.guard.loss_margin
    return span, margin if declared is None else declared


def _held_differences(workspace: Workspace, spec: Spec, standing: Release) -> _Held:
    """Nothing when the champion's columns are not among the holdout's, or a graph takes its process along on them: then the whole
    range of the loss is the span."""
    run = versions.get(workspace.database, spec.model, standing.version).run.removesuffix(REFIT)
    try:
        made: TrainingSet = record(workspace, run, "prepare")
    except NotFoundError:
        return _Held()
    held = read_training_set(made, workspace.artifacts, HOLDOUT).tail(_HELD_ROWS)
    ours, theirs = (manifest_of(workspace, spec, version) for version in _both(standing))
    if any(column.name not in held.columns for column in theirs.columns) or held.height == 0:
        return _Held()
    labels = [str(label) for label in held["_target"].to_list()]
    a, b = (_held_scores(workspace, spec.model, version, made) for version in reversed(_both(standing)))
    if a is None or b is None:
        return _Held()
    apart = _score_span(a, b, spec, theirs)
    loss_a, loss_b = _each_loss(a, labels, theirs.classes), _each_loss(b, labels, ours.classes)
    if np.isnan(loss_a).all() or np.isnan(loss_b).all():
        return _Held(score_span=apart)
    usable = ~(np.isnan(loss_a) | np.isnan(loss_b))
    d = (loss_a - loss_b)[usable]
    if held["_at"].null_count() == 0:
        seconds = (held["_at"].dt.epoch("us") / 1e6).to_numpy()[usable]
        order = np.argsort(seconds, kind="stable")
        d = np.array(in_blocks(d[order].tolist(), seconds[order].tolist(), spec.monitoring.horizon.total_seconds()))
    gain = _constant_loss(labels, theirs.classes) - float(np.nanmean(loss_a))
    return _Held(d.tolist(), gain, apart)


@lru_cache(maxsize=32)
def _held_scores(workspace: Workspace, model: str, number: int, made: TrainingSet) -> np.ndarray | None:
    """None when the graph takes its process along.

    Kept in memory: a release that waits for approval is looked at each second, and a process takes seconds to start, or to stop.
    """
    held = read_training_set(made, workspace.artifacts, HOLDOUT).tail(_HELD_ROWS)
    version = versions.get(workspace.database, model, number)
    try:
        return graph_scores(workspace, loads(Manifest, workspace.artifacts.get(version.digest)), held, str(version))
    except GraphError as error:
        _log.error("%s on its holdout: %s", version, error.problem)
        return None


def _score_span(a: np.ndarray, b: np.ndarray, spec: Spec, champion: Manifest) -> float:
    """Probabilities differ by 1 at the most; numbers by what they do on the holdout, and a half, and never less than the margin."""
    margin = spec.release.guard.scores
    if champion.width > 1 or margin is None:
        return 1.0
    apart = np.abs(b - a)
    return max(1.5 * float(apart[np.isfinite(apart)].max(initial=0.0)), 2 * margin)


def _each_loss(scores: np.ndarray, labels: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    found = (loss(row, label, classes) for row, label in zip(scores.tolist(), labels, strict=True))
    return np.array([np.nan if value is None else value for value in found])


def _constant_loss(labels: Sequence[str], classes: Sequence[str]) -> float:
    """The mean loss of the best constant answer."""
    if classes:
        shares = np.array([labels.count(name) / len(labels) for name in classes])
        return float(1 - (shares**2).sum()) / 2
    numbers = np.array([float(label) for label in labels])
    return float(np.abs(numbers - np.median(numbers)).mean())


def manifest_of(workspace: Workspace, spec: Spec, number: int) -> Manifest:
    return loads(Manifest, workspace.artifacts.get(versions.get(workspace.database, spec.model, number).digest))
