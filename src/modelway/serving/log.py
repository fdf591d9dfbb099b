"""Prediction events: in the kernel's hands before the answer is sent, fsynced in groups."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import orjson

from modelway import faults
from modelway.errors import ModelwayError
from modelway.events.block import pack
from modelway.events.log import BLOCK, NewEvent
from modelway.serving.answer import Answer
from modelway.serving.matrix_answers import MatrixAnswers
from modelway.serving.servable import Servable

Publish = Callable[[str, Sequence[NewEvent]], object]
"""Topic, events: when it returns, they survive a kill of this process; raises EventLogError, DiskFullError."""
_log = logging.getLogger("modelway.serving")
_MOST_BYTES = 256 * 1024
"""Of numbers in one event: a broker's own limit is not far above."""


def prediction_topic(model: str) -> str:
    return f"{model}_predictions"


def prediction_events(
    servable: Servable,
    request: str,
    answers: Sequence[Answer],
    *,
    served: datetime,
    ms: float,
    upto: Mapping[str, int],
    shadow: bool = False,
    pinned: bool = False,
    caller: str = "",
    way: float = 0.0,
) -> list[NewEvent]:
    """One event a row, known by request, row and version, or one for many rows of a matrix; `ms` is the request's latency in wall
    time.

    `way`: of these milliseconds, what only a challenger takes, since it answers in a process of its own.
    `pinned`: the client named the version; `caller`: whom it named for the drawing of shares.
    """
    common = {
        "request": request,
        "served": served,
        "version": servable.number,
        "digest": servable.digest,
        "shadow": shadow,
        "upto": upto,
        "ms": round(ms, 4),
        **({"pinned": True} if pinned else {}),
        **({"caller": caller} if caller else {}),
        **({"way": round(way, 4)} if way else {}),
    }
    if type(answers) is MatrixAnswers:
        return list(_blocks(answers, common))
    return [
        NewEvent(
            f"{request}/{index}/{servable.number}",
            orjson.dumps(
                {
                    **common,
                    "index": index,
                    "key": answer.key,
                    "at": answer.at,
                    "status": answer.status,
                    "reason": answer.reason,
                    "row": answer.row,
                    "scores": answer.scores,
                    "prediction": answer.prediction,
                    **({"features": answer.features} if answer.features else {}),
                    **({"member": answer.member, "fallback": answer.fallback} if answer.member else {}),
                }
            ),
        )
        for index, answer in enumerate(answers)
    ]


def _blocks(answers: MatrixAnswers, common: Mapping[str, object]) -> Iterator[NewEvent]:
    block = answers.block(common)
    size = max(1, _MOST_BYTES // max(1, block.numbers[:1].nbytes + block.scores[:1].nbytes))
    for start in range(0, len(block), size):
        part = block.part(start, start + size)
        yield NewEvent(f"{answers.request}/{start}/{answers.servable.number}", pack(part), BLOCK)


class PredictionLog:
    """Writes events without fsync, and fsyncs what was written every so often."""

    def __init__(self, publish: Publish, flush: Callable[[], None]) -> None:
        self._publish = publish
        self._flush = flush
        self._dirty = False
        self.unsynced = 0
        """Events that were written and not fsynced yet: to be shown, not to be relied on."""

    def write(self, model: str, events: Sequence[NewEvent]) -> None:
        """Hand the events to the kernel; raises what the log raises."""
        if not events:
            return
        faults.point("serving.before-log")
        self._publish(prediction_topic(model), events)
        self._dirty = True
        self.unsynced += len(events)
        faults.point("serving.after-log")

    def flush(self) -> None:
        """Make all that was written survive a power cut; does nothing when all does."""
        if not self._dirty:
            return
        self._dirty, written = False, self.unsynced
        try:
            self._flush()
            self.unsynced -= written
        except ModelwayError as error:
            self._dirty = True
            _log.error("predictions are not fsynced: %s", error.problem)

    async def keep_flushing(self, every_ms: float) -> None:
        """For ever, off the event loop."""
        while True:
            await asyncio.sleep(every_ms / 1000)
            if self._dirty:
                await asyncio.to_thread(self.flush)
