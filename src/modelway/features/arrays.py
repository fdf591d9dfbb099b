"""Windows on arrays in this process: events in the order of (entity, time), a stretch of them for each decision.

Two binary searches find a decision's stretch; what had not arrived, was corrected, or is the decision itself is taken out; in what
is left every window is a stretch again. Counts and sums of exact parts (`exact.py`) are differences of running sums, which are
exact too, so that nothing depends on the order. Decisions go by in portions of so many pairs, so memory is bounded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from modelway.features.course import computed
from modelway.features.derived import SameInstant
from modelway.features.engine import FeatureEngine
from modelway.features.finish import EVENTS, Aggregate, Asked
from modelway.features.matter import Matter
from modelway.features.plan import Plan
from modelway.features.stretches import Ints, bisected, by_entity, spread

PAIRS = 250_000
"""Far below what `exact.WIDTH` lets add up without rounding."""
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Column = np.ndarray[tuple[int], np.dtype[np.float64]] | Ints


class ArrayEngine(FeatureEngine):
    """The embedded engine; `pairs` of decisions and events are looked at together, in memory."""

    def __init__(self, pairs: int = PAIRS) -> None:
        self._pairs = pairs

    def compute(
        self,
        decisions: pl.DataFrame,
        events: pl.DataFrame | pl.LazyFrame,
        plan: Plan,
        same_instant: SameInstant | None = None,
        tables: Mapping[str, pl.DataFrame | pl.LazyFrame] | None = None,
    ) -> pl.DataFrame:
        def answer(matter: Matter, mine: pl.Series, theirs: pl.Series, asked: Asked, closed: bool) -> pl.DataFrame:
            return answered(matter, mine, theirs, asked, closed, self._pairs)

        return computed(decisions, events, plan, same_instant, tables or {}, answer)

    def ping(self) -> None:
        """Nothing outside this process is needed."""

    def close(self) -> None:
        """Nothing is kept between calls."""


def answered(
    matter: Matter, mine: pl.Series, theirs: pl.Series, asked: Asked, closed: bool, most: int = PAIRS
) -> pl.DataFrame:
    """One row for each decision with its entity and time: `row` and the aggregates, null where nothing is seen."""
    decisions = matter.decisions.with_columns(mine.alias("entity")).drop_nulls(["entity", "t", "known"])
    if not decisions.height:
        return pl.DataFrame(schema={"row": pl.Int64(), **dict.fromkeys(asked.wanted, pl.Float64())})
    columns = [*(name for name in ("order",) if name in matter.own.columns), *asked.columns]
    order, of, at = by_entity(theirs, matter.events["at"])
    starts, ends = _stretches(decisions, of, at, asked)
    made = [
        _answer(_paired(decisions[low:high], matter, columns, order, starts[low:high], ends[low:high], closed), asked)
        for low, high in _portions(ends - starts, most)
    ]
    return pl.concat(made)


@dataclass(frozen=True)
class _Pairs:
    """Decisions (`row`, `t`, `known`), from each the stretch [first, after) of what it sees, in order of time; itself last."""

    row: Ints
    t: Ints
    known: Ints
    first: Ints
    after: Ints
    at: Ints
    labelled: Ints
    mine: bool
    values: Mapping[str, pl.Series]

    @property
    def others(self) -> Ints:
        """Where the decision itself stands."""
        return self.after - 1 if self.mine else self.after


def _stretches(decisions: pl.DataFrame, entities: Ints, at: Ints, asked: Asked) -> tuple[Ints, Ints]:
    """Of the sorted events those of the decision's entity within the widest window."""
    of, t = decisions["entity"].to_numpy(), decisions["t"].to_numpy()
    first, last = np.searchsorted(entities, of, "left"), np.searchsorted(entities, of, "right")
    return bisected(at, first, last, t - asked.widest), bisected(at, first, last, t - asked.nearest)


def _portions(lengths: Ints, most: int) -> Iterator[tuple[int, int]]:
    """Decisions with at most so many pairs together, at least one."""
    total = np.cumsum(lengths + 1)
    low, done = 0, 0
    while low < len(lengths):
        high = max(low + 1, int(np.searchsorted(total, done + most, "right")))
        yield low, high
        low, done = high, int(total[high - 1])


def _paired(
    decisions: pl.DataFrame, matter: Matter, columns: list[str], order: Ints, starts: Ints, ends: Ints, closed: bool
) -> _Pairs:
    row, t, known, upto, key = (decisions[name].to_numpy() for name in ("row", "t", "known", "upto", "key"))
    which, place = spread(starts, ends - starts)
    place = order[place]
    at, arrived, until, other = (matter.events[name].to_numpy()[place] for name in ("at", "arrived", "until", "key"))
    seen = (arrived <= known[which]) & (until > known[which]) & (at <= upto[which]) & (other != key[which])
    if not seen.all():
        which, place = which[seen], place[seen]
    lengths = np.bincount(which, minlength=len(row))
    after = np.cumsum(lengths + closed)
    first = after - lengths - closed
    events = matter.events.select("at", "labelled", *columns)[place]
    if closed:
        own = matter.own.select(columns)[row] if columns else matter.own.select([])
        itself = pl.DataFrame({"at": t, "labelled": known}).hstack(own.select(columns))
        source = np.empty(len(place) + len(row), dtype=np.int64)
        source[after - 1] = len(place) + np.arange(len(row))
        source[np.arange(len(place)) + which] = np.arange(len(place))
        events = pl.concat([events, itself])[source]
    at, labelled = (events[name].to_numpy() for name in ("at", "labelled"))
    return _Pairs(row, t, known, first, after, at, labelled, closed, {name: events[name] for name in columns})


