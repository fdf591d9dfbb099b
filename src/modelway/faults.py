"""Named points at which a test may kill the process: `MODELWAY_KILL_AT=name:3` is a kill -9 at the third passage.

Every durable write has a point before and after it. Without the variable a point costs one comparison.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path


def _killer(order: str) -> Callable[[str], None]:
    wanted, _, count = order.partition(":")
    left = int(count or 1)

    def point(name: str) -> None:
        nonlocal left
        if name == wanted or wanted == "*":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return point


def _trace(path: str) -> Callable[[str], None]:
    def point(name: str) -> None:
        with Path(path).open("a", encoding="utf-8") as out:
            out.write(name + "\n")

    return point


def _nothing(name: str) -> None:
    del name


def _from_environment() -> Callable[[str], None]:
    if order := os.environ.get("MODELWAY_KILL_AT"):
        return _killer(order)
    if path := os.environ.get("MODELWAY_TRACE_POINTS"):
        return _trace(path)
    return _nothing


point = _from_environment()
