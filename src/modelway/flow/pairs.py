"""What is known about an open release, read from the predictions table and the labels: requests, errors, paired losses."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from modelway.errors import NotFoundError
from modelway.flow import frames
from modelway.flow.runs import REFIT, record
from modelway.flow.scoring import graph_scores
from modelway.flow.sources import predictions_topic
from modelway.records import Fit, Manifest, Release, TrainingSet, loads
from modelway.registry import versions
from modelway.rollout.evidence import Arm, Evidence
from modelway.rollout.losses import in_blocks, loss, terms
from modelway.spec.model import Spec
from modelway.training.classes import target_text
from modelway.training.frames import read_training_set
from modelway.training.split import HOLDOUT, TRAIN
from modelway.workspace import Workspace

_LATELY = timedelta(days=28)
_SHORTEST = timedelta(hours=1)
_HELD_ROWS = 20_000
"""Rows of the holdout, the latest, from which span and margin are found."""
_FEWEST = 30.0
"""Observations that are expected at least: fewer would only make the margin wider."""


def evidence_of(workspace: Workspace, spec: Spec, standing: Release, approved: tuple[str, ...]) -> Evidence:
    """All that a look at an open release with a champion needs; span and margin are found once, before the shadow begins."""
    now = workspace.clock.now()
    if standing.state == "waiting":
        per_day = _per_day(workspace, spec, now)
        span, margin = _terms(workspace, spec, standing, per_day)
        return Evidence(span=span, margin=margin, requests_per_day=per_day, approved=approved)
    late = _late(workspace, spec, standing)
    answered = _answered(workspace, spec, standing.started)
    challenger, champion = arms(answered, standing, late)
    manifests = {n: _manifest(workspace, spec, n) for n in _both(standing)}
    return Evidence(
        challenger=challenger,
        champion=champion,
        losses=tuple(_losses(workspace, spec, standing, answered, manifests)),
        span=float(standing.evidence.get("span", 1.0)),
        margin=float(standing.evidence.get("margin", 0.0)),
        requests_per_day=0.0 if "basis" in standing.evidence else _per_day(workspace, spec, now),
        approved=approved,
    )


def requests_per_day(answered: pl.DataFrame, now: datetime) -> float:
    """Of clients, over the time since the first one; shadow answers are no requests."""
    asked = answered.filter(~pl.col("shadow"))
    if asked.height == 0:
        return 0.0
    first: datetime = asked["served"].min()  # type: ignore[assignment]
    return asked["request"].n_unique() / (max(now - first, _SHORTEST) / timedelta(days=1))


def arms(answered: pl.DataFrame, standing: Release, late_ms: float) -> tuple[Arm, Arm]:
    """Challenger and champion since the step began: in shadow the requests that both answered, else each its own."""
    here = answered.filter(pl.col("served") > standing.moved, pl.col("version").is_in(_both(standing)))
    judged = _with_errors(here, sum(_both(standing)))
    by_request = judged.group_by("request", "version", "shadow").agg(
        pl.col("error").any(), (pl.col("ms").max() > late_ms).fill_null(False).alias("slow")
    )
    if standing.state == "shadow":
        twice = pl.col("version").n_unique().over("request") == 2
        counted = by_request.filter(twice)
    else:
        counted = by_request.filter(~pl.col("shadow"))
    made = []
    for version in _both(standing):
        mine = counted.filter(pl.col("version") == version)
        made.append(Arm(mine.height, int(mine["error"].sum()), int(mine["slow"].sum())))
    return made[0], made[1]


def pairs(answered: pl.DataFrame, standing: Release) -> pl.DataFrame:
    """One row a key that both versions answered since the release began: `_key`, `at`, `challenger`, `champion` (scores)."""
    good = answered.filter(pl.col("served") >= standing.started, pl.col("status") == "ok")
    sides = [
        good.filter(pl.col("version") == version).select("request", "index", "key", "at", "served", pl.col("scores").alias(name))
        for version, name in zip(_both(standing), ("challenger", "champion"), strict=True)
    ]  # fmt: skip
    both = sides[0].join(sides[1].select("request", "index", "champion"), on=["request", "index"], how="inner")
    first = both.sort("served", "request", "index").unique("key", keep="first", maintain_order=True)
    return first.rename({"key": "_key"}).select("_key", "at", "challenger", "champion").sort("at", "_key")


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
    known = frozenset[str]().union(*(_learned(workspace, standing.model, number) for number in _both(standing)))
    return paired.filter([key not in known for key in paired["_key"].to_list()]) if paired.height else paired


def _answered(workspace: Workspace, spec: Spec, since: datetime, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Predictions since a moment, without their inputs; of an answer that was asked for twice, the last."""
    wanted = list(columns or _SCHEMA)
    table = workspace.lake.version(predictions_topic(spec))
    if table is None:
        return pl.DataFrame(schema={name: _SCHEMA[name] for name in wanted})
    order = [name for name in frames.ORDER if name not in wanted]
    found = workspace.lake.read(table, [*wanted, *order], since=since)
    if columns is not None:
        return found
    return found.sort(*frames.ORDER).unique(["request", "index", "version"], keep="last", maintain_order=True)


