"""What the tables hold of a version that serves: its answers, the columns that it computed them from, and their labels."""

import json
import logging
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
import polars as pl

from modelway.contracts.contract import from_plain
from modelway.contracts.table import check_table
from modelway.errors import GraphError, NotFoundError
from modelway.features.plan import Plan
from modelway.flow import frames
from modelway.flow.label_versions import own_labels
from modelway.flow.replayed import as_served
from modelway.flow.runs import REFIT, record
from modelway.flow.scoring import graph_scores
from modelway.flow.sources import predictions_topic
from modelway.ingest.frames import rows_frame
from modelway.ingest.predictions import SCHEMA
from modelway.monitoring.performance import Sample, sampled
from modelway.records import Manifest, Sources, Task, TrainingSet, Version, loads
from modelway.registry import versions
from modelway.spec.model import Spec
from modelway.training.classes import oddities
from modelway.training.frames import codes, read_training_set
from modelway.training.split import HOLDOUT
from modelway.validation.judged import reach
from modelway.validation.operating_point import decide
from modelway.workspace import Workspace

_log = logging.getLogger("modelway.control")
_PLACE = ("_partition", "_offset", "_index")
_MOMENT = pl.Datetime("us", "UTC")
_ASKED = {
    **{name: SCHEMA[name] for name in ("request", "index", "key", "at", "version", "status", "scores")},
    **dict.fromkeys(_PLACE, pl.Int64()),
    "_arrived": _MOMENT,
}
_NAMED = (pl.col("key").alias("_key"), pl.col("at").alias("_at"))
_ROW_BY_ROW = 1_000
"""Rows up to which windows are computed one by one, from the server's own values: for more, a table is faster."""
_MOST_ANSWERS = 100_000
"""Of a version that has answered more, the latest are looked at."""
_HELD_ROWS = 20_000
"""Rows of the holdout, the latest, that present losses are compared with."""


def answers(workspace: Workspace, spec: Spec, version: int, until: datetime) -> pl.DataFrame:
    """A version's good answers to clients that arrived until then, the latest, in that order and without their rows.

    Of a repeated one the last.
    """
    table = workspace.lake.version(predictions_topic(spec))
    if table is None:
        return pl.DataFrame(schema=_ASKED)
    good = (pl.col("version") == version) & (pl.col("status") == "ok") & ~pl.col("shadow")
    scanned = workspace.lake.scan(table).filter(good & (pl.col("_arrived") <= until)).select(*_ASKED)
    found = scanned.top_k(_MOST_ANSWERS, by="_arrived").collect()
    return found.sort(*frames.ORDER).unique(["request", "index"], keep="last", maintain_order=True)


def counts(workspace: Workspace, spec: Spec, since: datetime, until: datetime) -> dict[str, int]:
    """By status ("ok", "refused", "error", "invalid") all answers to clients that arrived in (since, until], repeated ones too."""
    table = workspace.lake.version(predictions_topic(spec))
    if table is None:
        return {}
    wanted = (pl.col("_arrived") > since) & (pl.col("_arrived") <= until) & ~pl.col("shadow")
    found = workspace.lake.scan(table).filter(wanted).group_by("status").len().collect()
    return dict(zip(found["status"].to_list(), found["len"].to_list(), strict=True))


