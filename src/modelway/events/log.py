"""The port of the event log; `folder.py` is the embedded adapter."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What a producer hands over: a JSON object (one row) or an Arrow IPC stream (many rows), by `content`."""

    key: str
    value: bytes
    content: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """An event in the log; `arrived` is when the log took it, `offset` counts from 0 by partition without gaps."""

    topic: str
    partition: int
    offset: int
    arrived: datetime
    key: str
    value: bytes
    content: str
    headers: Mapping[str, str]


class EventLog(ABC):
    """Append-only topics, read by position. Readers keep their positions themselves (in the Delta commit)."""

    @abstractmethod
    def append(self, topic: str, events: Sequence[NewEvent], *, durable: bool = True) -> int:
        """Append in order, all or nothing as far as a reader can see, and return the last offset.

        When it returns, the events survive a kill of this process; with `durable` also a power cut (fsync). Safe with
        several producers at once. Raises EventLogError, DiskFullError (then nothing of the call is visible).
        """

    @abstractmethod
    def read(self, topic: str, positions: Mapping[int, int], limit: int = 10_000) -> list[Event]:
        """Up to `limit` events by partition from those offsets on (a partition not named: from its start), in offset order.

        Returns [] at the end, and for a topic that does not exist. Raises EventLogError when an offset was already
        removed by retention, or lies beyond the end: never skips in silence.
        """

    @abstractmethod
    def ends(self, topic: str) -> dict[int, int]:
        """Next offset to be written, by partition; {} for a topic that does not exist."""

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
