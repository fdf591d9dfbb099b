"""The port of online values: the events that a window may see, by entity, while decisions are made; `sqlite.py` is embedded.

Whole events are kept, not running sums: a window is evaluated at the decision's time, so it expires with no event, and what
was known at any moment can be asked again. Times are microseconds since 1970-01-01 UTC where a request is on its way.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from modelway.features.past import Past

Group = tuple[str, ...]
"""The entity columns of a window, () for all events."""
EVENTS, LABELS = "events", "labels"
"""The streams that every store has; each joined table is one more, by `statements`."""
FAR = -(2**62)


class Look(NamedTuple):
    """One entity of a group, and what of it is wanted: since < at ≤ until. `newest`: the last event alone will do."""

    group: Group
    entity: tuple[str, ...]
    since: int
    until: int
    newest: bool = False


class PastEvent(msgspec.Struct, frozen=True):
    """A row of the past as windows need it.

    `entities` and `values` hold what is there, by column; missing ones are left out. An event that brings its label with it has
    a `target` and `label_arrived`.
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


def statements(table: str) -> str:
    """The stream of a joined table, and the column by which its statements are grouped."""
    return f"_@{table}"


class OnlineValues(ABC):
    """Events and labels by entity, for the groups that it was opened for. Written by one process at a time, read by many.

    Two writers at once double nothing: the later one finds what is there.
    """

    @abstractmethod
    def put(self, events: Sequence[PastEvent], upto: Mapping[int, int], stream: str = EVENTS) -> None:
        """Take events in, with the log's next offset by partition, all or nothing.

        The same key with the same content is one event. With other content it is a correction: as of its arrival it stands
        for the event; of two with one arrival the later put counts. An event with a `target` brings its label with it.
        """

    @abstractmethod
    def label(self, labels: Sequence[PastLabel], upto: Mapping[int, int]) -> None:
        """Take labels in, likewise; a label may come before its event, and a later one stands for it as of its arrival."""

    @abstractmethod
    def look(self, looks: Sequence[Look], known: int | None) -> list[Past]:
        """For each look the events of its entity as known at `known` (None: all that is here), by at, arrived, key.

        Of each key the version that counts then, with the label known then; nothing for an entity never seen. One round trip
        for all looks. Raises EngineError for a group that the store was not opened for, and DataError when a look reaches back
        to what was forgotten.
        """

    @abstractmethod
    def upto(self, stream: str = EVENTS) -> dict[int, int]:
        """The next offset by partition up to which the values were built; {} at the start."""

    @abstractmethod
    def forget(self, before: datetime) -> int:
        """Drop all events that happened before; returns the number of versions dropped. Labels without an event go by arrival.

        Of a joined table the statements that newer ones have replaced go; what holds then stays, however old.
        """

    @abstractmethod
    def erase(self, keys: Collection[str], entities: Mapping[str, str]) -> int:
        """Erase all versions and labels of these keys, and of every key that ever had one of these entities (column → word).

        Positions stay, so nothing is read again. When it returns, no byte of them is left in what the store keeps; a call that
        failed or was killed is made again. Returns the number of versions erased.
        """

    @abstractmethod
    def clear(self) -> None:
        """Drop everything, the positions too: as at the start."""

    @abstractmethod
    def ping(self) -> None:
        """Return if values can be read; else raise EngineError."""

    @abstractmethod
    def close(self) -> None: ...
