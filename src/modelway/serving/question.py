"""One inference request on its way: an edge (REST, gRPC) makes it, and is told the answers, or why there are none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelway.errors import ModelwayError
from modelway.serving.answer import Answer
from modelway.serving.models import Served
from modelway.serving.servable import Row, Servable
from modelway.serving.traced import Traced

Upto = Mapping[str, int]
"""The position of the event log, by partition, up to which online values were built."""


@dataclass(slots=True, eq=False)
class Question:
    """Rows that one version is asked. One of `reply` and `refuse` is called once, on the event loop's thread."""

    request: str
    served: Served
    servable: Servable
    rows: Sequence[Row]
    began: float
    """`time.perf_counter()` when its last byte was there."""
    reply: Callable[["Question", Sequence[Answer], Upto], None]
    refuse: Callable[["Question", ModelwayError], None]
    context: Any = None
    """What the edge wants to know again."""
    named: bool = False
    """Whether the client has named the version: then nobody answers in shadow."""
    cost: float = 0.0
    """Seconds of the processor that it will take, as far as is known."""
    caller: str = ""
    """Whom the client has named for the drawing of shares; "": the version's own column says, or the request."""
    until: float | None = None
    """`time.perf_counter()` after which the client has no use for an answer."""
    traced: Traced | None = None
    """Of a sampled request."""

    @property
    def model(self) -> str:
        return self.servable.manifest.model
