"""How time is taken: several repetitions, their median and their spread. Standard library only: rivals import it too."""

import gc
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Spread:
    """The median of the repetitions, the least and the greatest of them."""

    median: float
    low: float
    high: float
    repetitions: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values), len(values))

    def times(self, factor: float) -> "Spread":
        """In another unit."""
        return Spread(self.median * factor, self.low * factor, self.high * factor, self.repetitions)

    def rate(self, amount: float) -> "Spread":
        """Amount by second, of a spread in seconds: the longest repetition is the lowest rate."""
        return Spread(amount / self.median, amount / self.high, amount / self.low, self.repetitions)


@dataclass(frozen=True)
class Timed:
    """Seconds on the clock and seconds of the processor, by repetition; `first` is the call before them, unless there was none."""

    wall: Spread
    cpu: Spread
    first: float | None = None


def timed(
    do: Callable[[], Any], repetitions: int, *, warm: bool = True, before: Callable[[], Any] = lambda: None
) -> Timed:
    """Time `do` so many times, after one call that does not count when `warm`; `before` each call is not timed."""
    first = None
    walls: list[float] = []
    cpus: list[float] = []
    for number in range(repetitions + warm):
        before()
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        do()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if warm and number == 0:
            first = wall
            continue
        walls.append(wall)
        cpus.append(cpu)
    return Timed(Spread.of(walls), Spread.of(cpus), first)


def peak_mb() -> float:
    """The most memory that this program has had, in megabytes (`ru_maxrss` begins with that of the process that started it)."""
    told = Path("/proc/self/status")
    if told.exists():
        line = next(line for line in told.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def tell(record: dict[str, Any]) -> None:
    """A rival's last line: what the benchmark reads."""
    sys.stdout.write("\n" + json.dumps(record, default=asdict) + "\n")


def heard(plain: dict[str, Any]) -> Timed:
    """`Timed` back from JSON."""
    return Timed(Spread(**plain["wall"]), Spread(**plain["cpu"]), plain["first"])
