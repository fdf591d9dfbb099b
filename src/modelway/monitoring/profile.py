"""What is kept of a version's training rows, to judge drift against: bytes of a fixed size whatever the number of rows.

Of a number column the distribution function at up to 1,024 of its own values: how many rows lie below and up to each. There it
is exact, so that a distance read off it is never larger than the true one, and smaller by at most 1/1,023; of up to 1,024
distinct values nothing is lost. A missing number counts as smaller than all others: a column that goes missing drifts. Of a
word column the rows by word, for the 200 most frequent words (a missing one is ""), and how many rows hold another.

The prediction is a column too, `_prediction`: the positive class's probability, the most likely of several classes, or the value.

`alike` says how much a row is like the one before it, for rows in time order (see `likeness`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl

from modelway.errors import DataError, EngineError
from modelway.records import Column

PREDICTION = "_prediction"
POINTS = 1_024
WORDS = 200


@dataclass(frozen=True)
class Numbers:
    """A number column: `below` and `upto` count the rows < and ≤ each of the ascending `points`, missing rows among them."""

    name: str
    rows: int
    missing: int
    points: np.ndarray
    below: np.ndarray
    upto: np.ndarray
    alike: float = 0.0


@dataclass(frozen=True)
class Words:
    """A word column: rows by word, and `rest` rows with other words."""

    name: str
    rows: int
    counts: Mapping[str, int]
    rest: int
    alike: float = 0.0

    @property
    def missing(self) -> int:
        return self.counts.get("", 0)


@dataclass(frozen=True)
class Profile:
    """The columns of the graph in its order, and the prediction last."""

    rows: int
    columns: tuple[Numbers | Words, ...]
    classes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Numbers | Words, ...]:
        return self.columns[:-1]


def profile(frame: pl.DataFrame, columns: Sequence[Column], scores: np.ndarray, classes: tuple[str, ...]) -> bytes:
    """The profile of the training rows and of the model's own scores of them, double[rows, k]; equal rows, equal bytes."""
    if not frame.height:
        raise DataError("no training rows to keep a profile of", "bring in rows with final labels")
    return _packed(profile_of(frame, columns, scores, classes))


def profile_of(frame: pl.DataFrame, columns: Sequence[Column], scores: np.ndarray, classes: tuple[str, ...]) -> Profile:
    """The same, not packed."""
    made = [
        _numbers(c.name, number_values(frame[c.name])) if c.kind == "number" else _words(c.name, word_values(frame[c.name]))
        for c in columns
    ]  # fmt: skip
    return Profile(frame.height, (*made, _prediction(scores, classes)), classes)


def read_profile(data: bytes) -> Profile:
    """The profile back; raises EngineError when the bytes are none."""
    try:
        kept = msgspec.msgpack.decode(data, type=_Kept)
    except msgspec.MsgspecError as error:
        raise EngineError(f"the reference profile cannot be read: {error}", "train the model again") from error
    return Profile(kept.rows, tuple(_unpacked(column) for column in kept.columns), kept.classes)


def predicted(scores: np.ndarray, classes: Sequence[str]) -> pl.Series | np.ndarray:
    """The prediction as a column: numbers, or of more than two classes the name of the most likely one."""
    if len(classes) <= 2:
        return np.ascontiguousarray(scores[:, -1], dtype=np.float64)
    return pl.Series(PREDICTION, list(classes)).gather(scores.argmax(axis=1))


def number_values(column: pl.Series) -> np.ndarray:
    """double[N], missing NaN."""
    numbers = column.cast(pl.Float64)
    return (numbers.fill_null(math.nan) if numbers.null_count() else numbers).to_numpy()


def word_values(column: pl.Series) -> pl.Series:
    """Text, missing ""."""
    return column.cast(pl.String).fill_null("")


def counted(words: pl.Series) -> dict[str, int]:
    """Rows by word, the most frequent first, equally frequent ones by name."""
    table = words.rename("word").value_counts().sort(["count", "word"], descending=[True, False])
    return dict(zip(table["word"].to_list(), table["count"].to_list(), strict=True))


