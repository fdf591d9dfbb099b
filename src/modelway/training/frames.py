"""The training set's Parquet artefact, and the frames that estimators are given."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from modelway.artifacts.store import ArtifactStore
from modelway.errors import DataError
from modelway.records import Column, TrainingSet

if TYPE_CHECKING:
    import pandas as pd

PREFIX = ("_key", "_at", "_part", "_target")


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """The frame as Parquet: equal frames have equal bytes (fixed compression, one layout, no times or names of places)."""
    out = io.BytesIO()
    frame.rechunk().write_parquet(out, compression="zstd", compression_level=3, row_group_size=262_144)
    return out.getvalue()


def read_training_set(training_set: TrainingSet, artifacts: ArtifactStore, part: str = "") -> pl.DataFrame:
    """`_key`, `_at`, `_part`, `_target` and the columns, of one part ("train" | "holdout") or of all rows."""
    frame = pl.read_parquet(io.BytesIO(artifacts.get(training_set.data)))
    return frame.filter(pl.col("_part") == part) if part else frame


def read_audit(training_set: TrainingSet, artifacts: ArtifactStore) -> pl.DataFrame:
    """`_key`, the protected columns and the amounts; no columns but `_key` when the training set has no audit artefact."""
    if not training_set.audit:
        return pl.DataFrame({"_key": pl.Series([], dtype=pl.String)})
    return pl.read_parquet(io.BytesIO(artifacts.get(training_set.audit)))


def normalised(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """The columns as the graph takes them: numbers double (missing NaN), words text (missing "")."""
    missing = [column.name for column in columns if column.name not in frame.columns]
    if missing:
        raise DataError(
            f"columns of the model are missing: {', '.join(missing)}", "check data and features in modelway.yaml"
        )
    return frame.select(
        pl.col(c.name).cast(pl.Float64).fill_null(float("nan"))
        if c.kind == "number"
        else pl.col(c.name).cast(pl.String).fill_null("")
        for c in columns
    )


def empty_columns(rows: pl.DataFrame, columns: Sequence[Column]) -> tuple[str, ...]:
    """The columns that are missing in every row; none where there is no row."""
    ready = normalised(rows, columns)
    missing = ((ready[c.name].is_nan() if c.kind == "number" else ready[c.name] == "").all() for c in columns)
    return tuple(c.name for c, all_of_them in zip(columns, missing, strict=True) if all_of_them) if rows.height else ()


def to_pandas(frame: pl.DataFrame, columns: Sequence[Column]) -> "pd.DataFrame":
    """What `fit` and `predict` of an estimator are given: numbers as float64, words as objects of type str."""
    import pandas as pd

    ready = normalised(frame, columns)
    arrays: dict[str, Any] = {
        c.name: ready[c.name].to_numpy()
        if c.kind == "number"
        else np.array([*ready[c.name].to_list(), None], dtype=object)[:-1]
        for c in columns
    }
    return pd.DataFrame(arrays, columns=[c.name for c in columns])


def codes(target: pl.Series, classes: Sequence[str]) -> np.ndarray:
    """What an estimator learns: the class's place in `classes` (int64), or the number itself when there are none.

    −1 where an anomaly has no label.
    """
    if not classes:
        return target.cast(pl.Float64).to_numpy()
    return target.replace_strict([*classes, None], [*range(len(classes)), -1], return_dtype=pl.Int64).to_numpy()
