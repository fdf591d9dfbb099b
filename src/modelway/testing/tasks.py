"""Tasks by which a compute adapter is checked: they echo, tell, fail, wait, and die."""

import os
import signal
import time
from collections.abc import Callable

from modelway.errors import DataError

Tell = Callable[[bytes], None]


def echo(payload: bytes, tell: Tell) -> bytes:
    """The payload, told as well; what it prints must not disturb the result."""
    print("printed by a task")  # noqa: T201  a task of the user's may print, and that is what is checked
    tell(payload)
    return payload


def process(payload: bytes, tell: Tell) -> bytes:
    """The number of the process that works."""
    del payload, tell
    return str(os.getpid()).encode()


def count(payload: bytes, tell: Tell) -> bytes:
    """Adds a line to the file that the payload names."""
    del tell
    with open(payload.decode(), "a", encoding="utf-8") as out:  # noqa: PTH123  as plain as a task can be
        out.write("run\n")
    return b""


def refuse(payload: bytes, tell: Tell) -> bytes:
    """Raises an error of the product."""
    del tell
    raise DataError(payload.decode(), "mend the data")


def fail(payload: bytes, tell: Tell) -> bytes:
    """Raises an error of Python."""
    del payload, tell
    raise ZeroDivisionError("a fault")


def leave(payload: bytes, tell: Tell) -> bytes:
    """Tries to end the process as a careless program does."""
    del payload, tell
    raise SystemExit(3)


def die(payload: bytes, tell: Tell) -> bytes:
    """Dies by kill -9; with a payload only once: a file of that name says that it did."""
    del tell
    if payload:
        if os.path.exists(payload.decode()):  # noqa: PTH110
            return b"alive"
        open(payload.decode(), "w").close()  # noqa: PTH123
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def linger(payload: bytes, tell: Tell) -> bytes:
    """Tells the number of its process, then waits for a minute."""
    tell(str(os.getpid()).encode())
    time.sleep(float(payload or b"60"))
    return b""
