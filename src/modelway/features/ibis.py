"""Windows through Ibis, on DuckDB in this process: a range join, then filtered aggregates at the decision's time.

Decisions and events meet in buckets of time as wide as the widest window, so that a pair is looked at only if it is near; what
the engine adds up are exact parts (`exact.py`), so that threads and their order do not show in the result.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import polars as pl

from modelway.errors import EngineError
from modelway.features.course import computed
from modelway.features.derived import SameInstant
from modelway.features.engine import FeatureEngine
from modelway.features.finish import EVENTS, Aggregate, Asked
from modelway.features.matter import Matter
from modelway.features.plan import Plan


class IbisEngine(FeatureEngine):
    """`threads` None: one for each core; `memory` as DuckDB writes it ("2GB"), None: DuckDB's default of 80 %."""

    def __init__(self, threads: int | None = None, memory: str | None = None) -> None:
        self._settings = {"threads": threads, "memory_limit": memory}

    def compute(
        self,
        decisions: pl.DataFrame,
        events: pl.DataFrame | pl.LazyFrame,
        plan: Plan,
        same_instant: SameInstant | None = None,
        tables: Mapping[str, pl.DataFrame | pl.LazyFrame] | None = None,
    ) -> pl.DataFrame:
        def answer(matter: Matter, mine: pl.Series, theirs: pl.Series, asked: Asked, closed: bool) -> pl.DataFrame:
            with mapped():
                connection = self._connect()
                try:
                    return _answer(connection, matter, mine, theirs, asked, closed)
                finally:
                    connection.disconnect()

        return computed(decisions, events, plan, same_instant, tables or {}, answer)

    def ping(self) -> None:
        with mapped():
            connection = self._connect()
            connection.raw_sql("select 1")
            connection.disconnect()

    def close(self) -> None:
        """Nothing is kept between calls."""

    def _connect(self) -> Any:
        import ibis

        return ibis.duckdb.connect(**{name: value for name, value in self._settings.items() if value is not None})


@contextmanager
def mapped() -> Iterator[None]:
    """Ibis's and DuckDB's errors as EngineError."""
    import duckdb
    from ibis.common.exceptions import IbisError

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise EngineError(
            f"features: DuckDB ran out of memory: {error}",
            "free memory, or make the widest window shorter",
            transient=True,
        ) from error
    except (duckdb.Error, IbisError) as error:
        raise EngineError(f"features: {error}") from error


def _answer(
    connection: Any, matter: Matter, mine: pl.Series, theirs: pl.Series, asked: Asked, closed: bool
) -> pl.DataFrame:
    """One row for each decision that sees anything: `row` and the aggregates that were asked for."""
    import ibis

    columns = [*(name for name in ("order",) if name in matter.own.columns), *asked.columns]
    decisions = matter.decisions.with_columns(mine).drop_nulls(["entity", "t"])
    d, e = (ibis.memtable(part.to_arrow()) for part in _near(decisions, matter, theirs, asked.widest, columns))
    meet = [d.entity == e.of, d.bucket == e.near, e.at > d.t - asked.widest, e.at <= d.t - asked.nearest]
    known = [e.arrived <= d.known, e.until > d.known, e.at <= d.upto, e.other != d.key]
    pairs = d.join(e, [*meet, *known])
    values = {name: pairs[name] for name in columns}
    said = {"labelled": pairs.labelled <= pairs.known, "mine": ibis.literal(False)}
    seen = pairs.select(row=pairs.row, age=pairs.t - pairs["at"], **said, **values)
    own = matter.own.join(decisions.select("row"), on="row", how="semi", maintain_order="left")
    if closed and own.height:
        told = {"age": pl.lit(0, pl.Int64), "labelled": pl.lit(False), "mine": pl.lit(True)}
        itself = own.select("row", *columns, **told).select(*seen.columns)
        seen = seen.union(ibis.memtable(itself.to_arrow()))
    wanted = {name: _aggregate(seen, what, closed) for name, what in asked.wanted.items()}
    return pl.DataFrame(pl.from_arrow(connection.to_pyarrow(seen.group_by("row").aggregate(**wanted))))


def _near(
    decisions: pl.DataFrame, matter: Matter, theirs: pl.Series, widest: int, columns: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Each decision in its own bucket of time and in the one before; each event that ever counts in its own."""
    bucket = pl.col("t") // widest
    twice = pl.concat([decisions.with_columns(bucket=bucket), decisions.with_columns(bucket=bucket - 1)])
    events = matter.events.with_columns(theirs.alias("of")).drop_nulls(["of", "at"])
    counting = events.filter(pl.col("until") > pl.col("arrived")).with_columns(near=pl.col("at") // widest)
    return twice, counting.select(
        "of", "near", "at", "arrived", "until", pl.col("key").alias("other"), "labelled", *columns
    )


_METHODS = {"count": "count", "sum": "sum", "min": "min", "max": "max", "distinct": "nunique"}


def _aggregate(seen: Any, what: Aggregate, closed: bool) -> Any:
    inside = seen.age < what.reach_us
    inside &= seen.age >= what.delay_us if what.delay_us or closed else seen.age > 0
    if what.of_target:
        inside &= seen.labelled
    if what.others:
        inside &= ~seen.mine
    if what.operation == EVENTS:
        return seen.count(where=inside)
    if what.operation == "last":
        return seen.order.max(where=inside & seen[what.column].notnull())
    return getattr(seen[what.column], _METHODS[what.operation])(where=inside)
