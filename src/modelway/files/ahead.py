"""A large file is read to its end before its first row is given: what its columns are is learned piece by piece.

Kept is what settles the kind of each column, and nothing of the rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from modelway.errors import UnreadableFileError
from modelway.files.delimited import Layout, kinds_of, read_as, read_texts
from modelway.files.json_lines import Types, objects, objects_as
from modelway.files.kinds import Kind
from modelway.files.parquet import own_columns
from modelway.files.raw import recoded
from modelway.files.settled import Known, known_of, settled
from modelway.files.texts import Seen, seen

ReadPiece = Callable[[Any], pl.DataFrame]
"""A piece's rows, typed as the whole file is: of its bytes, or of its rows as Parquet has them."""


class Learner(ABC):
    """Takes a file's pieces in order."""

    @abstractmethod
    def take(self, piece: Any) -> None:
        """Raises UnreadableFileError for what `read_table` would refuse, UnicodeDecodeError for another encoding."""

    @abstractmethod
    def learned(self, text: Collection[str]) -> ReadPiece:
        """How each piece is read once all were taken; columns named in `text` stay text. It raises ChangedError."""


class OfDelimited(Learner):
    """Pieces are lines that begin with the header."""

    def __init__(self, path: Path, encoding: str, layout: Layout) -> None:
        self._path, self._encoding, self._layout = path, encoding, layout
        self._heads: Layout | None = None
        self._seen: dict[str, Seen] = {}

    def take(self, piece: bytes) -> None:
        frame, heads = read_texts(self._path, recoded(piece, self._encoding), self._layout)
        if heads != (self._heads or heads):
            problem = f"{self._path} is no table: rows have another number of fields than those before"
            raise UnreadableFileError(problem, "mend those lines: each row needs as many fields as the header")
        self._heads = heads
        self._seen = {name: seen(frame[name], self._seen.get(name)) for name in frame.columns}

    def learned(self, text: Collection[str]) -> ReadPiece:
        kinds = kinds_of(self._seen, self._heads or self._layout, text)
        return partial(_read_delimited, self._path, self._encoding, self._layout, kinds)


class OfJson(Learner):
    """Pieces are lines of one object each."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        self._types, self._known = Types({}), Known()

    def take(self, piece: bytes) -> None:
        frame, types = objects(self._path, recoded(piece, self._encoding))
        self._types, self._known = self._types.more(types), self._known.more(known_of(frame))

    def learned(self, text: Collection[str]) -> ReadPiece:
        types, names = self._types, self._types.names
        dated = {names[n]: dates for n, dates in self._known.dates.items() if types.kinds[n] == {"text"}}
        return partial(_read_json, self._path, self._encoding, types, Known(dates=dated), tuple(text))


class OfParquet(Learner):
    """Pieces are rows."""

    def __init__(self) -> None:
        self._known = Known()

    def take(self, piece: pl.DataFrame) -> None:
        self._known = self._known.more(known_of(own_columns(piece)))

    def learned(self, text: Collection[str]) -> ReadPiece:
        return partial(_read_parquet, self._known, tuple(text))


def _read_delimited(path: Path, encoding: str, layout: Layout, kinds: dict[str, Kind], piece: bytes) -> pl.DataFrame:
    return read_as(read_texts(path, recoded(piece, encoding), layout)[0], kinds)


def _read_json(
    path: Path, encoding: str, types: Types, known: Known, text: Collection[str], piece: bytes
) -> pl.DataFrame:
    return settled(objects_as(path, recoded(piece, encoding), types).rename(types.names), text, known)


def _read_parquet(known: Known, text: Collection[str], piece: pl.DataFrame) -> pl.DataFrame:
    return settled(own_columns(piece), text, known)
