"""The answers that a release is judged on, off the predictions table: all since a moment, or what is new since a version of it."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

import polars as pl

from modelway.flow import frames
from modelway.flow.sources import predictions_topic
from modelway.records import Release, TableVersion
from modelway.rollout.guards import slow_at
from modelway.spec.model import Rollout, Spec
from modelway.workspace import Workspace

LATELY = timedelta(days=28)
_SHORTEST = timedelta(hours=1)
_MOST_A_SECOND = 100
_MOST = 2_000_000
_PARTS = 100_000
_PORTION = 200_000
"""Rows that are read at a time, unless one minute has more."""
_MOMENT = pl.Datetime("us", "UTC")
SCHEMA = {
    "request": pl.String(),
    "index": pl.Int64(),
    "key": pl.String(),
    "at": _MOMENT,
    "served": _MOMENT,
    "version": pl.Int64(),
    "shadow": pl.Boolean(),
    "status": pl.String(),
    "scores": pl.List(pl.Float64()),
    "ms": pl.Float64(),
    "pinned": pl.Boolean(),
    "caller": pl.String(),
}
"""A row of an answer. `ms`: without what a challenger takes on the way to its own process, where it answers until it is champion;
`pinned`: the client named the version, so that no share was drawn; `caller`: null where none is known."""
PLACE = frames.ORDER
"""When and where an answer came into the log."""


def looked_at(per_day: float, settings: Rollout) -> float:
    """The share of a busy model's requests that a release looks at (0–1): more would only make each look longer.

    At most a hundred a second, and two million while the shares that are declared last at the least.
    """
    lasts = settings.at_least * max(sum(share < 1 for share in settings.canary), 1) / timedelta(days=1)
    return looked_at_for(per_day, lasts)


def looked_at_for(per_day: float, days: float) -> float:
    """The same of what lasts so many days."""
    per_second, whole = per_day / 86_400, per_day * days
    return min(1.0, _MOST_A_SECOND / max(per_second, 1e-9), _MOST / max(whole, 1e-9))


def answered(workspace: Workspace, spec: Spec, since: datetime, share: float = 1.0) -> pl.DataFrame:
    """Predictions since a moment, without their inputs; of an answer that was asked for twice, the last.

    Below a `share` of 1 only requests whose name has a small hash: that has to do with neither version nor outcome, is the same
    for a request's answers by both, and at each look. (By the moment it would be whole batches of one version.)
    """
    table = workspace.lake.version(predictions_topic(spec))
    if table is None:
        return pl.DataFrame(schema=SCHEMA)
    return once(pl.concat(all_answers(workspace, spec, table, since, share))).drop(*PLACE)


def all_answers(
    workspace: Workspace, spec: Spec, table: TableVersion, since: datetime, share: float
) -> Iterator[pl.DataFrame]:
    """The same as of a version of the table, in portions by arrival, repeats and `PLACE` with them; at least one portion."""
    scanned, until = workspace.lake.scan(table), since
    minute = pl.col("_arrived").dt.truncate("1m")
    counted = scanned.filter(pl.col("_arrived") >= since).group_by(minute).len().collect().sort("_arrived")
    rows = 0
    for start, more in counted.iter_rows():
        if rows and rows + more > _PORTION:
            yield _read(scanned, spec, (pl.col("_arrived") >= until) & (pl.col("_arrived") < start), share)
            rows, until = 0, start
        rows += more
    yield _read(scanned, spec, pl.col("_arrived") >= until, share)


def new_answers(workspace: Workspace, spec: Spec, table: TableVersion, after: int, share: float) -> pl.DataFrame:
    """What was added after an earlier version of the table. Raises NotFoundError when that can no longer be told."""
    return _read(workspace.lake.changes(table.table, after, table.version), spec, pl.lit(True), share)


def _read(scanned: pl.LazyFrame, spec: Spec, which: pl.Expr, share: float) -> pl.DataFrame:
    """The columns of `SCHEMA` and `PLACE`."""
    there = scanned.collect_schema().names()
    made = {
        "pinned": pl.col("pinned").fill_null(False) if "pinned" in there else pl.lit(False),
        "caller": pl.coalesce("caller", caller_of(spec.sticky)) if "caller" in there else caller_of(spec.sticky),
        "ms": _own_ms(there),
    }
    plain = [name for name in SCHEMA if name not in made]
    some = which if share >= 1 else which & (pl.col("request").hash(11) % _PARTS < max(round(_PARTS * share), 1))
    wanted = scanned.filter(some).select(*plain, *PLACE, *(expression.alias(name) for name, expression in made.items()))
    return wanted.collect().select(*SCHEMA, *PLACE)


def _own_ms(there: Collection[str]) -> pl.Expr:
    return pl.col("ms") - pl.col("way").fill_null(0.0) if "way" in there else pl.col("ms")


def once(rows: pl.DataFrame) -> pl.DataFrame:
    """In the order of the log; of a repeated answer the last."""
    return rows.sort(*PLACE).unique(["request", "index", "version"], keep="last", maintain_order=True)


def caller_of(sticky: str | None) -> pl.Expr:
    """The caller's name out of a row's inputs, as text; null where there is none (and where the person was erased)."""
    if sticky is None:
        return pl.lit(None, pl.String)
    named = pl.col("row").str.json_path_match("$['" + sticky.replace("\\", "\\\\").replace("'", "\\'") + "']")
    return pl.when(named != "").then(named)


def requests_per_day(workspace: Workspace, spec: Spec, now: datetime) -> float:
    """Of clients, over the time since the first one of lately; shadow answers are no requests."""
    table = workspace.lake.version(predictions_topic(spec))
    if table is None:
        return 0.0
    client = ~pl.col("shadow") & (pl.col("index") == 0)
    scanned = workspace.lake.scan(table).filter(pl.col("_arrived") >= now - LATELY, client)
    found = scanned.select(pl.len().alias("requests"), pl.col("served").min()).collect()
    first: datetime | None = found["served"][0]
    return 0.0 if first is None else int(found["requests"][0]) / (max(now - first, _SHORTEST) / timedelta(days=1))


def thresholds(workspace: Workspace, spec: Spec, standing: Release) -> tuple[tuple[float, float], ...]:
    """Of latency, for champion and challenger: from what the champion took in the four weeks before the release, live."""
    table = workspace.lake.version(predictions_topic(spec))
    guard = spec.release.guard
    if table is None or (guard.latency is None and guard.latency_p99 is None):
        return ()
    live = (pl.col("version") == (standing.champion or 0)) & ~pl.col("shadow") & (pl.col("index") == 0)
    since = pl.col("_arrived") >= standing.started - LATELY
    scanned = workspace.lake.scan(table)
    own = _own_ms(scanned.collect_schema().names())
    took = scanned.filter(since & live).select(ms=own).collect()["ms"].drop_nulls()
    return slow_at(took.to_numpy(), guard)