def columns(workspace: Workspace, spec: Spec, manifest: Manifest, asked: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """The columns of the graph for answered rows, with their `scores`, in order of event time and key."""
    if not asked.height:
        return pl.DataFrame()
    table = workspace.lake.version(predictions_topic(spec))
    first, last = asked["_arrived"][0], asked["_arrived"][-1]
    between = pl.col("_arrived").is_between(first, last) & ~pl.col("shadow")
    scanned = workspace.lake.scan(table or "").filter(between).select("served", "row", "upto", *_PLACE)
    rows = asked.join(scanned.collect(), on=list(_PLACE), how="inner", maintain_order="left")
    plan = Plan.from_plain(manifest.features)
    found = as_served(workspace, manifest, plan, rows) if plan.looks_back and rows.height <= _ROW_BY_ROW else None
    if found is None:
        found = _by_engine(workspace, spec, manifest, plan, rows, now)
    return found.join(rows.select(*_PLACE, "scores"), on=list(_PLACE), how="inner").sort("_at", "_key")


def _by_engine(
    workspace: Workspace, spec: Spec, manifest: Manifest, plan: Plan, rows: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    inner = rows_frame([json.loads(text) for text in rows["row"].to_list()])
    place = rows.select(*_PLACE, pl.col("served").alias("_arrived"), *_NAMED)
    whole = place.hstack(inner.get_columns())
    sent = tuple(name for name in inner.columns if name != spec.data.target)
    contract = from_plain(manifest.contract).only(sent).by_row()
    typed = check_table(whole, contract, None).accepted
    events, tables = _events(workspace, spec, plan, typed, now), _tables(workspace, spec, now)
    found = workspace.features.compute(typed, events, plan, plan.same_instant, tables)
    return found.select(*_PLACE, "_key", "_at", *(column.name for column in manifest.columns))


def scores_of(frame: pl.DataFrame, width: int) -> np.ndarray:
    """double[N, width] of the column `scores`."""
    if not frame.height:
        return np.empty((0, width))
    return np.array([[np.nan if s is None else s for s in row] for row in frame["scores"].to_list()], dtype=float)


def final_labels(workspace: Workspace, spec: Spec, now: datetime) -> pl.DataFrame:
    """`_key`, `_label`, `_label_arrived`: labels that were sent, else those that came with the rows of the source."""
    told = frames.labels(workspace, spec, until=now)
    table = None if spec.data.labels else workspace.lake.version(spec.topic)
    if table is None:
        return told
    scanned = workspace.lake.scan(table)
    if spec.data.target not in scanned.collect_schema().names():
        return told
    rows = scanned.filter(pl.col("_arrived") <= now).select("_key", spec.data.target, *frames.ORDER).collect()
    own = own_labels(frames.newest(rows), spec.data.target)
    return pl.concat([told, own.join(told, on="_key", how="anti")])


def present(
    spec: Spec, manifest: Manifest, answered: pl.DataFrame, labels: pl.DataFrame, now: datetime
) -> Sample | None:
    """The losses of the latest answers with a final label, as many as drift looks at; of a key asked twice the first.

    Of a detector of anomalies the latest alerts.
    """
    if spec.task == "anomaly":
        labels = labels.with_columns(oddities(labels["_label"], spec.data.positive).alias("_label"))
    wait = spec.data.labels.matured_after if spec.data.labels else timedelta(0)
    once = answered.unique("key", keep="first", maintain_order=True).filter(pl.col("at") + wait <= now)
    known = once.join(labels, left_on="key", right_on="_key", how="inner", maintain_order="left").sort("at", "key")
    if spec.task == "anomaly":
        known = known.filter(decide(manifest.operating_point, scores_of(known, manifest.width)) == 1)
    latest = known.tail(spec.monitoring.drift.window)
    if not latest.height:
        return None
    scores = scores_of(latest, manifest.width)
    ahead = _ahead(latest["at"], spec.monitoring.horizon)
    return sampled(_targets(latest["_label"], manifest.classes), scores, spec.task, horizon=ahead, seed=1)


def holdout(workspace: Workspace, spec: Spec, version: Version) -> Sample | None:
    """The version's losses on its holdout; None without one (a version that no run of this workspace made).

    Of a refitted version, which has learned from those rows, the losses of the one that it repeats.
    """
    return _held(workspace, version.model, version.run.removesuffix(REFIT), spec.task, spec.monitoring.horizon)


@lru_cache(maxsize=64)
def _held(workspace: Workspace, model: str, run: str, task: Task, horizon: timedelta) -> Sample | None:
    """None too when its graph takes its process along. Kept in memory: a registered version and its holdout never change."""
    proved = versions.of_run(workspace.database, run)
    try:
        made: TrainingSet = record(workspace, run, "prepare")
    except NotFoundError:
        return None
    if proved is None:
        return None
    manifest = loads(Manifest, workspace.artifacts.get(proved.digest))
    rows = read_training_set(made, workspace.artifacts, HOLDOUT).tail(_HELD_ROWS)
    try:
        scores = graph_scores(workspace, manifest, rows, f"{model}@{proved.number}")
    except GraphError as error:
        _log.error("%s on its holdout: %s", proved, error.problem)
        return None
    target = codes(rows["_target"], made.classes).astype(float)
    if task == "anomaly":
        alerts = decide(manifest.operating_point, scores) == 1
        rows, scores, target = rows.filter(alerts), scores[alerts], target[alerts]
    return sampled(target, scores, task, horizon=_ahead(rows["_at"], horizon))


def new_labels(workspace: Workspace, version: Version, labels: pl.DataFrame) -> int:
    """How many of the labels arrived after the moment as of which the version was trained."""
    try:
        made: TrainingSet = record(workspace, version.run.removesuffix(REFIT), "prepare")
    except NotFoundError:
        return labels.height
    return int((labels["_label_arrived"] > made.as_of).sum())


def _targets(labels: pl.Series, classes: tuple[str, ...]) -> np.ndarray:
    """Places of the classes, or the numbers; NaN for a label that is neither."""
    if not classes:
        return labels.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
    places = {name: float(place) for place, name in enumerate(classes)}
    return labels.replace_strict(places, default=np.nan, return_dtype=pl.Float64).to_numpy()


def _ahead(at: pl.Series, horizon: timedelta) -> int:
    return 0 if at.null_count() else reach(at.to_list(), horizon)


def _events(workspace: Workspace, spec: Spec, plan: Plan, rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """What the windows of these rows may reach; nothing for a plan without windows."""
    if not plan.windows or not rows.height:
        return rows.clear()
    sources = Sources(now, frames.tables_of(workspace, spec), "")
    farthest = timedelta(microseconds=max(window.reach_us for window in plan.windows))
    first, last = rows["_at"].min(), rows["_at"].max()
    reached = (pl.col("_at") > pl.lit(first, _MOMENT) - farthest) & (pl.col("_at") <= pl.lit(last, _MOMENT))
    return frames.known(workspace, spec, sources).events.filter(reached)


def _tables(workspace: Workspace, spec: Spec, now: datetime) -> dict[str, pl.LazyFrame]:
    return frames.joined_as_of(workspace, spec, Sources(now, frames.tables_of(workspace, spec), ""))
