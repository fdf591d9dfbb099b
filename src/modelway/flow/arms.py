"""Both versions of a release as counts: requests or callers, errors, invalid outputs, slow answers.

By caller where the routing is sticky (`Spec.sticky`): the share of the traffic is then drawn by caller, so callers are what is
independent, and each counts once (see `rollout.evidence.Arm`).

Counts are sums: what is added in pieces, second by second, is what is added at once (`gathered.py` adds only what is new).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from modelway.evidence.slower import slow_counts
from modelway.flow.known_names import NOBODY, Names
from modelway.records import Release
from modelway.rollout.evidence import Arm, Tried
from modelway.rollout.standing import same_requests

SETTLING = timedelta(seconds=0.5)
"""How long servers may take to learn of a new share: what a canary answered before that was drawn by the old one."""
TIMED_A_SECOND = 10
"""Requests whose latency counts, of both versions together in each second, drawn whoever answered them. A stall of a worker makes
all its requests slow at once: of a busy model it would count as often as there are requests in it."""
Slow = tuple[tuple[float, float], ...]
"""Thresholds of latency in milliseconds, for champion and challenger."""
ERROR = pl.col("status") == "error"
UNUSABLE = pl.col("status").is_in(["invalid", "refused"])
_OVER_STEPS = ("seen", "error", "invalid")


@dataclass(frozen=True, slots=True)
class Counts:
    """Challenger and champion since the step began, and the callers that have counted: a second time they do not."""

    arms: tuple[Arm, ...] = (Arm(), Arm())
    known: Mapping[str, Names] = field(default_factory=dict)

    def next_step(self) -> "Counts":
        """At the beginning of a canary's next step: nothing counts yet, and callers are remembered."""
        known = {name: names for name, names in self.known.items() if name in _OVER_STEPS}
        return Counts((Arm(),) * len(self.arms), known)


def arms(rows: pl.DataFrame, standing: Release, slow_ms: Slow, sticky: bool) -> tuple[Arm, ...]:
    """Challenger and champion since the step began: in shadow the requests that both answered, else each its own."""
    return add(Counts(), rows, standing, slow_ms, sticky).arms


def add(counts: Counts, rows: pl.DataFrame, standing: Release, slow_ms: Slow, sticky: bool) -> Counts:
    """With these answers, each of them once, all of a request and of a second together."""
    versions = (standing.version, standing.champion or 0)
    begun = standing.moved if same_requests(standing) else remembered_since(standing, sticky) + SETTLING
    here = rows.filter(pl.col("served") > begun, pl.col("version").is_in(versions), ~pl.col("pinned"))
    asked = _by_request(_judged(here, sum(versions)))
    if same_requests(standing):
        both = asked.filter(pl.col("version").n_unique().over("request") == 2)
        return _on_same_requests(counts, both, versions, sticky)
    live = asked.filter(~pl.col("shadow")).with_columns(pl.when(_timed()).then("ms").alias("ms"))
    late = dict(zip(versions, zip(*((b, a) for a, b in slow_ms), strict=True), strict=True)) if slow_ms else {}
    if sticky:
        return _by_callers(counts, live, versions, late, standing.moved + SETTLING)
    made = [_by_requests(live.filter(pl.col("version") == version), late.get(version, ())) for version in versions]
    return _plus(counts, made)


def add_shares(
    counts: Counts, rows: pl.DataFrame, versions: Sequence[int], since: datetime, moved: datetime, *, sticky: bool
) -> Counts:
    """The same of several versions, each with a share of its own since `moved`: arms as they count, and after them by request.

    Callers are remembered from `since` on. A version that refuses has nobody beside it who answers the same: each refusal counts
    as an output that cannot be used, and falls to a version by its share where all refuse alike.
    """
    here = rows.filter(
        pl.col("served") > (since if sticky else moved) + SETTLING,
        pl.col("version").is_in(versions),
        ~pl.col("pinned"),
        ~pl.col("shadow"),
    )
    asked = _by_request(here.with_columns(error=ERROR, invalid=UNUSABLE))
    begun, n = moved + SETTLING, len(versions)
    in_step = asked.filter(pl.col("served") > begun)
    plain = [_by_requests(in_step.filter(pl.col("version") == version), ()) for version in versions]
    by_request = _plus(replace(counts, arms=counts.arms[n:]), plain)
    if not sticky:
        return replace(by_request, arms=by_request.arms * 2)
    by_caller = _by_callers(replace(counts, arms=counts.arms[:n]), asked, versions, {}, begun)
    return replace(by_caller, arms=by_caller.arms + by_request.arms)


