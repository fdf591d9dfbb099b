"""Decisions and events as tables of whole numbers and doubles, ready for a range join in any engine.

Times are microseconds; entities, keys and words are whole numbers (equal exactly when the originals are); each aggregated
column `x0`, `x1`, … is there with its parts (`exact.py`). The row itself is an event of its own decision.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from modelway.errors import DataError
from modelway.features.cells import PLACE, days_of, read_column, read_each
from modelway.features.derived import TARGET
from modelway.features.exact import cut, cut_squares
from modelway.features.plan import Plan
from modelway.features.table_expressions import MOMENT
from modelway.features.values import LARGEST, SMALLEST, as_target

FOREVER = 2**62
_CUT = ("sum", "mean", "std")


@dataclass(frozen=True)
class Matter:
    """`decisions`: row, t, known, key. `events`: at, arrived, until, key, order, labelled and values. `own`: row, order, values.

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
    decisions: pl.DataFrame, events: pl.DataFrame, here: pl.DataFrame, past: pl.DataFrame, plan: Plan
) -> Matter:
    """`here` and `past` are the cells of the two frames."""
    times = pl.concat([_times(decisions), _times(events)])
    ranked = times.select(
        at="at", arrived="arrived", key=pl.col("key").rank("dense").cast(pl.Int64),
    )  # fmt: skip
    place = ranked.with_row_index("place").sort("at", "arrived", "key", "place")["place"]
    order = pl.DataFrame({"place": place}).with_row_index("order").sort("place")["order"].cast(pl.Int64)
    n = decisions.height
    values, columns, parts, squares = _values(here, past, _targets(events, plan), plan)
    made = pl.DataFrame([order.alias("order"), *values])
    versions = ranked.tail(events.height).with_columns(_until(events), _labelled(events))
    return Matter(
        ranked.head(n).select(
            pl.int_range(n).cast(pl.Int64).alias("row"), pl.col("at").alias("t"), known="arrived", key="key"
        ),
        pl.concat([versions, made.tail(events.height)], how="horizontal"),
        pl.concat([pl.DataFrame({"row": pl.int_range(n, dtype=pl.Int64, eager=True)}), made.head(n)], how="horizontal"),
        columns,
        parts,
        squares,
    )


def entities_of(decisions: pl.DataFrame, events: pl.DataFrame, by: Sequence[str]) -> tuple[pl.Series, pl.Series]:
    """A whole number for each entity of both frames, null where one of its columns is missing."""
    frames = (decisions, events)
    absent = [name for name in by if all(name not in frame.columns for frame in frames)]
    if absent:
        raise DataError(f"no row has the entity {', '.join(absent)}", "check `by` of the features in modelway.yaml")
    if not by:
        one = pl.Series("entity", [0])
        return one.new_from_index(0, decisions.height), one.new_from_index(0, events.height)
    words = [pl.DataFrame([read_column(frame, name, "word").alias(name) for name in by]) for frame in frames]
    told = [pl.concat_str([pl.col(name).str.len_bytes().cast(pl.String), pl.lit(":"), pl.col(name)]) for name in by]
    code = pl.concat(words).select(pl.concat_str(told).rank("dense").cast(pl.Int64)).to_series().alias("entity")
    return code.head(decisions.height), code.tail(events.height)


def _times(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "at": read_column(frame, "_at", "moment").dt.epoch("us"),
            "arrived": read_column(frame, "_arrived", "moment").dt.epoch("us"),
            "key": read_column(frame, "_key", "word"),
        }
    )


def _until(events: pl.DataFrame) -> pl.Series:
    """When each version was superseded: of two with one arrival, the later place is the newer version."""
    place = [name for name in PLACE if name in events.columns]
    ordered = (
        events.select("_key", "_arrived", *place).with_row_index("row").sort("_key", "_arrived", *place, "row")
        .with_columns(pl.col("_arrived").shift(-1).over("_key").alias("until"))
    )  # fmt: skip
    return read_column(ordered.sort("row"), "until", "moment").dt.epoch("us").fill_null(FOREVER).alias("until")


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
