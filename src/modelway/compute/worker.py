"""The worker process: takes one job after another from its standard input, and ends when that is closed.

Whoever started it holds the other end. When that process dies, in whatever way, the end closes, and the worker stops at
once, in the middle of a task too. What a task prints goes to standard error: standard output belongs to the messages.
"""

import importlib
import os
import queue
import signal
import sys
import threading
from typing import BinaryIO

from modelway.compute.port import demand_own_task
from modelway.compute.wire import Message, failure_of, receive, send

Job = tuple[Message, bytes]


def main() -> None:
    """Work until the starting process closes the pipe or dies. Ctrl-C is that process's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inbound = os.fdopen(os.dup(0), "rb")
    outbound = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(inbound, jobs), daemon=True).start()
    while True:
        message, payload = jobs.get()
        _work(message, payload, outbound)


def _listen(pipe: BinaryIO, jobs: "queue.SimpleQueue[Job]") -> None:
    while (job := receive(pipe)) is not None:
        jobs.put(job)
    sys.stderr.flush()
    os._exit(0)


def _work(message: Message, payload: bytes, pipe: BinaryIO) -> None:
    import msgspec

    def tell(body: bytes) -> None:
        send(pipe, Message("told", message.job), body)

    try:
        module, function = demand_own_task(message.task)
        result = getattr(importlib.import_module(module), function)(payload, tell)
    except (Exception, SystemExit) as error:  # noqa: BLE001  the other process is told of whatever a task raises
        send(pipe, Message("failed", message.job), msgspec.json.encode(failure_of(error, message.task)))
    else:
        send(pipe, Message("done", message.job), result)


if __name__ == "__main__":
    main()