def _per_day(workspace: Workspace, spec: Spec, now: datetime) -> float:
    return requests_per_day(_answered(workspace, spec, now - _LATELY, ("request", "served", "shadow")), now)


_MOMENT = pl.Datetime("us", "UTC")
_SCHEMA = {
    "request": pl.String(),
    "index": pl.Int64(),
    "key": pl.String(),
    "at": _MOMENT,
    "served": _MOMENT,
    "version": pl.Int64(),
    "shadow": pl.Boolean(),
    "status": pl.String(),
    "scores": pl.List(pl.Float64()),
    "ms": pl.Float64(),
}


def _with_errors(here: pl.DataFrame, total: int) -> pl.DataFrame:
    """`error`: the row failed, or was refused by this version while the other one answered it."""
    other = here.select(
        "request", "index", (total - pl.col("version")).alias("version"), pl.col("status").alias("_other")
    )
    refused = (pl.col("status") == "refused") & (pl.col("_other") == "ok").fill_null(False)
    return here.join(other, on=["request", "index", "version"], how="left").with_columns(
        ((pl.col("status") == "error") | refused).alias("error")
    )


def _both(standing: Release) -> tuple[int, int]:
    return standing.version, standing.champion or 0


def _late(workspace: Workspace, spec: Spec, standing: Release) -> float:
    """From how many milliseconds an answer counts as slow: the champion's 99th percentile before, with the allowed growth."""
    growth = spec.release.guard.latency_p99
    if growth is None:
        return float("inf")
    columns = ("served", "version", "shadow", "ms")
    before = _answered(workspace, spec, standing.started - _LATELY, columns).filter(
        pl.col("served") < standing.started, ~pl.col("shadow"), pl.col("version") == (standing.champion or 0)
    )
    p99 = before["ms"].drop_nulls().quantile(0.99)
    return float("inf") if p99 is None else float(p99) * (1 + growth)


def _losses(
    workspace: Workspace, spec: Spec, standing: Release, answered: pl.DataFrame, manifests: Mapping[int, Manifest]
) -> list[float]:
    found = _matured(workspace, spec, new_to_both(workspace, standing, pairs(answered, standing)))
    challenger, champion = (manifests[version].classes for version in _both(standing))
    differences: list[float] = []
    seconds: list[float] = []
    for at, label, ours, theirs in found.select("at", "_label", "challenger", "champion").iter_rows():
        a, b = loss(theirs, label, champion), loss(ours, label, challenger)
        if a is not None and b is not None:
            differences.append(a - b)
            seconds.append(at.timestamp())
    return in_blocks(differences, seconds, spec.monitoring.horizon.total_seconds())


