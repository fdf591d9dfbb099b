"""Rows in the order of (entity, time), and searches in them for many at once."""

import numpy as np
import polars as pl

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]


def by_entity(of: pl.Series, at: pl.Series) -> tuple[Ints, Ints, Ints]:
    """The places of the events that have both in the order of (entity, time), and both in that order."""
    there = pl.DataFrame([of.alias("of"), at.alias("at")]).with_row_index("place").drop_nulls()
    entities, times = there["of"].to_numpy(), there["at"].to_numpy()
    least, span = (int(times.min()), int(times.max()) - int(times.min()) + 1) if there.height else (0, 1)
    if there.height and (int(entities.max()) + 1) * span < 2**63:
        order = pl.Series(entities * span + (times - least)).arg_sort().to_numpy()
    else:
        order = np.lexsort((times, entities))
    return there["place"].to_numpy()[order].astype(np.int64), entities[order], times[order]


def bisected(values: Ints, low: Ints, high: Ints, bounds: Ints) -> Ints:
    """For each bound the first place in [low, high) with a greater value; the values rise within each."""
    low, high = low.astype(np.int64), high.astype(np.int64)
    while (open_ := low < high).any():
        middle = (low + high) >> 1
        greater = np.zeros(len(low), dtype=bool)
        greater[open_] = values[middle[open_]] > bounds[open_]
        high = np.where(open_ & greater, middle, high)
        low = np.where(open_ & ~greater, middle + 1, low)
    return low


def spread(starts: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """The stretches one after the other: for each place whose it is, and which it is."""
    which = np.repeat(np.arange(len(starts)), lengths)
    before = np.cumsum(lengths) - lengths
    return which, np.arange(len(which)) + np.repeat(starts - before, lengths)