def _answer(pairs: _Pairs, asked: Asked) -> pl.DataFrame:
    spans: dict[tuple[int, int, bool], tuple[Ints, Ints]] = {}
    made: dict[str, Column | pl.Series] = {"row": pairs.row}
    sums = _Sums(pairs)
    for name, one in asked.wanted.items():
        span = (one.reach_us, one.delay_us, one.others)
        if span not in spans:
            spans[span] = _span(pairs, one)
        made[name] = sums.aggregate(one, *spans[span])
    return pl.DataFrame(made)


def _span(pairs: _Pairs, one: Aggregate) -> tuple[Ints, Ints]:
    """The window's stretch within the decision's; the decision itself is in windows without a delay."""
    low = bisected(pairs.at, pairs.first, pairs.others, pairs.t - one.reach_us)
    open_end = not one.delay_us and not pairs.mine
    high = bisected(pairs.at, pairs.first, pairs.others, pairs.t - one.delay_us - open_end)
    if pairs.mine and not one.delay_us and not one.others:
        high = pairs.after
    return low, high


class _Sums:
    """Aggregates over stretches; what several of them need is made once."""

    def __init__(self, pairs: _Pairs) -> None:
        self._pairs = pairs
        self._there: dict[tuple[str, bool], Flags] = {}
        self._running: dict[tuple[str, bool, str], Column] = {}
        self._before: dict[tuple[str, bool], Ints] = {}

    def aggregate(self, one: Aggregate, low: Ints, high: Ints) -> "Column | pl.Series":
        if one.operation == EVENTS:
            return high - low
        if one.operation in ("count", "sum"):
            running = self._run(one)
            return running[high] - running[low]
        if one.operation == "distinct":
            return self._distinct(one, low, high)
        if one.operation == "last":
            return self._last(one, low, high)
        return self._extreme(one, low, high)

    def _known(self, one: Aggregate) -> Flags:
        """Which of the column's values are there, as known."""
        place = (one.column, one.of_target)
        if place not in self._there:
            flags = self._pairs.values[one.column].is_not_null().to_numpy()
            if one.of_target:
                flags = flags & (
                    self._pairs.labelled <= np.repeat(self._pairs.known, self._pairs.after - self._pairs.first)
                )
            self._there[place] = flags
        return self._there[place]

    def _filled(self, one: Aggregate, absent: float) -> Column:
        values = self._pairs.values[one.column]
        filled = values.fill_null(0).to_numpy()
        known = self._known(one)
        return filled if known.all() else np.where(known, filled, absent)

    def _run(self, one: Aggregate) -> Column:
        place = (one.column, one.of_target, one.operation)
        if place not in self._running:
            values = self._known(one).astype(np.int64) if one.operation == "count" else self._filled(one, 0.0)
            self._running[place] = np.concatenate([np.zeros(1, values.dtype), np.cumsum(values)])
        return self._running[place]

    def _distinct(self, one: Aggregate, low: Ints, high: Ints) -> Ints:
        """Those without an equal one before them in the stretch."""
        before = self._previous(one)
        starts = np.repeat(low, self._pairs.after - self._pairs.first)
        new = self._known(one) & (before < starts)
        running = np.concatenate([np.zeros(1, np.int64), np.cumsum(new)])
        return running[high] - running[low]

    def _previous(self, one: Aggregate) -> Ints:
        """Where the same value stood before among the decision's, −1 if nowhere."""
        place = (one.column, one.of_target)
        if place not in self._before:
            known = self._known(one)
            whose = np.repeat(np.arange(len(self._pairs.row)), self._pairs.after - self._pairs.first)[known]
            values = self._pairs.values[one.column].fill_null(0).to_numpy()[known]
            order = np.lexsort((values, whose))
            same = np.zeros(len(order), dtype=bool)
            same[1:] = (values[order][1:] == values[order][:-1]) & (whose[order][1:] == whose[order][:-1])
            places = np.flatnonzero(known)[order]
            before = np.full(len(known), -1, dtype=np.int64)
            before[places[same]] = places[np.flatnonzero(same) - 1]
            self._before[place] = before
        return self._before[place]

    def _last(self, one: Aggregate, low: Ints, high: Ints) -> pl.Series:
        order = np.where(self._known(one), self._pairs.values["order"].to_numpy(), -1)
        return self._reduced(np.maximum, order, low, high, -1)

    def _extreme(self, one: Aggregate, low: Ints, high: Ints) -> pl.Series:
        ufunc, absent = (np.maximum, -np.inf) if one.operation == "max" else (np.minimum, np.inf)
        return self._reduced(ufunc, self._filled(one, absent), low, high, absent)

    def _reduced(self, ufunc: np.ufunc, values: Column, low: Ints, high: Ints, absent: float) -> pl.Series:
        """The greatest or least of each stretch, null where it has none."""
        bounds = np.empty(2 * len(low), dtype=np.int64)
        bounds[::2], bounds[1::2] = low, high
        padded = np.append(values, values.dtype.type(absent))
        found = np.where(low < high, ufunc.reduceat(padded, bounds)[::2], values.dtype.type(absent))
        return pl.Series(found).to_frame().select(pl.when(pl.first() != absent).then(pl.first())).to_series()
