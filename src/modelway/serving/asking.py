"""What every edge does with a request that it has read: find the model, choose the version, ask, and measure."""

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, TypeVar

from modelway.clock import Clock
from modelway.errors import EngineError, ModelwayError, StateError
from modelway.metrics.memory import MemoryMetrics
from modelway.metrics.port import Metrics
from modelway.serving.answering import Answering
from modelway.serving.lanes import Lanes
from modelway.serving.log import PredictionLog
from modelway.serving.models import Models, Served
from modelway.serving.question import Question
from modelway.serving.servable import Servable
from modelway.serving.shadow import Shadow
from modelway.serving.status import BusyError
from modelway.serving.telemetry import Telemetry
from modelway.serving.traced import Begin
from modelway.serving.wording import as_text
from modelway.tracing.port import Tracing
from modelway.tracing.sampling import Sampler

T = TypeVar("T")
_log = logging.getLogger("modelway.serving")
_MOST_COLD = 64
"""Models that are waited for at one time."""


def _done(work: Callable[[], T]) -> T:
    try:
        return work()
    except ModelwayError:
        raise
    except Exception as error:  # the client must get an answer, and the log the traceback
        _log.exception("a large request")
        raise EngineError("the server failed on this request", "see its log: .modelway/logs/server.log") from error


def unique_ids() -> Callable[[], str]:
    """Names for requests that bear none: no other process has the same ones."""
    prefix, numbers = os.urandom(10).hex(), count()
    return lambda: f"{prefix}{next(numbers):012x}"


@dataclass(frozen=True)
class Server:
    """What answers come from; `new_id` names a request whose client gave it no id."""

    models: Models
    log: PredictionLog
    shadow: Shadow
    clock: Clock
    metrics: Metrics = field(default_factory=MemoryMetrics)
    new_id: Callable[[], str] = field(default_factory=unique_ids)
    tracing: Tracing | None = None
    sampler: Sampler | None = None
    """There whenever `tracing` is."""
    access_log: bool = False


class Asking:
    """The way of a question; used on the event loop's thread."""

    def __init__(self, server: Server, answering: Answering, loading: Executor, large: Executor) -> None:
        """`large` reads large bodies and writes large replies, one at a time: they take many times their bytes of memory."""
        self._loading, self._large = loading, large
        self._apart: set[asyncio.Future[Any]] = set()
        self._cold: dict[str, list[tuple[Callable[[], None], Callable[[ModelwayError], None]]]] = {}
        self.server, self.new_id = server, server.new_id
        self.lanes = Lanes(answering)
        self.telemetry = Telemetry(server.metrics, server.tracing, access_log=server.access_log)
        self.begin: Begin | None = server.sampler.begin if server.sampler is not None else None
        """Gives a sampled request its trace; None: nothing is traced."""

    def served(self, model: str) -> Served:
        """Raises NotFoundError, StateError, ColdError: then `warm` brings it."""
        return self.server.models.use(model)

    def warm(self, model: str, again: Callable[[], None], refuse: Callable[[ModelwayError], None]) -> None:
        """Load a model and then ask `again`; those who ask meanwhile wait with it. Too many are refused."""
        waiting = self._cold.get(model)
        if waiting is not None:
            waiting.append((again, refuse))
            return
        if len(self._cold) >= _MOST_COLD:
            refuse(BusyError("too many models are being loaded", "ask again after a second"))
            return
        self._cold[model] = [(again, refuse)]
        future = asyncio.get_running_loop().run_in_executor(self._loading, self.server.models.warm, model)
        future.add_done_callback(partial(self._warmed, model))

    def _warmed(self, model: str, done: "asyncio.Future[None]") -> None:
        error = done.exception()
        for again, refuse in self._cold.pop(model):
            if error is None and model in self.server.models.table.models:
                again()
            elif isinstance(error, ModelwayError):
                refuse(error)
            else:
                refuse(
                    StateError(f"model {model!r} cannot be loaded: {error or self._problem(model)}", "modelway status")
                )

    def _problem(self, model: str) -> str:
        return self.server.models.table.problems.get(model, "it is released no more")

    def known(self, model: str) -> str:
        """The name as a label: a client's text must not become one."""
        table = self.server.models.table
        return model if model in table.models or model in table.problems or model in table.on_demand else ""

    def choose(
        self, served: Served, version: str | None, routing_key: str, first: Callable[[str], Any], request: str
    ) -> Servable:
        """The version that is asked for; else by whom shares are drawn: the caller that the client names, the first row's value of
        the sticky column (`first` gives a column's first value), or the request. Raises NotFoundError."""
        if version is not None:
            return served.version(version)
        if len(served.versions) == 1:
            return served.newest
        sticky = served.newest.sticky
        value = first(sticky) if sticky and not routing_key else None
        return served.choose(routing_key or ("" if value is None else as_text(value)) or request)

    def ask(self, question: Question, size: int) -> None:
        """Answered in its turn, or refused at once; `size`: the request's bytes."""
        self.lanes.ask(question, size)

    def apart(self, work: Callable[[], T], then: "Callable[[asyncio.Future[T]], None]") -> None:
        """Read or write what is large in a thread, in its turn, and then tell on the event loop's; raises ModelwayError alone."""
        future = asyncio.get_running_loop().run_in_executor(self._large, _done, work)
        self._apart.add(future)
        future.add_done_callback(self._apart.discard)
        future.add_done_callback(then)

    def at_once(self, servable: Servable, size: int) -> bool:
        """Whether it would be answered on this thread, with those that come together with it."""
        return self.lanes.at_once(servable, size)

    @property
    def in_flight(self) -> int:
        """Requests that were read and have no reply yet, those included that wait for their model."""
        return self.lanes.in_flight + sum(map(len, list(self._cold.values())))