def likeness(values: np.ndarray, ordered: np.ndarray) -> float:
    """Correlation (0–1) of a row with the one before it; 0 when it is no greater than chance makes it.

    Of the numbers only the side of the median is used, so that no outlier matters; ρ = sin(π/2 · ρ_side), which is exact for
    a Gaussian series. `ordered`: the same values, ascending.
    """
    n = len(values)
    if n < 3:
        return 0.0
    above = values > ordered[n // 2]
    if not above.any():
        above = values >= ordered[n // 2]
    share = np.count_nonzero(above) / n
    changes = np.count_nonzero(above[1:] != above[:-1]) / (n - 1)
    return _beyond_chance(1 - changes / (2 * share * (1 - share)), n) if 0 < share < 1 else 0.0


def word_likeness(words: pl.Series, counts: Mapping[str, int]) -> float:
    """The same for words, from how often a row repeats the word before it."""
    n = len(words)
    by_chance = sum((count / n) ** 2 for count in counts.values()) if n else 1.0
    if n < 3 or by_chance >= 1:
        return 0.0
    repeats = int((words == words.shift(1)).sum()) / (n - 1)
    return _beyond_chance((repeats - by_chance) / (1 - by_chance), n)


def _beyond_chance(correlation: float, n: int) -> float:
    if correlation < _CHANCE / math.sqrt(n):
        return 0.0
    return math.sin(math.pi / 2 * min(correlation, 1.0))


_CHANCE = 1.645
"""In standard errors: independent rows are taken for a series in 5 % of cases, and then lose little."""


def _numbers(name: str, values: np.ndarray) -> Numbers:
    ordered = np.sort(values)
    known = int(np.searchsorted(ordered, math.nan))
    missing, there = len(ordered) - known, ordered[:known]
    points = _points(there)
    below = missing + np.searchsorted(there, points, side="left")
    upto = missing + np.searchsorted(there, points, side="right")
    return Numbers(name, len(values), missing, points, below, upto, likeness(values, ordered))


def _points(ordered: np.ndarray) -> np.ndarray:
    if not len(ordered):
        return ordered
    distinct = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    if len(distinct) <= POINTS:
        return distinct
    return np.unique(ordered[np.linspace(0, len(ordered) - 1, POINTS).round().astype(np.int64)])


def _words(name: str, words: pl.Series) -> Words:
    counts = counted(words)
    kept = dict(list(counts.items())[:WORDS])
    return Words(name, len(words), kept, len(words) - sum(kept.values()), word_likeness(words, counts))


def _prediction(scores: np.ndarray, classes: Sequence[str]) -> Numbers | Words:
    found = predicted(scores, classes)
    return _numbers(PREDICTION, found) if isinstance(found, np.ndarray) else _words(PREDICTION, found)


class _Column(msgspec.Struct):
    name: str
    rows: int
    alike: float
    missing: int = 0
    points: bytes = b""
    below: bytes = b""
    upto: bytes = b""
    words: list[tuple[str, int]] | None = None
    rest: int = 0


class _Kept(msgspec.Struct):
    rows: int
    classes: tuple[str, ...]
    columns: list[_Column]


def _packed(made: Profile) -> bytes:
    columns = [
        _Column(c.name, c.rows, c.alike, words=list(c.counts.items()), rest=c.rest)
        if isinstance(c, Words)
        else _Column(c.name, c.rows, c.alike, c.missing, _bytes(c.points, "<f8"), _bytes(c.below, "<i8"), _bytes(c.upto, "<i8"))
        for c in made.columns
    ]  # fmt: skip
    return msgspec.msgpack.encode(_Kept(made.rows, made.classes, columns))


def _unpacked(column: _Column) -> Numbers | Words:
    if column.words is not None:
        return Words(column.name, column.rows, dict(column.words), column.rest, column.alike)
    points, below, upto = (np.frombuffer(data, "<i8") for data in (column.points, column.below, column.upto))
    return Numbers(column.name, column.rows, column.missing, points.view("<f8"), below, upto, column.alike)


def _bytes(values: np.ndarray, kind: str) -> bytes:
    return values.astype(kind).tobytes()
