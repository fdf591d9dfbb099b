"""Who reads a topic of the folder log for a group: one process at a time, by a lock that ends with it."""

import fcntl
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from modelway.errors import EventLogError
from modelway.events.log import ROOM, Event, EventLog, Share, Start, size_of

_LOOK_SECONDS = 0.01


class FolderShare(Share):
    """Whole topics: a folder's topic has one partition. The others of the group try again at each `take`."""

    def __init__(self, log: EventLog, root: Path, topics: Sequence[str], group: str, start: Start) -> None:
        self._log, self._root, self._topics, self._group, self._start = log, root, topics, group, start
        self._locks: dict[str, int] = {}
        self._next: dict[str, int | None] = {}
        self._still: set[str] = set()
        self._closed = threading.Event()

    def take(self, limit: int, wait: float, room: int = ROOM) -> list[Event]:
        until = time.monotonic() + wait
        while True:
            found = self._take(limit, room)
            if found or time.monotonic() >= until or self._closed.wait(_LOOK_SECONDS):
                return found

    def lost(self) -> set[tuple[str, int]]:
        return set()

    def held(self) -> set[tuple[str, int]]:
        return {(topic, 0) for topic in self._locks}

    def seek(self, topic: str, partition: int, offset: int) -> None:
        if (topic, partition) in self.held():
            self._next[topic] = offset
            self._still.discard(topic)

    def close(self) -> None:
        self._closed.set()
        for lock in self._locks.values():
            os.close(lock)
        self._locks.clear()

    def _take(self, limit: int, room: int) -> list[Event]:
        found: list[Event] = []
        for topic in self._topics:
            if topic in self._still or not self._holds(topic):
                continue
            position = self._next[topic]
            try:
                here, left = {} if position is None else {0: position}, limit - len(found)
                events = self._log.read(topic, here, left, room=room - size_of(found))
            except EventLogError as error:
                if found:  # they count as taken: told first, the error comes again
                    break
                self._still.add(topic)
                error.topic = topic
                raise
            if events:
                self._next[topic] = events[-1].offset + 1
                found += events
            if len(found) >= limit or size_of(found) >= room:
                break
        return found

    def _holds(self, topic: str) -> bool:
        if topic in self._locks:
            return True
        place = self._root / topic
        if not place.is_dir():
            return False
        lock = os.open(place / f"{self._group}.reader", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._locks[topic] = lock
        self._next[topic] = self._start(topic, 0)
        return True
