"""Ctrl-C that cannot get lost.

Python runs a signal's handler wherever it happens to be: within the import of a library its exception comes out as an
ImportError, within a callback of the garbage collector it is printed and dropped. So it is remembered, and raised again.
A library that logs whatever passes through it would print it with its traceback: such a record is not printed.
"""

import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import NoReturn

_AGAIN_SECONDS = 2.0


class Interrupted(BaseException):
    """Ctrl-C; no KeyboardInterrupt, which Typer would turn into words of its own."""


class Interrupt:
    """Listens to SIGINT from its making on, in the main thread; says at once that it was heard."""

    def __init__(self, again_seconds: float = _AGAIN_SECONDS) -> None:
        self.seen = False
        self._again_seconds = again_seconds
        self._over = threading.Event()
        self._unraisable = sys.unraisablehook
        sys.unraisablehook = self._dropped
        if logging.lastResort is not None:  # what prints the records of a command, which sets up no logging
            logging.lastResort.addFilter(_of_others)
        signal.signal(signal.SIGINT, self._heard)

    def over(self) -> None:
        """The command has ended: nothing is raised again."""
        self._over.set()

    def _heard(self, number: int, frame: object) -> None:
        del number, frame
        if not self.seen:
            _say("stopping …")
        self.seen = True
        again = threading.Timer(self._again_seconds, self._raise_again)
        again.daemon = True
        again.start()
        raise Interrupted

    def _dropped(self, lost: "sys.UnraisableHookArgs") -> None:
        """Where Python would print that our exception got lost, and it will come again."""
        if lost.exc_type is not Interrupted:
            self._unraisable(lost)

    def _raise_again(self) -> None:
        if not self._over.is_set():
            os.kill(os.getpid(), signal.SIGINT)


def _of_others(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], Interrupted))


def leave(code: int) -> NoReturn:
    """End now that all is closed: what libraries still do when Python ends can take seconds."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _say(text: str) -> None:
    """A line on standard error, past Python's buffer, which the interrupted code may be writing to."""
    start = "\r\x1b[K" if os.isatty(2) else ""  # over the line that moves, and the terminal's ^C
    with suppress(OSError):
        os.write(2, f"{start}{text}\n".encode())
