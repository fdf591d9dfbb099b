"""What looks at a release have read so far: the next one reads only what is new, so that its cost does not grow with the release.

Kept in the memory of the process that looks: running sums of both arms, and pairs, as of a version of the predictions table. The
next look adds the rows of the commits since then. Each row is in one commit, so it is added once; a process that starts, a table
that was written anew (an erasure) or a log that no longer tells the commits begin with one look at all rows.

Answers stay *open* for a while, since the other version's answer or a repeated one may still come: those that arrived within
`TOGETHER` of the newest. Older ones are settled, by whole seconds in which they were served, and are never looked at again; what
repeats one of them is passed over.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any, TypeVar

import polars as pl

from modelway.errors import NotFoundError
from modelway.flow.arms import Counts, Slow, add, add_shares
from modelway.flow.known_names import NOBODY, Names
from modelway.flow.release_rows import PLACE, SCHEMA, all_answers, new_answers, once
from modelway.flow.sources import predictions_topic
from modelway.records import Experiment, Release, TableVersion
from modelway.rollout.evidence import Arm
from modelway.spec.model import Spec
from modelway.workspace import Workspace

T = TypeVar("T")
TOGETHER = timedelta(minutes=5)
MOST_PAIRS = 500_000
"""The first ones are kept; what goes wrong after so many is for monitoring to find."""
PAIRS = {
    "_key": pl.String(),
    "caller": pl.String(),
    "at": SCHEMA["at"],
    "challenger": SCHEMA["scores"],
    "champion": SCHEMA["scores"],
}
"""One row a key that both versions answered since the release began, with the scores of each; in the order of the answers."""
_PLACE = {"_arrived": SCHEMA["served"], **dict.fromkeys(PLACE[1:], pl.Int64())}
_FRESH = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Of one release. `open` are rows that are not settled, with `PLACE`."""

    of: tuple[Any, ...]
    """Release, sticky column and share that is looked at: of anything else all is read anew."""
    place: tuple[str, datetime]
    table: int
    open: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={**SCHEMA, **_PLACE}))
    settled: datetime | None = None
    """What arrived up to then may be settled."""
    seen: Names = NOBODY
    counts: Counts = field(default_factory=Counts)
    keys: Names = NOBODY
    pairs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PAIRS))


