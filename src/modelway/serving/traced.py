"""A sampled request on its way: moments that are noted while it is answered, and the spans that are made of them afterwards."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelway.tracing.context import format_response
from modelway.tracing.port import Span, Trace

if TYPE_CHECKING:
    from modelway.serving.question import Question

Begin = Callable[[bytes | None, Iterable[tuple[bytes, bytes]]], "Trace | None"]
"""`traceparent` and headers → the trace of a request that is sampled."""


@dataclass(slots=True, eq=False)
class Marks:
    """Moments of one run (`time.perf_counter()`; 0: not come to), which answers all its requests together."""

    requests: int
    rows: int
    begun: float
    featured: float = 0.0
    inferred: float = 0.0
    logging: float = 0.0
    logged: float = 0.0


@dataclass(slots=True, eq=False)
class Traced:
    """`asked`: when the request had been read; then it waits for its turn."""

    trace: Trace
    asked: float
    marks: Marks | None = None

    @property
    def response(self) -> bytes:
        """What the answer's `traceresponse` says."""
        return format_response(self.trace.trace, self.trace.span)


def marked(questions: "Iterable[Question]") -> Marks | None:
    """The marks of a run that begins now; None when none of its requests is sampled."""
    asked = list(questions)
    sampled = [one.traced for one in asked if one.traced is not None]
    if not sampled:
        return None
    marks = Marks(len(asked), sum(len(one.rows) for one in asked), time.perf_counter())
    for traced in sampled:
        traced.marks = marks
    return marks


def note_logged(questions: "Iterable[Question]", began: float) -> None:
    """Their predictions have been written since `began`."""
    ended = time.perf_counter()
    for one in questions:
        if one.traced is not None and one.traced.marks is not None:
            one.traced.marks.logging, one.traced.marks.logged = began, ended


def parts(traced: Traced) -> Iterator[Span]:
    """What the request consisted of, as far as it came."""
    marks = traced.marks
    if marks is None:
        return
    yield Span("queue", traced.asked, marks.begun)
    if marks.featured:
        yield Span("features", marks.begun, marks.featured)
    if marks.inferred:
        run = {"batch.requests": marks.requests, "batch.rows": marks.rows}
        yield Span("inference", marks.featured, marks.inferred, run)
    if marks.logged:
        yield Span("log", marks.logging, marks.logged)
