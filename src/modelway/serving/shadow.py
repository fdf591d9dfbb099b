"""Scoring in shadow: after the answer was sent, in a thread of its own, behind a bounded queue."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from modelway.errors import ModelwayError
from modelway.serving.answer import Answer, failed_rows
from modelway.serving.log import PredictionLog, prediction_events
from modelway.serving.matrix_answers import answer_request
from modelway.serving.servable import Row, Servable

_log = logging.getLogger("modelway.serving")


@dataclass(frozen=True, slots=True)
class Echo:
    """A request that was answered, to be answered again by a challenger, as of the same moment."""

    servable: Servable
    request: str
    rows: Sequence[Row]
    served: datetime


class Shadow:
    """Takes echoes while there is room; `dropped` counts those for which there was none."""

    def __init__(self, score: Callable[[Echo], None], room: int) -> None:
        self._score = score
        self._queue: queue.Queue[Echo | None] = queue.Queue(room)
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self.dropped = 0

    def start(self) -> None:
        self._thread.start()

    def offer(self, echo: Echo) -> bool:
        """Never waits; False when the queue is full."""
        try:
            self._queue.put_nowait(echo)
        except queue.Full:
            self.dropped += 1
            return False
        return True

    @property
    def waiting(self) -> int:
        """Echoes that are not yet logged, the one in hand included."""
        return self._queue.unfinished_tasks

    def drain(self, within_seconds: float) -> None:
        """Score what is waiting, then end; what is left after that long is dropped, and said so."""
        until = time.monotonic() + within_seconds
        try:
            self._queue.put(None, timeout=within_seconds)
        except queue.Full:
            _log.error("%d requests were not scored in shadow", self.waiting)
            return
        self._thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while (echo := self._queue.get()) is not None:
            try:
                self._score(echo)
            except Exception:  # noqa: BLE001 - whatever a challenger does, the next request must be scored
                _log.exception("shadow of request %s", echo.request)
            finally:
                self._queue.task_done()
        self._queue.task_done()


def score_in_shadow(log: PredictionLog, echo: Echo) -> None:
    """Answer, and log the answers or the failure."""
    began = time.perf_counter()
    servable = echo.servable
    upto: dict[str, int] = {}
    try:
        upto = {str(partition): offset for partition, offset in servable.upto().items()}
        answers: Sequence[Answer] = answer_request(servable, echo.request, echo.rows, echo.served)
    except Exception as error:  # noqa: BLE001 - whatever a challenger does is evidence about it
        if not isinstance(error, ModelwayError):
            _log.exception("%s@%d in shadow", servable.manifest.model, servable.number)
        reason = error.problem if isinstance(error, ModelwayError) else "the server failed on this request"
        answers = failed_rows(servable, echo.request, echo.rows, echo.served, reason)
    ms = (time.perf_counter() - began) * 1000
    log.write(
        servable.manifest.model,
        prediction_events(servable, echo.request, answers, served=echo.served, ms=ms, upto=upto, shadow=True),
    )
