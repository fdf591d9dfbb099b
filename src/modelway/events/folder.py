"""The embedded event log: a folder a topic, append-only segment files (`segments.py`), one partition.

Whoever appends holds the topic's lock (flock), and first cuts off what a crash left behind the last whole frame. The lock
file also names the newest segment, so that a writer notices when another one has opened the next. Readers take no lock.
"""

import errno
import fcntl
import os
import re
import threading
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from modelway import faults
from modelway.clock import Clock
from modelway.errors import DiskFullError, EventLogError, of_system
from modelway.events.folder_share import FolderShare
from modelway.events.log import ROOM, Event, EventLog, NewEvent, Share, Start, size_of
from modelway.events.segments import Frame, Tail, damaged, events_in, frame_within, framed, frames, packed

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD_TEXT = 20
_MARK_BYTES = 4096
_AT_THE_END = 2**63
_LARGEST = 2**30


class FolderEventLog(EventLog):
    """Topics under `root`; safe for several processes and threads."""

    def __init__(self, root: Path, clock: Clock, *, segment_bytes: int = 64 * 1024 * 1024) -> None:
        self._root = root
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._tails: dict[str, Tail] = {}
        self._locks: dict[str, int] = {}
        self._marks: dict[Path, tuple[list[int], list[int]]] = {}
        self._torn: dict[Path, int] = {}
        self._mutex = threading.RLock()

    @property
    def largest(self) -> int:
        return _LARGEST

    def append(self, topic: str, events: Sequence[NewEvent], *, durable: bool = True) -> None:
        body = packed(events)
        with _mapped(topic), self._mutex, self._locked(topic):
            tail = self._tail(topic)
            if not events:
                return
            moment = max((event.arrived for event in events if event.arrived), default=None) or self._clock.now()
            arrived = max(tail.arrived, (moment - _EPOCH) // timedelta(microseconds=1))
            frame = framed(body, tail.next_offset, len(events), arrived)
            faults.point("log.before-write")
            tail.write(frame)
            faults.point("log.after-write")
            tail.size += len(frame)
            tail.next_offset += len(events)
            tail.arrived = arrived
            tail.dirty = True
            if durable:
                tail.sync()

    def read(
        self,
        topic: str,
        positions: Mapping[int, int],
        limit: int = 10_000,
        *,
        only: Collection[int] | None = None,
        room: int = ROOM,
    ) -> list[Event]:
        found: list[Event] = []
        if only is not None and 0 not in only:
            return found
        with _mapped(topic):
            segments = self._segments(topic)
            position = positions.get(0, segments[0][0] if segments else 0)
            if not segments:
                return _nothing(topic, position, 0)
            if position < segments[0][0]:
                raise EventLogError(
                    f"event log {topic}: offset {position} was removed by retention (the first is {segments[0][0]})",
                    f"restore the older segments, or go on without them: modelway positions set {topic} --to oldest",
                )
            place = max(i for i, (first, _) in enumerate(segments) if first <= position)
            for index in range(place, len(segments)):
                last = index == len(segments) - 1
                left = limit - len(found), room - size_of(found)
                found += self._read_segment(topic, segments[index][1], position + len(found), *left, last)
                if len(found) >= limit or size_of(found) >= room:
                    return found
            return found or _nothing(topic, position, self._end(topic, segments))

    def join(self, topics: Sequence[str], group: str, start: Start, member: str = "") -> Share:
        del member  # a lock ends with its process
        return FolderShare(self, self._root, topics, group, start)

    def starts(self, topic: str) -> dict[int, int]:
        with _mapped(topic):
            segments = self._segments(topic)
            return {0: segments[0][0]} if segments else {}

    def identity(self, topic: str) -> int | None:
        with _mapped(topic):
            place = self._root / topic / "id"
            if not place.exists():
                if not self._segments(topic):
                    return None
                with self._mutex, self._locked(topic):
                    _name_once(place)
            return int(place.read_text())

    def ends(self, topic: str) -> dict[int, int]:
        with _mapped(topic):
            try:
                return self._ends(topic)
            except FileNotFoundError:  # the newest segment was closed and trimmed between the two looks
                return self._ends(topic)

    def trim(self, topic: str, before: int) -> None:
        """Remove segments that hold nothing from offset `before` on; the newest too, which then begins anew behind its end."""
        with _mapped(topic), self._mutex, self._locked(topic):
            tail = self._tail(topic)
            if tail.size and before >= tail.next_offset:
                self._open(topic, tail.next_offset, tail)
            segments = self._segments(topic)
            for (_, path), (following, _) in pairwise(segments):
                if following > before:
                    return
                faults.point("log.before-remove")
                path.unlink()
                faults.point("log.after-remove")

    def topics(self) -> list[str]:
        if not self._root.is_dir():
            return []
        return sorted(place.name for place in self._root.iterdir() if place.is_dir() and self._segments(place.name))

    def flush(self) -> None:
        with self._mutex:
            dirty = [(topic, tail, os.dup(tail.file)) for topic, tail in self._tails.items() if tail.dirty]
            for _, tail, _ in dirty:
                tail.dirty = False
        for topic, tail, file in dirty:  # without the mutex: whoever appends meanwhile does not wait for the disk
            with _mapped(topic):
                try:
                    os.fsync(file)
                except OSError:
                    tail.dirty = True
                    raise
                finally:
                    os.close(file)

    def settle(self, topic: str) -> None:
        with _mapped(topic):
            for _, path in self._segments(topic)[-1:]:  # older ones were synced when they were closed
                file = os.open(path, os.O_RDWR)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)

    def ping(self) -> None:
        probe = self._root / f".ping-{os.getpid()}"
        with _mapped("ping"):
            self._root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
            for topic in self.topics():
                self._demand_sound(self._segments(topic)[-1][1])

    def close(self) -> None:
        with self._mutex:
            self.flush()
            for tail in self._tails.values():
                os.close(tail.file)
            for lock in self._locks.values():
                os.close(lock)
            self._tails.clear()
            self._locks.clear()

    # -- writing -----------------------------------------------------------------------------------------------------------

    @contextmanager
    def _locked(self, topic: str) -> Iterator[None]:
        lock = self._locks.get(topic)
        if lock is None:
            if not _NAME.fullmatch(topic):
                raise EventLogError(f"{topic!r} cannot name a topic", "use letters, digits, '.', '_' and '-'")
            place = self._root / topic
            place.mkdir(parents=True, exist_ok=True)
            lock = self._locks[topic] = os.open(place / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)

    def _tail(self, topic: str) -> Tail:
        """The newest segment, whole to its end and with room; the lock is held."""
        named = _named(self._locks[topic])
        tail = self._tails.get(topic)
        if tail is None or tail.first != (named or 0):
            segments = self._segments(topic)
            newest = max([first for first, _ in segments] + [named or 0])
            tail = self._open(topic, newest, tail)
        self._mend(tail)
        if tail.size >= self._segment_bytes:
            tail = self._open(topic, tail.next_offset, tail)
        return tail

    def _open(self, topic: str, first: int, before: Tail | None) -> Tail:
        if before is not None:
            before.sync()
            os.close(before.file)
            del self._tails[topic]
        path, lock = self._path(topic, first), self._locks[topic]
        os.pwrite(lock, f"{first:0{_HEAD_TEXT}d}".encode(), 0)
        os.fsync(lock)
        faults.point("log.before-segment")
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        faults.point("log.after-segment")
        _sync_folder(path.parent)
        arrived = before.arrived if before else self._last_arrived(topic, first)
        tail = self._tails[topic] = Tail(path, first, file, 0, first, arrived)
        self._mend(tail)
        return tail

    def _mend(self, tail: Tail) -> None:
        """Take in what others appended, and cut off a torn frame that a crash left."""
        size = os.fstat(tail.file).st_size
        if size == tail.size:
            return
        if size < tail.size:
            raise EventLogError(f"{tail.path} became shorter", "restore it from a backup; something else writes there")
        for frame in frames(tail.path, tail.size, size):
            tail.size, tail.next_offset, tail.arrived = frame.end, frame.first + frame.count, frame.arrived
        if tail.size < size:
            rest = os.pread(tail.file, size - tail.size, tail.size)
            if frame_within(rest, tail.next_offset):
                raise damaged(tail.path, tail.size)
            os.ftruncate(tail.file, tail.size)
            os.fsync(tail.file)

    def _last_arrived(self, topic: str, first: int) -> int:
        older = [path for start, path in self._segments(topic) if start < first]
        whole = list(frames(older[-1], 0, older[-1].stat().st_size)) if older else []
        return whole[-1].arrived if whole else 0

    # -- reading -----------------------------------------------------------------------------------------------------------

    def _path(self, topic: str, first: int) -> Path:
        return self._root / topic / f"{first:020d}.log"

    def _segments(self, topic: str) -> list[tuple[int, Path]]:
        place = self._root / topic
        return [(int(path.stem), path) for path in sorted(place.glob("*.log"))]

    def _read_segment(self, topic: str, path: Path, position: int, limit: int, room: int, last: bool) -> list[Event]:
        size = path.stat().st_size
        found: list[Event] = []
        end = 0
        for frame in self._walk(path, size, position):
            end = frame.end
            if frame.first + frame.count > position:
                new = events_in(topic, path, frame, max(position, frame.first), limit - len(found))
                found += new
                room -= size_of(new)
                if len(found) >= limit or room <= 0:
                    return found
        if not last and end < size:
            raise damaged(path, end)
        return found

    def _demand_sound(self, path: Path, end: int = 0, following: int | None = None) -> None:
        """Raise EventLogError when the newest segment is damaged from byte `end` on; a torn last write is no damage."""
        size = path.stat().st_size
        following = int(path.stem) if following is None else following
        for frame in frames(path, end, size):
            end, following = frame.end, frame.first + frame.count
        if end < size:
            with path.open("rb") as file:
                file.seek(end)
                if frame_within(file.read(), following):
                    raise damaged(path, end)

    def _ends(self, topic: str) -> dict[int, int]:
        segments = self._segments(topic)
        return {0: self._end(topic, segments)} if segments else {}

    def _end(self, topic: str, segments: list[tuple[int, Path]]) -> int:
        """The next offset. What lies behind the last whole frame is a write under way, a torn one, or damage: then an error."""
        first, path = segments[-1]
        size = path.stat().st_size
        for frame in self._walk(path, size, _AT_THE_END):
            first = frame.first + frame.count
        offsets, places = self._marks.get(path, ([first], [size]))
        known, end = offsets[-1], places[-1]
        if end < size and self._torn.get(path) != size:
            with self._mutex, self._locked(topic):  # nobody is writing now
                self._demand_sound(path, end, known)
            self._torn[path] = size
        return max(first, known)

    def _walk(self, path: Path, size: int, position: int) -> Iterator[Frame]:
        """The frames of a segment from the last known place at or before `position` on; what is walked over is remembered.

        Marks are offsets and bytes, one every few kilobytes; the last of them is where nothing was read yet.
        """
        with self._mutex:
            if path not in self._marks:  # those of trimmed segments go
                self._marks = {there: marks for there, marks in self._marks.items() if there.exists()}
            offsets, places = self._marks.setdefault(path, ([int(path.stem)], [0]))
            start = places[max(0, bisect_right(offsets, position) - 1)]
        for frame in frames(path, start, size):
            with self._mutex:
                if frame.start == places[-1]:
                    if len(places) > 1 and places[-1] - places[-2] < _MARK_BYTES:
                        offsets.pop()
                        places.pop()
                    offsets.append(frame.first + frame.count)
                    places.append(frame.end)
            yield frame


def _nothing(topic: str, position: int, end: int) -> list[Event]:
    if position > end:
        raise EventLogError(
            f"event log {topic}: offset {position} lies beyond the end ({end}): what was read before is no longer there whole",
            "its newest file was damaged, cut or replaced by an older copy: restore it from a backup; or go on with what is"
            f" there: modelway positions set {topic} --to oldest (or newest)",
        )
    return []


def _named(lock: int) -> int | None:
    text = os.pread(lock, _HEAD_TEXT, 0)
    return int(text) if len(text) == _HEAD_TEXT else None


def _name_once(place: Path) -> None:
    """Give the topic its number; the lock is held."""
    if not place.exists():
        part = place.with_suffix(".part")
        part.write_text(str(int.from_bytes(os.urandom(8)) >> 1))
        part.replace(place)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _mapped(topic: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"event log {topic}: the disk is full; nothing of this call was kept", "free space"
            ) from error
        raise of_system(error, kind=EventLogError) or EventLogError(
            f"event log {topic}: {error.strerror} ({error.filename})", "see `modelway doctor`"
        ) from error
