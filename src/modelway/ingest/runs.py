"""Rows by 96 bits of their key and content, in sorted runs; small runs are merged into larger ones.

Of each digest the first 48 bits are kept, which leaves two numbers a row. That another row is taken for one that is held has a
chance of 2^-96 for each two of different keys, and of 2^-48 for each correction of one key.
The digests are parted by their first bits, and each part is merged by itself: memory for a merge is a fraction of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

BYTES = 16
"""Of memory a row."""
_KEY = ~np.uint64(0xFFFF)
"""The bits of a key's digest that are kept."""
_REST = np.uint64(48)
_ARRIVED = np.uint64(0xFFFFFFFF)
_BITS = 4
_BOUNDS = np.arange(1, 1 << _BITS, dtype=np.uint64) << np.uint64(64 - _BITS)
_GROWTH = 4
"""A run is at least so many times as large as the one after it: few are there to be asked, and large ones are merged seldom."""


@dataclass(frozen=True)
class Run:
    """Rows in the order of their keys' digests."""

    firsts: np.ndarray
    """48 bits of the key, then the first 16 of the content."""
    rests: np.ndarray
    """The next 32 bits of the content, then the arrival in seconds since 1970."""

    @property
    def size(self) -> int:
        return int(self.firsts.size)

    @property
    def arrived(self) -> np.ndarray:
        return self.rests & _ARRIVED

    def at(self, where: np.ndarray | slice) -> "Run":
        """Some of its rows, in memory of their own."""
        return Run(self.firsts[where].copy(), self.rests[where].copy())


class Runs:
    """All runs, by the part of the digests that they hold."""

    def __init__(self) -> None:
        self._parts: list[list[Run]] = [[] for _ in range(1 << _BITS)]

    @property
    def size(self) -> int:
        """Bytes."""
        return BYTES * sum(run.size for part in self._parts for run in part)

    def add(self, keys: np.ndarray, contents: np.ndarray, arrived: np.ndarray) -> None:
        """More rows, in any order: digests of 64 bits, and seconds since 1970."""
        whole = _sorted(*_packed(keys, contents, arrived))
        for part, (low, high) in zip(self._parts, _parted(whole.firsts), strict=True):
            if low == high:
                continue
            part.append(whole.at(slice(low, high)))
            while len(part) > 1 and part[-2].size < _GROWTH * part[-1].size:
                part[-2:] = [_merged(part[-2:])]

    def drop_before(self, moment: float) -> None:
        """Forget what arrived before it."""
        for part in self._parts:
            kept = [_since(run, moment) for run in part]
            part[:] = [run for run in kept if run.size]

    def meet(self, keys: np.ndarray, contents: np.ndarray, horizon: float) -> tuple[np.ndarray, np.ndarray]:
        """Of rows sorted by key: which are held with their content, and whose key is held, both since the horizon."""
        double, known = np.zeros(keys.size, dtype=bool), np.zeros(keys.size, dtype=bool)
        for part, (low, high) in zip(self._parts, _parted(keys), strict=True):
            if low < high:
                for run in part:
                    _meet(run, keys[low:high], contents[low:high], horizon, double[low:high], known[low:high])
        return double, known


def _parted(keys: np.ndarray) -> list[tuple[int, int]]:
    """Where each part of sorted keys begins and ends."""
    cuts = [0, *(int(cut) for cut in np.searchsorted(keys, _BOUNDS)), int(keys.size)]
    return list(pairwise(cuts))


def _packed(keys: np.ndarray, contents: np.ndarray, arrived: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return keys & _KEY | contents >> _REST, _content(contents) | arrived.astype(np.uint64)


def _content(contents: np.ndarray) -> np.ndarray:
    """As the second number has it: bits 16 to 48."""
    return contents << np.uint64(16) & ~_ARRIVED


def _sorted(firsts: np.ndarray, rests: np.ndarray) -> Run:
    order = np.argsort(firsts, kind="stable")
    return Run(firsts[order], rests[order])


def _merged(runs: Sequence[Run]) -> Run:
    return _sorted(np.concatenate([run.firsts for run in runs]), np.concatenate([run.rests for run in runs]))


def _since(run: Run, moment: float) -> Run:
    there = run.arrived >= moment
    return run if there.all() else run.at(there)


def _meet(
    run: Run, keys: np.ndarray, contents: np.ndarray, horizon: float, double: np.ndarray, known: np.ndarray
) -> None:
    """Mark the asked rows that the run holds, and those whose key it holds."""
    wanted, starts, rests = keys & _KEY, keys & _KEY | contents >> _REST, _content(contents)
    at = np.searchsorted(run.firsts, wanted)
    left = np.arange(keys.size)
    while left.size:
        place = at[left]
        inside = place < run.size
        left, place = left[inside], place[inside]
        firsts = run.firsts[place]
        same = firsts & _KEY == wanted[left]
        left, place, firsts = left[same], place[same], firsts[same]
        held = run.rests[place]
        recent = held & _ARRIVED >= horizon
        known[left[recent]] = True
        double[left[recent & (firsts == starts[left]) & (held & ~_ARRIVED == rests[left])]] = True
        at[left] += 1
