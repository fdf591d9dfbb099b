"""An ingesting process: holds a share of all models' partitions, and commits what comes, topic by topic, often.

What is in memory is at most one batch a topic and what the client has fetched: while a commit waits, nothing more is taken.
Whatever it holds when it is killed, fenced or stuck was not committed, and is read again by whoever holds the partition then.
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count

from modelway.errors import EngineError, EventLogError, ModelwayError, unforeseen
from modelway.events.log import MANY, Event, Share, places, size_of
from modelway.flow import progress
from modelway.flow.broken import tell_of_breaches
from modelway.flow.feeding import roads
from modelway.flow.progress import added
from modelway.flow.stuck import book_away, book_back, book_free, book_stuck, is_away, stuck
from modelway.ingest.batch import ROOM, Batch, bring_in, upto
from modelway.ingest.decode import Decoded, together
from modelway.ingest.source import APP, IDENTITY, Source
from modelway.records import Ingested
from modelway.workspace import Workspace

GROUP = "modelway-ingestion"
_log = logging.getLogger("modelway.ingestion")
_AGAIN_SECONDS = 2.0
"""How long a topic in trouble is left alone before it is tried again."""
_LOOK_SECONDS = 5.0
"""How often the specs are looked at: a new model, another contract."""
_BOOK_SECONDS = 1.0
_LOCKED_SECONDS = 1.0
"""How long figures wait for a locked database: rows that flow shall not wait for them."""
PIECE = 2_000
"""Events that are decoded together."""
_MANY_WEIGHT = 4
_CROWDED = 2 * ROOM
"""Bytes of values that may wait in all lanes together."""


@dataclass
class Lane:
    """One topic on its way: what waits for a commit, decoded piece by piece, and where each partition stands."""

    source: Source
    model: str
    events: list[Event] = field(default_factory=list)
    """Not decoded yet."""
    pieces: list[Decoded] = field(default_factory=list)
    since: dict[int, int | None] = field(default_factory=dict)
    upto: dict[int, int] = field(default_factory=dict)
    """Behind what waits."""
    count: int = 0
    first_at: float = 0.0
    begun_at: float = 0.0
    """When the last commit was begun: what came while it went on has waited since."""
    bytes: int = 0
    stuck_until: float = 0.0
    trouble: str = ""
    away: bool = False
    """Whether the trouble is the log's, and not this topic's."""
    stuck: set[int] = field(default_factory=set)
    """Partitions of this process that the topic's alert is about."""
    still: set[int] = field(default_factory=set)
    """Those among them whose position is not in the log: a person must decide, the others go on meanwhile."""
    unbooked: Ingested | None = None
    booked_at: float = 0.0

    @property
    def waits(self) -> bool:
        return self.count > 0

    def add(self, events: Sequence[Event]) -> None:
        """Soon decoded: bytes that were just read are still in the processor's cache, and columns need less memory."""
        if not self.waits:
            self.first_at = time.monotonic()
        self.events += events
        self.count += len(events)
        self.upto |= upto(events)
        self.bytes += size_of(events) + (_MANY_WEIGHT - 1) * size_of([e for e in events if e.content in MANY])
        if len(self.events) >= PIECE:
            self._decode()

    def batch(self) -> Batch:
        """All that waits."""
        if self.events:
            self._decode()
        self.pieces = [together(self.pieces)]
        return Batch(self.pieces[0], {p: self.since.get(p) for p in self.upto}, dict(self.upto))

    def clear(self) -> None:
        self.events, self.pieces, self.upto, self.bytes, self.count = [], [], {}, 0, 0

    def due(self, rows: int, every: float, drained: bool) -> bool:
        """Whether it is time; with nothing more to take there is no point in waiting longer than `every` from commit to commit."""
        since = self.begun_at if drained else self.first_at
        return self.count >= rows or self.bytes >= ROOM or time.monotonic() - since >= every

    def _decode(self) -> None:
        self.pieces.append(self.source.decode(self.events))
        self.events = []


def run_ingestion(workspace: Workspace, stopping: threading.Event) -> None:
    """Until told to stop; joins again when a model's spec has changed."""
    with _member(workspace) as member:
        _run(workspace, member, stopping)


