"""The port of the event log; `folder.py` is the embedded adapter, `kafka.py` stands for many machines."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter

import msgspec

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
BLOCK = "application/vnd.modelway.block"
"""Rows of numbers (`block.py`)."""
MANY = (ARROW, BLOCK)
"""Contents that hold many rows an event."""
REGISTERED = "application/vnd.schema-registry"
"""A value in the wire format of a schema registry: a zero byte, the schema's id (u32, big end first), Avro or Protobuf."""
TOMBSTONE = "application/vnd.tombstone"
"""No value: what a compacted topic keeps of a key that was deleted."""
ROOM = 64 * 1024 * 1024
"""Bytes of values that are read at once, unless more or less is asked for."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NewEvent(msgspec.Struct, frozen=True):
    """What a producer hands over, by `content`: a JSON object (one row), an Arrow IPC stream or a block (many rows)."""

    key: str
    value: bytes
    content: str = JSON
    headers: Mapping[str, str] = {}
    arrived: datetime | None = None
    """When it was taken before, by a log from which it is handed on; None: now."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """An event in the log; `arrived_us` is when the log took it, in µs since 1970; offsets rise within a partition."""

    topic: str
    partition: int
    offset: int
    arrived_us: int
    key: str
    value: bytes
    content: str
    headers: Mapping[str, str]

    @property
    def arrived(self) -> datetime:
        """When the log took it, in UTC."""
        return _EPOCH + timedelta(microseconds=self.arrived_us)


def sniffed(value: bytes) -> str:
    """The kind of a value that nothing is said of, by its first bytes: no JSON begins like the others."""
    if value.startswith(b"{"):
        return JSON
    if value.startswith(b"\0"):
        return REGISTERED
    return ARROW if value.startswith(b"\xff\xff\xff\xff") else JSON


def size_of(events: Sequence[Event]) -> int:
    """Bytes of their values."""
    return sum(map(len, map(_value, events)))


def places(events: Sequence[Event]) -> set[tuple[str, int]]:
    """The topics and partitions that they are of."""
    return set(zip(map(_topic, events), map(_partition, events), strict=True))


_value, _topic, _partition = attrgetter("value"), attrgetter("topic"), attrgetter("partition")


Start = Callable[[str, int], int | None]
"""Topic and partition → the offset to read on from; None: from the oldest that is kept."""


class Share(ABC):
    """Some partitions of some topics, shared out among all processes that joined under one name, read on without end.

    Who holds a partition may change at any moment: whatever was taken and not committed is then the next holder's work.
    """

    @abstractmethod
    def take(self, limit: int, wait: float, room: int = ROOM) -> list[Event]:
        """Up to `limit` next events, waiting at most `wait` seconds for the first one; in offset order by partition.

        No more are taken once their values have `room` bytes.

        Raises EventLogError naming the topic when a position is no longer there; that partition then stands still.
        """

    @abstractmethod
    def lost(self) -> set[tuple[str, int]]:
        """The partitions (topic, number) that were taken away since the last time this was asked."""

    @abstractmethod
    def held(self) -> set[tuple[str, int]]:
        """The partitions that are this process's now."""

    @abstractmethod
    def seek(self, topic: str, partition: int, offset: int) -> None:
        """Read on from another offset; one that is not held is no matter."""

    @abstractmethod
    def close(self) -> None:
        """Give the partitions back."""


class EventLog(ABC):
    """Append-only topics, read by position. Readers keep their positions themselves (in the Delta commit)."""

    @property
    @abstractmethod
    def largest(self) -> int:
        """The most bytes that the value of one event may have."""

    @abstractmethod
    def append(self, topic: str, events: Sequence[NewEvent], *, durable: bool = True) -> None:
        """Append, those of one key in order; a topic that does not exist is made.

        When it returns, the events survive a kill of this process; with `durable` also a power cut. Safe with several
        producers at once. When it raises EventLogError or DiskFullError, some may be in: send all again, readers know a
        row by its key.
        """

    @abstractmethod
    def read(
        self,
        topic: str,
        positions: Mapping[int, int],
        limit: int = 10_000,
        *,
        only: Collection[int] | None = None,
        room: int = ROOM,
    ) -> list[Event]:
        """Up to `limit` events from those offsets on, in offset order by partition; of the partitions `only`, or of all.

        No more are read once their values have `room` bytes.

        A partition without a position is read from the oldest event that is kept. Returns [] at the end, and for a topic
        that does not exist. Raises EventLogError when an offset was already removed by retention, or lies beyond the
        end: never skips in silence.
        """

    @abstractmethod
    def join(self, topics: Sequence[str], group: str, start: Start, member: str = "") -> Share:
        """A share of the partitions of these topics, among all who join under the name of this group.

        `start` is asked whenever a partition is given to this process. Who comes back under the name of a `member` that
        died takes its place at once; "" is a new one. A topic that does not exist is not made; its share begins when it does.
        """

    @abstractmethod
    def starts(self, topic: str) -> dict[int, int]:
        """The oldest offset that is kept, by partition; {} for a topic that does not exist."""

    @abstractmethod
    def ends(self, topic: str) -> dict[int, int]:
        """Next offset to be written, by partition; {} for a topic that does not exist."""

    @abstractmethod
    def identity(self, topic: str) -> int | None:
        """A number that a topic made anew under the same name would not have (i64); None for one that does not exist."""

    @abstractmethod
    def topics(self) -> list[str]:
        """Names of all topics, sorted."""

    @abstractmethod
    def flush(self) -> None:
        """Make all that was appended here without `durable` survive a power cut."""

    @abstractmethod
    def settle(self, topic: str) -> None:
        """Make all that anybody appended to the topic until now survive a power cut: before a position in it is committed."""

    @abstractmethod
    def ping(self) -> None:
        """Return if the log can be used; else raise EventLogError."""

    @abstractmethod
    def close(self) -> None: ...
