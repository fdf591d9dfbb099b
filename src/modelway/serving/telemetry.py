"""What is told of a request that has its reply: counted always, traced where it was sampled, logged where it failed.

The log, the trace, the prediction events and the answer know it by the same name.
"""

import logging
import time
from collections.abc import Callable

from modelway.errors import ModelwayError
from modelway.metrics.port import Metrics
from modelway.serving.measured import Tally
from modelway.serving.question import Question
from modelway.serving.status import status_of
from modelway.serving.traced import Traced, parts
from modelway.tracing.port import Span, Tracing, Value

_log = logging.getLogger("modelway.serving")
_LONGEST = 200
"""Characters of a client's text that are logged."""
_A_SECOND, _AT_ONCE = 10, 100
"""Lines about failed requests; in a flood of them the others are only counted."""


class Telemetry:
    """Used on the event loop's thread. `access_log`: requests that were answered are logged too, every one."""

    def __init__(
        self,
        metrics: Metrics,
        tracing: Tracing | None = None,
        *,
        access_log: bool = False,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tally, self._tracing, self._access_log = Tally(metrics), tracing, access_log
        self._lines = Bucket(_A_SECOND, _AT_ONCE, seconds)

    def answered(self, question: Question) -> None:
        ended, version = time.perf_counter(), str(question.servable.number)
        self._tally.add(question.model, version, 200, ended - question.began)
        if question.traced is not None:
            self._trace(question.traced, question.request, question.model, version, 200, question.began, ended)
        if self._access_log:
            told = _fields(question.request, question.model, version, 200, question.began, ended, question.traced)
            _log.info("answered", extra={"fields": {**told, "rows": len(question.rows)}})

    def failed(self, question: Question, error: ModelwayError) -> int:
        """The status with which it is refused."""
        version = str(question.servable.number)
        return self.refused(question.request, question.model, version, error, question.began, question.traced)

    def refused(
        self, request: str, model: str, version: str, error: ModelwayError, began: float, traced: Traced | None
    ) -> int:
        """The same for what is no question yet; `model` and `version` are "" where they were not found."""
        ended, status = time.perf_counter(), status_of(error)
        self._tally.add(model, version, status, ended - began)
        if traced is not None:
            self._trace(traced, request, model, version, status, began, ended, error)
        if (left_out := self._lines.take()) is not None:
            told = _fields(request, model, version, status, began, ended, traced)
            told |= {"error": type(error).__name__} | ({"left_out": left_out} if left_out else {})
            level = logging.ERROR if status >= 500 else logging.WARNING
            _log.log(level, "%s", _reason(error, status), extra={"fields": told})
        return status

    def _trace(
        self,
        traced: Traced,
        request: str,
        model: str,
        version: str,
        status: int,
        began: float,
        ended: float,
        error: ModelwayError | None = None,
    ) -> None:
        about: dict[str, Value] = {"request": request[:_LONGEST], "model": model, "version": version, "status": status}
        if error is not None:
            about |= {"error.type": type(error).__name__, "reason": _reason(error, status)}
        ill = _reason(error, status) if error is not None and status >= 500 else ""
        assert self._tracing is not None
        self._tracing.tell(traced.trace, Span("infer", began, ended, about, ill), list(parts(traced)))


class Bucket:
    """So many a second, and `at_once` after a quiet time."""

    def __init__(self, a_second: float, at_once: int, seconds: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._most, self._seconds = a_second, float(at_once), seconds
        self._held, self._at = self._most, seconds()
        self._left_out = 0

    def take(self) -> int | None:
        """How many were left out since the last one that was taken; None when this one is left out too."""
        now = self._seconds()
        self._held = min(self._most, self._held + (now - self._at) * self._rate)
        self._at = now
        if self._held < 1:
            self._left_out += 1
            return None
        self._held -= 1
        left_out, self._left_out = self._left_out, 0
        return left_out


def _reason(error: ModelwayError, status: int) -> str:
    """What is wrong with a request's content may quote its rows: that goes to its sender, and into no log that nobody erases."""
    return "the request was refused; its sender was told why" if status == 400 else error.problem[:_LONGEST]


def _fields(
    request: str, model: str, version: str, status: int, began: float, ended: float, traced: Traced | None
) -> dict[str, Value]:
    told: dict[str, Value] = {"request": request[:_LONGEST], "model": model, "version": version, "status": status}
    told["ms"] = round((ended - began) * 1000, 3)
    return told | ({"trace": traced.trace.name} if traced is not None else {})
