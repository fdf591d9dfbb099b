"""A segment file of the folder log: a row of frames, each with the events of one `append`, so that a torn write is never half seen.

length u32 · check u32 · first offset u64 · count u32 · arrived (µs since 1970) i64 · the events (MessagePack)

The check is the low half of XXH3 over all that stands behind it: of 250 kB it takes 6 µs, where CRC-32 takes 72. Older frames
have a CRC-32, and are read as well.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import xxhash

from modelway import faults
from modelway.errors import EventLogError
from modelway.events.log import Event, NewEvent

HEAD = struct.Struct("<IIQIq")
_PLAUSIBLE = 10**8
"""No segment holds so many events."""
Row = tuple[str, bytes, str, dict[str, str]]
"""Key, value, content, headers."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Row]).decode


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
    first: int
    """The offset after which it is named."""
    file: int
    size: int
    next_offset: int
    arrived: int
    dirty: bool = False

    def write(self, data: bytes) -> None:
        """All of it at the end, or nothing: what a full disk cuts short is taken back."""
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self.file, data[done:], self.size + done)
        except OSError:
            os.ftruncate(self.file, self.size)
            raise

    def sync(self) -> None:
        faults.point("log.before-fsync")
        os.fsync(self.file)
        self.dirty = False
        faults.point("log.after-fsync")


def packed(events: Sequence[NewEvent]) -> bytes:
    """The body of a frame."""
    return body_of([(e.key, e.value, e.content, dict(e.headers)) for e in events])


def body_of(rows: Sequence[Row]) -> bytes:
    """The same, of events as they lie in it."""
    return _encode(rows)


def rows_in(file: BinaryIO, frame: Frame) -> list[Row]:
    """The events of a frame as they lie in it."""
    file.seek(frame.start + HEAD.size)
    return _decode(file.read(frame.end - frame.start - HEAD.size))


def framed(body: bytes, first: int, count: int, arrived: int) -> bytes:
    """A whole frame."""
    head = struct.pack("<QIq", first, count, arrived)
    return b"".join(
        (struct.pack("<II", len(body), _check(head, body)), head, body)
    )  # one copy: a body may have megabytes


def frames(path: Path, start: int, size: int) -> Iterator[Frame]:
    """The whole frames from byte `start` on; ends at the first that is not whole (yet, or ever)."""
    with path.open("rb") as file:
        while start + HEAD.size <= size:
            file.seek(start)
            head = file.read(HEAD.size)
            length, check, first, count, arrived = HEAD.unpack(head)
            end = start + HEAD.size + length
            if end > size or not _whole(check, head[8:], file.read(length)):
                return
            yield Frame(start, end, first, count, arrived)
            start = end


def events_in(topic: str, path: Path, frame: Frame, position: int, limit: int) -> list[Event]:
    """Up to `limit` events of a frame, from offset `position` on."""
    with path.open("rb") as file:
        rows = rows_in(file, frame)
    taken = rows[position - frame.first :][:limit]
    return [Event(topic, 0, position + index, frame.arrived, *row) for index, row in enumerate(taken)]


def frame_within(rest: bytes, next_offset: int) -> bool:
    """Whether a whole frame lies behind a broken one: then the broken one is no torn last write, but damage.

    A write that a crash tore is the last thing in its file; it is at most one frame, and nothing whole follows it.
    """
    for start in range(1, len(rest) - HEAD.size + 1):
        length, check, first, count, _ = HEAD.unpack_from(rest, start)
        end = start + HEAD.size + length
        if first < next_offset or first > next_offset + _PLAUSIBLE or not 0 < count <= _PLAUSIBLE or end > len(rest):
            continue
        if _whole(check, b"", rest[start + 8 : end]):
            return True
    return False


def _check(head: bytes, body: bytes) -> int:
    made = xxhash.xxh3_64(head)
    made.update(body)
    return made.intdigest() & 0xFFFFFFFF


def _whole(check: int, head: bytes, body: bytes) -> bool:
    return check == _check(head, body) or check == zlib.crc32(body, zlib.crc32(head))


def damaged(path: Path, byte: int) -> EventLogError:
    return EventLogError(
        f"{path} is damaged at byte {byte}: whole events lie behind it; nothing was cut off",
        "restore this file from a backup; if there is none, keep a copy of it and cut it there by hand",
    )
