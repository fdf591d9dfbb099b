"""Joined tables as of many decisions, on both times: one search for each statement, one for each decision.

The newest statement by (valid_from, arrival, place) is the right one whenever it had arrived in time. Only where it came later, as
a correction does, the statements before it are looked at. A statement that a newer one hides from every decision is left out first.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from modelway.errors import DataError
from modelway.features.cells import PLACE, demand_arrivals, demand_names, knowing, read_column
from modelway.features.codes import Codes
from modelway.features.derived import Joined
from modelway.features.narrow import FOREVER
from modelway.features.plan import Plan
from modelway.features.portions import Rows, collected, in_portions
from modelway.features.stretches import Ints, bisected, by_entity

_TOGETHER = 128
"""Columns that are read together."""


def joined(decisions: pl.DataFrame, plan: Plan, tables: Mapping[str, Rows]) -> list[pl.Series]:
    """The columns of the plan's joins, null where missing.

    A lazy table is read as far as it is needed: its keys, and the rows that a decision sees.
    """
    found = []
    for joins in plan.lookups.values():
        statements = tables.get(joins[0].table)
        if statements is None or not _demand_placed(statements, joins[0]):
            found += [_nothing(join, decisions.height) for join in joins]
            continue
        found += _values(statements, joins, _holding(decisions, statements, joins[0], plan.lag_us))
    return found


def _demand_placed(statements: Rows, join: Joined) -> int:
    """How many statements there are; raises DataError when they cannot be placed in time."""
    what = f"rows of {join.table}"
    demand_names(statements.collect_schema().names(), what)
    told = collected(statements, lambda rows: rows.select(pl.len(), pl.col("_arrived").null_count()))
    count, missing = told.row(0)
    demand_arrivals(missing, what)
    return int(count)


def _holding(decisions: pl.DataFrame, statements: Rows, join: Joined, lag_us: int) -> pl.Series:
    """For every decision the place of the statement that holds, or null."""
    known = knowing(decisions, lag_us)
    asked = pl.DataFrame(
        {
            "row": pl.int_range(decisions.height, dtype=pl.UInt32, eager=True),
            "word": read_column(decisions, join.on, "word"),
            "t": pl.select(pl.min_horizontal(known["t"] - join.delay_us, known["upto"])).to_series(),
            "known": known["known"],
        }
    ).drop_nulls(["word", "t", "known"])
    codes = Codes(asked.select("word").unique(maintain_order=True))
    asked = asked.with_columns(thing=pl.Series(codes.of(asked.select("word")))).sort("thing", "t")
    places = _places(asked, _unhidden(asked, _near(asked, codes, statements, join)))
    every = pl.Series("place", [None], pl.UInt32).new_from_index(0, decisions.height)
    return every.scatter(asked["row"], places)


def _near(asked: pl.DataFrame, codes: Codes, statements: Rows, join: Joined) -> pl.DataFrame:
    """The statements that a decision may see, without their values; `first` is the place of the first such decision."""
    t = asked["t"].to_numpy()
    bounds = np.searchsorted(asked["thing"].to_numpy(), np.arange(len(codes) + 1))
    there = statements.collect_schema().names()
    ranks = [name for name in PLACE if name in there]

    def seen(rows: pl.DataFrame) -> pl.DataFrame:
        thing = codes.of(pl.DataFrame({"word": read_column(rows, join.key, "word")}))
        since = read_column(rows, "_at", "moment").dt.epoch("us").fill_null(FOREVER).to_numpy()
        among = np.flatnonzero(thing >= 0)
        thing, since = thing[among], since[among]
        first, after = bisected(t, bounds[thing], bounds[thing + 1], since - 1), bounds[thing + 1]
        kept = first < after
        told = {"thing": thing[kept], "since": since[kept], "first": first[kept]}
        rows = rows.select("place", "_arrived", *ranks)[among[kept]]
        arrived = read_column(rows, "_arrived", "moment").dt.epoch("us").alias("arrived")
        return pl.DataFrame([*(pl.Series(name, made) for name, made in told.items()), arrived]).hstack(
            rows.select("place", *ranks)
        )

    wanted = [name for name in there if name in {"_at", "_arrived", join.key, *PLACE}]
    return in_portions(statements, wanted, seen, "place")


def _unhidden(asked: pl.DataFrame, near: pl.DataFrame) -> pl.DataFrame:
    """Without the statements that are older than another of the same thing which every decision that sees them has seen."""
    known = asked.select(pl.col("known").cum_min(reverse=True).over("thing")).to_series().to_numpy()
    first, since = near["first"].to_numpy(), near["since"].to_numpy()
    sure = near["arrived"].to_numpy() <= known[first]
    newest = np.full(asked.height, -FOREVER, dtype=np.int64)
    np.maximum.at(newest, first[sure], since[sure])
    return near.filter(pl.Series(since >= newest[first]))


def _places(asked: pl.DataFrame, near: pl.DataFrame) -> pl.Series:
    """For each decision the place of the statement that holds, null where none does."""
    order, things, since = by_entity(near["thing"], near["since"])
    order = _with_ties(order, things, since, near)
    of, t, known = (asked[name].to_numpy() for name in ("thing", "t", "known"))
    first = np.searchsorted(things, of, "left")
    found = bisected(since, first, np.searchsorted(things, of, "right"), t) - 1
    arrived = near["arrived"].to_numpy()[order]
    late = np.flatnonzero(found >= first)
    while late.size:
        late = late[arrived[found[late]] > known[late]]
        found[late] -= 1
        late = late[found[late] >= first[late]]
    chosen = pl.Series(np.where(found >= first, found, -1)).replace(-1, None)
    return pl.Series("place", near["place"].gather(pl.Series(order, dtype=pl.UInt32).gather(chosen)))


def _with_ties(order: Ints, things: Ints, since: Ints, near: pl.DataFrame) -> Ints:
    """Statements about one thing that hold from the same moment on, in the order of their arrival and place."""
    equal = (things[1:] == things[:-1]) & (since[1:] == since[:-1])
    if not equal.any():
        return order
    tied = np.flatnonzero(np.append(equal, False) | np.insert(equal, 0, False))
    ranks = [name for name in PLACE if name in near.columns]
    rows = near.select("arrived", *ranks, "place")[order[tied]].with_columns(
        thing=pl.Series(things[tied]), since=pl.Series(since[tied]), order=pl.Series(order[tied])
    )
    order = order.copy()
    order[tied] = rows.sort("thing", "since", "arrived", *ranks, "place")["order"].to_numpy()
    return order


def _values(statements: Rows, joins: Sequence[Joined], places: pl.Series) -> list[pl.Series]:
    """The joined columns, some at a time."""
    names = statements.collect_schema().names()
    there = set(names)
    for join in joins:
        if join.column not in there:
            raise DataError(
                f"features.{join.name}: the table {join.table} has no column {join.column}",
                f"there: {', '.join(n for n in names if not n.startswith('_'))}",
            )
    named = list(dict.fromkeys(join.column for join in joins))
    made: dict[str, pl.Series] = {}
    for low in range(0, len(named), _TOGETHER):
        some = named[low : low + _TOGETHER]
        taken = _taken(statements, some, places)
        made |= _read(taken, [join for join in joins if join.column in taken.columns])
    return [made[join.name] for join in joins]


def _read(taken: pl.DataFrame, joins: Sequence[Joined]) -> dict[str, pl.Series]:
    """Each join's column in its kind; plain numbers all at once."""
    plain = [name for name, kind in taken.schema.items() if kind.is_float()]
    numbers = {one.name: one for one in taken.select(pl.col(plain).cast(pl.Float64).fill_nan(None))}
    made = {}
    for join in joins:
        values = numbers.get(join.column) if join.kind == "number" else None
        values = (read_column(taken, join.column, join.kind) if values is None else values).alias(join.name)
        made[join.name] = values if join.default is None else values.fill_null(join.default)
    return made


def _taken(statements: Rows, named: list[str], places: pl.Series) -> pl.DataFrame:
    """The rows at these places. Of a table that is not in memory only they are brought there."""
    if isinstance(statements, pl.DataFrame):
        return statements.select(pl.col(named).gather(places))
    wanted = places.drop_nulls().unique().sort()
    near = collected(
        statements,
        lambda rows: rows.with_row_index("_row").filter(pl.col("_row").is_in(wanted.implode())).select(named),
    )
    index = pl.DataFrame({"place": wanted}).with_row_index("index")
    return near.select(
        pl.col(named).gather(places.to_frame().join(index, on="place", how="left", maintain_order="left")["index"])
    )


def _nothing(join: Joined, rows: int) -> pl.Series:
    kind = pl.String() if join.kind == "word" else pl.Float64()
    return pl.Series(join.name, [join.default if join.kind == "number" else None], kind).new_from_index(0, rows)
