"""What of the events can count for any of the decisions: found with hashes before anything is sorted or joined.

An event counts when it lies between the first and the last moment that a decision of its entity sees. Lazy events are looked at in
portions, so that of those which nobody sees nothing stays in memory.
"""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from modelway.features.cells import PLACE, demand_arrivals, demand_names, read_column
from modelway.features.codes import Codes
from modelway.features.derived import TARGET, Window
from modelway.features.plan import Plan
from modelway.features.portions import Rows, collected, in_portions
from modelway.features.stretches import Ints

FOREVER = 2**62
_ROW = "_row"


def counting(decisions: pl.DataFrame, events: Rows, plan: Plan) -> tuple[pl.DataFrame, pl.Series]:
    """The events that may count, with `until`: the arrival of the next version of the same key.

    Lazy events are read twice: their keys, then what the plan needs of those that count. Raises DataError for events that cannot
    be placed in time.
    """
    names = events.collect_schema().names()
    demand_names(names, "events")
    demand_arrivals(collected(events, lambda rows: rows.select(pl.col("_arrived").null_count())).item(), "events")
    corrected = _corrected(events, [name for name in PLACE if name in names])
    wanted = [name for name in names if name in _needed(plan)]
    seen = _seen(decisions, plan)
    near = in_portions(events, wanted, lambda rows: rows.filter(seen(rows)), _ROW)
    until = _until(near[_ROW], corrected)
    near = near.drop(_ROW)
    stays = until > read_column(near, "_arrived", "moment").dt.epoch("us")
    return (near, until) if stays.all() else (near.filter(stays), until.filter(stays))


def _needed(plan: Plan) -> set[str]:
    by = {name for group in plan.groups for name in group}
    return {"_key", "_at", "_arrived", "_label_arrived", TARGET, *by, *(one.name for one in plan.inputs)}


def _seen(decisions: pl.DataFrame, plan: Plan) -> Callable[[pl.DataFrame], pl.Series]:
    """Whether a decision sees each row, by its entity and time, in the windows of one group at least."""
    groups = [(by, *_bounds(decisions, by, windows)) for by, windows in plan.groups.items()]

    def seen(rows: pl.DataFrame) -> pl.Series:
        at = read_column(rows, "_at", "moment").dt.epoch("us").fill_null(-FOREVER).to_numpy()
        found = np.zeros(rows.height, dtype=bool)
        for by, codes, after, upto in groups:
            code = codes.of(_entities(rows, by))
            found |= (at > after[code]) & (at <= upto[code])
        return pl.Series(found)

    return seen


def _bounds(decisions: pl.DataFrame, by: Sequence[str], windows: Sequence[Window]) -> tuple[Codes, Ints, Ints]:
    """The entities of the decisions, and what each sees: after < at ≤ upto. At the end, so at −1, nothing."""
    words = _entities(decisions, by)
    t = read_column(decisions, "_at", "moment").dt.epoch("us").alias("t")
    both = words.with_columns(t).drop_nulls().group_by(words.columns)
    ends = both.agg(pl.col("t").min().alias("first"), pl.col("t").max().alias("last"))
    after = ends["first"].to_numpy() - max(window.reach_us for window in windows)
    upto = ends["last"].to_numpy() - min(window.delay_us for window in windows)
    return Codes(ends.select(words.columns)), np.append(after, FOREVER), np.append(upto, -FOREVER)


def _entities(frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """The columns of an entity as words; of a group without any, one word."""
    if not by:
        return pl.DataFrame({"all": pl.repeat("", frame.height, eager=True)})
    return pl.DataFrame({f"by {name}": read_column(frame, name, "word") for name in by})


def _corrected(events: Rows, place: Sequence[str]) -> pl.DataFrame:
    """Versions that were superseded, `row` and `until`: of two with one arrival, the later place is the newer version."""
    hashed = collected(events, lambda rows: rows.select(pl.col("_key").hash())).to_series()
    ordered = hashed.to_numpy(writable=True)
    ordered.sort()
    twice = pl.Series(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]), dtype=pl.UInt64)
    del hashed, ordered
    if not twice.len():
        return pl.DataFrame(schema={"row": pl.UInt32(), "until": pl.Int64()})
    several = collected(
        events,
        lambda rows: (
            rows.select("_key", "_arrived", *place)
            .with_row_index("row")
            .filter(pl.col("_key").hash().is_in(twice.implode()))
        ),
    )
    versions = several.sort("_key", "_arrived", *place, "row").with_columns(
        pl.col("_arrived").shift(-1).over("_key").alias("until")
    )
    later = read_column(versions, "until", "moment").dt.epoch("us")
    return pl.DataFrame([versions["row"], later.alias("until")]).drop_nulls()


def _until(rows: pl.Series, corrected: pl.DataFrame) -> pl.Series:
    if not corrected.height:
        return pl.Series("until", [FOREVER], pl.Int64).new_from_index(0, rows.len())
    found = rows.alias("row").to_frame().join(corrected, on="row", how="left", maintain_order="left")
    return found["until"].fill_null(FOREVER)
