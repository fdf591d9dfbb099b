"""Micro-batching: requests that already wait are answered together, and nobody waits for company.

The first request that finds nobody waiting asks the event loop to answer when it has read what else has arrived; no timer runs.
Under one client each request is answered alone; under many, one run of the graph and one write to the log serve them all.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from modelway.serving.question import Question

Answer = Callable[[Sequence[Question]], None]
MOST_ROWS = 64
"""Rows that are answered together: beyond, a row gets hardly cheaper, and the loop must read on."""
_MOST_SECONDS = 4e-3
"""Of the processor, likewise."""


class Batcher:
    """Used on the event loop's thread alone."""

    def __init__(self, answer: Answer, most_rows: int = MOST_ROWS) -> None:
        self._answer, self._most = answer, most_rows
        self._waiting: deque[Question] = deque()
        self._loop = asyncio.get_running_loop()

    def ask(self, question: Question) -> None:
        """Answered in the order of asking, after what the loop has at hand."""
        self._waiting.append(question)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._flush)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def _flush(self) -> None:
        taken, rows, seconds = list[Question](), 0, 0.0
        waiting = self._waiting
        while waiting and (not taken or (rows + len(waiting[0].rows) <= self._most and seconds < _MOST_SECONDS)):
            question = waiting.popleft()
            taken.append(question)
            rows += len(question.rows)
            seconds += question.cost
        if waiting:
            self._loop.call_soon(self._flush)
        self._answer(taken)
