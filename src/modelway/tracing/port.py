"""The port of traces: told of a sampled request when its answer is on its way; `opentelemetry.py` is the adapter."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Value = str | bool | int | float


@dataclass(frozen=True, slots=True)
class Trace:
    """What a sampled request is known by: numbers of 128 and of 64 bits, none of them 0."""

    trace: int
    span: int
    """The request's own; its parts are children of it."""
    parent: int = 0
    """The caller's span; 0: the trace begins here."""
    state: str = ""
    """The caller's `tracestate`."""

    @property
    def name(self) -> str:
        """The trace as people and tools write it."""
        return f"{self.trace:032x}"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of work, from and to `time.perf_counter()` seconds; `error` says why it failed, "" that it did not."""

    name: str
    began: float
    ended: float
    attributes: Mapping[str, Value] = field(default_factory=dict)
    error: str = ""


class Tracing(ABC):
    """Takes traces from any thread, and waits for nobody: what cannot be delivered is lost and counted, never delayed."""

    @abstractmethod
    def tell(self, trace: Trace, whole: Span, parts: Sequence[Span]) -> None:
        """A request, and what it consisted of."""

    @abstractmethod
    def ping(self) -> None:
        """Return if traces are taken; else raise EngineError."""

    @abstractmethod
    def close(self) -> None:
        """Deliver what waits, for a few seconds at the most; to be called once."""
