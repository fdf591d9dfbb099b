"""Child processes that never outlive their parent: a child watches its standard input and ends when it closes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

WATCH = "MODELWAY_WATCH_STDIN"
_SOUND_SECONDS = 60.0
"""Who lived so long and dies is started at once, as the first time."""


@dataclass
class Child:
    """One supervised process: started again, with growing pauses, when it dies by itself."""

    name: str
    module: str
    root: Path
    log: Path
    words: tuple[str, ...] = ()
    """Further arguments."""
    passes: tuple[int, ...] = ()
    """Open files that it inherits."""
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    """In a row, each soon after the one before."""
    started: float = -1e9
    next_start: float = 0.0
    _out: IO[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        self._out = self._out or self.log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module, str(self.root), *self.words],
            pass_fds=self.passes,
            stdin=subprocess.PIPE,
            stdout=self._out,
            stderr=self._out,
            env={**os.environ, WATCH: "1"},
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then stops its children in order
        )
        now = time.monotonic()
        self.starts = self.starts + 1 if now - self.started < _SOUND_SECONDS else 1
        self.started, self.next_start = now, now + min(0.2 * 2**self.starts, 10.0)

    def revive(self) -> bool:
        """Start it again when it is dead and its pause is over; True when it was started."""
        if self.process is None or self.process.poll() is None or time.monotonic() < self.next_start:
            return False
        self.start()
        return True

    def successor(self) -> "Child":
        """Another process in its place, which is not started yet."""
        return replace(self, process=None, starts=0, started=-1e9, next_start=0.0, _out=None)

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self, patience: float) -> None:
        """Ask it to end, wait, then make it end."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.ask_to_stop()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdin:
            self.process.stdin.close()
        if self._out:
            self._out.close()


def end_with_parent(stop: Callable[[], None] | None = None) -> None:
    """In a child: end when the parent is gone, however it went (the kernel closes the pipe)."""
    if not os.environ.get(WATCH):
        return

    def watch() -> None:
        while os.read(0, 4096):  # unbuffered: a buffered reader would hold its lock when the interpreter ends
            pass
        if stop:
            stop()
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()