def remembered_since(standing: Release, sticky: bool) -> datetime:
    """From when on answers count: the step's beginning; callers are remembered from the canary's on."""
    since = standing.evidence.get("since") if sticky and standing.state == "canary" else None
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


def _on_same_requests(counts: Counts, both: pl.DataFrame, versions: tuple[int, int], sticky: bool) -> Counts:
    """Errors are those of callers where one caller's requests hang together; in shadow nobody's latency is a client's."""
    made, known = list[Arm](), dict(counts.known)
    for version in versions:
        mine, failed = both.filter(pl.col("version") == version), dict[str, int]()
        for kind in ("error", "invalid"):
            bad = mine.filter(pl.col(kind))["caller" if sticky else "request"].unique()
            before = known.get(f"{kind} {version}", NOBODY)
            failed[kind] = int(before.lacks(bad).sum())
            if sticky:
                known[f"{kind} {version}"] = before.plus(bad)
        made.append(Arm(mine.height, failed["error"], failed["invalid"]))
    return replace(_plus(counts, made), known=known)


def _by_callers(
    counts: Counts,
    live: pl.DataFrame,
    versions: Sequence[int],
    late: Mapping[int, tuple[float, ...]],
    begun: datetime,
) -> Counts:
    """What counts is what a caller did first since the canary began, if in this step; `tried` is its first request in the step."""
    ordered, in_step, known = live.sort("served", "request"), pl.col("served") > begun, dict(counts.known)

    def first(name: str, among: pl.DataFrame) -> pl.DataFrame:
        firsts, before = among.unique("caller", keep="first", maintain_order=True), known.get(name, NOBODY)
        known[name] = before.plus(firsts["caller"])
        return firsts.filter(pl.Series(before.lacks(firsts["caller"]), dtype=pl.Boolean)).filter(in_step)

    seen, tried = first("seen", ordered), first("tried", ordered.filter(in_step))
    failed = {kind: first(kind, ordered.filter(pl.col(kind))) for kind in ("error", "invalid")}
    made = []
    for version in versions:
        mine = pl.col("version") == version
        newly, asked = seen.filter(mine), tried.filter(mine)
        bad = asked.filter(pl.col("error") | pl.col("invalid")).height
        slow = slow_counts(_ms(newly), late.get(version, ()))
        errors, invalid = (failed[kind].filter(mine).height for kind in ("error", "invalid"))
        made.append(Arm(newly.height, errors, invalid, slow, Tried(asked.height, bad)))
    return replace(_plus(counts, made), known=known)


def _plus(counts: Counts, more: list[Arm]) -> Counts:
    return replace(counts, arms=tuple(_sum(one, other) for one, other in zip(counts.arms, more, strict=True)))


def _sum(one: Arm, other: Arm) -> Arm:
    slow = tuple(a + b for a, b in zip(one.slow, other.slow, strict=True)) if one.slow and other.slow else other.slow
    callers = other.callers
    if callers is not None and one.callers is not None:
        callers = Tried(one.callers.tried + callers.tried, one.callers.failed + callers.failed)
    return Arm(
        one.requests + other.requests,
        one.errors + other.errors,
        one.invalid + other.invalid,
        slow or one.slow,
        callers or one.callers,
    )


def _ms(mine: pl.DataFrame) -> np.ndarray:
    return mine["ms"].fill_null(float("nan")).to_numpy()
