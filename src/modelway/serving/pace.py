"""How quick a version is: what its rows cost the processor, and how long its batches last."""

from collections import deque
from dataclasses import dataclass, field
from statistics import median

from modelway.serving.batching import MOST_ROWS

_QUICK_SECONDS, _SLOW_SECONDS = 300e-6, 600e-6
"""Of the processor a row: up to the first it is answered on the event loop from now on, beyond the second in a thread. One row
by itself costs several times what it costs among others: between the two nothing changes."""
_BATCH_SECONDS = 2e-3
"""Of the processor a batch in a thread, when it has more than one request: those behind it wait."""
_EVERY = 32
_LATE, _ENOUGH = 15, 5
"""Batches that are looked at, and how many must be: a pause of the machine is no pace."""


def _last() -> "deque[float]":
    return deque(maxlen=_LATE)


@dataclass(slots=True)
class Pace:
    """Medians of the last batches. A busy machine lengthens what a batch lasts, and not what a row costs."""

    rows: deque[float] = field(default_factory=_last)
    seconds: deque[float] = field(default_factory=_last)
    """From a batch's turn to its replies."""
    costs: deque[float] = field(default_factory=_last)
    """Seconds of the processor a row."""
    quick: bool = False
    cost: float = 0.0
    """Of the processor a row; 0 before the first batch."""
    most: int = 1
    """Rows that are answered together in a thread."""
    _for_a_row: float = 0.0
    _batches: int = 0

    def wanted(self) -> bool:
        """Whether the next batch is to be measured: the first ones, then one now and then, since to ask for a thread's time may
        cost more than to answer a row."""
        self._batches += 1
        return self._batches <= _LATE or self._batches % _EVERY == 0

    def note(self, rows: int, seconds: float, cost: float) -> None:
        """A batch of so many rows lasted so long, and cost so much of the processor."""
        if not rows:
            return
        self.rows.append(rows)
        self.seconds.append(seconds)
        self.costs.append(cost / rows)
        self.cost = median(self.costs)
        self.quick = self.cost <= (_SLOW_SECONDS if self.quick else _QUICK_SECONDS)
        self.most = min(MOST_ROWS, max(1, int(_BATCH_SECONDS / max(self.cost, 1e-9))))
        if len(self.rows) >= _ENOUGH:
            self._for_a_row = median(self.seconds) / median(self.rows)

    def wait(self, rows: int) -> float:
        """Seconds until a row can be begun that comes behind so many; 0 while that is not known."""
        return rows * self._for_a_row