@dataclass(slots=True)
class _Kept:
    """Of one model."""

    gathered: Gathered | None = None
    lately: dict[str, tuple[datetime, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """Both arms since the step began, and the pairs since the release did."""

    arms: tuple[Arm, ...]
    pairs: pl.DataFrame
    read: int = 0
    """Rows that this look read from the lake."""


def look(workspace: Workspace, spec: Spec, standing: Release, slow_ms: Slow, share: float) -> Found:
    """What is known by now of a release with a champion that has begun; `share` of the requests is looked at."""
    table = workspace.lake.version(predictions_topic(spec))
    if table is None:
        return Found((Arm(), Arm()), pl.DataFrame(schema=PAIRS))
    kept, of = _memory(workspace).setdefault(spec.model, _Kept()), (standing.id, spec.sticky, share)
    fresh = Gathered(of, (standing.state, standing.moved), table.version)
    usable = _usable(kept.gathered, of, standing.state, standing.moved)
    found, portions = _to_read(workspace, spec, table, usable, fresh, standing.started, share)
    read = 0
    for rows in portions:
        found, read = gather(found, rows, standing, slow_ms, sticky=spec.sticky is not None), read + rows.height
    kept.gathered = replace(found, table=table.version)
    return replace(found_in(found, standing, slow_ms, sticky=spec.sticky is not None), read=read)


def look_at_arms(
    workspace: Workspace, spec: Spec, standing: Experiment, versions: Sequence[int], since: datetime, share: float
) -> tuple[Arm, ...]:
    """What versions with shares of their own did since these changed last (`arms.add_shares`); `since` the experiment runs."""
    table, none = workspace.lake.version(predictions_topic(spec)), (Arm(),) * (2 * len(versions))
    if table is None:
        return none
    kept, of = (
        _memory(workspace).setdefault(spec.model, _Kept()),
        ("experiment", standing.id, since, spec.sticky, share),
    )
    fresh = Gathered(of, ("canary", standing.moved), table.version, counts=Counts(none))
    usable = _usable(kept.gathered, of, "canary", standing.moved)
    found, portions = _to_read(workspace, spec, table, usable, fresh, since, share)
    count = partial(add_shares, versions=versions, since=since, moved=standing.moved, sticky=spec.sticky is not None)
    for rows in portions:
        found, done = _settle(found, rows)
        found = replace(found, counts=count(found.counts, done))
    kept.gathered = replace(found, table=table.version)
    return count(found.counts, found.open).arms


def _to_read(
    workspace: Workspace,
    spec: Spec,
    table: TableVersion,
    usable: Gathered | None,
    fresh: Gathered,
    since: datetime,
    share: float,
) -> tuple[Gathered, Iterable[pl.DataFrame]]:
    """What to go on from, and the rows that it does not know."""
    if usable is not None:
        try:
            return usable, [new_answers(workspace, spec, table, usable.table, share)]
        except NotFoundError:
            pass  # the log no longer tells what is new: all is read again
    return fresh, all_answers(workspace, spec, table, since, share)


def gather(before: Gathered, rows: pl.DataFrame, standing: Release, slow_ms: Slow, *, sticky: bool) -> Gathered:
    """With these rows too (`SCHEMA` and `PLACE`), and all that is old enough settled."""
    after, done = _settle(before, rows)
    if not done.height:
        return after
    keys, pairs = _paired(before.keys, before.pairs, done, standing)
    return replace(after, counts=add(before.counts, done, standing, slow_ms, sticky), keys=keys, pairs=pairs)


def _settle(before: Gathered, rows: pl.DataFrame) -> tuple[Gathered, pl.DataFrame]:
    """With these rows too, and those among all that were open which are old enough to be counted."""
    new = rows.filter(pl.Series(before.seen.lacks(_named(rows)), dtype=pl.Boolean))
    whole = once(pl.concat([before.open, new]))
    newest: Any = whole["_arrived"].max()
    if newest is None:
        return before, whole
    settled = pl.col("_arrived").max().over(pl.col("served").dt.truncate("1s")) <= newest - TOGETHER
    is_old = whole.select(settled).to_series()
    done, left = whole.filter(is_old), whole.filter(~is_old)
    if not done.height:
        return replace(before, open=left), done
    return replace(before, open=left, settled=newest - TOGETHER, seen=before.seen.plus(_named(done))), done


def found_in(kept: Gathered, standing: Release, slow_ms: Slow, *, sticky: bool) -> Found:
    """What is known with the answers that are still open."""
    counts = add(kept.counts, kept.open, standing, slow_ms, sticky)
    return Found(counts.arms, _paired(kept.keys, kept.pairs, kept.open, standing)[1])


def forget(workspace: Workspace, model: str) -> None:
    """Nothing of the model is looked at any more."""
    _memory(workspace).pop(model, None)


def lately(workspace: Workspace, model: str, what: str, ask: Callable[[], T]) -> T:
    """A figure over weeks, which one minute does not change: asked for again after that."""
    told, now = _memory(workspace).setdefault(model, _Kept()).lately, workspace.clock.now()
    if what not in told or not timedelta(0) <= now - told[what][0] < _FRESH:
        told[what] = now, ask()
    found: T = told[what][1]
    return found


@lru_cache(maxsize=8)
def _memory(workspace: Workspace) -> dict[str, _Kept]:
    """By model; a workspace is opened once in a process."""
    del workspace
    return {}


def _usable(before: Gathered | None, of: tuple[Any, ...], state: str, moved: datetime) -> Gathered | None:
    """Ready for the step that the release (or experiment) is at, if that can be gone on from."""
    if before is None or before.of != of:
        return None
    place = (state, moved)
    if before.place == place:
        return before
    if before.settled is not None and before.settled >= moved:
        return None  # something that counts in this step is settled
    further = before.place[0] == state == "canary"
    return replace(before, place=place, counts=before.counts.next_step() if further else Counts())


def _named(rows: pl.DataFrame) -> pl.Series:
    """Whose answer each row is a part of."""
    return rows.select(pl.concat_str("version", pl.lit("/"), "request")).to_series()


def _paired(keys: Names, pairs: pl.DataFrame, rows: pl.DataFrame, standing: Release) -> tuple[Names, pl.DataFrame]:
    """With the pairs among these rows, of keys that have none yet; of a key the first."""
    if pairs.height >= MOST_PAIRS:
        return keys, pairs
    good = rows.filter(pl.col("served") >= standing.started, pl.col("status") == "ok")
    sides = [
        good.filter(pl.col("version") == version).rename({"scores": name})
        for version, name in ((standing.version, "challenger"), (standing.champion or 0, "champion"))
    ]
    both = sides[0].join(sides[1].select("request", "index", "champion"), on=["request", "index"], how="inner")
    first = both.sort("served", "request", "index").unique("key", keep="first", maintain_order=True)
    new = first.filter(pl.Series(keys.lacks(first["key"]), dtype=pl.Boolean)).rename({"key": "_key"}).select(*PAIRS)
    return keys.plus(new["_key"]), pl.concat([pairs, new]).head(MOST_PAIRS) if new.height else pairs
