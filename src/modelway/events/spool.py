"""A log that waits for nobody: events go into a folder of this machine, and from there, in order, to the log on other machines.

Where handing on has come to is recorded after the other log has the events. A crash in between hands them on again, with the
key, the content and the arrival that they had: by these ingestion knows a double.
"""

import fcntl
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modelway import faults
from modelway.clock import Clock
from modelway.errors import EventLogError
from modelway.events.folder import FolderEventLog
from modelway.events.log import ROOM, Event, EventLog, NewEvent, Share, Start

_SEGMENT_BYTES = 8 * 1024 * 1024
_EVENTS, _BYTES = 2_000, 8 * 1024 * 1024
"""At most so much is handed on at once."""
_AROUND = 64
"""Bytes that an event takes beside value and key."""
_DIGITS = 20
_LOOK_SECONDS = 1.0
"""How old the size that a writer goes by may be."""
_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of a topic was not handed on yet, and since when the oldest of it waits."""

    topic: str
    events: int
    since: datetime


class Spool:
    """Topics under `root`, together of at most `limit` bytes; many write, one hands on."""

    def __init__(self, root: Path, clock: Clock, limit: int, *, segment_bytes: int = _SEGMENT_BYTES) -> None:
        self.root, self.limit = root, limit
        self._log = FolderEventLog(root, clock, segment_bytes=min(segment_bytes, max(1, limit // 4)))
        self._room, self._looked = 0, 0.0

    def append(self, topic: str, events: Sequence[NewEvent], *, durable: bool = True) -> None:
        """As a log does. Raises EventLogError, having kept nothing, when there is no room."""
        self._demand_room(sum(len(event.value) + len(event.key) + _AROUND for event in events))
        self._log.append(topic, events, durable=durable)

    def topics(self) -> list[str]:
        return self._log.topics()

    def size(self) -> int:
        """Bytes on disk: what waits, and what was handed on and not trimmed yet."""
        found = 0
        for segment in self.root.glob("*/*.log"):
            try:
                found += segment.stat().st_size
            except FileNotFoundError:
                continue  # trimmed meanwhile
        return found

    def waiting(self) -> list[Waiting]:
        """By topic, sorted; topics of which nothing waits are left out."""
        found = []
        for topic in self.topics():
            try:
                told = self._waiting(topic)
            except EventLogError:  # trimmed between two looks, or damaged: then the second says so
                told = self._waiting(topic)
            found += [told] if told else []
        return found

    def sign(self, topic: str) -> object:
        """What changes whenever something is appended to the topic."""
        return max((file.name, file.stat().st_size) for file in (self.root / topic).glob("*.log"))

    @contextmanager
    def handing_on(self, stopping: threading.Event) -> Iterator[bool]:
        """Holds the right to hand on, which one process has at a time; False when told to stop before that."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "forwarder.lock").open("w") as lock:
            while not stopping.is_set():
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    stopping.wait(_POLL_SECONDS)
                    continue
                yield True
                return
            yield False

    def hand_on(self, topic: str, to: EventLog) -> int:
        """Hand the next events on; how many. When `to` raises, the same come next."""
        events = self._next(topic)
        if not events:
            return 0
        faults.point("spool.before-handing")
        to.append(topic, [NewEvent(e.key, e.value, e.content, e.headers, e.arrived) for e in events])
        faults.point("spool.after-handing")
        self._log.settle(topic)  # a position on disk must not stand for events that a power cut can take
        self._record(topic, events[-1].offset + 1)
        faults.point("spool.after-recording")
        return len(events)

    def trim(self, topic: str) -> None:
        """Remove from disk what was handed on."""
        self._log.trim(topic, self._position(topic))

    def flush(self) -> None:
        self._log.flush()

    def ping(self) -> None:
        self._log.ping()

    def close(self) -> None:
        self._log.close()

    def _waiting(self, topic: str) -> Waiting | None:
        position, end = self._position(topic), self._log.ends(topic).get(0, 0)
        first = self._log.read(topic, {0: position}, 1) if position < end else []
        return Waiting(topic, end - position, first[0].arrived) if first else None

    def _next(self, topic: str) -> list[Event]:
        position = self._position(topic)
        try:
            return self._log.read(topic, {0: position}, _EVENTS, room=_BYTES)
        except EventLogError as error:
            if position <= self._log.ends(topic).get(0, 0):
                raise
            raise EventLogError(
                f"spool {topic}: {position} events were handed on, and fewer are there: files were cut or replaced",
                f"remove {self._place(topic)}: what is there is handed on again, and known as doubles",
            ) from error

    def _place(self, topic: str) -> Path:
        return self.root / topic / "handed-on"

    def _position(self, topic: str) -> int:
        """The first offset that was not handed on: what was trimmed was."""
        place, start = self._place(topic), self._log.starts(topic).get(0, 0)
        told = place.read_bytes() if place.exists() else b""
        return max(start, int(told) if told else 0)

    def _record(self, topic: str, position: int) -> None:
        file = os.open(self._place(topic), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            os.pwrite(file, f"{position:0{_DIGITS}d}".encode(), 0)
            os.fsync(file)
        finally:
            os.close(file)

    def _demand_room(self, wanted: int) -> None:
        if wanted > self._room or time.monotonic() - self._looked > _LOOK_SECONDS:
            self._room, self._looked = self.limit - self.size(), time.monotonic()
        if wanted > self._room:
            raise EventLogError(
                f"the spool is full: {self.limit / 1e6:,.0f} MB in {self.root} wait for the event log, which does not take them",
                "see `modelway status`: look at the brokers, or raise events.kafka.spool_megabytes in stack.yaml",
                transient=True,
            )
        self._room -= wanted


class SpoolingEventLog(EventLog):
    """For who must answer at once: `append` ends in the spool, and all else is asked of the log to which that is handed on.

    So what was appended can be read a moment later, or when the other machines are back.
    """

    def __init__(self, spool: Spool, onward: EventLog) -> None:
        self._spool, self._onward = spool, onward

    @property
    def largest(self) -> int:
        return self._onward.largest

    def append(self, topic: str, events: Sequence[NewEvent], *, durable: bool = True) -> None:
        for event in events:
            if len(event.value) > self.largest:  # later it would stand in the way of all that follow
                raise EventLogError(
                    f"event log {topic}: an event of {len(event.value):,} bytes; the most is {self.largest:,}",
                    "send smaller ones, or raise message.max.bytes in events.kafka.options of stack.yaml and on the brokers",
                    topic=topic,
                )
        self._spool.append(topic, events, durable=durable)

    def read(
        self,
        topic: str,
        positions: Mapping[int, int],
        limit: int = 10_000,
        *,
        only: Collection[int] | None = None,
        room: int = ROOM,
    ) -> list[Event]:
        return self._onward.read(topic, positions, limit, only=only, room=room)

    def join(self, topics: Sequence[str], group: str, start: Start, member: str = "") -> Share:
        return self._onward.join(topics, group, start, member)

    def starts(self, topic: str) -> dict[int, int]:
        return self._onward.starts(topic)

    def ends(self, topic: str) -> dict[int, int]:
        return self._onward.ends(topic)

    def identity(self, topic: str) -> int | None:
        return self._onward.identity(topic)

    def topics(self) -> list[str]:
        return self._onward.topics()

    def flush(self) -> None:
        """What waits here; the other log has what was handed on."""
        self._spool.flush()

    def settle(self, topic: str) -> None:
        self._onward.settle(topic)

    def ping(self) -> None:
        self._spool.ping()
        self._onward.ping()

    def close(self) -> None:
        self._spool.close()
        self._onward.close()
