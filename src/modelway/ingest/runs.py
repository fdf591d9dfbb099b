"""Rows by 128 bits of their key and content, in sorted runs; small runs are merged into larger ones.

The digests are parted by their first bits, and each part is merged by itself: memory for a merge is a fraction of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

BYTES = 20
"""Of memory a row."""
_BITS = 4
_BOUNDS = np.arange(1, 1 << _BITS, dtype=np.uint64) << np.uint64(64 - _BITS)
_GROWTH = 4
"""A run is at least so many times as large as the one after it: few are there to be asked, and large ones are merged seldom."""


@dataclass(frozen=True)
class Run:
    """Rows in the order of their keys' digests; `arrived` in seconds since 1970."""

    keys: np.ndarray
    contents: np.ndarray
    arrived: np.ndarray

    @property
    def size(self) -> int:
        return int(self.keys.size)


class Runs:
    """All runs, by the part of the digests that they hold."""

    def __init__(self) -> None:
        self._parts: list[list[Run]] = [[] for _ in range(1 << _BITS)]

    @property
    def size(self) -> int:
        """Bytes."""
        return BYTES * sum(run.size for part in self._parts for run in part)

    def add(self, keys: np.ndarray, contents: np.ndarray, arrived: np.ndarray) -> None:
        """More rows, in any order."""
        whole = _sorted(keys, contents, arrived)
        for part, (low, high) in zip(self._parts, _parted(whole.keys), strict=True):
            if low == high:
                continue
            part.append(Run(*(values[low:high].copy() for values in (whole.keys, whole.contents, whole.arrived))))
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


def _sorted(keys: np.ndarray, contents: np.ndarray, arrived: np.ndarray) -> Run:
    order = np.argsort(keys, kind="stable")
    return Run(keys[order], contents[order], arrived[order])


def _merged(runs: Sequence[Run]) -> Run:
    return _sorted(*(np.concatenate([getattr(run, name) for run in runs]) for name in ("keys", "contents", "arrived")))


def _since(run: Run, moment: float) -> Run:
    there = run.arrived >= moment
    return run if there.all() else Run(run.keys[there], run.contents[there], run.arrived[there])


def _meet(
    run: Run, keys: np.ndarray, contents: np.ndarray, horizon: float, double: np.ndarray, known: np.ndarray
) -> None:
    """Mark the asked rows that the run holds, and those whose key it holds."""
    at = np.searchsorted(run.keys, keys)
    left = np.arange(keys.size)
    while left.size:
        place = at[left]
        inside = place < run.size
        left, place = left[inside], place[inside]
        same = run.keys[place] == keys[left]
        left, place = left[same], place[same]
        recent = run.arrived[place] >= horizon
        known[left[recent]] = True
        double[left[recent & (run.contents[place] == contents[left])]] = True
        at[left] += 1
