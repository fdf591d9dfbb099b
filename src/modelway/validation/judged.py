"""The scores of one model on the rows on which it is judged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from modelway.errors import DataError
from modelway.evidence.bootstrap import DRAWS, Resampling
from modelway.records import OperatingPoint

FEWEST_CLUSTERS = 10
"""Fewer entities than this are not a sample of entities: rows are resampled instead."""
_CELLS = 40_000_000
_FEWEST_DRAWS = 100


@dataclass(frozen=True)
class Judged:
    """One model on N rows. `target`: codes int64 (places in `classes`, −1 without a label) or numbers; `scores`: double[N, k]."""

    keys: Sequence[str]
    target: np.ndarray
    scores: np.ndarray
    classes: Sequence[str] = ()
    train_target: np.ndarray | None = None
    """What the baseline knows: rows of each class in training, or [mean] of a number; None: the target of these rows."""
    at: Sequence[datetime] | None = None
    clusters: np.ndarray | None = None
    """The entity of each row."""
    audit: pl.DataFrame | None = None
    """Protected columns and amounts, row by row."""
    operating_point: OperatingPoint | None = None
    """A champion's own; without one it is judged at the candidate's."""

    def __len__(self) -> int:
        return len(self.target)


def taken(judged: Judged, rows: np.ndarray) -> Judged:
    """The same model on some of the rows, `rows` a mask or places in the wanted order."""
    places = np.flatnonzero(rows) if rows.dtype == bool else rows
    wanted = places.tolist()
    return replace(
        judged,
        keys=[judged.keys[i] for i in wanted],
        target=judged.target[places],
        scores=judged.scores[places],
        at=None if judged.at is None else [judged.at[i] for i in wanted],
        clusters=None if judged.clusters is None else np.asarray(judged.clusters)[places],
        audit=None if judged.audit is None else judged.audit[places],
    )


def in_time_order(judged: Judged) -> np.ndarray:
    """The places of the rows from the earliest to the latest; as they are without event times."""
    return np.arange(len(judged)) if judged.at is None else np.argsort(_seconds(judged.at), kind="stable")


def aligned(champion: Judged, candidate: Judged) -> Judged:
    """The champion's scores in the order of the candidate's rows and classes; a class that it does not know gets 0.

    Raises DataError where a row is missing.
    """
    place = {key: i for i, key in enumerate(champion.keys)}
    missing = [key for key in candidate.keys if key not in place]
    if missing:
        raise DataError(
            f"the champion has no score for {len(missing)} of {len(candidate)} rows, the first with key {missing[0]!r}",
            "score the candidate's holdout with both models",
        )
    same = taken(champion, np.array([place[key] for key in candidate.keys], dtype=np.int64))
    if list(champion.classes) == list(candidate.classes):
        return replace(same, target=candidate.target)
    scores = np.zeros((len(candidate), len(candidate.classes)))
    for i, name in enumerate(candidate.classes):
        if name in champion.classes:
            scores[:, i] = same.scores[:, list(champion.classes).index(name)]
    return replace(same, target=candidate.target, scores=scores, classes=candidate.classes)


def reach(at: Sequence[datetime] | None, horizon: timedelta) -> int:
    """How many rows ahead a label reaches that looks `horizon` ahead: the median over the rows; 0 without times."""
    if at is None or not horizon or len(at) < 2:
        return 0
    seconds = np.sort(_seconds(at))
    ahead = np.searchsorted(seconds, seconds + horizon.total_seconds(), side="left") - np.arange(len(seconds))
    whole = seconds <= seconds[-1] - horizon.total_seconds()
    return max(1, round(float(np.median(ahead[whole] if whole.any() else ahead))))


def resampling(judged: Judged, horizon: timedelta, seed: int) -> Resampling:
    """How these rows (in time order) hang together: blocks of a series whose labels overlap, else entities, else rows.

    Not stratified by class: the share of each class is part of what a holdout does not know. Fewer draws for many rows.
    """
    n = len(judged)
    draws = min(DRAWS, max(_FEWEST_DRAWS, _CELLS // max(n, 1)))
    ahead = reach(judged.at, horizon)
    if ahead:
        return Resampling(horizon=ahead, draws=draws, seed=seed)
    clusters = judged.clusters
    if clusters is not None and FEWEST_CLUSTERS <= len(np.unique(clusters)) < n:
        return Resampling(clusters=np.asarray(clusters), draws=draws, seed=seed)
    return Resampling(draws=draws, seed=seed)


def _seconds(at: Sequence[datetime]) -> np.ndarray:
    return np.array([moment.timestamp() for moment in at])
