"""The follower: the server's own reader of the event log, which keeps the values that windows see up to the log's end.

Plain Python: JSON events need nothing, Arrow streams pyarrow; no table library is loaded. A row is judged by the contract row by
row, so that a batch which ingestion rejects as a whole (`reject_batch`) loses here only the rows that break it.
"""

import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from modelway.contracts.row import CheckRow
from modelway.events.log import ARROW, Event, EventLog
from modelway.features.derived import TARGET
from modelway.features.online import OnlineValues, PastEvent, PastLabel
from modelway.features.plan import Plan
from modelway.features.rows import RowFeatures
from modelway.features.values import as_moment, as_target, as_word
from modelway.spec.model import Spec

_BATCH = 5_000


@dataclass
class Follower:
    """Tails one model's topics into `values`; positions are kept with the values, in one transaction."""

    log: EventLog
    values: OnlineValues
    topic: str
    labels_topic: str
    event_of: Callable[[Mapping[str, Any], Event, int], PastEvent | None]
    label_of: Callable[[Mapping[str, Any], Event], PastLabel | None]
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def catch_up(self) -> Mapping[int, int]:
        """Take in all that the log holds now, and return the position of the source topic that the values now stand for."""
        with self._lock:
            self._take_labels()
            return self._take_events()

    def _take_events(self) -> Mapping[int, int]:
        here, end = self.values.upto("events"), self.log.ends(self.topic)
        while any(here.get(partition, 0) < last for partition, last in end.items()):
            events = self.log.read(self.topic, here, _BATCH)
            if not events:
                break
            here = _after(here, events)
            self.values.put([past for e in events for past in self._pasts(e)], here)
        return here

    def _take_labels(self) -> None:
        if not self.labels_topic:
            return
        here, end = self.values.upto("labels"), self.log.ends(self.labels_topic)
        while any(here.get(partition, 0) < last for partition, last in end.items()):
            events = self.log.read(self.labels_topic, here, _BATCH)
            if not events:
                break
            here = _after(here, events)
            told = [label for e in events for row in rows_of(e) if (label := self.label_of(row, e)) is not None]
            self.values.label(told, here)

    def _pasts(self, event: Event) -> Iterator[PastEvent]:
        for index, row in enumerate(rows_of(event)):
            past = self.event_of(row, event, index)
            if past is not None:
                yield past


def follower_of(
    log: EventLog, values: OnlineValues, spec: Spec, plan: Plan, check: CheckRow, row: RowFeatures
) -> Follower:
    """The follower of a model as its spec stood; `check` is the whole contract's, as ingestion asks it."""
    targets = any(window.of == TARGET for window in plan.windows)
    labels = (spec.data.labels.source if spec.data.labels else f"{spec.model}_labels") if targets else ""
    key, time, own = spec.data.key, spec.data.event_time, targets and spec.data.labels is None

    def event_of(raw: Mapping[str, Any], event: Event, index: int) -> PastEvent | None:
        typed, reasons = check(raw)
        whole = {**raw, **typed}
        at = as_moment(whole.get(time)) if time else event.arrived
        if reasons or at is None:
            return None
        name = as_word(whole.get(key or "_key")) or f"{event.partition}/{event.offset}/{index}"
        made = row.event(whole, name, at, event.arrived)
        target = as_target(whole.get(spec.data.target), plan.positive) if own else None
        if target is None or target != target:
            return made
        return msgspec.structs.replace(made, target=target, label_arrived=event.arrived)

    def label_of(raw: Mapping[str, Any], event: Event) -> PastLabel | None:
        name, target = as_word(raw.get("key")).strip(), as_target(raw.get("label"), plan.positive)
        return PastLabel(name, target, event.arrived) if name and target == target else None

    return Follower(log, values, spec.topic, labels, event_of, label_of)


def rows_of(event: Event) -> Sequence[Mapping[str, Any]]:
    """The rows of one event; [] for one that holds none (ingestion keeps it, with the reason, in the quarantine)."""
    if event.content == ARROW:
        import pyarrow as pa

        try:
            return list(pa.ipc.open_stream(io.BytesIO(event.value)).read_all().to_pylist())
        except (pa.ArrowException, OSError):
            return []
    try:
        row = orjson.loads(event.value)
    except orjson.JSONDecodeError:
        return []
    return [row] if isinstance(row, dict) else []


def _after(here: Mapping[int, int], events: Sequence[Event]) -> dict[int, int]:
    new = dict(here)
    for event in events:
        new[event.partition] = max(new.get(event.partition, 0), event.offset + 1)
    return new
