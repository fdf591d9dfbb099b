"""Which rows train and which are held out: pure, and decided once for each training set.

By time, the holdout is the latest share of the rows; rows of one instant are never parted, and rows within `gap` before the
holdout are left out. At random, a row's part is a function of its key and the seed alone, so that it never changes as data
grow (but for the few rows that are moved so that every class is in both parts).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from modelway.errors import TooLittleDataError
from modelway.spec.model import Training

TRAIN, HOLDOUT, OUT = "train", "holdout", ""
_LARGEST_HOLDOUT = 0.5


@dataclass(frozen=True, slots=True)
class Split:
    """`parts[i]` is "train", "holdout" or "" (left out) for row i; rows at or after `cutoff` were not seen by training."""

    parts: pl.Series
    cutoff: datetime | None

    def count(self, part: str) -> int:
        return int((self.parts == part).sum())


def within_window(rows: pl.DataFrame, window: timedelta | None) -> pl.DataFrame:
    """The rows of the last `window` before the newest row's event time; all rows without a window."""
    return rows if window is None else rows.filter(pl.col("_at") > pl.col("_at").max() - window)


def split_rows(rows: pl.DataFrame, training: Training, *, by_time: bool, classes: Sequence[str] = ()) -> Split:
    """Split rows with `_key`, `_at` and `_target` (text when there are `classes`).

    Raises TooLittleDataError, with counts, when there are too few rows, when a class is missing from the training part, or
    when a holdout of a binary target has one class only.
    """
    if rows.height < training.min_rows:
        raise TooLittleDataError(
            f"{rows.height} rows with a final label, fewer than training.min_rows = {training.min_rows}",
            "bring in more rows or labels, or lower training.min_rows in modelway.yaml",
        )
    made = _by_time(rows, training, classes) if by_time else _at_random(rows, training, classes)
    _demand_enough(rows, made, classes)
    return made


def without_learned(rows: pl.DataFrame, made: Split, learned: pl.Series, classes: Sequence[str]) -> Split:
    """What others have learned from is not held out. Raises TooLittleDataError when what is left can judge nothing."""
    parts = pl.select(pl.when(learned & (made.parts == HOLDOUT)).then(pl.lit(TRAIN)).otherwise(made.parts)).to_series()
    left = Split(parts.alias("_part"), made.cutoff)
    if left.count(HOLDOUT) == 0:
        raise TooLittleDataError(
            f"the models that are asked have learned from all {made.count(HOLDOUT)} rows of the holdout",
            "bring in rows that they have not seen, or write the split that they have: training.holdout and training.seed",
        )
    _demand_enough(rows, left, classes)
    return left


def _by_time(rows: pl.DataFrame, training: Training, classes: Sequence[str]) -> Split:
    at = rows["_at"]
    if at.null_count():
        raise TooLittleDataError(
            f"{at.null_count()} of {rows.height} rows have no event time",
            "let the contract quarantine them (nulls: 0 on the event time), or write training: {split: random}",
        )
    cutoff = _boundary(rows, training.holdout, classes)
    before = pl.when(at > cutoff - training.gap).then(pl.lit(OUT)).otherwise(pl.lit(TRAIN))
    parts = pl.select(pl.when(at >= cutoff).then(pl.lit(HOLDOUT)).otherwise(before).alias("_part"))
    return Split(parts.to_series(), cutoff)


def _boundary(rows: pl.DataFrame, share: float, classes: Sequence[str]) -> datetime:
    """The first instant of the holdout: nearest to the wanted share among those that leave every class on both sides."""
    moments = rows.group_by("_at").agg(pl.len().alias("rows"), *_class_counts(classes)).sort("_at")
    if moments.height < 2:
        raise TooLittleDataError(
            f"all {rows.height} rows have the same event time: there is no latest part to hold out",
            "check data.event_time, or write training: {split: random} in modelway.yaml",
        )
    later = moments.reverse().select(pl.exclude("_at").cum_sum()).reverse()[1:]
    total = moments.select(pl.exclude("_at").sum())
    off = (later["rows"] / rows.height - share).abs()
    whole = np.ones(later.height, dtype=bool)
    for index in range(len(classes)):
        held = later[f"class {index}"]
        whole &= ((held > 0) & (held < total[f"class {index}"][0])).to_numpy()
    whole &= (later["rows"] <= max(share, _LARGEST_HOLDOUT) * rows.height).to_numpy()
    wanted = off.to_numpy() + np.where(whole | (not whole.any()), 0.0, np.inf)
    return moments["_at"][int(np.argmin(wanted)) + 1]


def _class_counts(classes: Sequence[str]) -> list[pl.Expr]:
    return [(pl.col("_target") == name).sum().alias(f"class {index}") for index, name in enumerate(classes)]


def _at_random(rows: pl.DataFrame, training: Training, classes: Sequence[str]) -> Split:
    draws = np.array([draw(key, training.seed) for key in rows["_key"].cast(pl.String)])
    held = draws < training.holdout
    strata = rows["_target"].to_numpy() if classes else np.zeros(rows.height)
    for name in classes or (0.0,):
        members = np.flatnonzero(strata == name)
        if len(members) < 2:
            held[members] = False
        elif not held[members].any():
            held[members[np.argmin(draws[members])]] = True
        elif held[members].all():
            held[members[np.argmax(draws[members])]] = False
    return Split(pl.Series("_part", np.where(held, HOLDOUT, TRAIN)), None)


def draw(key: str, seed: int) -> float:
    """A number in [0, 1) that depends on key and seed only."""
    digest = hashlib.blake2b(f"{seed}\0{key}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2.0**53


def _demand_enough(rows: pl.DataFrame, made: Split, classes: Sequence[str]) -> None:
    told = f"{made.count(TRAIN)} training rows, {made.count(HOLDOUT)} holdout rows, {made.count(OUT)} left out"
    if min(made.count(TRAIN), made.count(HOLDOUT)) == 0:
        raise TooLittleDataError(
            f"the split leaves one part empty: {told}",
            "bring in more rows, or change training.holdout, training.gap or training.window in modelway.yaml",
        )
    for part, needed in ((TRAIN, classes), (HOLDOUT, classes if len(classes) == 2 else ())):
        there = rows.filter(made.parts == part)["_target"].value_counts()
        seen = dict(there.iter_rows())
        for name in needed:
            if name not in seen:
                raise TooLittleDataError(
                    f"no row of class {name!r} in the {part} part ({told}; classes there: {seen})",
                    "bring in more rows of that class, change training.holdout, or write training: {split: random}",
                )
