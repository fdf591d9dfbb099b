"""From questions to answers: one run of the graph for all that are asked of a version, then the log, then the replies.

The prediction events are handed to the log before any reply is sent; scoring in shadow comes after it.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelway.clock import Clock
from modelway.errors import EngineError, ModelwayError
from modelway.events.log import NewEvent
from modelway.metrics.port import Metrics
from modelway.serving.answer import Answer, answer_rows, failed_rows
from modelway.serving.log import PredictionLog, prediction_events
from modelway.serving.matrix import Matrix
from modelway.serving.matrix_answers import MatrixAnswers, answer_request
from modelway.serving.measured import DROPPED, ROWS, RUN, UNLOGGED
from modelway.serving.question import Question
from modelway.serving.servable import Servable
from modelway.serving.shadow import Echo, Shadow
from modelway.serving.traced import Marks, marked, note_logged

_log = logging.getLogger("modelway.serving")
_TELL_SECONDS = 10.0


@dataclass(slots=True)
class _Done:
    """What became of one question."""

    question: Question
    answers: Sequence[Answer]
    error: ModelwayError | None = None
    """Why it gets no reply; `answers` are then what is logged of it."""


class Answering:
    """Answers on the event loop's thread, or in a thread of `pool` and then tells on the loop's."""

    def __init__(
        self,
        log: PredictionLog,
        shadow: Shadow,
        clock: Clock,
        metrics: Metrics,
        pool: Executor,
        *,
        traces: bool = False,
    ) -> None:
        self._log, self._shadow, self._clock, self._metrics, self._pool = log, shadow, clock, metrics, pool
        self._traces = traces
        self._loop = asyncio.get_running_loop()
        self._apart: set[asyncio.Future[Any]] = set()
        self._told = -_TELL_SECONDS

    def answer(self, questions: Sequence[Question]) -> None:
        """Now; those of one version together."""
        served = self._clock.now()
        if len(questions) == 1:
            self._tell(*self._answered(questions[0].servable, questions, served))
            return
        together: dict[Servable, list[Question]] = {}
        for question in questions:
            together.setdefault(question.servable, []).append(question)
        for servable, asked in together.items():
            self._tell(*self._answered(servable, asked, served))

    def answer_apart(self, questions: Sequence[Question], then: Callable[[float], None]) -> None:
        """Those of one version, in another thread, since they take long or ask the log.

        `then` is called when they were told, with the seconds of the processor that it cost.
        """
        future = self._loop.run_in_executor(self._pool, self._timed, questions, self._clock.now(), time.perf_counter())
        self._apart.add(future)

        def tell(done: asyncio.Future[Any]) -> None:
            self._apart.discard(done)
            answered, cost = done.result()
            try:
                self._tell(*answered)
            finally:
                then(cost)

        future.add_done_callback(tell)

    def note(self, question: Question, why: ModelwayError) -> None:
        """Log that a version gave a question no answer, and why. It is not told here."""
        served = self._clock.now()
        try:
            self._write(question.servable, [_failed(question.servable, question, served, why)], served, {}, 0.0)
        except ModelwayError as error:
            _log.error("%s: a refusal is not logged: %s", question.model, error.problem)

    def _timed(self, questions: Sequence[Question], served: datetime, handed: float) -> tuple[Any, float]:
        waited, before = time.perf_counter() - handed, time.thread_time()
        return self._answered(questions[0].servable, questions, served, waited), time.thread_time() - before

    def _answered(
        self, servable: Servable, questions: Sequence[Question], served: datetime, waited: float = 0.0
    ) -> tuple[Sequence[_Done], Mapping[str, int], datetime]:
        """Logged when it returns, and never raises: whatever happens, each of them is told."""
        upto: Mapping[str, int] = {}
        marks = marked(questions) if self._traces else None
        self._metrics.observe(RUN, len(questions), model=servable.manifest.model)
        try:
            upto = {str(partition): offset for partition, offset in servable.upto().items()}
            done = _computed(servable, questions, served, marks)
        except EngineError as error:  # of the log, or of where online values are kept
            done = [_failed(servable, question, served, error) for question in questions]
        except Exception:  # noqa: BLE001 - whatever it is, the client must get an answer, and the log the traceback
            told = {"requests": [question.request for question in questions]}
            _log.exception("%s@%d", servable.manifest.model, servable.number, extra={"fields": told})
            broken = EngineError("the server failed on this request", "see its log: .modelway/logs/server.log")
            done = [_failed(servable, question, served, broken) for question in questions]
        try:
            began = 0.0 if marks is None else time.perf_counter()
            self._write(servable, done, served, upto, waited)
            if marks is not None:
                note_logged(questions, began)
        except ModelwayError as error:
            if not servable.serves_unlogged:
                return [_Done(one.question, (), one.error or error) for one in done], upto, served
            self._unlogged(servable, sum(len(one.answers) for one in done), error)
        states = Counter[str]()
        for one in done:
            answers = one.answers
            states.update(answers.counts if type(answers) is MatrixAnswers else [a.status for a in answers])
        for status, number in states.items():
            self._metrics.count(
                ROWS, number, model=servable.manifest.model, version=str(servable.number), status=status
            )
        return done, upto, served

    def _write(
        self, servable: Servable, done: Sequence[_Done], served: datetime, upto: Mapping[str, int], waited: float
    ) -> None:
        now, events = time.perf_counter(), list[NewEvent]()
        way = 0.0 if servable.way is None else (waited + servable.way()) * 1000
        for one in done:
            asked = one.question
            events += prediction_events(
                servable,
                asked.request,
                one.answers,
                served=served,
                ms=(now - asked.began) * 1000,
                upto=upto,
                pinned=asked.named,
                caller=asked.caller,
                way=way,
            )
        self._log.write(servable.manifest.model, events)

    def _unlogged(self, servable: Servable, rows: int, error: ModelwayError) -> None:
        """Counted each time, and told now and then: it may last."""
        self._metrics.count(UNLOGGED, rows, model=servable.manifest.model)
        now = time.monotonic()
        if now - self._told > _TELL_SECONDS:
            self._told = now
            _log.error("%s answers, and its predictions are not logged: %s", servable.manifest.model, error.problem)

    def _tell(self, done: Sequence[_Done], upto: Mapping[str, int], served: datetime) -> None:
        for one in done:
            question = one.question
            if one.error is not None:
                question.refuse(question, one.error)
                continue
            question.reply(question, one.answers, upto)
            other = None if question.named else question.served.other(question.servable)
            if other is not None and not self._shadow.offer(Echo(other, question.request, question.rows, served)):
                self._metrics.count(DROPPED, model=question.model)


def _computed(
    servable: Servable, questions: Sequence[Question], served: datetime, marks: Marks | None = None
) -> list[_Done]:
    """In the order of the questions. A run that fails for all is tried for each alone: one must not fail the others."""
    if len(questions) == 1:
        question = questions[0]
        try:
            return [_Done(question, answer_request(servable, question.request, question.rows, served, marks))]
        except EngineError as error:
            return [_failed(servable, question, served, error)]
    if any(type(question.rows) is Matrix for question in questions):  # each is a run's worth by itself
        return _each(servable, questions, served, marks)
    names = [f"{question.request}/{index}" for question in questions for index in range(len(question.rows))]
    rows = [row for question in questions for row in question.rows]
    try:
        answers = answer_rows(servable, names, rows, served, marks)
    except EngineError:
        return _each(servable, questions, served, marks)
    made, start = list[_Done](), 0
    for question in questions:
        end = start + len(question.rows)
        made.append(_Done(question, answers[start:end]))
        start = end
    return made


def _each(servable: Servable, questions: Sequence[Question], served: datetime, marks: Marks | None) -> list[_Done]:
    """Each by itself."""
    found = list[_Done]()
    for question in questions:
        found += _computed(servable, [question], served, None if marks is None else marked([question]))
    return found


def _failed(servable: Servable, question: Question, served: datetime, error: ModelwayError) -> _Done:
    return _Done(question, failed_rows(servable, question.request, question.rows, served, error.problem), error)
