"""Is what comes in, and what goes out, whole: refused and failed answers, missing inputs, and how many requests there are."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from modelway.monitoring.profile import Numbers, Profile, number_values, word_values

EARLIER_LOOKS = 5
SHORTEST_DAYS = 1 / 24
"""A rate that was seen for less than an hour says nothing of what is usual."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Rows answered since the last look, how many of them were refused or failed, and shares of missing inputs (0–1)."""

    rows: int
    refused: int = 0
    errors: int = 0
    missing: Mapping[str, float] = field(default_factory=dict)
    missing_in_training: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Volume:
    """Requests for rows since the last look; `usual` is the median of five earlier looks, None before there are so many."""

    rows: int
    days: float
    per_day: float
    usual: float | None = None


def quality(status: Mapping[str, int], current: pl.DataFrame, reference: Profile | None) -> Quality:
    """`status`: how many answers were "ok", "refused", "error" or "invalid"; `current`: the graph's columns of the latest rows."""
    return Quality(
        rows=sum(status.values()),
        refused=status.get("refused", 0),
        errors=status.get("error", 0) + status.get("invalid", 0),
        missing=missing_shares(current, reference) if reference else {},
        missing_in_training={c.name: c.missing / c.rows for c in reference.inputs} if reference else {},
    )


def missing_shares(current: pl.DataFrame, reference: Profile) -> dict[str, float]:
    """By input of the model, the share of rows without a value; {} without rows."""
    if not current.height:
        return {}
    shares = {}
    for column in reference.inputs:
        if isinstance(column, Numbers):
            values = number_values(current[column.name])
            shares[column.name] = float((values != values).mean())
        else:
            shares[column.name] = float((word_values(current[column.name]) == "").sum() / current.height)
    return shares


def volume(rows: int, since: datetime, until: datetime, earlier: Sequence[float]) -> Volume:
    """`earlier`: requests a day at earlier looks, oldest first; of fewer than EARLIER_LOOKS nothing is usual yet."""
    days = (until - since) / timedelta(days=1)
    usual = statistics.median(earlier[-EARLIER_LOOKS:]) if len(earlier) >= EARLIER_LOOKS else None
    return Volume(rows, days, rows / days if days > 0 else 0.0, usual)


def at_least(bad: int, rows: int, alpha: float = 0.05) -> float:
    """The share (0–1) that is shown at least: Clopper and Pearson's lower bound, so that one error of few proves little."""
    from scipy.special import betaincinv

    return float(betaincinv(bad, rows - bad + 1, alpha)) if bad else 0.0
