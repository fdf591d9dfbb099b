"""The port of compute; `local.py` is the embedded adapter, one worker process.

A task is a function of Modelway's own, named `modelway.package.module:function`, that takes bytes and gives bytes:
`def task(payload: bytes, tell: Callable[[bytes], None]) -> bytes`. Neither code nor pickles travel; what `tell` is given
reaches whoever waits.
"""

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from modelway.errors import EngineError

halting = threading.Event()
"""Set when this process is to end: whoever waits in `run` cancels the job, which may be submitted again, and leaves."""
_LOOK_SECONDS = 0.1
Tell = Callable[[bytes], None]
_TASK = re.compile(r"modelway(\.[a-z_][a-z0-9_]*)+:[a-z_][a-z0-9_]*")


class Compute(ABC):
    """Jobs by an id that the caller chooses (a run's id): the same id is the same job, however often it is submitted."""

    @abstractmethod
    def submit(self, job: str, task: str, payload: bytes) -> None:
        """Queue the job, and return at once; nothing happens when it is queued, running, or done.

        A job that was cancelled, or whose worker died, is run again. Raises EngineError for a task outside Modelway.
        """

    @abstractmethod
    def wait(self, job: str, timeout_seconds: float | None = None, tell: Tell | None = None) -> bytes | None:
        """The result; None while the job is not done after `timeout_seconds` (0: just look).

        Raises what the task raised when that is a ModelwayError, and else EngineError, which is transient when the worker
        died (killed, out of memory) and not when the task failed, the job was cancelled, or nobody knows it.
        """

    @abstractmethod
    def cancel(self, job: str) -> None:
        """Stop the job where it is; nothing happens when it is done or unknown."""

    @abstractmethod
    def ping(self) -> None:
        """Return if work can be done; else raise EngineError."""

    @abstractmethod
    def close(self) -> None:
        """Stop everything and leave no process behind."""


def run(compute: Compute, job: str, task: str, payload: bytes, tell: Tell | None = None) -> bytes:
    """Submit and wait; when the waiting is interrupted (Ctrl-C), the job is cancelled. SystemExit when we are `halting`."""
    compute.submit(job, task, payload)
    try:
        # In slices: Polars makes SIGINT restart system calls, so that a wait without end would only hear of it when done.
        while (result := compute.wait(job, _LOOK_SECONDS, tell)) is None:
            if halting.is_set():
                raise SystemExit(0)
    except BaseException:
        compute.cancel(job)
        raise
    return result


def demand_own_task(task: str) -> tuple[str, str]:
    """Module and function of a task's name; raises EngineError for anything but a function within Modelway."""
    if not _TASK.fullmatch(task):
        raise EngineError(f"{task!r} is no task of Modelway", "name it as modelway.package.module:function")
    module, _, function = task.partition(":")
    return module, function
