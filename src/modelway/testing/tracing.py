"""What every adapter of traces must keep: subclass TracingChecks, and give it the fixtures `tracing` and `arrived`."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from modelway.tracing.port import Span, Trace, Tracing, Value


@dataclass(frozen=True)
class Arrived:
    """A span as the collector has it: numbers in hexadecimal, times in ns since 1970; `parent` is "" for none."""

    trace: str
    span: str
    parent: str
    name: str
    began: int
    ended: int
    attributes: Mapping[str, Value]
    error: bool = False
    state: str = ""


Arrivals = Callable[[str, int], Sequence[Arrived]]
"""Trace → its spans, once there are so many of them."""


def made_trace(number: int, parent: int = 0) -> Trace:
    return Trace(0x0AF7651916CD43DD8448EB2100000000 + number, 0xB7AD6B7100000000 + number, parent)


class TracingChecks:
    """Each check takes the fixtures `tracing`, which nobody else tells anything, and `arrived`."""

    def test_a_request_arrives_with_its_parts(self, tracing: Tracing, arrived: Arrivals) -> None:
        trace, before, now = made_trace(1), time.time_ns(), time.perf_counter()
        whole = Span("infer", now, now + 0.5, {"request": "r-1", "status": 200})
        parts = [
            Span("queue", now, now + 0.125),
            Span("inference", now + 0.125, now + 0.25, {"batch.requests": 3, "batch.rows": 7}),
        ]
        tracing.tell(trace, whole, parts)
        found = {one.name: one for one in arrived(trace.name, 3)}
        assert set(found) == {"infer", "queue", "inference"}
        root, run = found["infer"], found["inference"]
        assert (root.trace, root.span, root.parent) == (trace.name, f"{trace.span:016x}", "")
        assert {one.parent for name, one in found.items() if name != "infer"} == {root.span}
        assert len({one.span for one in found.values()}) == 3
        assert {**root.attributes, "request": "r-1", "status": 200} == root.attributes
        assert {**run.attributes, "batch.requests": 3, "batch.rows": 7} == run.attributes
        assert abs((root.ended - root.began) - 500_000_000) < 2_000
        assert abs((run.began - root.began) - 125_000_000) < 2_000
        assert abs(root.began - before) < 1_000_000_000
        assert not any(one.error for one in found.values())

    def test_a_request_goes_on_with_its_callers_trace(self, tracing: Tracing, arrived: Arrivals) -> None:
        trace, now = made_trace(2, parent=0xABC), time.perf_counter()
        tracing.tell(trace, Span("infer", now, now), [])
        (found,) = arrived(trace.name, 1)
        assert (found.trace, found.parent) == (trace.name, f"{0xABC:016x}")

    def test_what_failed_says_so(self, tracing: Tracing, arrived: Arrivals) -> None:
        trace, now = made_trace(3), time.perf_counter()
        tracing.tell(trace, Span("infer", now, now, {"status": 503}, "the graph failed"), [])
        (found,) = arrived(trace.name, 1)
        assert found.error

    def test_ping_returns(self, tracing: Tracing) -> None:
        tracing.ping()
