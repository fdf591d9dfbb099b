"""Matured rows become a training set: split, written as one Parquet artefact, described by a record."""

from collections.abc import Callable, Sequence
from datetime import datetime

import polars as pl

from modelway.artifacts.store import ArtifactStore
from modelway.errors import DataError, TooLittleDataError
from modelway.records import Column, TableVersion, TrainingSet
from modelway.spec.model import Spec
from modelway.training.classes import ODDITIES, oddities, ordered_classes, target_text
from modelway.training.frames import empty_columns, normalised, parquet_bytes, read_training_set
from modelway.training.split import HOLDOUT, OUT, TRAIN, split_rows, within_window, without_learned


def prepare(
    frame: pl.DataFrame,
    spec: Spec,
    columns: Sequence[Column],
    tables: Sequence[TableVersion],
    as_of: datetime,
    artifacts: ArtifactStore,
    *,
    audit: Sequence[str] = (),
    too_young: int = 0,
    learned: Callable[[pl.DataFrame], pl.Series] | None = None,
) -> TrainingSet:
    """Split the matured rows and store them; the same frame and spec give the same digest.

    `frame` holds `_key`, `_at` (null without an event time), `_target` and the columns, in any deterministic order; it is
    stored in order of `_at`, `_key`. Rows whose target is missing are not used and counted with `too_young`; an anomaly needs none.
    `learned` says of a composition which rows its members have learned from: they are not held out.
    `audit` names further columns of the frame that are stored apart, for fairness and costs.
    Raises TooLittleDataError and DataError, with counts.
    """
    by_time = splits_by_time(spec)
    labelled = _with_target(frame, spec)
    unlabelled = frame.height - labelled.height
    rows = within_window(labelled.sort("_at", "_key", maintain_order=True), spec.training.window)
    _demand_rows(rows, spec, too_young + unlabelled)
    classes = _classes(rows, spec)
    needed = () if spec.task == "anomaly" else classes
    made = split_rows(rows, spec.training, by_time=by_time, classes=needed)
    if learned is not None:
        made = without_learned(rows, made, learned(rows), needed)
    kept = rows.with_columns(made.parts.alias("_part")).filter(pl.col("_part") != OUT)
    table = pl.concat(
        [kept.select(pl.col("_key").cast(pl.String), "_at", "_part", "_target"), normalised(kept, columns)],
        how="horizontal",
    )
    beside = [name for name in dict.fromkeys(audit) if name in kept.columns]
    return TrainingSet(
        data=artifacts.put(parquet_bytes(table)),
        tables=tuple(tables),
        columns=tuple(columns),
        task=spec.task,
        classes=classes,
        rows=kept.height,
        train_rows=made.count(TRAIN),
        holdout_rows=made.count(HOLDOUT),
        too_young=too_young + unlabelled,
        as_of=as_of,
        cutoff=made.cutoff,
        audit=artifacts.put(parquet_bytes(kept.select(pl.col("_key").cast(pl.String), *beside))) if beside else "",
        empty=empty_columns(table.filter(pl.col("_part") == TRAIN), columns),
    )


def learnable(frame: pl.DataFrame, spec: Spec, too_young: int) -> tuple[pl.DataFrame, int]:
    """The rows that `prepare` would keep or split, and how many have no final label: what windows must be computed for.

    `frame` holds `_key`, `_at` and `_target`; `too_young` counts rows that were left out before. Raises as `prepare` does.
    """
    labelled = _with_target(frame, spec)
    without = too_young + frame.height - labelled.height
    rows = within_window(labelled, spec.training.window)
    _demand_rows(rows, spec, without)
    return rows, without


def splits_by_time(spec: Spec) -> bool:
    """Whether the holdout is the latest part: as the spec says, else where there is an event time."""
    wanted = spec.training.split
    if wanted == "time" and spec.data.event_time is None:
        raise DataError(
            "training.split is time, but the model has no event time", "name data.event_time, or write split: auto"
        )
    if spec.training.window is not None and spec.data.event_time is None:
        raise DataError(
            "training.window is set, but the model has no event time", "name data.event_time, or remove training.window"
        )
    return wanted == "time" or (wanted == "auto" and spec.data.event_time is not None)


def trained_keys(training_set: TrainingSet, artifacts: ArtifactStore) -> pl.Series:
    """Keys of the rows that the model has learned from: rows with other keys are new to it."""
    return read_training_set(training_set, artifacts, TRAIN)["_key"]


def _classes(rows: pl.DataFrame, spec: Spec) -> tuple[str, ...]:
    if spec.task == "regression":
        return ()
    if spec.task == "anomaly":
        return ODDITIES
    counts = dict(rows["_target"].value_counts().iter_rows())
    return ordered_classes(counts, spec.task, spec.data.positive) if counts else ()


def _with_target(frame: pl.DataFrame, spec: Spec) -> pl.DataFrame:
    """The rows that have a target: class names as text, or numbers as doubles. A detector learns from all rows."""
    if spec.task == "anomaly":
        return frame.with_columns(oddities(frame["_target"], spec.data.positive))
    if spec.task != "regression":
        return frame.with_columns(target_text(frame["_target"])).filter(pl.col("_target").is_not_null())
    numbers = frame["_target"].cast(pl.Float64, strict=False)
    bad = frame.filter(numbers.is_null() & frame["_target"].is_not_null())
    if bad.height:
        raise DataError(
            f"task: regression, but the target of {bad.height} rows is no number, for example {bad['_target'][0]!r}",
            "write task: multiclass in modelway.yaml, or let the contract quarantine such rows",
        )
    return frame.with_columns(numbers.alias("_target")).filter(pl.col("_target").is_finite())


def _demand_rows(rows: pl.DataFrame, spec: Spec, without: int) -> None:
    if rows.height == 0:
        raise TooLittleDataError(
            f"no row has a final label ({without} rows are too young or have none)",
            "send labels, wait until they are final (data.labels.matured_after), or check data.target",
        )
    if spec.task == "regression" and rows["_target"].n_unique() == 1:
        raise TooLittleDataError(
            f"the target is the same number in all {rows.height} rows: {rows['_target'][0]}",
            "check data.target in modelway.yaml",
        )
