"""Decisions and events as tables of whole numbers and doubles, ready for a range join in any engine.

Times are microseconds; entities, keys and words are whole numbers (equal exactly when the originals are; −1 for a key
that no decision has); each aggregated column `x0`, `x1`, … is there with its parts (`exact.py`). The row itself is an event of
its own decision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from modelway.errors import DataError
from modelway.expressions.table import MOMENT
from modelway.expressions.values import LARGEST, SMALLEST, as_target
from modelway.features.cells import days_of, knowing, read_column, read_each
from modelway.features.codes import Codes
from modelway.features.derived import TARGET
from modelway.features.exact import cut, cut_squares
from modelway.features.narrow import FOREVER
from modelway.features.plan import Plan

_THERE = pl.when(pl.col("code") >= 0).then(pl.col("code"))
_CUT = ("sum", "mean", "std", "ratio")


@dataclass(frozen=True)
class Matter:
    """`decisions`: row, t, known, upto, key. `events`: at, arrived, until, key, labelled, values. `own`: row, values.

    `order` is beside the values where a window asks for the last one.
    `known` is the decision's arrival less the lag, `upto` the last moment that it sees (`cells.knowing`).
    `until` is the arrival of the next version of the same key; `labelled` the arrival of the label (FOREVER: none yet).
    `columns` names the column of each aggregated one; `parts` and `squares` name the columns of its parts by place.
    """

    decisions: pl.DataFrame
    events: pl.DataFrame
    own: pl.DataFrame
    columns: Mapping[str, str]
    parts: Mapping[str, Mapping[int, str]]
    squares: Mapping[str, Mapping[int, str]]


def matter_of(
    decisions: pl.DataFrame, events: pl.DataFrame, until: pl.Series, here: pl.DataFrame, past: pl.DataFrame, plan: Plan
) -> Matter:
    """`here` and `past` are the cells of the two frames; events and `until` as `narrow.py` leaves them."""
    n = decisions.height
    mine, theirs = _times(decisions), _times(events)
    own_key, other_key = _keys(decisions, events)
    made, columns, parts, squares = _values(here, past, _targets(events, plan), plan)
    values = pl.DataFrame(made) if made else pl.DataFrame({"none": pl.Series([0]).new_from_index(0, n + events.height)})
    if any(window.stat == "last" for window in plan.windows):
        values = values.with_columns(_order(decisions, events, mine, theirs))
    return Matter(
        knowing(decisions, plan.lag_us).with_columns(row=pl.int_range(n, dtype=pl.Int64), key=own_key),
        pl.concat(
            [
                theirs.with_columns(until.alias("until"), other_key.alias("key"), _labelled(events)),
                values.tail(events.height),
            ],
            how="horizontal",
        ),
        pl.concat(
            [pl.DataFrame({"row": pl.int_range(n, dtype=pl.Int64, eager=True)}), values.head(n)], how="horizontal"
        ),
        columns,
        parts,
        squares,
    )


def entities_of(decisions: pl.DataFrame, events: pl.DataFrame, by: Sequence[str]) -> tuple[pl.Series, pl.Series]:
    """A whole number for each entity of the decisions; null where a column is missing, and for entities of events alone."""
    frames = (decisions, events)
    absent = [name for name in by if all(name not in frame.columns for frame in frames)]
    if absent:
        raise DataError(f"no row has the entity {', '.join(absent)}", "check `by` of the features in modelway.yaml")
    if not by:
        one = pl.Series("entity", [0])
        return one.new_from_index(0, decisions.height), one.new_from_index(0, events.height)
    words = [pl.DataFrame([read_column(frame, name, "word").alias(name) for name in by]) for frame in frames]
    mine, theirs = coded(words[0].drop_nulls().unique(maintain_order=True), *words)
    return mine.alias("entity"), theirs.alias("entity")


def coded(known: pl.DataFrame, *frames: pl.DataFrame) -> list[pl.Series]:
    """The place of each row among the known ones, null where it is not there."""
    codes = Codes(known)
    return [pl.Series("code", codes.of(frame)).to_frame().select(_THERE).to_series() for frame in frames]


def _keys(decisions: pl.DataFrame, events: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Whole numbers for the keys of decisions; −1 for events whose key no decision has."""
    mine, theirs = (frame.select(key=read_column(frame, "_key", "word")) for frame in (decisions, events))
    known = mine.drop_nulls().unique(maintain_order=True)
    (own,) = coded(known, mine)
    among = theirs["key"].is_in(known["key"].implode()).fill_null(False)
    others = pl.Series("key", [-1], pl.Int64).new_from_index(0, events.height)
    if among.any():
        (found,) = coded(known, theirs.filter(among))
        others = others.scatter(among.arg_true(), found)
    return own.fill_null(-2), others


