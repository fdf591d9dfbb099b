"""What is asked of a batch as a whole: how values lie, how fresh and how many its rows are. Such a breach blames no row."""

from collections.abc import Iterator, Mapping
from datetime import timedelta

import numpy as np
import polars as pl

from modelway.contracts import breaches
from modelway.contracts.rules import at_most, known_values
from modelway.contracts.values import shown
from modelway.spec.contract import Check, Distribution, Rule, Within
from modelway.spec.units import share_named, write_duration

ARRIVED = "_arrived"


def broken_distributions(values: pl.DataFrame, rules: Mapping[str, Rule]) -> Iterator[pl.DataFrame]:
    """Means, quantiles and new categories of the columns that have such rules."""
    for column, rule in rules.items():
        if rule.distribution is not None:
            yield from _distribution(column, rule, rule.distribution, values[column].drop_nulls())


def broken_batch(
    values: pl.DataFrame, arrived: pl.Series | None, check: Check, event_time: str
) -> Iterator[pl.DataFrame]:
    """`freshness`, where arrival and event times are known, and `volume`."""
    rows = values.height
    if check.volume is not None:
        low, high = check.volume.min, check.volume.max
        if rows < low or (high is not None and rows > high):
            bound = f"fewer than {low:,}" if rows < low else f"more than {high:,}"
            yield breaches.of_batch("", check.label, check.action, str(rows), f"the batch has {rows:,} rows, {bound}")
    if check.freshness is not None and arrived is not None and event_time in values.columns:
        age = age_of(values[event_time], arrived)
        if age is not None and age > check.freshness:
            told = (
                f"the newest {event_time} is {_rounded(age)} old at its arrival, more than {_rounded(check.freshness)}"
            )
            yield breaches.of_batch(event_time, check.label, check.action, _rounded(age), told)


def age_of(times: pl.Series, arrived: pl.Series) -> timedelta | None:
    """How old the newest event time is when the last row arrives; None where there is no time."""
    newest, last = times.cast(pl.Datetime("us", "UTC")).max(), arrived.max()
    return last - newest if newest is not None and last is not None else None  # type: ignore[operator, return-value]


def quantile(values: pl.Series, share: float) -> float:
    """The value that lies there in order of size: the nearest one, as Great Expectations on pandas takes it."""
    return float(np.percentile(values.to_numpy(), share * 100, method="nearest"))


def _distribution(column: str, rule: Rule, wanted: Distribution, there: pl.Series) -> Iterator[pl.DataFrame]:
    if there.len() < max(1, wanted.min_rows):
        return
    if wanted.mean is not None:
        yield from _outside(column, "mean", "the mean", float(there.mean()), wanted.mean, wanted)  # type: ignore[arg-type]
    for share, within in wanted.quantiles.items():
        found = quantile(there, share_named(share))
        yield from _outside(column, f"quantile {share}", f"the {share} quantile", found, within, wanted)
    if wanted.new_categories is not None:
        known = known_values(column, rule.type, wanted.new_categories.known, "distribution.new_categories.known")
        new = there.filter(~there.is_in(pl.Series(known, dtype=there.dtype).implode()))
        most = wanted.new_categories.most
        if new.len() > at_most(most, there.len()):
            named = ", ".join(shown(value) for value in new.value_counts(sort=True).to_series().head(5).to_list())
            told = f"{column}: {new.len() / there.len():.1%} of the values are new, above {most:.1%}: {named}"
            yield breaches.of_batch(column, "new_categories", wanted.on_breach, str(new.len()), _escaped(told))


def _outside(
    column: str, name: str, words: str, found: float, within: Within, wanted: Distribution
) -> Iterator[pl.DataFrame]:
    low, high = within.min, within.max
    if (low is None or found >= low) and (high is None or found <= high):
        return
    bound = f"below {low:g}" if low is not None and found < low else f"above {high:g}"
    yield breaches.of_batch(
        column, name, wanted.on_breach, f"{found:.6g}", f"{column}: {words} is {found:.6g}, {bound}"
    )


def _rounded(age: timedelta) -> str:
    return write_duration(timedelta(seconds=round(age.total_seconds())))


def _escaped(reason: str) -> str:
    return reason.replace("; ", r";\x20")
