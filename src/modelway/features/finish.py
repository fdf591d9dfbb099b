"""From an engine's aggregates to the columns of windows, and from these to the plan's columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from modelway.features.cells import days_of, with_expressions
from modelway.features.derived import TARGET, Stat, Window
from modelway.features.exact import deviation_of_parts, total
from modelway.features.matter import Matter
from modelway.features.plan import Plan
from modelway.features.statistics import or_default

EVENTS = "events"


class Aggregate(NamedTuple):
    """One aggregate over the pairs with delay ≤ age < reach: `events` counts pairs, `last` is the greatest order.

    `others`: without the decision's own row.
    """

    operation: str
    column: str
    reach_us: int
    delay_us: int
    of_target: bool
    others: bool = False


@dataclass(frozen=True)
class Asked:
    """What an engine must compute for the windows of one group: each aggregate once, by name."""

    matter: Matter
    windows: Sequence[Window]
    wanted: dict[str, Aggregate] = field(init=False)

    def __post_init__(self) -> None:
        distinct = dict.fromkeys(one for window in self.windows for one in self._of(window))
        object.__setattr__(self, "wanted", {f"a{index}": one for index, one in enumerate(distinct)})

    @property
    def columns(self) -> list[str]:
        """The value columns that the aggregates read."""
        return list(dict.fromkeys(one.column for one in self.wanted.values() if one.column))

    @property
    def widest(self) -> int:
        return max(window.reach_us for window in self.windows)

    @property
    def nearest(self) -> int:
        return min(window.delay_us for window in self.windows)

    def _of(self, window: Window) -> Iterator[Aggregate]:
        if not window.of:
            yield _asked(window, EVENTS)
        elif window.stat in ("sum", "mean", "std", "ratio"):
            yield self.count(window)
            for part in self.matter.parts[window.of].values():
                yield _asked(window, "sum", part)
            if window.stat == "std":
                for part in self.matter.squares[window.of].values():
                    yield _asked(window, "sum", part)
        else:
            yield _asked(window, window.stat, self.matter.columns[window.of])

    def count(self, window: Window) -> Aggregate:
        return _asked(window, "count", self.matter.columns[window.of])


def _asked(window: Window, operation: str, column: str = "") -> Aggregate:
    own = window.stat == "ratio"
    return Aggregate(operation, column, window.reach_us, window.delay_us, window.of == TARGET, own)


def finished(answer: pl.DataFrame, matter: Matter, asked: Asked, rows: int) -> list[pl.Series]:
    """The windows' columns, for all decisions; `answer` has `row` and the aggregates, for decisions that see anything."""
    every = pl.DataFrame({"row": pl.int_range(rows, dtype=pl.Int64, eager=True)})
    aligned = every.join(answer, on="row", how="left", maintain_order="left")
    names = {aggregate: name for name, aggregate in asked.wanted.items()}
    return [_column(window, aligned, matter, names).alias(window.name) for window in asked.windows]


def _column(window: Window, aligned: pl.DataFrame, matter: Matter, names: Mapping[Aggregate, str]) -> pl.Series:
    """Null where missing."""

    def found(operation: str, column: str = "") -> pl.Series:
        return aligned[names[_asked(window, operation, column)]]

    column = matter.columns.get(window.of, "")
    match window.stat:
        case "sum" | "mean" | "std" | "ratio":
            counts = found("count", column).fill_null(0)
            parts = {place: found("sum", name) for place, name in matter.parts[window.of].items()}
            cut = matter.squares[window.of] if window.stat == "std" else {}
            squares = {place: found("sum", name) for place, name in cut.items()}
            made = _summed(window.stat, counts, parts, squares)
            if window.stat == "ratio":
                made = _ratio(matter.own[column], made)
        case "last":
            made = _last(found("last", column), matter, column)
        case "count":
            made = found("count" if window.of else EVENTS, column)
        case _:
            made = found(window.stat, column)
    empty = or_default(window.stat, float("nan"), window.default)
    if window.stat in ("count", "distinct"):
        made = made.replace(0, None)
    return made.cast(pl.Float64).fill_nan(None).fill_null(empty).fill_nan(None)


def _summed(
    stat: Stat, counts: pl.Series, parts: Mapping[int, pl.Series], squares: Mapping[int, pl.Series]
) -> pl.Series:
    sums = [column.fill_null(0.0).to_list() for column in parts.values()]
    made: list[float | None] = []
    if stat == "std":
        others = [column.fill_null(0.0).to_list() for column in squares.values()]
        for row, count in enumerate(counts.to_list()):
            first = dict(zip(parts, (one[row] for one in sums), strict=True))
            second = dict(zip(squares, (one[row] for one in others), strict=True))
            made.append(deviation_of_parts(count, first, second) if count > 1 else None)
    else:
        for count, *cuts in zip(counts.to_list(), *sums, strict=True):
            made.append(None if count == 0 else total(cuts) / (1 if stat == "sum" else count))
    return pl.Series(made, dtype=pl.Float64)


def _ratio(own: pl.Series, mean: pl.Series) -> pl.Series:
    made = pl.DataFrame({"own": own, "mean": mean}).select(pl.col("own") / pl.col("mean")).to_series()
    return made.to_frame().select(pl.when(pl.first().is_finite()).then(pl.first())).to_series()


def _last(order: pl.Series, matter: Matter, column: str) -> pl.Series:
    both = pl.concat([matter.own.select("order", column), matter.events.select("order", column)])
    joined = order.alias("order").cast(pl.Int64).to_frame().join(both, on="order", how="left", maintain_order="left")
    return joined[column]


def with_plan(decisions: pl.DataFrame, cells: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """The decisions with every column of the plan, late expressions too: numbers with NaN, words with ""."""
    cells = with_expressions(cells, plan, (e for e in plan.expressions if e.late))
    made = []
    for column in plan.columns:
        values = cells[column.name]
        if column.kind == "word":
            made.append(values.fill_null(""))
        else:
            made.append((days_of(values) if plan.natures[column.name] == "moment" else values).fill_null(float("nan")))
    return decisions.with_columns(values.alias(column.name) for values, column in zip(made, plan.columns, strict=True))
