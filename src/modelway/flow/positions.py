"""Where a table stands in its topic, and the decision to go on from elsewhere when that place is gone."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from modelway.errors import NotFoundError, StateError, UsageError
from modelway.events.log import EventLog
from modelway.flow import progress
from modelway.ingest.source import APP, IDENTITY
from modelway.lake.tables import Lake
from modelway.records import dumps
from modelway.state import ledger
from modelway.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Position:
    """Of one partition: the table's position, and what the log keeps; `state` says how they fit."""

    topic: str
    partition: int
    position: int | None
    oldest: int | None
    newest: int | None
    state: str


def positions(workspace: Workspace, topic: str) -> list[Position]:
    """By partition; raises NotFoundError for a topic that neither the log nor the lake knows."""
    log, lake = workspace.log, workspace.lake
    here, starts, ends = lake.positions(topic, APP), log.starts(topic), log.ends(topic)
    if not ends and lake.version(topic) is None:
        raise NotFoundError(f"no topic {topic} (there: {', '.join(log.topics()) or 'none yet'})", "modelway status")
    anew = _anew(log, lake, topic)
    return [
        Position(
            topic, p, here.get(p), starts.get(p), ends.get(p), _state(here.get(p), starts.get(p), ends.get(p), anew)
        )
        for p in sorted({*here, *ends})
    ]


def set_positions(
    workspace: Workspace, topic: str, to: str, who: str, reason: str, partition: int | None = None
) -> list[Position]:
    """Go on from `oldest`, `newest` or an offset, in one partition or in all; the decision stands in the ledger.

    Events before it that were never read are lost to the table; events that were read are known as doubles.
    """
    log, lake = workspace.log, workspace.lake
    starts, ends = log.starts(topic), log.ends(topic)
    if not ends:
        raise NotFoundError(f"the event log has no topic {topic}", "make the topic first, or mend its name")
    if partition is not None and partition not in ends:
        raise NotFoundError(
            f"topic {topic} has no partition {partition} (there: {', '.join(map(str, sorted(ends)))})", ""
        )
    if partition is not None and _anew(log, lake, topic):
        raise StateError(
            f"topic {topic} was made anew: the positions of its other partitions are those of the former one",
            "set all partitions at once: leave out --partition",
        )
    while True:
        seen, here = lake.version(topic), lake.positions(topic, APP)
        if seen is None:
            raise StateError(
                f"the lake has no table {topic}: nothing was ever read", "it will be read from the oldest event"
            )
        moved = {p: _chosen(to, p, starts[p], ends[p]) for p in ends if partition in (None, p)}
        chosen = moved if partition is None else {**here, **moved}
        told = {"to": to, "before": _plain(here), "after": _plain(chosen)}
        request = f"positions/{hashlib.blake2b(dumps([str(seen), told]), digest_size=16).hexdigest()}"
        with workspace.database.write() as connection:  # first the decision, then what follows from it
            ledger.write(
                connection,
                at=workspace.clock.now(),
                who=who,
                action="positions",
                model="*",
                subject=topic,
                reason=reason,
                data=told,
                request=request,
            )
        if lake.move(topic, APP, chosen, numbers={IDENTITY: log.identity(topic) or 0}, seen=seen) is not None:
            progress.moved(workspace.database, topic, chosen)
            return positions(workspace, topic)


def _plain(offsets: Mapping[int, int]) -> dict[str, int]:
    return {str(partition): offset for partition, offset in sorted(offsets.items())}


def _chosen(to: str, partition: int, start: int, end: int) -> int:
    if to == "oldest":
        return start
    if to == "newest":
        return end
    if not to.isdigit():
        raise UsageError(f"--to {to!r} is no place in a topic", "write oldest, newest, or an offset")
    if not start <= int(to) <= end:
        raise UsageError(f"partition {partition} holds {start} to {end}, not {to}", "choose an offset in between")
    return int(to)


def _anew(log: EventLog, lake: Lake, topic: str) -> bool:
    recorded, now = lake.number(topic, APP, IDENTITY), log.identity(topic)
    return recorded is not None and now is not None and recorded != now


def _state(position: int | None, start: int | None, end: int | None, anew: bool) -> str:
    if end is None or start is None:
        return "the log has no such partition"
    if anew:
        return "the topic was made anew"
    if position is None:
        return "not read yet"
    if position < start:
        return f"retention has passed it: {start - position} events are gone"
    if position > end:
        return "beyond the end: the topic was cut or reset"
    return "reads on" if position < end else "at the end"
