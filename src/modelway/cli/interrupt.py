"""Ctrl-C that cannot get lost.

Python runs a signal's handler wherever it happens to be: within the import of a library its exception comes out as an
ImportError, within a callback of the garbage collector it is printed and dropped. So it is remembered, and raised again.
"""

import os
import signal
import sys
import threading

_AGAIN_SECONDS = 2.0


class Interrupted(BaseException):
    """Ctrl-C; no KeyboardInterrupt, which Typer would turn into words of its own."""


class Interrupt:
    """Listens to SIGINT from its making on, in the main thread."""

    def __init__(self) -> None:
        self.seen = False
        self._over = threading.Event()
        self._unraisable = sys.unraisablehook
        sys.unraisablehook = self._dropped
        signal.signal(signal.SIGINT, self._heard)

    def over(self) -> None:
        """The command has ended: nothing is raised again."""
        self._over.set()

    def _heard(self, number: int, frame: object) -> None:
        del number, frame
        self.seen = True
        again = threading.Timer(_AGAIN_SECONDS, self._raise_again)
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
