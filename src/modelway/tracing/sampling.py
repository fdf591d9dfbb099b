"""Which requests are traced: whose caller traces them, and of those without a caller a share.

It is decided before anything else is done for a trace, since nearly all requests get none. The share is drawn on the trace's lower
64 bits as OpenTelemetry's `TraceIdRatioBased` does, so that whoever samples with the same share keeps the same traces.
"""

import random
from collections.abc import Iterable

from modelway.tracing.context import TRACESTATE, parse_parent
from modelway.tracing.port import Trace


class Sampler:
    """`share` of the requests that begin a trace, 0–1; without a `seed` no other process draws the same."""

    def __init__(self, share: float, seed: int | None = None) -> None:
        self._bound, self._bits = round(share * 2**64), random.Random(seed).getrandbits

    def begin(self, parent: bytes | None, headers: Iterable[tuple[bytes, bytes]]) -> Trace | None:
        """The trace of a request with this `traceparent`; None for one that is not sampled. `headers`: names in lower case."""
        known = None if parent is None else parse_parent(parent)
        if known is None:
            drawn = self._bits(64)
            if drawn >= self._bound:
                return None
            return Trace((self._bits(64) << 64 | drawn) or 1, self._bits(64) or 1)
        if not known.sampled:
            return None
        state = b",".join(value for name, value in headers if name == TRACESTATE)
        return Trace(known.trace, self._bits(64) or 1, known.span, state.decode("latin-1"))
