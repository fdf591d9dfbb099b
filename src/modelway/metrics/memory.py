"""Metrics in this process's memory, shown in Prometheus' text format; gone when it ends, as a scraper expects.

Source of the format: prometheus.io/docs/instrumenting/exposition_formats, "Text-based format", version 0.0.4.
"""

import math
import re
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from modelway.metrics.port import BOUNDS, HELP, Exposition, Metrics

BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds, each included: from one row on a warm server to a request that nobody waits for."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})

Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Labels]


class MemoryMetrics(Metrics, Exposition):
    """One lock, held for a few additions, and to copy all figures when they are shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Series, float] = {}
        self._levels: dict[Series, float] = {}
        self._observed: dict[Series, list[float]] = {}
        self._kinds: dict[str, str] = {}
        self._watched: list[Callable[[], None]] = []

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        if not 0 <= by < math.inf:
            raise ValueError(f"{name}: a count goes up by a finite number, not by {by}")
        series = (name, tuple(sorted(labels.items())))
        with self._lock:
            if series not in self._counts:
                self._admit(name, "counter", labels)
                self._counts[series] = 0
            self._counts[series] += by

    def observe(self, name: str, value: float, **labels: str) -> None:
        self.observe_all(name, (value,), **labels)

    def observe_all(self, name: str, values: Sequence[float], **labels: str) -> None:
        total = math.fsum(values)
        if not math.isfinite(total):
            raise ValueError(f"{name}: {total} is not finite")
        bounds = BOUNDS.get(name, BUCKETS)
        series, places = (name, tuple(sorted(labels.items()))), [bisect_left(bounds, value) for value in values]
        with self._lock:
            found = self._observed.get(series)
            if found is None:
                self._admit(name, "histogram", labels)
                found = self._observed[series] = [0] * (len(bounds) + 1) + [0.0]
            for place in places:
                found[place] += 1
            found[-1] += total

    def level(self, name: str, value: float | None, **labels: str) -> None:
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{name}: {value} is not finite")
        series = (name, tuple(sorted(labels.items())))
        with self._lock:
            if value is None:
                self._levels.pop(series, None)
                return
            if series not in self._levels:
                self._admit(name, "gauge", labels)
            self._levels[series] = value

    def watch(self, look: Callable[[], None]) -> None:
        self._watched.append(look)

    def exposition(self) -> bytes:
        for look in self._watched:
            look()
        with self._lock:
            counts = {**self._counts, **self._levels}
            observed = {series: (*numbers,) for series, numbers in self._observed.items()}
            kinds = dict(self._kinds)
        lines: list[str] = []
        for name in sorted(kinds):
            lines += _head(name, kinds[name])
            lines += (_line(*series, value) for series, value in sorted(counts.items()) if series[0] == name)
            for (_, labels), numbers in sorted(item for item in observed.items() if item[0][0] == name):
                lines += _histogram(name, labels, numbers[:-1], numbers[-1])
        return "".join(f"{line}\n" for line in lines).encode()

    def ping(self) -> None:
        """Memory is always there."""

    def _admit(self, name: str, kind: str, labels: Iterable[str]) -> None:
        """Called once a series, under the lock."""
        for word in (name, *labels):
            if not _NAME.fullmatch(word) or word == "le":
                raise ValueError(f"{word!r} names no metric or label")
        if self._kinds.setdefault(name, kind) != kind:
            raise ValueError(f"{name} is a {self._kinds[name]} already")


def _head(name: str, kind: str) -> Iterator[str]:
    if name in HELP:
        yield f"# HELP {name} {HELP[name]}"
    yield f"# TYPE {name} {kind}"


def _histogram(name: str, labels: Labels, numbers: Iterable[float], total: float) -> Iterator[str]:
    """The buckets added up, as the format wants them."""
    seen = 0.0
    bounds = BOUNDS.get(name, BUCKETS)
    for bound, number in zip((*map(_number, bounds), "+Inf"), numbers, strict=True):
        seen += number
        yield _line(f"{name}_bucket", (*labels, ("le", bound)), seen)
    yield _line(f"{name}_sum", labels, total)
    yield _line(f"{name}_count", labels, seen)


def _line(name: str, labels: Labels, value: float) -> str:
    told = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels)
    return f"{name}{{{told}}} {_number(value)}" if told else f"{name} {_number(value)}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
