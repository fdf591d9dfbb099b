"""A data file piece by piece, so that memory is bounded by a piece and not by the file; small files are one piece.

A large file is read to its end once before: each column is what all its values are, and nothing of a broken file is given.
One whose lines cannot be told apart in a stream (UTF-16, one JSON array, no line feeds) is read whole.
"""

import codecs
import contextlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from modelway.errors import UnreadableFileError
from modelway.files.ahead import Learner, OfDelimited, OfJson, OfParquet, ReadPiece
from modelway.files.cutting import Cut, begun, lines_of, record_end, rows_of
from modelway.files.delimited import Layout, layout_of
from modelway.files.kinds import ChangedError
from modelway.files.raw import ENCODINGS, Form, form_of, recoded
from modelway.files.read import read_table

PIECE = 8 * 1024 * 1024
"""Bytes of text, or of Parquet's columns unpacked, that are read at once."""
_HEAD = re.compile(rb'(?:[ \t\r]*\n)*(?:"?sep=[,;|\t]"?[ \t\r]*\n)?')

Tell = Callable[[float], None]


@dataclass(frozen=True)
class Piece:
    """`read` gives its rows, and costs nothing before; `share`: how much of the file ends with it."""

    read: Callable[[], pl.DataFrame]
    share: float


@dataclass(frozen=True)
class Plan:
    """How a large file is cut, and how its pieces are read."""

    cuts: Callable[[], Iterable[Cut]]
    read: ReadPiece


def pieces(path: Path, *, text: Collection[str] = (), room: int = 0) -> Iterator[Piece]:
    """The file's rows in order, by about `room` bytes (0: PIECE): the rows that `read_table` gives, of the same types.

    Raises, before the first piece, NotFoundError, and UnreadableFileError naming file, place and fix.
    """
    return pieces_of(path, plan_of(path, text=text, room=room), text=text)


def plan_of(path: Path, *, text: Collection[str] = (), room: int = 0, tell: Tell = lambda share: None) -> Plan | None:
    """Read a large file to its end; None for one that is read at once. `tell` hears which share was read. Raises as `pieces`."""
    room = room or PIECE
    start = begun(path, room)
    if start is None:
        return None
    form = form_of(path, start)
    if form is Form.PARQUET:
        cuts = partial(rows_of, path, room)
        return Plan(cuts, _learned(OfParquet(), cuts(), text, tell))
    if not _streams(form, start):
        return None
    for encoding in ENCODINGS:
        with contextlib.suppress(UnicodeDecodeError):
            return _plan_of_lines(path, form, encoding, start, room, text, tell)
    raise AssertionError("the last encoding reads everything")


def pieces_of(path: Path, plan: Plan | None, *, text: Collection[str] = ()) -> Iterator[Piece]:
    """The same by its plan. Raises UnreadableFileError when the file has changed since it was made."""
    if plan is None:
        yield Piece(partial(read_table, path, text=text), 1.0)
        return
    for cut in plan.cuts():
        yield Piece(partial(_read, path, plan.read, cut), cut.share)


def _plan_of_lines(
    path: Path, form: Form, encoding: str, start: bytes, room: int, text: Collection[str], tell: Tell
) -> Plan:
    if form is Form.JSON:
        cuts = partial(lines_of, path, room, b"", False)
        return Plan(cuts, _learned(OfJson(path, encoding), cuts(), text, tell))
    layout = layout_of(path, _lines_of_start(start, encoding))
    cuts = partial(lines_of, path, room, _head(start, layout), True)
    return Plan(cuts, _learned(OfDelimited(path, encoding, layout), cuts(), text, tell))


def _learned(learner: Learner, cuts: Iterable[Cut], text: Collection[str], tell: Tell) -> ReadPiece:
    for cut in cuts:
        with _placed(cut):
            learner.take(cut.data)
        tell(cut.share)
    return learner.learned(text)


def _read(path: Path, read: ReadPiece, cut: Cut) -> pl.DataFrame:
    try:
        with _placed(cut):
            return read(cut.data)
    except (ChangedError, UnicodeDecodeError) as error:
        raise UnreadableFileError(
            f"{path} has changed while it was read: {error}", "send it again when nobody writes to it"
        ) from error


@contextlib.contextmanager
def _placed(cut: Cut) -> Iterator[None]:
    """Errors say where the piece lies, unless it is the first one."""
    try:
        yield
    except UnreadableFileError as error:
        if cut.line is None:
            raise
        problem = f"{error.problem} (in the rows from line {cut.line} of the file on)"
        raise UnreadableFileError(problem, error.fix) from error


def _streams(form: Form, start: bytes) -> bool:
    whole = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\n" not in start
    array = form is Form.JSON and start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
    return not whole and not array


def _lines_of_start(start: bytes, encoding: str) -> bytes:
    """The lines that are whole; raises UnicodeDecodeError."""
    return recoded(start.removeprefix(codecs.BOM_UTF8).rpartition(b"\n")[0] + b"\n", encoding)


def _head(start: bytes, layout: Layout) -> bytes:
    """What must stand before the lines of each piece but the first: the delimiter, and the header."""
    start = start.removeprefix(codecs.BOM_UTF8)
    before = _HEAD.match(start)
    rest = start[before.end() if before else 0 :]
    return f"sep={layout.separator}\n".encode() + rest[: record_end(rest, 0)]
