"""JSON records of one shape, read by Polars in bulk, once their bytes were seen to be what its reader takes too lightly.

Polars' reader takes 5 for a text, the first of two values under one name, and nothing for a name that is absent; one record that
it does not take fails them all. So each record's names, and the first byte of each value, are looked at before, all at once as
arrays; a record that is out of the ordinary in any way is left to the careful readers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl

_QUOTE, _COLON, _SPACE, _OPEN, _CLOSE, _BACKSLASH = b'": {}\\'
_TEXT, _NUMBER, _BOOL, _NULL = 1, 2, 4, 8
_KINDS = {"string": _TEXT, "date": _TEXT, "datetime": _TEXT, "int": _NUMBER, "float": _NUMBER, "bool": _BOOL}
_FIRST = {'"': _TEXT, "-0123456789": _NUMBER, "tf": _BOOL, "n": _NULL}
"""What a value may be that begins with one of these."""
_PAD = b"\n" * 8
"""In front, so that the eight bytes before any name can be looked at."""


@dataclass(frozen=True)
class Shape:
    """Names in their order, and what their values may be. A name is known by words of eight bytes before its closing quote.

    `word_of` says whose name a word is a part of, `before` how far before the quote it begins; `masks` blot out what is not its.
    """

    schema: Mapping[str, pl.DataType]
    allowed: np.ndarray
    first_quote: int
    word_of: np.ndarray
    before: np.ndarray
    words: np.ndarray
    masks: np.ndarray


@lru_cache(maxsize=256)
def shape_of(names: tuple[str, ...], kinds: tuple[str, ...], types: tuple[pl.DataType, ...]) -> Shape:
    """`kinds` are a contract's types by name, `types` those of the columns."""
    parts = [(index, *word) for index, name in enumerate(names) for word in _words(b'"' + name.encode())]
    word_of, before, words, masks = zip(*parts, strict=True)
    return Shape(
        dict(zip(names, types, strict=True)),
        np.array([_KINDS[kind] | _NULL for kind in kinds], np.uint8),
        2 + len(names[0].encode()),
        np.array(word_of),
        np.array(before),
        np.array(words, np.uint64),
        np.array(masks, np.uint64),
    )


def _words(name: bytes) -> list[tuple[int, int, int]]:
    """A name from its end in pieces of eight bytes: where each begins before the end, its bytes as a number, and the mask."""
    found = []
    for end in range(len(name), 0, -8):
        piece = name[max(0, end - 8) : end]
        mask = 2**64 - (1 << 8 * (8 - len(piece)))
        found.append((len(name) - end + 8, int.from_bytes(piece.rjust(8, b"\0"), "little"), mask))
    return found


def read_bulk(values: Sequence[bytes], shape: Shape) -> tuple[np.ndarray, pl.DataFrame]:
    """Which of the values are of the shape, beyond doubt, and their rows; none when Polars finds fault with one of them."""
    joined = _PAD + b"\n".join(values)
    good, nulls = _ordinary(joined, np.fromiter(map(len, values), np.int64, len(values)), shape)
    nothing = np.zeros(len(values), bool), pl.DataFrame(schema=dict(shape.schema))
    if not good.any():
        return nothing
    if not good.all():
        joined = b"\n".join(value for value, ok in zip(values, good, strict=True) if ok)
    try:
        rows = pl.read_ndjson(joined, schema=dict(shape.schema))
    except pl.exceptions.PolarsError:
        return nothing
    if rows.height != np.count_nonzero(good) or sum(column.null_count() for column in rows.iter_columns()) != nulls:
        return nothing
    return good, rows


def _ordinary(joined: bytes, lengths: np.ndarray, shape: Shape) -> tuple[np.ndarray, int]:
    """By record: whether it has just the names of the shape, in order, each with a value of its kind; and how many are null."""
    whole = np.frombuffer(joined, np.uint8)
    ends = np.cumsum(lengths + 1) - 1 + len(_PAD)
    starts = ends - lengths
    good, width = lengths > 1, shape.allowed.size
    good[_with_strange_bytes(joined, whole, ends)] = False
    colons = np.flatnonzero(whole == _COLON)
    names = colons[whole[colons - 1] == _QUOTE] - 1
    quotes = names.reshape(good.size, width) if names.size == good.size * width else names[:0].reshape(0, width)
    if len(quotes) and good.all() and (quotes[:, 0] > starts).all() and (quotes[:, -1] < ends).all():
        left = np.arange(good.size)
    else:
        owner = np.searchsorted(ends, names)
        good &= np.bincount(owner, minlength=good.size) == width
        left, quotes = np.flatnonzero(good), names[good[owner]].reshape(-1, width)
    fine = (whole[starts[left]] == _OPEN) & (whole[ends[left] - 1] == _CLOSE)
    fine &= quotes[:, 0] == starts[left] + shape.first_quote
    fine &= _named(joined, quotes, shape)
    kinds = _kinds(whole, quotes)
    fine &= ((kinds & shape.allowed) != 0).all(axis=1)
    good[left[~fine]] = False
    return good, int(np.count_nonzero(kinds[fine] == _NULL))


def _with_strange_bytes(joined: bytes, whole: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Records with an escape (the reader is careless of some) or a control character (it splits at line ends)."""
    found = [np.empty(0, np.int64)]
    if b"\\" in joined:
        found.append(np.searchsorted(ends, np.flatnonzero(whole == _BACKSLASH)))
    if np.count_nonzero(whole < _SPACE) != len(_PAD) + ends.size - 1:
        at = np.flatnonzero(whole < _SPACE)[len(_PAD) :]
        owner = np.searchsorted(ends, at)
        found.append(owner[ends[owner] != at])
    return np.concatenate(found)


def _named(joined: bytes, quotes: np.ndarray, shape: Shape) -> np.ndarray:
    """Whether before each closing quote its name stands, opening quote and all."""
    eights = np.ndarray((len(joined) - 7,), dtype="<u8", buffer=joined, strides=(1,))
    seen = eights[quotes[:, shape.word_of] - shape.before]
    seen &= shape.masks
    return np.asarray((seen == shape.words).all(axis=1))


def _kinds(whole: np.ndarray, quotes: np.ndarray) -> np.ndarray:
    """What each value can be by its first byte; there may be one space before it."""
    first = whole[quotes + 2]
    spaced = first == _SPACE
    if spaced.any():
        first = whole[quotes + 2 + spaced]
    return np.asarray(_kind_of_byte()[first])


@lru_cache(maxsize=1)
def _kind_of_byte() -> np.ndarray:
    table = np.zeros(256, np.uint8)
    for letters, kind in _FIRST.items():
        table[list(letters.encode())] = kind
    return table
