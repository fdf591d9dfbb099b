"""How long a topic's brokers keep a record: by retention, by compaction, or for ever."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_FOR_EVER = 2**62


@dataclass(frozen=True, slots=True)
class Keeping:
    """A topic's own settings; times in milliseconds, negative or huge: without end."""

    compacts: bool
    deletes: bool
    retention_ms: int
    segment_ms: int
    compaction_lag_ms: int

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Keeping":
        """From the topic's configuration as the brokers tell it."""
        policy = str(settings["cleanup.policy"]).split(",")
        numbers = ("retention.ms", "segment.ms", "max.compaction.lag.ms")
        return cls("compact" in policy, "delete" in policy, *(int(settings[name]) for name in numbers))

    def latest(self, written: datetime) -> datetime | None:
        """When retention has removed at the latest what was written then; None: it never does.

        A segment goes as a whole, when its newest record is past retention.
        """
        if not self.deletes or self.retention_ms < 0 or self.retention_ms + self.segment_ms > _FOR_EVER:
            return None
        try:
            return written + timedelta(milliseconds=self.retention_ms + self.segment_ms)
        except OverflowError:
            return None

    def compacted(self, sent: datetime) -> datetime | None:
        """When compaction has removed at the latest what a tombstone sent then stands for; None: the brokers promise no time."""
        if not self.compacts:
            return None
        try:
            return sent + timedelta(milliseconds=self.compaction_lag_ms)
        except OverflowError:
            return None
