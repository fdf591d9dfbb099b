"""Figures of several serving processes, shown by whichever a scraper reaches: each leaves its own where the others find them.

The label `worker` tells them apart, so that one which starts anew counts from 0 as Prometheus expects, and none is lost. What the
others show is at most `EVERY_SECONDS` old.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelway.metrics.memory import MemoryMetrics
from modelway.metrics.port import Exposition, Metrics

EVERY_SECONDS = 1.0
_log = logging.getLogger("modelway.serving")
_SAMPLE = re.compile(rb"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
_TYPE = b"# TYPE "


class SharedMetrics(Metrics, Exposition):
    """This process's metrics, shown together with those that the others left in `folder`."""

    def __init__(self, own: MemoryMetrics, folder: Path, worker: int) -> None:
        self._own, self._folder, self._worker = own, folder, worker

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        self._own.count(name, by, **labels)

    def observe(self, name: str, value: float, **labels: str) -> None:
        self._own.observe(name, value, **labels)

    def observe_all(self, name: str, values: Sequence[float], **labels: str) -> None:
        self._own.observe_all(name, values, **labels)

    def level(self, name: str, value: float | None, **labels: str) -> None:
        self._own.level(name, value, **labels)

    def watch(self, look: Callable[[], None]) -> None:
        self._own.watch(look)

    def ping(self) -> None:
        self._own.ping()

    def leave(self) -> None:
        """Show the others what was counted here."""
        place = self._folder / f"{self._worker}.prom"
        part = place.with_suffix(".part")
        part.write_bytes(_labelled(self._own.exposition(), self._worker))
        part.replace(place)

    def exposition(self) -> bytes:
        others = (place for place in sorted(self._folder.glob("*.prom")) if place.stem != str(self._worker))
        return together([_labelled(self._own.exposition(), self._worker), *(place.read_bytes() for place in others)])


@contextmanager
def shared(own: Metrics, folder: Path, worker: int) -> Iterator[SharedMetrics]:
    """Left for the others again and again until the end of the block, and then no more."""
    assert isinstance(own, MemoryMetrics)
    folder.mkdir(exist_ok=True)
    made, stop = SharedMetrics(own, folder, worker), threading.Event()

    def run() -> None:
        told = False
        while not stop.wait(EVERY_SECONDS):
            try:
                made.leave()
                told = False
            except OSError as error:  # a full disk, as a rule: the others see older figures until there is room
                if not told:
                    _log.warning("figures are not shared: %s", error.strerror)
                told = True

    thread = threading.Thread(target=run, name="figures of workers", daemon=True)
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join(EVERY_SECONDS)


def together(texts: Sequence[bytes]) -> bytes:
    """Several expositions as one: each metric stands once, with the samples of all."""
    heads: dict[bytes, list[bytes]] = {}
    samples: dict[bytes, list[bytes]] = {}
    for text in texts:
        head: list[bytes] = []
        name = b""
        for line in text.splitlines():
            if line.startswith(b"#"):
                head.append(line)
                if line.startswith(_TYPE):
                    name = line.split()[2]
                    heads.setdefault(name, head)
                    head = []
            else:
                samples.setdefault(name, []).append(line)
    lines = [line for name in sorted(heads) for line in (*heads[name], *samples.get(name, ()))]
    return b"".join(line + b"\n" for line in lines)


def _labelled(text: bytes, worker: int) -> bytes:
    return b"".join(_with_label(line, worker) + b"\n" for line in text.splitlines())


def _with_label(line: bytes, worker: int) -> bytes:
    found = _SAMPLE.match(line)
    if found is None:
        return line
    name, labels, value = found.groups()
    more = b'worker="%d"' % worker
    return b"%b{%b} %b" % (name, b"%b,%b" % (labels, more) if labels else more, value)
