"""How much memory the process may hold, and what it holds now."""

import ctypes
import gc
import os
from collections.abc import Callable
from pathlib import Path

_SLACK = 0.06
"""Of the limit, kept free for requests under way."""
_FIRST_GUESS = 1_500_000
"""Bytes of a model, before one was measured."""
_WEIGHT = 0.1
"""Of the newest model in the mean."""


def resident() -> int:
    """Bytes of memory that this process holds; /proc is Linux's."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def give_back() -> None:
    """What was freed goes back to the system, where the C library can (glibc's malloc_trim)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def set_aside() -> None:
    """What is loaded is looked through no more by the garbage collector: a model has 275 objects, and to look at those of 1,300
    models stops the process for a third of a second, now and then. Loaded models hold no cycles: they go with their last holder."""
    gc.collect(1)
    gc.freeze()


class Room:
    """A limit in bytes; used by one thread."""

    def __init__(
        self, limit: int, held: Callable[[], int] = resident, give_back: Callable[[], None] = give_back
    ) -> None:
        self.limit, self.held, self.give_back = limit, held, give_back
        self.model = float(_FIRST_GUESS)
        """Bytes that a model takes, on the mean."""

    @property
    def lacks(self) -> int:
        """Models that must go before another one may come."""
        beyond = self.held() + self.model - self.limit * (1 - _SLACK)
        return max(0, -int(-beyond // self.model))

    def note(self, before: int) -> None:
        """A model was loaded; `before` is what was held then."""
        self.model += _WEIGHT * (max(self.held() - before, 0) - self.model)
