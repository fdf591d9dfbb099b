"""Have the latest requests another distribution than the training rows? One finding a column, and one for the prediction.

A column drifts when two things are shown at once:

    size       the distance is at least the spec's `min_distance`. Numbers: Kolmogorov–Smirnov's D, the largest difference of the
               two distribution functions; words: Jensen–Shannon's distance of the shares (both 0–1)
    evidence   Benjamini and Hochberg's adjusted p-value over all columns of the look is at most `alpha`

Size alone alarms on few rows (a distance of 0.1 is common by chance among 200), evidence alone on many (of a million rows any
difference is shown). D is read off the kept points of the profile, so it is never larger than the whole rows' own: cautious.

In a `series`, rows that follow one another are alike, and count for fewer: n·(1 − ρ)/(1 + ρ) with the likeness ρ of a row and
the next one (the effective sample size of an autoregressive series); a thirty-day mean of 250 days is a handful of observations.

M. Bartlett, J. R. Stat. Soc. 98 (1935) 536 (effective size). The tests: `evidence.two_sample`, `evidence.multiplicity`.
"""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from modelway.errors import DataError
from modelway.evidence.multiplicity import adjusted
from modelway.evidence.two_sample import chi2
from modelway.monitoring.profile import (
    Numbers,
    Profile,
    Words,
    counted,
    likeness,
    number_values,
    predicted,
    word_likeness,
    word_values,
)
from modelway.records import DriftFinding
from modelway.spec.model import Drift

KS, JS = "ks", "jensen_shannon"


def drift(
    reference: Profile, current: pl.DataFrame, scores: np.ndarray, settings: Drift, *, series: bool = False
) -> tuple[DriftFinding, ...]:
    """The findings in the order of the profile; () for fewer rows than `min_rows`.

    `current` holds the columns of the graph, `scores` double[rows, k] the answers to its rows; of a `series` in time order.
    `p_value` is the adjusted one. Raises DataError for a column that is not there.
    """
    if current.height < max(settings.min_rows, 1):
        return ()
    measured = [_measured(column, _values(column, current), series) for column in reference.inputs]
    measured.append(_measured(reference.columns[-1], predicted(scores, reference.classes), series))
    p_values = adjusted(_p_values(measured))
    return tuple(
        DriftFinding(
            column=m.column,
            statistic=m.statistic,
            distance=m.distance,
            threshold=settings.min_distance,
            p_value=float(p),
            drifted=bool(m.distance >= settings.min_distance and p <= settings.alpha),
            rows=current.height,
        )
        for m, p in zip(measured, p_values, strict=True)
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """`p` of words, else `reach` = √(nm/(n+m))·D, of which all columns' p-values are found at once."""

    column: str
    statistic: str
    distance: float
    p: float = math.nan
    reach: float = 0.0


def _values(column: Numbers | Words, current: pl.DataFrame) -> pl.Series | np.ndarray:
    if column.name not in current.columns:
        raise DataError(
            f"column {column.name} of the reference is not among the current rows' columns",
            "compute the features of the version that serves",
        )
    given = current[column.name]
    return number_values(given) if isinstance(column, Numbers) else word_values(given)


def _measured(column: Numbers | Words, values: pl.Series | np.ndarray, series: bool) -> _Measured:
    if isinstance(column, Numbers):
        return _of_numbers(column, np.asarray(values), series)
    return _of_words(column, values if isinstance(values, pl.Series) else pl.Series(values), series)


def _of_numbers(column: Numbers, values: np.ndarray, series: bool) -> _Measured:
    ordered = np.sort(values)
    n, m, known = column.rows, len(ordered), int(np.searchsorted(ordered, math.nan))
    missing, there = m - known, ordered[:known]
    distance = abs(column.missing / n - missing / m)
    if len(column.points):
        below = column.below / n - (missing + np.searchsorted(there, column.points, side="left")) / m
        upto = column.upto / n - (missing + np.searchsorted(there, column.points, side="right")) / m
        distance = max(distance, float(np.abs(below).max()), float(np.abs(upto).max()))
    a = _effective(n, column.alike if series else 0.0)
    b = _effective(m, likeness(values, ordered) if series else 0.0)
    return _Measured(column.name, KS, distance, reach=math.sqrt(a * b / (a + b)) * distance)


def _of_words(column: Words, words: pl.Series, series: bool) -> _Measured:
    found = counted(words)
    kept = np.array([*column.counts.values(), column.rest], dtype=float)
    now = [found.get(word, 0) for word in column.counts]
    current = np.array([*now, len(words) - sum(now)], dtype=float)
    if series:
        kept *= _effective(column.rows, column.alike) / column.rows
        current *= _effective(len(words), word_likeness(words, found)) / len(words)
    distance, p = chi2(kept, current)
    return _Measured(column.name, JS, distance, p)


def _effective(rows: float, alike: float) -> float:
    return max(1.0, rows * (1 - alike) / (1 + alike))


def _p_values(measured: list[_Measured]) -> np.ndarray:
    """Of D by Kolmogorov's limit, as in `evidence.two_sample`: a little cautious for unequal sizes, more so with ties."""
    from scipy.special import kolmogorov

    given = np.array([m.p for m in measured])
    return np.where(np.isnan(given), kolmogorov(np.array([m.reach for m in measured])), given)
