"""What the arms of an experiment did, read from the predictions table and the labels: counts at a look, and all for its report."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import polars as pl

from modelway.flow.arms import ERROR, SETTLING, UNUSABLE
from modelway.flow.gathered import look_at_arms
from modelway.flow.pairs import manifest_of, matured, new_to_all
from modelway.flow.release_rows import answered
from modelway.records import Experiment, Manifest
from modelway.rollout.experiment import Seen
from modelway.rollout.experiment_report import ERRORS, LOSS, Measure, Report, report
from modelway.rollout.losses import loss
from modelway.spec.model import Spec
from modelway.workspace import Workspace


def seen(workspace: Workspace, spec: Spec, standing: Experiment) -> Seen:
    """Since the shares changed last, or since it began to start."""
    versions, sampled = arms_of(standing), float(standing.evidence["sampled"])
    since = _stretches(standing)[0] if "stretches" in standing.evidence else standing.moved
    found = look_at_arms(workspace, spec, standing, versions, since, sampled)
    by_unit, by_request = found[: len(versions)], found[len(versions) :]
    return Seen(
        dict(zip(versions, by_unit, strict=True)),
        {number: arm.requests for number, arm in zip(versions, by_request, strict=True)},
        "requests" if spec.sticky is None else "callers",
    )


def arms_of(standing: Experiment) -> tuple[int, ...]:
    """The champion first."""
    return standing.champion, *(int(name) for name in standing.shares)


def reported(workspace: Workspace, spec: Spec, standing: Experiment, void: str) -> Report:
    """Of an experiment that is over; `void`: why nothing may be concluded from it."""
    versions = arms_of(standing)
    rows = _rows(workspace, spec, standing, versions)
    manifests = {number: manifest_of(workspace, spec, number) for number in versions}
    asked = rows.group_by("request", "version").agg(
        pl.col("bad").any(), pl.col("ms").max(), pl.col("stretch").min(), pl.col("caller").first()
    )
    by_request = asked.with_columns(unit=pl.coalesce("caller", pl.concat_str(pl.lit("\0"), "request")))
    failed = _by_unit(by_request.with_columns(value=pl.col("bad").cast(pl.Float64)), pl.col("value").max())
    measures = [Measure(ERRORS, failed), *_scores(rows, manifests), _losses(workspace, spec, rows, manifests)]
    took = {}
    for number in versions:
        ms = asked.filter(pl.col("version") == number)["ms"]
        took[number] = ms.len(), ms.fill_null(float("nan")).to_numpy()
    unit, alpha = "requests" if spec.sticky is None else "callers", float(standing.evidence["alpha"])
    stopped = [int(name) for name in standing.stopped]
    return report(spec.model, standing.champion, versions, stopped, measures, took, unit, alpha, void)


def _rows(workspace: Workspace, spec: Spec, standing: Experiment, versions: Sequence[int]) -> pl.DataFrame:
    """The answers of clients' requests, each in its stretch; those that came while servers learned of new shares are left out."""
    stretches = _stretches(standing)
    rows = answered(workspace, spec, stretches[0], float(standing.evidence["sampled"])).filter(
        ~pl.col("pinned"), ~pl.col("shadow"), pl.col("version").is_in(versions), pl.col("served") <= standing.moved
    )
    place, learning = pl.lit(-1), pl.lit(False)
    for since in stretches:
        place += (pl.col("served") > since).cast(pl.Int32)
        learning |= pl.col("served").is_between(since, since + SETTLING)
    named = rows.filter(~learning).with_columns(stretch=place, bad=ERROR | UNUSABLE)
    return named.filter(pl.col("stretch") >= 0)


def _stretches(standing: Experiment) -> list[datetime]:
    return [datetime.fromisoformat(one["since"]) for one in standing.evidence["stretches"]]


def _by_unit(rows: pl.DataFrame, made: pl.Expr) -> dict[int, dict[int, np.ndarray]]:
    """One `value` a `unit`, of the stretch in which it was first seen: so that no unit is in two."""
    first = rows.filter(pl.col("stretch") == pl.col("stretch").min().over("unit"))
    found = first.group_by("version", "stretch", "unit").agg(made)
    by: dict[int, dict[int, np.ndarray]] = {}
    for (version, stretch), part in found.partition_by("version", "stretch", as_dict=True).items():
        by.setdefault(version, {})[stretch] = part["value"].to_numpy()
    return by


def _scores(rows: pl.DataFrame, manifests: Mapping[int, Manifest]) -> list[Measure]:
    """Of each class but the first, or of the number; none where the arms do not tell the same classes apart."""
    one = next(iter(manifests.values()))
    classes, width = one.classes, one.width
    if any(manifest.classes != classes for manifest in manifests.values()):
        return []
    good = _of_keys(rows.filter(pl.col("status") == "ok", pl.col("scores").list.len() == width))
    measures = []
    for place in range(min(1, width - 1), width):
        name = "score" if len(classes) < 3 else f"score of {classes[place]}"
        values = good.with_columns(value=pl.col("scores").list.get(place)).filter(pl.col("value").is_finite())
        measures.append(Measure(name, _by_unit(values, pl.col("value").mean())))
    return measures


def _losses(workspace: Workspace, spec: Spec, rows: pl.DataFrame, manifests: Mapping[int, Manifest]) -> Measure:
    """On rows with matured labels that no arm has learned from; labels that overlap in time count by the stretch of time."""
    good = rows.filter(pl.col("status") == "ok").rename({"key": "_key"})
    found = matured(workspace, spec, new_to_all(workspace, spec.model, list(manifests), good)).rename({"_key": "key"})
    values = [
        loss(scores, label, manifests[version].classes)
        for scores, label, version in found.select("scores", "_label", "version").iter_rows()
    ]
    known = _of_keys(found.with_columns(value=pl.Series(values, dtype=pl.Float64)).drop_nulls("value"))
    if horizon := spec.monitoring.horizon.total_seconds():
        block = pl.col("at").dt.epoch("s") // int(max(horizon, 1))
        known = known.with_columns(unit=pl.concat_str("version", pl.lit("/"), block))
    return Measure(LOSS, _by_unit(known, pl.col("value").mean()))


def _of_keys(rows: pl.DataFrame) -> pl.DataFrame:
    """Units of values: callers, and where there is none keys, each for the version that answered."""
    key = pl.concat_str(pl.lit("\0"), "version", pl.lit("/"), "key")
    return rows.with_columns(unit=pl.coalesce("caller", key))
