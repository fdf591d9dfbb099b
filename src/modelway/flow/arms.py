"""Both versions of a release as counts: requests or callers, errors, invalid outputs, slow answers; read off the predictions table.

By caller where the routing is sticky (`Spec.sticky`): the share of the traffic is then drawn by caller, so callers are what is
independent, and each counts once (see `rollout.evidence.Arm`).
"""

from collections.abc import Collection
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from modelway.evidence.slower import slow_counts
from modelway.flow import frames
from modelway.flow.sources import predictions_topic
from modelway.records import Release
from modelway.rollout.evidence import Arm, Tried
from modelway.rollout.guards import slow_at
from modelway.rollout.standing import same_requests
from modelway.spec.model import Rollout, Spec
from modelway.workspace import Workspace

LATELY = timedelta(days=28)
SETTLING = timedelta(seconds=0.5)
"""How long servers may take to learn of a new share: what a canary answered before that was drawn by the old one."""
_MOMENT = pl.Datetime("us", "UTC")
TIMED_A_SECOND = 10
"""Requests whose latency counts, of both versions together in each second, drawn whoever answered them. A stall of a worker makes
all its requests slow at once: of a busy model it would count as often as there are requests in it."""
_MOST_A_SECOND = 100
_MOST = 2_000_000
_PARTS = 100_000
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


def looked_at(per_day: float, settings: Rollout) -> float:
    """The share of a busy model's requests that a release looks at (0–1): more would only make each look longer.

    At most a hundred a second, and two million while the shares that are declared last at the least.
    """
    lasts = settings.at_least * max(sum(share < 1 for share in settings.canary), 1) / timedelta(days=1)
    per_second, whole = per_day / 86_400, per_day * lasts
    return min(1.0, _MOST_A_SECOND / max(per_second, 1e-9), _MOST / max(whole, 1e-9))


def answered(workspace: Workspace, spec: Spec, since: datetime, share: float = 1.0) -> pl.DataFrame:
    """Predictions since a moment, without their inputs; of an answer that was asked for twice, the last.

    Below a `share` of 1 only requests whose name has a small hash: that has to do with neither version nor outcome, is the same
    for a request's answers by both, and at each look. (By the moment it would be whole batches of one version.)
    """
    table = workspace.lake.version(predictions_topic(spec))
    if table is None:
        return pl.DataFrame(schema=SCHEMA)
    scanned = workspace.lake.scan(table)
    there = scanned.collect_schema().names()
    made = {
        "pinned": pl.col("pinned").fill_null(False) if "pinned" in there else pl.lit(False),
        "caller": pl.coalesce("caller", caller_of(spec.sticky)) if "caller" in there else caller_of(spec.sticky),
        "ms": _own_ms(there),
    }
    plain = [name for name in SCHEMA if name not in made]
    order = [name for name in frames.ORDER if name not in SCHEMA]
    new = pl.col("_arrived") >= since
    some = new if share >= 1 else new & (pl.col("request").hash(11) % _PARTS < max(round(_PARTS * share), 1))
    wanted = scanned.filter(some).select(*plain, *order, *(expression.alias(name) for name, expression in made.items()))
    found = wanted.collect().sort(*frames.ORDER)
    return found.unique(["request", "index", "version"], keep="last", maintain_order=True)


def _own_ms(there: Collection[str]) -> pl.Expr:
    return pl.col("ms") - pl.col("way").fill_null(0.0) if "way" in there else pl.col("ms")


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


_SHORTEST = timedelta(hours=1)


def thresholds(workspace: Workspace, spec: Spec, standing: Release) -> tuple[tuple[float, float], ...]:
    """Of latency: those that the canary began with; before it, from what the champion took in the last four weeks, live."""
    if standing.state in ("canary", "full"):
        return tuple((float(a), float(b)) for a, b in standing.evidence.get("slow_ms", ()))
    table = workspace.lake.version(predictions_topic(spec))
    guard = spec.release.guard
    if table is None or (guard.latency is None and guard.latency_p99 is None):
        return ()
    live = (pl.col("version") == (standing.champion or 0)) & ~pl.col("shadow") & (pl.col("index") == 0)
    since = pl.col("_arrived") >= standing.started - LATELY
    scanned = workspace.lake.scan(table)
    took = (
        scanned.filter(since & live).select(ms=_own_ms(scanned.collect_schema().names())).collect()["ms"].drop_nulls()
    )
    return slow_at(took.to_numpy(), guard)


