"""The follower: the server's own reader of the event log, which keeps the values that windows see up to the log's end.

Plain Python: JSON events need nothing, Arrow streams pyarrow; no table library is loaded. A row is judged by the contract row by
row, so that a batch which ingestion rejects as a whole (`reject_batch`) loses here only the rows that break it.
"""

import io
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from modelway.clock import Clock
from modelway.contracts.row import CheckRow
from modelway.errors import EventLogError
from modelway.events import block
from modelway.events.log import ARROW, BLOCK, Event, EventLog
from modelway.expressions.values import as_moment, as_target, as_word
from modelway.features.derived import TARGET
from modelway.features.lookback import statement_of
from modelway.features.online import EVENTS, LABELS, OnlineValues, PastEvent, PastLabel, statements
from modelway.features.plan import Plan
from modelway.features.rows import RowFeatures
from modelway.ingest.json_row import read_row
from modelway.spec.model import Spec
from modelway.state.withheld import WHOLE, Spot

_BATCH = 5_000
_AGAIN_SECONDS = 1.0
"""A log that is away is asked again after so long; until then requests are refused at once, and do not queue up."""
_HOURLY = timedelta(hours=1)
FRESHNESS = "modelway_online_lag_seconds"

Rows = Callable[[Event], Iterable[PastEvent | PastLabel]]


@dataclass(frozen=True)
class Stream:
    """A topic that is followed, under the name by which the values keep its position, and what its events are to them."""

    name: str
    topic: str
    rows: Rows


@dataclass
class Follower:
    """Tails one model's topics into `values`; positions are kept with the values, in one transaction.

    With a declared `lag` the log is asked only when the last look is as old as that: windows leave out what arrived since. What no
    window can reach any more, `keep` after its event time, is forgotten.
    """

    log: EventLog
    values: OnlineValues
    streams: Sequence[Stream]
    clock: Clock
    lag: timedelta = timedelta()
    keep: timedelta | None = None
    observe: Callable[[float], None] = lambda seconds: None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _caught: datetime | None = None
    _here: Mapping[int, int] = field(default_factory=dict)
    _newest: datetime | None = None
    _forgotten: datetime | None = None
    _away: tuple[str, str] = ("", "")
    _away_until: float = 0.0

    def catch_up(self) -> Mapping[int, int]:
        """Take in all that the log holds now, and return the position of the source topic that the values now stand for."""
        with self._lock:
            if time.monotonic() < self._away_until:
                raise EventLogError(*self._away, transient=True)
            try:
                return self._catch_up()
            except EventLogError as error:
                self._away, self._away_until = (error.problem, error.fix), time.monotonic() + _AGAIN_SECONDS
                raise

    def _catch_up(self) -> Mapping[int, int]:
        now = self.clock.now()
        age = None if self._caught is None else (now - self._caught).total_seconds()
        if age is not None and 0 <= age < self.lag.total_seconds():
            self.observe(age)
            return self._here
        for stream in reversed(self.streams):
            self._here = self._take(stream)
        if age is not None:  # the first time is the start, and answers nobody
            self.observe(0.0)
        self._caught = now
        self._forget()
        return self._here

    def _take(self, stream: Stream) -> Mapping[int, int]:
        here, end = self.values.upto(stream.name), self.log.ends(stream.topic)
        while any(here.get(partition, 0) < last for partition, last in end.items()):
            events = self.log.read(stream.topic, here, _BATCH)
            if not events:
                break
            here = _after(here, events)
            self._keep(stream, [row for event in events for row in stream.rows(event)], here)
        return here

    def _keep(self, stream: Stream, rows: Sequence[PastEvent | PastLabel], here: Mapping[int, int]) -> None:
        if stream.name == LABELS:
            self.values.label([row for row in rows if isinstance(row, PastLabel)], here)
            return
        events = [row for row in rows if isinstance(row, PastEvent)]
        self.values.put(events, here, stream.name)
        if stream.name == EVENTS and events:
            self._newest = max([*([self._newest] if self._newest else []), *(event.arrived for event in events)])

    def _forget(self) -> None:
        if self.keep is None or self._newest is None:
            return
        before = self._newest - self.keep
        if self._forgotten is None or before - self._forgotten >= _HOURLY:
            self.values.forget(before)
            self._forgotten = before