def _order(decisions: pl.DataFrame, events: pl.DataFrame, mine: pl.DataFrame, theirs: pl.DataFrame) -> pl.Series:
    """The place of each row in the order of (at, arrived, key)."""
    keys = pl.concat([read_column(frame, "_key", "word") for frame in (decisions, events)])
    rows = pl.concat([mine, theirs]).with_columns(keys.alias("key")).with_row_index("place")
    place = rows.sort("at", "arrived", "key", "place").select("place").with_row_index("order")
    return place.sort("place")["order"].cast(pl.Int64)


def _times(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "at": read_column(frame, "_at", "moment").dt.epoch("us"),
            "arrived": read_column(frame, "_arrived", "moment").dt.epoch("us"),
        }
    )


def _labelled(events: pl.DataFrame) -> pl.Series:
    return read_column(events, "_label_arrived", "moment").dt.epoch("us").fill_null(FOREVER).alias("labelled")


def _targets(events: pl.DataFrame, plan: Plan) -> pl.Series:
    if TARGET not in events.columns or not any(w.of == TARGET for w in plan.windows):
        return pl.Series(TARGET, [None], pl.Float64).new_from_index(0, events.height)
    given = events[TARGET]
    read = read_each(given, lambda value: as_target(value, plan.positive), pl.Float64()).fill_nan(None)
    if read.null_count() == events.height > given.null_count():
        raise DataError(
            f"a window over the target needs a number, and the target holds text such as {given.drop_nulls()[0]!r}",
            "name the class that counts as 1: data: {positive: …} in modelway.yaml",
        )
    return read


def _values(
    here: pl.DataFrame, past: pl.DataFrame, targets: pl.Series, plan: Plan
) -> tuple[list[pl.Series], dict[str, str], dict[str, dict[int, str]], dict[str, dict[int, str]]]:
    values: list[pl.Series] = []
    columns: dict[str, str] = {}
    parts: dict[str, dict[int, str]] = {}
    squares: dict[str, dict[int, str]] = {}
    for index, of in enumerate(dict.fromkeys(w.of for w in plan.windows if w.of)):
        column = f"x{index}"
        columns[of] = column
        own = pl.Series([None], dtype=pl.Float64).new_from_index(0, here.height) if of == TARGET else here[of]
        whole = pl.concat([own, targets if of == TARGET else past[of]])
        seen = _seen(whole)
        values.append(seen.alias(column))
        wanted = {w.stat for w in plan.windows if w.of == of}
        if wanted.intersection(_CUT):
            cuts = cut(seen.fill_null(0.0).to_numpy())
            parts[of] = _named(cuts, f"{column}_part", values)
            squares[of] = _named(cut_squares(cuts) if "std" in wanted else {}, f"{column}_square", values)
    return values, columns, parts, squares


def _named(cuts: Mapping[int, np.ndarray], prefix: str, values: list[pl.Series]) -> dict[int, str]:
    found = {}
    for index, (place, part) in enumerate(cuts.items()):
        found[place] = f"{prefix}{index}"
        values.append(pl.Series(found[place], part))
    return found


def _seen(values: pl.Series) -> pl.Series:
    """Numbers as windows see them; words as whole numbers."""
    if values.dtype == pl.String:
        return values.rank("dense").cast(pl.Int64)
    if values.dtype == MOMENT:
        values = days_of(values)
    number = pl.first()
    return values.to_frame().select(
        pl.when(number.abs() < LARGEST).then(pl.when(number.abs() >= SMALLEST).then(number).otherwise(0.0))
    ).to_series()  # fmt: skip