def arms(
    rows: pl.DataFrame, standing: Release, slow_ms: tuple[tuple[float, float], ...], sticky: bool
) -> tuple[Arm, Arm]:
    """Challenger and champion since the step began: in shadow the requests that both answered, else each its own."""
    versions = (standing.version, standing.champion or 0)
    begun = _since(standing) if same_requests(standing) else _since(standing) + SETTLING
    here = rows.filter(pl.col("served") > begun, pl.col("version").is_in(versions), ~pl.col("pinned"))
    asked = _by_request(_judged(here, sum(versions)))
    late = dict(zip(versions, zip(*((b, a) for a, b in slow_ms), strict=True), strict=True)) if slow_ms else {}
    if same_requests(standing):
        both = asked.filter(pl.col("version").n_unique().over("request") == 2)
        made = [_on_same_requests(both.filter(pl.col("version") == version), sticky) for version in versions]
        return made[0], made[1]
    live = asked.filter(~pl.col("shadow"))
    live = live.with_columns(pl.when(_timed()).then("ms").alias("ms"))
    if not sticky:
        made = [_by_requests(live.filter(pl.col("version") == version), late.get(version, ())) for version in versions]
        return made[0], made[1]
    callers = _Callers(live, standing.moved + SETTLING)
    made = [callers.arm(version, late.get(version, ())) for version in versions]
    return made[0], made[1]


def _since(standing: Release) -> datetime:
    """From when on callers are remembered: the canary's beginning; else that of the step."""
    since = standing.evidence.get("since") if standing.state == "canary" else None
    return datetime.fromisoformat(since) if since else standing.moved


def _judged(here: pl.DataFrame, total: int) -> pl.DataFrame:
    """`error`: the row failed; `invalid`: its output cannot be used, or this version refused a row that the other one answered."""
    other = here.select(
        "request", "index", (total - pl.col("version")).alias("version"), pl.col("status").alias("_other")
    )
    refused = (pl.col("status") == "refused") & (pl.col("_other") == "ok").fill_null(False)
    return here.join(other, on=["request", "index", "version"], how="left").with_columns(
        (pl.col("status") == "error").alias("error"), ((pl.col("status") == "invalid") | refused).alias("invalid")
    )


def _by_request(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a request and version; one with any failed row is an error, else one with any invalid row is invalid."""
    found = rows.group_by("request", "version", "shadow").agg(
        pl.col("error").any(),
        pl.col("invalid").any(),
        pl.col("ms").max(),
        pl.col("served").min(),
        pl.col("caller").sort_by("index").first(),
    )
    return found.with_columns(
        pl.col("invalid") & ~pl.col("error"),
        pl.coalesce("caller", pl.concat_str(pl.lit("\0"), "request")).alias("caller"),
    )


def _timed() -> pl.Expr:
    """Whether the latency of a request counts: it is among the few of its second, in an order that has to do with nothing."""
    return pl.col("request").hash(7).rank("ordinal").over(pl.col("served").dt.truncate("1s")) <= TIMED_A_SECOND


def _by_requests(mine: pl.DataFrame, late: tuple[float, ...]) -> Arm:
    return Arm(mine.height, int(mine["error"].sum()), int(mine["invalid"].sum()), slow_counts(_ms(mine), late))


def _on_same_requests(mine: pl.DataFrame, sticky: bool) -> Arm:
    """Errors are those of callers where one caller's requests hang together; in shadow nobody's latency is a client's."""
    named = "caller" if sticky else "request"
    errors, invalid = (mine.filter(pl.col(kind))[named].n_unique() for kind in ("error", "invalid"))
    return Arm(mine.height, errors, invalid)


class _Callers:
    """Live requests since the canary began, by caller; what counts is what came first, if in this step (after `begun`)."""

    def __init__(self, live: pl.DataFrame, begun: datetime) -> None:
        ordered = live.sort("served", "request")
        in_step = pl.col("served") > begun
        self._seen = _first(ordered).filter(in_step)
        self._failed = {kind: _first(ordered.filter(pl.col(kind))).filter(in_step) for kind in ("error", "invalid")}
        self._tried = _first(ordered.filter(in_step))

    def arm(self, version: int, late: tuple[float, ...]) -> Arm:
        mine = pl.col("version") == version
        seen, tried = self._seen.filter(mine), self._tried.filter(mine)
        failed = {kind: found.filter(mine).height for kind, found in self._failed.items()}
        bad = tried.filter(pl.col("error") | pl.col("invalid")).height
        slow = slow_counts(_ms(seen), late)
        return Arm(seen.height, failed["error"], failed["invalid"], slow, Tried(tried.height, bad))


def _first(ordered: pl.DataFrame) -> pl.DataFrame:
    return ordered.unique("caller", keep="first", maintain_order=True)


def _ms(mine: pl.DataFrame) -> np.ndarray:
    return mine["ms"].fill_null(float("nan")).to_numpy()