def follower_of(
    log: EventLog,
    values: OnlineValues,
    spec: Spec,
    plan: Plan,
    check: CheckRow,
    row: RowFeatures,
    *,
    clock: Clock,
    late: timedelta | None = None,
    observe: Callable[[float], None] = lambda seconds: None,
    erased: Callable[[str], Collection[Spot]] = lambda topic: (),
) -> Follower:
    """The follower of a model as its spec stood; `check` is the whole contract's, as ingestion asks it.

    `late`: how late, by event time, a row may be asked for; None keeps all events. `erased`: by topic the places that are not
    to be read.
    """
    targets = wants_labels(plan)
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

    told = spec.data.labels.source if spec.data.labels else f"{spec.rows_of}_labels"
    gone = {topic: frozenset(erased(topic)) for topic in (spec.topic, told, *plan.tables)}

    def pasts(event: Event) -> Iterator[PastEvent]:
        found = (event_of(raw, event, index) for index, raw in _left(event, gone[spec.topic]))
        return (one for one in found if one is not None)

    def labels(event: Event) -> Iterator[PastLabel]:
        return (label for _, raw in _left(event, gone[told]) if (label := label_of(raw, event)) is not None)

    streams = [Stream(EVENTS, spec.topic, pasts)]
    if targets:
        streams.append(Stream(LABELS, told, labels))
    streams += [_joined(table, plan, gone[table]) for table in plan.tables]
    widest = max((timedelta(microseconds=window.reach_us) for window in plan.windows), default=timedelta())
    keep = None if late is None else widest + timedelta(microseconds=plan.lag_us) + late
    return Follower(log, values, streams, clock, timedelta(microseconds=plan.lag_us), keep, observe)


def wants_labels(plan: Plan) -> bool:
    return any(window.of == TARGET for window in plan.windows)


def _left(event: Event, gone: Collection[Spot]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of an event that were not erased, with their places in it."""
    if gone and (event.partition, event.offset, WHOLE) in gone:
        return
    for index, row in enumerate(rows_of(event)):
        if not gone or (event.partition, event.offset, index) not in gone:
            yield index, row


def _joined(table: str, plan: Plan, gone: Collection[Spot]) -> Stream:
    """The statements of a joined table; every column that any join of the plan wants."""
    joins = [join for join in plan.joins if join.table == table]

    def said(event: Event) -> Iterator[PastEvent]:
        for index, raw in _left(event, gone):
            at = as_moment(raw.get(joins[0].valid_from))
            place = (event.partition, event.offset, index)
            made = None if at is None else statement_of(joins, raw, at, event.arrived, place)
            if made is not None:
                yield made

    return Stream(statements(table), table, said)


def rows_of(event: Event) -> Sequence[Mapping[str, Any]]:
    """The rows of one event; [] for one that holds none (ingestion keeps it, with the reason, in the quarantine)."""
    if event.content == ARROW:
        import pyarrow as pa

        try:
            return list(pa.ipc.open_stream(io.BytesIO(event.value)).read_all().to_pylist())
        except (pa.ArrowException, OSError):
            return []
    if event.content == BLOCK:
        try:
            return block.rows_of(block.unpack(event.value))
        except block.BadBlockError:
            return []
    row = read_row(event.value)
    return [] if isinstance(row, str) else [row]


def _after(here: Mapping[int, int], events: Sequence[Event]) -> dict[int, int]:
    new = dict(here)
    for event in events:
        new[event.partition] = max(new.get(event.partition, 0), event.offset + 1)
    return new
