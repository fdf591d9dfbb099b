"""Admission: each version has a lane, whose queue is bounded by time; what cannot be answered in time is refused at once.

A lane knows how long a row takes. Rows that are quick are answered on the event loop, together with those of other lanes; slow
ones, one batch of a lane at a time, in a thread, so that no version keeps the others waiting. Refusing costs microseconds: latency
does not collapse when more is asked than can be answered.
"""

import time
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from modelway.errors import ModelwayError
from modelway.serving.answering import Answering
from modelway.serving.batching import Batcher
from modelway.serving.pace import Pace
from modelway.serving.question import Question
from modelway.serving.servable import Servable, nowhere
from modelway.serving.status import BusyError, LateError

SHORT = 16 * 1024
"""Bytes up to which a request may be answered on the event loop."""


@dataclass(slots=True, eq=False)
class Lane:
    """The way to one version."""

    on_loop: bool
    """Whether it may be answered there at all."""
    longest_wait: float
    model: str = ""
    version: str = ""
    rows: int = 0
    """Asked for and not answered yet."""
    pace: Pace = field(default_factory=Pace)
    waiting: deque[Question] = field(default_factory=deque)
    """For a thread."""
    running: int = 0
    """Questions of the batch that a thread is answering."""

    @property
    def quick(self) -> bool:
        return self.pace.quick and self.on_loop

    @property
    def wait(self) -> float:
        """Seconds until a row that is asked for now can be begun."""
        return self.pace.wait(self.rows)

    def batch(self) -> list[Question]:
        """Who is answered next in a thread; at least one."""
        most = self.pace.most
        taken = [self.waiting.popleft()]
        rows = len(taken[0].rows)
        while self.waiting and rows + len(self.waiting[0].rows) <= most:
            taken.append(self.waiting.popleft())
            rows += len(taken[-1].rows)
        return taken


class Lanes:
    """Used on the event loop's thread."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._batcher = Batcher(self._quickly)
        self._lanes: dict[int, Lane] = {}
        """By the identity of a version in memory; a lane goes with it."""

    def ask(self, question: Question, size: int) -> None:
        """Answered in its turn, or refused now; `size`: the request's bytes."""
        lane = self._lanes.get(id(question.servable)) or self._opened(question.servable)
        if (refusal := self._refusal(lane, question)) is not None:
            if self._is_its_own_fault(question):
                self._answering.note(question, refusal)
            question.refuse(question, refusal)
            return
        lane.rows += len(question.rows)
        question.cost = len(question.rows) * lane.pace.cost
        if self.at_once(question.servable, size):
            self._batcher.ask(question)
            return
        lane.waiting.append(question)
        self._run(lane)

    def at_once(self, servable: Servable, size: int) -> bool:
        """Whether a question would be answered on the event loop."""
        lane = self._lanes.get(id(servable))
        return size <= SHORT and lane is not None and lane.quick

    def all(self) -> list[Lane]:
        """Those that are there now; may be asked by any thread, as `in_flight`."""
        return list(self._lanes.values())

    @property
    def in_flight(self) -> int:
        """Questions that wait or are being answered in a thread."""
        return self._batcher.waiting + sum(len(lane.waiting) + lane.running for lane in self.all())

    def _opened(self, servable: Servable) -> Lane:
        named = servable.manifest.model, str(servable.number)
        lane = self._lanes[id(servable)] = Lane(servable.upto is nowhere, servable.longest_wait, *named)
        weakref.finalize(servable, self._lanes.pop, id(servable), None)
        return lane

    def _refusal(self, lane: Lane, question: Question) -> ModelwayError | None:
        wait = lane.wait
        if wait > lane.longest_wait:
            return BusyError(
                f"{question.model}: more is asked than can be answered: {lane.rows} rows wait, {wait * 1000:,.0f} ms",
                "ask again after a second; if it lasts, add serving.workers in stack.yaml",
            )
        if question.until is not None and time.perf_counter() + wait > question.until:
            return LateError(
                f"{question.model}: no answer is possible within the time-out", "allow more time, or ask less"
            )
        return None

    def _is_its_own_fault(self, question: Question) -> bool:
        """Whether a challenger refuses what the champion could have answered: then it has failed, and its release is to know."""
        served, servable = question.served, question.servable
        if question.named or (champion := served.beside(servable)) is None:
            return False
        lane = self._lanes.get(id(champion))
        return lane is None or self._refusal(lane, question) is None

    def _quickly(self, questions: Sequence[Question]) -> None:
        began = time.perf_counter()
        due = [question for question in questions if not self._late(question, began)]
        lanes = {id(question.servable): self._lanes[id(question.servable)] for question in due}
        measured = [lane for lane in lanes.values() if lane.pace.wanted()]
        before = time.thread_time() if measured else 0.0
        try:
            self._answering.answer(due)
        finally:
            if measured:
                seconds, cost = time.perf_counter() - began, time.thread_time() - before
                rows = sum(len(question.rows) for question in due)
                for lane in measured:
                    lane.pace.note(rows, seconds, cost)
            for question in due:
                lanes[id(question.servable)].rows -= len(question.rows)

    def _run(self, lane: Lane) -> None:
        while lane.waiting and not lane.running:
            began = time.perf_counter()
            questions = [question for question in lane.batch() if not self._late(question, began)]
            if questions:
                lane.running = len(questions)
                self._answering.answer_apart(questions, partial(self._ran, lane, questions, began))

    def _ran(self, lane: Lane, questions: Sequence[Question], began: float, cost: float) -> None:
        rows = sum(len(question.rows) for question in questions)
        lane.pace.note(rows, time.perf_counter() - began, cost)
        lane.rows -= rows
        lane.running = 0
        self._run(lane)

    def _late(self, question: Question, now: float) -> bool:
        if question.until is None or now <= question.until:
            return False
        self._lanes[id(question.servable)].rows -= len(question.rows)
        told = LateError(
            f"{question.model}: the time-out was over before its turn came", "allow more time, or ask less"
        )
        question.refuse(question, told)
        return True
