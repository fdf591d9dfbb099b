"""The clock port: wall time in production, a replay's time in a replay, a hand-set time in tests.

Latencies are always measured on `time.perf_counter`, never on this clock.
"""

import threading
import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime


class Clock(ABC):
    """What time it is for decisions, arrivals, labels, cool-downs and leases."""

    @abstractmethod
    def now(self) -> datetime:
        """The time in UTC, aware, to the microsecond; never goes back within one process."""


class WallClock(Clock):
    """The machine's own time, held at its last value if the machine's clock is set back."""

    def __init__(self) -> None:
        self._last = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:  # a thread that was held up after its reading must not put it in place of a later one
            self._last = last = max(self._last, time.time())
        return datetime.fromtimestamp(last, UTC)
