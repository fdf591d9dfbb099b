"""The port of online values: the events that a window may see, by entity, while decisions are made; `sqlite.py` is embedded.

Whole events are kept, not running sums: a window is evaluated at the decision's time, so it expires with no event, and what
was known at any moment can be asked again.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

Group = tuple[str, ...]
"""The entity columns of a window, () for all events."""
Stream = Literal["events", "labels"]


class PastEvent(msgspec.Struct, frozen=True):
    """A row of the past as windows need it (a Struct: one is made for each event of each decision).

    `entities` and `values` hold what is there, by column; missing ones are left out. `target` and `label_arrived` are filled
    by the store, from the labels.
    """

    key: str
    at: datetime
    arrived: datetime
    entities: Mapping[str, str]
    values: Mapping[str, float | str]
    target: float | None = None
    label_arrived: datetime | None = None


class PastLabel(msgspec.Struct, frozen=True):
    """A label as windows need it: 1 or 0, or the number of a regression."""

    key: str
    target: float
    arrived: datetime


class OnlineValues(ABC):
    """Events and labels by entity. Written by one process, in the order of the log; read by many at once."""

    @abstractmethod
    def put(self, events: Sequence[PastEvent], upto: Mapping[int, int]) -> None:
        """Take events in, with the log's next offset by partition, all or nothing.

        The same key with the same content is one event. With other content it is a correction: as of its arrival it stands
        for the event; of two with one arrival the later put counts. An event with a `target` brings its label with it.
        """

    @abstractmethod
    def label(self, labels: Sequence[PastLabel], upto: Mapping[int, int]) -> None:
        """Take labels in, likewise; a label may come before its event, and a later one stands for it as of its arrival."""

    @abstractmethod
    def past(
        self, group: Group, entity: Sequence[str], since: datetime, until: datetime, known: datetime | None
    ) -> Sequence[PastEvent]:
        """The events of one entity with since < at ≤ until as known at `known` (None: all that is here), by at, arrived, key.

        Of each key the version that counts then, with the label known then. [] for an entity never seen. Raises
        EngineError for a group that the store was not opened for.
        """

    @abstractmethod
    def upto(self, stream: Stream = "events") -> dict[int, int]:
        """The next offset by partition up to which the values were built; {} at the start."""

    @abstractmethod
    def forget(self, before: datetime) -> int:
        """Drop all that happened before; returns the number of event versions dropped. Labels without an event go by arrival."""

    @abstractmethod
    def ping(self) -> None:
        """Return if values can be read; else raise EngineError."""

    @abstractmethod
    def close(self) -> None: ...
