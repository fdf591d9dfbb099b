"""What is brought in: a topic, the table that it fills, and what its rows are known by."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import polars as pl

from modelway.events.log import Event
from modelway.ingest.decode import Decoded, decode

APP = "ingest"
"""Under this name a table's commits hold the positions up to which it was built."""
IDENTITY = "topic"
"""And under this one the number of the topic that they are positions in."""


class CheckedRows(Protocol):
    """What a contract makes of raw rows (see `contracts.checked`)."""

    @property
    def accepted(self) -> pl.DataFrame: ...
    @property
    def quarantined(self) -> pl.DataFrame: ...
    @property
    def warnings(self) -> Mapping[str, int]: ...
    @property
    def counts(self) -> Mapping[str, int]: ...


Check = Callable[[pl.DataFrame], CheckedRows]


@dataclass(frozen=True)
class Source:
    """A topic, the table it fills, and what its rows are known by."""

    topic: str
    check: Check
    key: str | None = None
    event_time: str | None = None
    content: tuple[str, ...] = ()
    """The columns that make a row of a known key the same row again; none named: all of them."""
    doubles_within: timedelta = timedelta(days=30)
    decode: Callable[[Sequence[Event]], Decoded] = decode
    named: Collection[str] | None = None
    """The columns that the contract names: what else a row brings must fit the table. None: rows bring nothing else."""
    recheck: Check | None = None
    """How refused rows are checked again, which are no batch as it came; None: as rows that come."""

    @property
    def quarantine(self) -> str:
        return f"{self.topic}_quarantine"
