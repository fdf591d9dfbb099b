"""What a run tells the tracking server: parameters, figures with intervals, data versions, environment, plots, manifest."""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from modelway.artifacts.store import ArtifactStore
from modelway.records import Fit, Manifest, Metric, TrainingSet, Trigger, Validation, dumps
from modelway.training.fit import load_estimator
from modelway.training.frames import codes, read_training_set
from modelway.training.importance import importance
from modelway.training.plots import figures
from modelway.training.predict import scores
from modelway.training.split import HOLDOUT
from modelway.training.tracking import Tracking


def begin(tracking: Tracking, model: str, run: str, trigger: Trigger, at: datetime) -> str:
    """The tracking run of our run, with why it exists."""
    return tracking.start(
        model,
        run,
        at,
        {"modelway.trigger": trigger.kind, "modelway.reason": trigger.reason, "modelway.who": trigger.who},
    )


def tell_training(
    tracking: Tracking, tracked: str, training_set: TrainingSet, fitted: Fit, artifacts: ArtifactStore
) -> None:
    """What went in: data versions, split, parameters, code and environment."""
    tracking.log(
        tracked,
        params=fitted.params,
        metrics={
            "rows.train": training_set.train_rows,
            "rows.holdout": training_set.holdout_rows,
            "rows.too_young": training_set.too_young,
            "search.trials": fitted.trials,
            "fit.seconds": fitted.seconds,
        },
        tags={
            "modelway.data": ", ".join(str(table) for table in training_set.tables),
            "modelway.training_set": training_set.data,
            "modelway.as_of": training_set.as_of.isoformat(),
            "modelway.code": fitted.code,
            "modelway.environment": fitted.environment,
            "modelway.empty_columns": ", ".join(training_set.empty),
            "modelway.refitted": str(fitted.refitted).lower(),
        },
    )
    tracking.file(tracked, "training_set.json", dumps(training_set))
    tracking.file(tracked, "environment.json", artifacts.get(fitted.environment))
    tracking.file(tracked, "code.json", artifacts.get(fitted.code))


def tell_validation(tracking: Tracking, tracked: str, validation: Validation, manifest: Manifest | None = None) -> None:
    """What came out: every figure with its interval, every verdict, and the manifest."""
    tracking.log(
        tracked,
        metrics=metric_lines(validation.metrics),
        tags={
            "modelway.accepted": str(validation.accepted).lower(),
            **{f"modelway.gate.{v.gate}": f"{v.outcome}: {v.reason}"[:4000] for v in validation.verdicts},
        },
    )
    tracking.file(tracked, "validation.json", dumps(validation))
    if manifest is not None:
        tracking.file(tracked, "model/manifest.json", dumps(manifest))


def metric_lines(metrics: tuple[Metric, ...]) -> Mapping[str, float | None]:
    """`holdout.roc_auc`, `holdout.roc_auc.low`, `holdout.roc_auc.high`."""
    lines: dict[str, float | None] = {}
    for metric in metrics:
        name = f"{metric.part}.{metric.name}"
        lines |= {name: metric.value, f"{name}.low": metric.low, f"{name}.high": metric.high}
    return lines


def holdout_figures(training_set: TrainingSet, fitted: Fit, artifacts: ArtifactStore) -> dict[str, bytes]:
    """The candidate's plots on its holdout, by file name (SVG), importance of the columns included."""
    from modelway.training.frames import to_pandas

    rows = read_training_set(training_set, artifacts, HOLDOUT)
    if training_set.task == "anomaly":
        rows = rows.filter(pl.col("_target").is_not_null())
        if rows["_target"].n_unique() < 2:  # nothing to draw
            return {}
    estimator = load_estimator(fitted.estimator, artifacts)
    k, target = training_set.width, codes(rows["_target"], training_set.classes)
    made = scores(estimator, to_pandas(rows, training_set.columns), training_set.task, k)
    worth = importance(estimator, rows, target, training_set.columns, training_set.task, k)
    return figures(target, made, training_set.task, training_set.classes, worth)
