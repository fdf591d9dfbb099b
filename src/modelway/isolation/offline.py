"""A graph that nobody has proved, asked off line: it may hang, crash or grow, and no more comes of it than a GraphError."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelway.errors import GraphError
from modelway.isolation.live import Launch
from modelway.isolation.process import Numbers, PythonProcess
from modelway.records import Column, Limits, PythonModel

BLOCK = 2_000
"""Rows that go to the process at once; what it may take is said of so many."""
_LOADED = 8
"""A loaded graph may take so many times its size, beside the megabytes that are allowed."""


class Offline:
    """A `Run` for any number of rows. A block that needs too much memory is halved, until a row alone does.

    Raises EngineError where the graph refuses rows; GraphError when it takes its process along, and from then on. The constructor
    raises both. Its process is gone when this is closed or collected.
    """

    def __init__(
        self,
        name: str,
        graph: Callable[[], bytes],
        child: Path,
        columns: Sequence[Column],
        limits: Limits,
        log: Path = Path(os.devnull),
        told: Mapping[str, Any] | None = None,
    ) -> None:
        megabytes = limits.megabytes + _LOADED * len(graph()) // 1_000_000
        asked = PythonModel("", tuple(columns), "regression", 0, limits.seconds, megabytes)
        self._process = PythonProcess(Launch(name, asked, graph, "", log, graph=child, once=True, told=told or {}))
        self.close = self._process.close
        self._way = 0.0

    def way(self) -> float:
        """Seconds that went by on the way to the process and back since this was last asked for them."""
        way, self._way = self._way, 0.0
        return way

    def __call__(self, numbers: Numbers, words: Sequence[Sequence[str]]) -> list[list[float]]:
        made = list[list[float]]()
        for start in range(0, len(numbers), BLOCK):
            part = slice(start, start + BLOCK)
            made += self._answered(numbers[part], words[part])
        return made

    def _answered(self, numbers: Numbers, words: Sequence[Sequence[str]]) -> list[list[float]]:
        try:
            scores = self._process(numbers, words)
            self._way += self._process.way()
            return scores
        except GraphError:
            if len(numbers) == 1:
                raise
        half = len(numbers) // 2
        return self._answered(numbers[:half], words[:half]) + self._answered(numbers[half:], words[half:])
