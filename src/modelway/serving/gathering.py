"""Questions that arrive one at a time are held back until as many wait as lately came together, so that they are answered as one.

HTTP needs none of it: its loop reads all sockets before anything is answered. gRPC hands over one call after the other, and each
would be answered alone (measured with 16 calls at a time: 1.1 a run, and 2.6 times the processor time of a call). One question
alone never waits: `expected` is 1 until one comes while another is being answered. It grows with each that does, and by a quarter
after many rounds in which nobody waited in vain; it falls half the way to what really came when somebody did.
"""

import asyncio
from collections.abc import Callable

from modelway.serving.batching import MOST_ROWS
from modelway.serving.question import Question

Ask = Callable[[Question, int], None]
LONGEST_SECONDS = 0.002
"""The most that a question waits for company."""
_ROUNDS = 100
"""Rounds without a wait in vain, after which more are expected: at most one question in a hundred waits for nobody."""
_TURNS = 6
"""Of the loop, after which a reply is on its way: who comes before cannot be the one that gets it, so there are several."""


class Gathering:
    """Used on the event loop's thread alone. Whoever asks tells `answered` when a question has its reply."""

    def __init__(self, ask: Ask, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._ask, self._longest = ask, longest_seconds
        self._loop = asyncio.get_running_loop()
        self._held: list[tuple[Question, int]] = []
        self._under_way = self._leaving = self._rounds = 0
        self._timer: asyncio.Handle | None = None
        self.expected = 1
        """Questions that are waited for."""

    def ask(self, question: Question, size: int) -> None:
        """Asked now, or within the longest wait, in the order of asking."""
        if self._under_way and self.expected < MOST_ROWS:
            self.expected += 1
        self._held.append((question, size))
        if len(self._held) >= self.expected:
            self._release()
            self._count_round()
        elif self._timer is None:
            self._timer = self._loop.call_later(self._longest, self._look_again, _TURNS)

    def answered(self) -> None:
        """One of those that were asked."""
        if not self._leaving:
            self._loop.call_soon(self._settle, _TURNS)
        self._leaving += 1

    def _settle(self, turns: int) -> None:
        if turns:
            self._loop.call_soon(self._settle, turns - 1)
        else:
            self._under_way, self._leaving = self._under_way - self._leaving, 0

    def _count_round(self) -> None:
        self._rounds += 1
        if self._rounds >= _ROUNDS and 1 < self.expected < MOST_ROWS:
            self.expected, self._rounds = self.expected + 1 + self.expected // 4, 0

    def _look_again(self, turns: int) -> None:
        """A loop that was busy runs its timers before it reads: who has come meanwhile is company too."""
        self._timer = self._loop.call_soon(self._look_again, turns - 1) if turns else None
        if self._timer is None:
            self.expected, self._rounds = (self.expected + len(self._held)) // 2, 0
            self._release()

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._held = self._held, []
        self._under_way += len(held)
        for question, size in held:
            self._ask(question, size)
