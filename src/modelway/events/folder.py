"""The embedded event log: a folder a topic, append-only segment files, one partition.

A segment is a row of frames; a frame holds the events of one `append`, so that a torn write is never half visible:

    length u32 · crc32 u32 · first offset u64 · count u32 · arrived (µs since 1970) i64 · the events (MessagePack)

Whoever appends holds the topic's lock (flock), and first cuts off what a crash left behind the last whole frame. The lock
file also names the newest segment, so that a writer notices when another one has opened the next. Readers take no lock.
"""

import errno
import fcntl
import os
import re
import struct
import threading
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from modelway import faults
from modelway.clock import Clock
from modelway.errors import DiskFullError, EventLogError, of_system
from modelway.events.log import Event, EventLog, NewEvent

_HEAD = struct.Struct("<IIQIq")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD_TEXT = 20
_MARK_BYTES = 4096
_AT_THE_END = 2**63
_PLAUSIBLE = 10**8
"""No segment holds so many events."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[str, bytes, str, dict[str, str]]]).decode


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a frame lies in its segment, and which offsets it holds: [first, first + count)."""

    start: int
    end: int
    first: int
    count: int
    arrived: int


@dataclass(slots=True)
class Tail:
    """The newest segment as this process last saw it, open for writing."""

    path: Path
    file: int
    size: int
    next_offset: int
    arrived: int
    dirty: bool = False


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

    def append(self, topic: str, events: Sequence[NewEvent], *, durable: bool = True) -> int:
        body = _encode([(e.key, e.value, e.content, dict(e.headers)) for e in events])
        with _mapped(topic), self._mutex, self._locked(topic):
            tail = self._tail(topic)
            if not events:
                return tail.next_offset - 1
            arrived = max(tail.arrived, (self._clock.now() - _EPOCH) // timedelta(microseconds=1))
            rest = struct.pack("<QIq", tail.next_offset, len(events), arrived) + body
            faults.point("log.before-write")
            _write_all(tail, struct.pack("<II", len(body), zlib.crc32(rest)) + rest)
            faults.point("log.after-write")
            tail.size += _HEAD.size + len(body)
            tail.next_offset += len(events)
            tail.arrived = arrived
            tail.dirty = True
            if durable:
                _sync(tail)
            return tail.next_offset - 1

    def read(self, topic: str, positions: Mapping[int, int], limit: int = 10_000) -> list[Event]:
        position = positions.get(0, 0)
        found: list[Event] = []
        with _mapped(topic):
            segments = self._segments(topic)
            if not segments:
                return _nothing(topic, position, 0)
            if position < segments[0][0]:
                raise EventLogError(
                    f"event log {topic}: offset {position} was removed by retention (the first is {segments[0][0]})",
                    "start the reader at the first offset, or restore the older segments",
                )
            place = max(i for i, (first, _) in enumerate(segments) if first <= position)
            for index in range(place, len(segments)):
                last = index == len(segments) - 1
                found += self._read_segment(topic, segments[index][1], position + len(found), limit - len(found), last)
                if len(found) >= limit:
                    return found
            return found or _nothing(topic, position, self._end(topic, segments))

    def ends(self, topic: str) -> dict[int, int]:
        with _mapped(topic):
            segments = self._segments(topic)
            return {0: self._end(topic, segments)} if segments else {}

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
        if tail is None or tail.path != self._path(topic, named or 0):
            segments = self._segments(topic)
            newest = max([first for first, _ in segments] + [named or 0])
            tail = self._open(topic, newest, tail)
        self._mend(tail)
        if tail.size >= self._segment_bytes:
            tail = self._open(topic, tail.next_offset, tail)
        return tail

    def _open(self, topic: str, first: int, before: Tail | None) -> Tail:
        if before is not None:
            _sync(before)
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
        tail = self._tails[topic] = Tail(path, file, 0, first, arrived)
        self._mend(tail)
        return tail

    def _mend(self, tail: Tail) -> None:
        """Take in what others appended, and cut off a torn frame that a crash left."""
        size = os.fstat(tail.file).st_size
        if size == tail.size:
            return
        if size < tail.size:
            raise EventLogError(f"{tail.path} became shorter", "restore it from a backup; something else writes there")
        for frame in _frames(tail.path, tail.size, size):
            tail.size, tail.next_offset, tail.arrived = frame.end, frame.first + frame.count, frame.arrived
        if tail.size < size:
            rest = os.pread(tail.file, size - tail.size, tail.size)
            if frame_within(rest, tail.next_offset):
                raise _damaged(tail.path, tail.size)
            os.ftruncate(tail.file, tail.size)
            os.fsync(tail.file)

    def _last_arrived(self, topic: str, first: int) -> int:
        older = [path for start, path in self._segments(topic) if start < first]
        frames = list(_frames(older[-1], 0, older[-1].stat().st_size)) if older else []
        return frames[-1].arrived if frames else 0

    # -- reading -----------------------------------------------------------------------------------------------------------

    def _path(self, topic: str, first: int) -> Path:
        return self._root / topic / f"{first:020d}.log"

    def _segments(self, topic: str) -> list[tuple[int, Path]]:
        place = self._root / topic
        return [(int(path.stem), path) for path in sorted(place.glob("*.log"))]

    def _read_segment(self, topic: str, path: Path, position: int, limit: int, last: bool) -> list[Event]:
        size = path.stat().st_size
        found: list[Event] = []
        end = 0
        for frame in self._walk(path, size, position):
            end = frame.end
            if frame.first + frame.count > position:
                found += _events(topic, path, frame, max(position, frame.first), limit - len(found))
                if len(found) >= limit:
                    return found
        if not last and end < size:
            raise _damaged(path, end)
        return found

    def _demand_sound(self, path: Path, end: int = 0, following: int | None = None) -> None:
        """Raise EventLogError when the newest segment is damaged from byte `end` on; a torn last write is no damage."""
        size = path.stat().st_size
        following = int(path.stem) if following is None else following
        for frame in _frames(path, end, size):
            end, following = frame.end, frame.first + frame.count
        if end < size:
            with path.open("rb") as file:
                file.seek(end)
                if frame_within(file.read(), following):
                    raise _damaged(path, end)

    def _end(self, topic: str, segments: list[tuple[int, Path]]) -> int:
        """The next offset. What lies behind the last whole frame is a write under way, a torn one, or damage: then an error."""
        first, path = segments[-1]
        size = path.stat().st_size
        for frame in self._walk(path, size, _AT_THE_END):
            first = frame.first + frame.count
        known, end = self._marks[path][0][-1], self._marks[path][1][-1]
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
            offsets, places = self._marks.setdefault(path, ([int(path.stem)], [0]))
            start = places[max(0, bisect_right(offsets, position) - 1)]
        for frame in _frames(path, start, size):
            with self._mutex:
                if frame.start == places[-1]:
                    if len(places) > 1 and places[-1] - places[-2] < _MARK_BYTES:
                        offsets.pop()
                        places.pop()
                    offsets.append(frame.first + frame.count)
                    places.append(frame.end)
            yield frame


def _frames(path: Path, start: int, size: int) -> Iterator[Frame]:
    """The whole frames from byte `start` on; ends at the first that is not whole (yet, or ever)."""
    with path.open("rb") as file:
        while start + _HEAD.size <= size:
            file.seek(start)
            head = file.read(_HEAD.size)
            length, check, first, count, arrived = _HEAD.unpack(head)
            end = start + _HEAD.size + length
            if end > size or zlib.crc32(file.read(length), zlib.crc32(head[8:])) != check:
                return
            yield Frame(start, end, first, count, arrived)
            start = end


def frame_within(rest: bytes, next_offset: int) -> bool:
    """Whether a whole frame lies behind a broken one: then the broken one is no torn last write, but damage.

    A write that a crash tore is the last thing in its file; it is at most one frame, and nothing whole follows it.
    """
    for start in range(1, len(rest) - _HEAD.size + 1):
        length, check, first, count, _ = _HEAD.unpack_from(rest, start)
        end = start + _HEAD.size + length
        if first < next_offset or first > next_offset + _PLAUSIBLE or not 0 < count <= _PLAUSIBLE or end > len(rest):
            continue
        if zlib.crc32(rest[start + 8 : end]) == check:
            return True
    return False


def _damaged(path: Path, byte: int) -> EventLogError:
    return EventLogError(
        f"{path} is damaged at byte {byte}: whole events lie behind it; nothing was cut off",
        "restore this file from a backup; if there is none, keep a copy of it and cut it there by hand",
    )


def _events(topic: str, path: Path, frame: Frame, position: int, limit: int) -> list[Event]:
    with path.open("rb") as file:
        file.seek(frame.start + _HEAD.size)
        rows = _decode(file.read(frame.end - frame.start - _HEAD.size))
    arrived = _EPOCH + timedelta(microseconds=frame.arrived)
    taken = rows[position - frame.first :][:limit]
    return [Event(topic, 0, position + index, arrived, *row) for index, row in enumerate(taken)]


def _nothing(topic: str, position: int, end: int) -> list[Event]:
    if position > end:
        raise EventLogError(
            f"event log {topic}: offset {position} lies beyond the end ({end}): what was read before is no longer there whole",
            "its newest file was damaged, cut or replaced by an older copy: restore it from a backup",
        )
    return []


def _named(lock: int) -> int | None:
    text = os.pread(lock, _HEAD_TEXT, 0)
    return int(text) if len(text) == _HEAD_TEXT else None


def _write_all(tail: Tail, data: bytes) -> None:
    """All of it at the tail's end, or nothing: what a full disk cuts short is taken back."""
    done = 0
    try:
        while done < len(data):
            done += os.pwrite(tail.file, data[done:], tail.size + done)
    except OSError:
        os.ftruncate(tail.file, tail.size)
        raise


def _sync(tail: Tail) -> None:
    faults.point("log.before-fsync")
    os.fsync(tail.file)
    tail.dirty = False
    faults.point("log.after-fsync")


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
