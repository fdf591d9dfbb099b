"""A person's events on Kafka, where nothing can be blanked: their places are withheld from every reader of ours, and the brokers
remove them by compaction after a tombstone, or by retention."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from modelway.events.kafka import KafkaEventLog
from modelway.events.kafka_keeping import Keeping
from modelway.events.log import MANY, TOMBSTONE, Event, NewEvent
from modelway.flow.online import rows_of
from modelway.state.withheld import WHOLE, Spot, withhold
from modelway.workspace import Workspace

_BATCH = 10_000

Holds = Callable[[Mapping[str, Any]], bool]


@dataclass
class _Theirs:
    """What a topic holds of a person: places, events by record key, and the time of the newest."""

    places: list[Spot] = field(default_factory=list)
    keys: Counter[str] = field(default_factory=Counter)
    newest: datetime | None = None


def from_kafka(
    workspace: Workspace, log: KafkaEventLog, topic: str, holds: Holds, words: tuple[bytes, ...], *, tombstones: bool
) -> dict[str, Any]:
    """Withhold a person's events, send tombstones if asked; tells until when the brokers may hold them."""
    found = _look(log, topic, holds, words)
    if not found.places:
        return {"rows": 0}
    withhold(workspace.database, topic, found.places, log.starts(topic))
    keeping, told = log.keeping(topic), {"rows": len(found.places)}
    if tombstones and keeping.compacts:
        return told | _buried(log, topic, found, keeping, workspace.clock.now())
    return told | _left(found, keeping)


def _buried(log: KafkaEventLog, topic: str, found: _Theirs, keeping: Keeping, now: datetime) -> dict[str, Any]:
    """Tombstones for record keys under which nobody else has an event."""
    every = Counter(
        event.key for event in _events(log, topic) if event.key in found.keys and event.content != TOMBSTONE
    )
    alone = [key for key, count in found.keys.items() if key and every[key] == count]
    if alone:
        log.append(topic, [NewEvent(key, b"", TOMBSTONE) for key in sorted(alone)])
    shared = len(found.keys) - len(alone)
    return {
        "tombstones": len(alone),
        "removed": _by(keeping.compacted(now), "compaction", "max.compaction.lag.ms"),
    } | ({"keys shared with others": shared, **_left(found, keeping)} if shared else {})


def _left(found: _Theirs, keeping: Keeping) -> dict[str, Any]:
    if keeping.compacts and not keeping.deletes:
        return {
            "on the brokers until": "the topic is compacted, and no tombstone was sent: see events.kafka.tombstones"
        }
    return {"on the brokers until": _by(found.newest and keeping.latest(found.newest), "retention", "retention.ms")}


def _by(moment: datetime | None, what: str, setting: str) -> str:
    if moment is None:
        return f"no time is promised: {setting} of the topic has no end"
    return f"{moment:%Y-%m-%d %H:%M} UTC at the latest, by {what}"


def _look(log: KafkaEventLog, topic: str, holds: Holds, words: tuple[bytes, ...]) -> _Theirs:
    found = _Theirs()
    for event in _events(log, topic):
        spot = (event.partition, event.offset)
        hits = [(*spot, n) for n, row in enumerate(rows_of(event)) if holds(row)]
        if not hits and event.content not in MANY and not rows_of(event) and any(word in event.value for word in words):
            hits = [(*spot, WHOLE)]
        if not hits:
            continue
        if event.content not in MANY:
            hits = [(*spot, WHOLE)]
        found.places += hits
        found.keys[event.key] += 1
        found.newest = max(found.newest or event.arrived, event.arrived)
    return found


def _events(log: KafkaEventLog, topic: str) -> Iterator[Event]:
    """All that the topic holds now, from the oldest on."""
    here, ends = log.starts(topic), log.ends(topic)
    while any(here.get(partition, 0) < end for partition, end in ends.items()):
        events = log.read(topic, here, _BATCH)
        if not events:
            return
        for event in events:
            here[event.partition] = event.offset + 1
            yield event
