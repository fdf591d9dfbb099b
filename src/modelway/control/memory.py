"""How a process that turns over much memory, for days, holds on to it: what it frees it needs again a moment later."""

import ctypes
import gc

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Numbers of mallopt(3), in glibc's malloc.h."""
_KEPT = 64 * 1024 * 1024
"""Bytes of free memory that are not given back."""
_LARGE = 2 * 1024 * 1024
"""Bytes; only larger blocks come from the system one by one, and go back to it when they are freed."""
_SELDOM = (100_000, 20, 20)


def hold_memory() -> None:
    """Give freed memory back seldom, and look for cycles seldom.

    Arrays of some hundred kilobytes would each time come from the system, page by page: two fifths of the time that decoding
    takes. Events come by the thousand and none is in a cycle: the collector looks at each of them for nothing. Where the C
    library has no mallopt (it is glibc's), memory is handled as ever.
    """
    gc.freeze()  # what was imported is never garbage
    gc.set_threshold(*_SELDOM)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_MMAP_THRESHOLD, _LARGE), (_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _LARGE)):
            mallopt(option, value)