def _matured(workspace: Workspace, spec: Spec, paired: pl.DataFrame) -> pl.DataFrame:
    """The pairs with labels that are final by now."""
    if paired.height == 0:
        return paired.with_columns(pl.lit(None, pl.String).alias("_label"))
    now = workspace.clock.now()
    wait = spec.data.labels.matured_after if spec.data.labels else timedelta(0)
    told = frames.labels(workspace, spec, until=now).select("_key", "_label")
    own = _own_labels(workspace, spec, paired["_key"])
    known = pl.concat([told, own.join(told, on="_key", how="anti")])
    matured = paired.filter(pl.col("at") + wait <= now)
    return matured.join(known, on="_key", how="inner", maintain_order="left").filter(pl.col("_label").is_not_null())


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


def _terms(workspace: Workspace, spec: Spec, standing: Release, per_day: float) -> tuple[float, float]:
    """Span and margin of the paired losses, from both graphs on the challenger's holdout."""
    at_most, horizon = spec.release.at_most, spec.monitoring.horizon
    expected = per_day * (at_most / timedelta(days=1))
    if horizon:
        expected = min(expected, at_most / horizon)
    earlier, gain = _holdout_differences(workspace, spec, standing)
    span, margin = terms(earlier, max(expected, _FEWEST), spec.release.alpha, gain / 2)
    declared = spec.release.guard.loss_margin
    return span, margin if declared is None else declared


def _holdout_differences(workspace: Workspace, spec: Spec, standing: Release) -> tuple[Sequence[float], float]:
    """loss(champion) − loss(challenger) on the holdout, in blocks, and the champion's gain over a model that knows no columns.

    Nothing when the champion's columns are not among the holdout's: then the whole range of the loss is the span.
    """
    run = versions.get(workspace.database, spec.model, standing.version).run.removesuffix(REFIT)
    try:
        made: TrainingSet = record(workspace, run, "prepare")
    except NotFoundError:
        return (), 0.0
    held = read_training_set(made, workspace.artifacts, HOLDOUT).tail(_HELD_ROWS)
    ours, theirs = (_manifest(workspace, spec, version) for version in _both(standing))
    if any(column.name not in held.columns for column in theirs.columns) or held.height == 0:
        return (), 0.0
    labels = [str(label) for label in held["_target"].to_list()]
    a, b = (_each_loss(workspace, manifest, held, labels) for manifest in (theirs, ours))
    if np.isnan(a).all() or np.isnan(b).all():
        return (), 0.0
    usable = ~(np.isnan(a) | np.isnan(b))
    d = (a - b)[usable]
    if held["_at"].null_count() == 0:
        seconds = (held["_at"].dt.epoch("us") / 1e6).to_numpy()[usable]
        order = np.argsort(seconds, kind="stable")
        d = np.array(in_blocks(d[order].tolist(), seconds[order].tolist(), spec.monitoring.horizon.total_seconds()))
    return d.tolist(), _constant_loss(labels, theirs.classes) - float(np.nanmean(a))


def _each_loss(workspace: Workspace, manifest: Manifest, held: pl.DataFrame, labels: Sequence[str]) -> np.ndarray:
    scores = graph_scores(workspace, manifest.graph, manifest.columns, held, manifest.model)
    found = (loss(row, label, manifest.classes) for row, label in zip(scores.tolist(), labels, strict=True))
    return np.array([np.nan if value is None else value for value in found])


def _constant_loss(labels: Sequence[str], classes: Sequence[str]) -> float:
    """The mean loss of the best constant answer."""
    if classes:
        shares = np.array([labels.count(name) / len(labels) for name in classes])
        return float(1 - (shares**2).sum()) / 2
    numbers = np.array([float(label) for label in labels])
    return float(np.abs(numbers - np.median(numbers)).mean())


def _manifest(workspace: Workspace, spec: Spec, number: int) -> Manifest:
    return loads(Manifest, workspace.artifacts.get(versions.get(workspace.database, spec.model, number).digest))
