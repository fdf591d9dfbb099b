"""Whole numbers for words, and for rows of words: looked up by hash for many at once, and compared, so that no two are confused."""

import numpy as np
import polars as pl

from modelway.features.stretches import Ints

_ROOM = 2
"""Bits of a hash beyond those that the number of known rows takes: slots are four times as many, so most hold one row or none."""

_PORTION = 2**17
"""Rows that are looked up together: what is needed beside them stays small, and near the processor."""


class Codes:
    """The place of each row among the known ones, which are distinct and have no null."""

    def __init__(self, known: pl.DataFrame) -> None:
        hashed = _hashed(known)
        order = np.argsort(hashed)
        bits = known.height.bit_length() + _ROOM
        self._known, self._places, self._hashed = known, order, hashed[order]
        self._shift = np.uint64(64 - bits)
        self._first = np.searchsorted(self._hashed >> self._shift, np.arange(2**bits + 1, dtype=np.uint64))

    def __len__(self) -> int:
        return self._known.height

    def of(self, rows: pl.DataFrame) -> Ints:
        """−1 where a row is not known; the columns have the names of the known ones."""
        made = [self._of(rows[low : low + _PORTION]) for low in range(0, rows.height, _PORTION)]
        return np.concatenate(made) if made else np.empty(0, dtype=np.int64)

    def _of(self, rows: pl.DataFrame) -> Ints:
        found = np.full(rows.height, -1, dtype=np.int64)
        hashed = _hashed(rows)
        slot = (hashed >> self._shift).astype(np.int64)
        next_, end = self._first[slot], self._first[slot + 1]
        open_ = np.flatnonzero(next_ < end)
        next_, end = next_[open_], end[open_]
        while open_.size:
            like = np.flatnonzero(self._hashed[next_] == hashed[open_])
            same = like[self._equal(rows, open_[like], self._places[next_[like]])]
            found[open_[same]] = self._places[next_[same]]
            next_ += 1
            rest = np.flatnonzero(next_ < end)
            open_, next_, end = open_[rest], next_[rest], end[rest]
        return found

    def _equal(self, rows: pl.DataFrame, mine: Ints, known: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        equal = np.ones(len(mine), dtype=bool)
        for name in rows.columns:
            equal &= (rows[name][mine] == self._known[name][known]).fill_null(False).to_numpy()
        return equal


def _hashed(rows: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    made: np.ndarray[tuple[int], np.dtype[np.uint64]] = rows.hash_rows().to_numpy()
    return made
