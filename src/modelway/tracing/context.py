"""W3C Trace Context, level 1: the `traceparent` of a request, and the `traceresponse` of its answer; pure.

w3.org/TR/trace-context, 3.2 (version 00; of a later version what 00 knows is read); the answer's header is an editors' draft of the
same group: w3c.github.io/trace-context, "Trace Context HTTP Response Headers Format".
"""

import re
from dataclasses import dataclass

TRACEPARENT, TRACESTATE, TRACERESPONSE = b"traceparent", b"tracestate", b"traceresponse"
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class Parent:
    """Who asks: the trace, the caller's span, and whether the caller records it."""

    trace: int
    span: int
    sampled: bool


def parse_parent(header: bytes) -> Parent | None:
    """None for a header that is none: the request then begins a trace."""
    found = _FORM.fullmatch(header.strip())
    if found is None or found[1] == b"ff" or (found[1] == b"00" and found[5] is not None):
        return None
    trace, span = int(found[2], 16), int(found[3], 16)
    return Parent(trace, span, bool(int(found[4], 16) & _SAMPLED)) if trace and span else None


def format_response(trace: int, span: int) -> bytes:
    """The `traceresponse` of a request that was sampled."""
    return b"00-%032x-%016x-01" % (trace, span)
