"""Compute on this machine: one worker process, started on first use and kept, so that its imports are paid for once."""

import os
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, cast

import msgspec

from modelway.compute.port import Compute, Tell, demand_own_task
from modelway.compute.wire import Failure, Message, error_of, receive, send
from modelway.errors import EngineError, ModelwayError

_KEPT = 200
_NOT_FOR_WORKERS = ("MODELWAY_KILL_AT", "MODELWAY_TRACE_POINTS")


@dataclass
class _Job:
    task: str
    payload: bytes
    told: deque[bytes] = field(default_factory=deque)
    result: bytes | None = None
    error: ModelwayError | None = None
    ended: bool = False
    """With neither result nor error: cancelled."""


class LocalCompute(Compute):
    """One job at a time, in the order of submission; results of the last 200 jobs are kept.

    The worker is a fresh Python process (no fork: threads and locks of this one stay here) and ends with this process,
    however this one ends. A fault injected by MODELWAY_KILL_AT concerns this process only.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: dict[str, _Job] = {}
        self._queue: deque[str] = deque()
        self._running: str | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None

    def submit(self, job: str, task: str, payload: bytes) -> None:
        demand_own_task(task)
        with self._changed:
            known = self._jobs.get(job)
            if known is not None and not _may_run_again(known):
                return
            self._jobs.pop(job, None)
            self._jobs[job] = _Job(task, payload)
            self._queue.append(job)
            self._forget_old()
            self._next()

    def wait(self, job: str, timeout_seconds: float | None = None, tell: Tell | None = None) -> bytes | None:
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            with self._changed:
                known = self._jobs.get(job)
                if known is None:
                    raise EngineError(f"no job {job} was submitted to this process", "submit it again")
                if not (known.told or known.ended):
                    left = None if deadline is None else max(0.0, deadline - time.monotonic())
                    self._changed.wait(left)
                words = [known.told.popleft() for _ in range(len(known.told))]
                ended = known.ended
            for body in words if tell else ():
                cast("Tell", tell)(body)
            if ended:
                return _outcome(job, known)
            if deadline is not None and time.monotonic() >= deadline:
                return None

    def cancel(self, job: str) -> None:
        with self._changed:
            known = self._jobs.get(job)
            if known is None or known.ended:
                return
            known.ended = True
            if job in self._queue:
                self._queue.remove(job)
            if self._running == job:
                self._running = None
                self._stop(at_once=True)
                self._next()
            self._changed.notify_all()

    def ping(self) -> None:
        with self._changed:
            self._started()

    def close(self) -> None:
        with self._changed:
            for job in self._jobs.values():
                job.ended = True
            self._queue.clear()
            self._stop(at_once=self._running is not None)
            self._running = None
            self._changed.notify_all()
        if self._listener is not None:
            self._listener.join(5)

    def _next(self) -> None:
        """Hand the worker its next job; the lock is held."""
        while self._running is None and self._queue:
            name = self._queue.popleft()
            try:
                if not (self._handed(name) or self._handed(name)):
                    self._end(
                        name,
                        error=EngineError(
                            "a worker process ends as soon as it starts", "modelway doctor", transient=True
                        ),
                    )
            except EngineError as error:
                self._end(name, error=error)

    def _handed(self, name: str) -> bool:
        """Whether a worker took the job; not if it had died unnoticed while it had nothing to do."""
        job, worker = self._jobs[name], self._started()
        try:
            send(cast("BinaryIO", worker.stdin), Message("job", name, job.task), job.payload)
        except BrokenPipeError:
            self._died(worker)
            return False
        self._running = name
        return True

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._worker is not None and self._worker.poll() is None:
            return self._worker
        self._died(self._worker)
        inherited = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_WORKERS}
        command = [sys.executable, "-P", "-m", "modelway.compute.worker"]
        try:
            worker = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=inherited,
                start_new_session=True,  # Ctrl-C reaches this process alone: a worker that just starts would print a traceback
            )
        except OSError as error:
            raise EngineError(
                f"no worker process can be started: {error}", "free memory or processes", transient=True
            ) from error
        self._worker = worker
        self._listener = threading.Thread(target=self._listen, args=(worker,), name="modelway-compute", daemon=True)
        self._listener.start()
        return worker

    def _listen(self, worker: "subprocess.Popen[bytes]") -> None:
        while (received := receive(cast("BinaryIO", worker.stdout))) is not None:
            message, body = received
            with self._changed:
                if self._running != message.job or self._worker is not worker:
                    continue
                if message.kind == "told":
                    self._jobs[message.job].told.append(body)
                    self._changed.notify_all()
                elif message.kind == "done":
                    self._end(message.job, result=body)
                else:
                    self._end(message.job, error=error_of(msgspec.json.decode(body, type=Failure)))
                self._next()
        cast("BinaryIO", worker.stdout).close()
        worker.wait()
        with self._changed:
            self._died(worker)
            self._next()

    def _died(self, worker: "subprocess.Popen[bytes] | None") -> None:
        """Whatever ran in this worker has failed; nothing happens for a worker that was replaced or stopped."""
        if worker is None or worker is not self._worker:
            return
        self._worker = None
        code = worker.wait()
        _shut(worker)
        if self._running is not None:
            told = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
            problem = f"the worker process of job {self._running} ended in the middle ({told})"
            self._end(self._running, error=EngineError(problem, "free memory, then run again", transient=True))

    def _end(self, name: str, *, result: bytes | None = None, error: ModelwayError | None = None) -> None:
        job = self._jobs[name]
        job.result, job.error, job.ended = result, error, True
        self._running = None
        self._changed.notify_all()

    def _stop(self, *, at_once: bool) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        if at_once:
            worker.kill()
        cast("BinaryIO", worker.stdin).close()
        try:
            worker.wait(5)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()

    def _forget_old(self) -> None:
        for name in [name for name, job in self._jobs.items() if job.ended][: max(0, len(self._jobs) - _KEPT)]:
            del self._jobs[name]


def _shut(worker: "subprocess.Popen[bytes]") -> None:
    """Close the worker's input; what it did not read any more is lost with it."""
    with suppress(BrokenPipeError):
        cast("BinaryIO", worker.stdin).close()


def _may_run_again(job: _Job) -> bool:
    cancelled = job.ended and job.result is None and job.error is None
    return cancelled or (isinstance(job.error, EngineError) and job.error.transient)


def _outcome(name: str, job: _Job) -> bytes:
    if job.error is not None:
        raise job.error
    if job.result is None:
        raise EngineError(f"the job {name} was cancelled", "submit it again")
    return job.result