@contextmanager
def _member(workspace: Workspace) -> Iterator[str]:
    """The first name of this machine that no living process has: whoever comes after a dead one takes its place at once."""
    for number in count():
        with (workspace.places.inner / f"ingester-{number}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield f"{os.uname().nodename}-{number}"
            return


def _run(workspace: Workspace, member: str, stopping: threading.Event) -> None:
    while not stopping.is_set():
        signs = _signs(workspace)
        lanes = _lanes(workspace)
        if not lanes:
            stopping.wait(_LOOK_SECONDS)
            continue
        try:
            _follow(workspace, member, lanes, signs, stopping)
        except EngineError as error:
            _log.error("%s", error.problem)
            _tell_away(workspace, {lane.model for lane in lanes.values()}, error)
            stopping.wait(_AGAIN_SECONDS)


def _follow(
    workspace: Workspace, member: str, lanes: Mapping[str, Lane], signs: object, stopping: threading.Event
) -> None:
    asked, every = workspace.stack.ingestion, workspace.stack.ingestion.every.total_seconds()

    def start(topic: str, partition: int) -> int | None:
        lane = lanes[topic]
        lane.since[partition] = workspace.lake.positions(topic, APP).get(partition)
        if partition in stuck(workspace.database, topic):  # by whoever had it before: looked at again at once
            lane.stuck.add(partition)
            lane.trouble = lane.trouble or "it stood still before"
        return lane.since[partition]

    share = workspace.log.join(list(lanes), GROUP, start, member)
    looked = book_at = time.monotonic()
    try:
        while not stopping.is_set():
            drained = _take(workspace, share, lanes, asked.rows, min(0.05, every / 2))
            crowded = sum(lane.bytes for lane in lanes.values()) >= _CROWDED
            for lane in lanes.values():
                if lane.waits and (crowded or lane.due(asked.rows, every, drained)):
                    _commit(workspace, share, lane)
                elif (lane.trouble or lane.still) and time.monotonic() >= lane.stuck_until:
                    _retry(workspace, share, lane)
                if time.monotonic() >= book_at and not _book(workspace, lane):
                    # whoever locks the database would hold up each topic in turn
                    book_at = time.monotonic() + _AGAIN_SECONDS
            if time.monotonic() - looked > _LOOK_SECONDS:
                looked = time.monotonic()
                _tell_back(workspace, lanes)
                if _signs(workspace) != signs:
                    return
    finally:
        for lane in lanes.values():
            if lane.waits and not lane.trouble:
                _commit(workspace, share, lane)
            _book(workspace, lane, now=True)
        share.close()


def _take(workspace: Workspace, share: Share, lanes: Mapping[str, Lane], rows: int, wait: float) -> bool:
    """Into the lanes what has come; whether that was all."""
    events: list[Event] = []
    limit = min(rows, PIECE)
    try:
        events = share.take(limit, wait)
    except EventLogError as error:
        if error.topic not in lanes:
            raise
        _stick(workspace, share, lanes[error.topic], error)
    lost = {topic for topic, _ in share.lost()}
    for topic in lost:  # what waits of it is another's now
        with _sticking(workspace, share, lanes[topic]):
            _reread(workspace, share, lanes[topic])
    topics = {topic for topic, _ in places(events)}
    for topic in topics - lost:
        lane = lanes[topic]
        if not lane.trouble:
            with _sticking(workspace, share, lane):
                lane.add(events if len(topics) == 1 else [event for event in events if event.topic == topic])
    return len(events) < limit


def _commit(workspace: Workspace, share: Share, lane: Lane) -> None:
    """What waits, or trouble; of a fenced batch nothing is kept, and its partitions are read from where they stand."""
    source, lane.begun_at = lane.source, time.monotonic()
    known = workspace.known(source.topic, source.doubles_within)
    with _sticking(workspace, share, lane):
        batch = lane.batch()
        done = bring_in(workspace.log, workspace.lake, source, batch, known)
        lane.clear()
        if done is None:
            _log.warning("%s: another process has committed these events: the batch is dropped", source.topic)
            _reread(workspace, share, lane)
            return
        lane.since |= batch.upto
        lane.unbooked = _together(lane.unbooked, done)
        _free(workspace, lane, batch.upto)


@contextmanager
def _sticking(workspace: Workspace, share: Share, lane: Lane) -> Iterator[None]:
    """Trouble leaves this topic alone for a while; the others go on."""
    try:
        yield
    except ModelwayError as error:
        _stick(workspace, share, lane, error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other topics go on
        _log.exception("%s", lane.source.topic)
        _stick(workspace, share, lane, unforeseen(error))


def _stick(workspace: Workspace, share: Share, lane: Lane, error: ModelwayError) -> None:
    """Leave the topic alone for a while; it is read again from where its table stands."""
    lane.clear()
    lane.stuck_until = time.monotonic() + _AGAIN_SECONDS
    if error.problem != lane.trouble:
        _log.error("%s: %s", lane.source.topic, error.problem)
        _book_trouble(workspace, lane, _mine(share, lane), error)
    lane.trouble, lane.away = error.problem, is_away(error)


def _retry(workspace: Workspace, share: Share, lane: Lane) -> None:
    """Read on from where the table stands now, which a person may have moved."""
    lane.stuck_until = time.monotonic() + _AGAIN_SECONDS
    try:
        at_end = _reread(workspace, share, lane) if lane.trouble else _moved(workspace, share, lane)
    except EngineError:
        return
    lane.away = False
    if not _mine(share, lane) or lane.still < _mine(share, lane):
        lane.trouble = ""  # the next commit tells
    _free(workspace, lane, at_end)


def _reread(workspace: Workspace, share: Share, lane: Lane) -> set[int]:
    """Drop what waits and seek to the table's positions; the partitions in which nothing lies behind them."""
    mine = _mine(share, lane)
    lane.clear()
    lane.stuck &= mine
    lane.since = {}
    return _sought(workspace, share, lane, mine)


def _moved(workspace: Workspace, share: Share, lane: Lane) -> set[int]:
    """The same for partitions that stand still, while the others of the topic go on."""
    return _sought(workspace, share, lane, lane.still & _mine(share, lane))


def _sought(workspace: Workspace, share: Share, lane: Lane, partitions: set[int]) -> set[int]:
    """Seek where the position is in the log; the others stand still."""
    topic, log, lake = lane.source.topic, workspace.log, workspace.lake
    here, starts, ends = lake.positions(topic, APP), log.starts(topic), log.ends(topic)
    recorded, now = lake.number(topic, APP, IDENTITY), log.identity(topic)
    anew = recorded is not None and now is not None and recorded != now
    at = {p: here.get(p, starts.get(p, 0)) for p in partitions}
    sound = {p for p in partitions if not anew and starts.get(p, 0) <= at[p] <= ends.get(p, 0)}
    lane.since |= {p: here.get(p) for p in partitions}
    for partition in sound:
        share.seek(topic, partition, at[partition])
    lane.still = partitions - sound
    return {p for p in sound if at[p] == ends.get(p, 0)}


def _mine(share: Share, lane: Lane) -> set[int]:
    """The partitions of the topic that this process holds."""
    return {partition for topic, partition in share.held() if topic == lane.source.topic}


def _book_trouble(workspace: Workspace, lane: Lane, partitions: set[int], error: ModelwayError) -> None:
    """Of a topic of which this process holds nothing there is nothing to tell: another one does."""
    if is_away(error):
        _tell_away(workspace, {lane.model}, error)
        return
    try:
        if partitions:
            book_stuck(workspace, lane.model, lane.source.topic, partitions, error)
            lane.stuck |= partitions
    except EngineError as second:
        _log.error("%s: no alert could be booked: %s", lane.model, second.problem)


def _free(workspace: Workspace, lane: Lane, partitions: Collection[int]) -> None:
    """They go on: the topic's alert is closed when none is left."""
    if free := lane.stuck & set(partitions):
        book_free(workspace, lane.model, lane.source.topic, free)
        lane.stuck -= free


def _tell_away(workspace: Workspace, models: Collection[str], error: EngineError) -> None:
    for model in sorted(models):
        try:
            book_away(workspace, model, error)
        except EngineError as second:
            _log.error("%s: no alert could be booked: %s", model, second.problem)


def _tell_back(workspace: Workspace, lanes: Mapping[str, Lane]) -> None:
    """This process has gone round for a while: what was away is back, unless one of its topics still waits for it."""
    waiting = {lane.model for lane in lanes.values() if lane.away}
    for model in sorted({lane.model for lane in lanes.values()} - waiting):
        book_back(workspace, model)


def _book(workspace: Workspace, lane: Lane, *, now: bool = False) -> bool:
    """Whether the figures of what was committed are booked, or nothing was to do."""
    if lane.unbooked is None or not (now or time.monotonic() - lane.booked_at > _BOOK_SECONDS):
        return True
    upto = {partition: offset for partition, offset in lane.since.items() if offset is not None}
    try:
        progress.book(workspace.database, lane.unbooked, upto, workspace.clock.now(), _LOCKED_SECONDS)
        spec = workspace.spec(lane.model)
        if lane.source.topic == spec.topic:
            tell_of_breaches(workspace, spec, lane.unbooked)
    except ModelwayError as error:
        _log.warning("figures of %s are booked later: %s", lane.source.topic, error.problem)
        return False
    lane.unbooked, lane.booked_at = None, time.monotonic()
    return True


def _together(one: Ingested | None, other: Ingested) -> Ingested:
    if one is None:
        return other
    counts = ("read", "accepted", "doubles", "corrections", "quarantined", "events", "tombstones")
    summed = {name: getattr(one, name) + getattr(other, name) for name in counts}
    return replace(
        other, **summed, breaches=added((one.breaches, other.breaches)), warnings=added((one.warnings, other.warnings))
    )


def _lanes(workspace: Workspace) -> dict[str, Lane]:
    """By topic; a model whose spec is broken is left out, and its control loop says so."""
    found: dict[str, Lane] = {}
    for model in workspace.models():
        try:
            for source in roads(workspace, workspace.spec(model)):
                found.setdefault(source.topic, Lane(source, model))
        except ModelwayError as error:
            _log.error("%s: %s", model, error.problem)
    return found


def _signs(workspace: Workspace) -> object:
    return [(model, workspace.places.spec(model).stat().st_mtime_ns) for model in workspace.models()]
