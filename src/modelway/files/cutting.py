"""Where a file is cut into pieces: between records, at the same places each time that it is read."""

import codecs
import gzip
import itertools
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import polars as pl

from modelway.errors import UnreadableFileError
from modelway.files.delimited import SAMPLE
from modelway.files.parquet import FIX

_GZIP_GROWS = 8
_FIRST = 1 << 16
_FEWEST_ROWS = 20_000
_MOST = 8
"""Pieces that one record may span."""


@dataclass(frozen=True)
class Cut:
    """A piece's bytes, or its rows as Parquet has them; the share of the file that ends with it, and its first line, unless 1."""

    data: Any
    share: float
    line: int | None = None


def begun(path: Path, room: int) -> bytes | None:
    """The first bytes of a file that is larger than a piece, unpacked; None for a smaller one, and for what is no file."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
    except OSError:
        return None
    if path.stat().st_size * (_GZIP_GROWS if packed else 1) <= room:
        return None
    with opened(path) as (_, data):
        return next(_blocks(path, data, SAMPLE), b"")


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The file, and its content unpacked."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not packed:
            yield raw, raw
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield raw, unpacked  # type: ignore[misc]


def lines_of(path: Path, room: int, head: bytes, quoted: bool) -> Iterator[Cut]:
    """Whole records, about `room` bytes of them at a time, each time but the first behind `head`; a `quoted` one has line feeds."""
    size, line = path.stat().st_size, 1
    with opened(path) as (raw, data):
        blocks = itertools.chain(_blocks(path, data, min(room, _FIRST), 1), _blocks(path, data, room))
        for body in _records(path, blocks, room, quoted):
            if line == 1:
                yield Cut(body.removeprefix(codecs.BOM_UTF8), raw.tell() / size)
            elif body.strip():
                yield Cut(head + body, raw.tell() / size, line)
            line += body.count(b"\n")


def rows_of(path: Path, room: int) -> Iterator[Cut]:
    """Rows of Parquet, from its row groups one after the other."""
    from pyarrow import ArrowException, parquet

    rows = 0
    try:
        with parquet.ParquetFile(path) as file:
            told = file.metadata
            size = sum(told.row_group(n).total_byte_size for n in range(told.num_row_groups))
            count = max(_FEWEST_ROWS, int(told.num_rows * room / max(1, size)))
            for batch in file.iter_batches(batch_size=count):
                if batch.num_rows:
                    rows += batch.num_rows
                    yield Cut(pl.DataFrame(batch), rows / told.num_rows)
    except (ArrowException, OSError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UnreadableFileError(f"{path} is damaged Parquet, after row {rows}: {reason}", FIX) from error


def record_end(data: bytes, start: int) -> int:
    """Behind the first line feed that lies outside quotes."""
    end, odd = start, 0
    while (found := data.find(b"\n", end) + 1) > 0:
        odd ^= data.count(b'"', end, found) % 2
        end = found
        if not odd:
            return end
    return len(data)


def _blocks(path: Path, data: IO[bytes], room: int, most: int | None = None) -> Iterator[bytes]:
    fix = "copy the file again: it is not whole"
    try:
        for _ in itertools.count() if most is None else range(most):
            if not (block := data.read(room)):
                return
            yield block
    except EOFError as error:
        raise UnreadableFileError(f"{path} is torn: its gzip data end early", fix) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableFileError(f"{path} is damaged: its gzip data cannot be unpacked ({error})", fix) from error


def _records(path: Path, blocks: Iterator[bytes], room: int, quoted: bool) -> Iterator[bytes]:
    held = b""
    for block in blocks:
        held += block
        if len(held) < room:
            continue
        end = _last_record_end(held) if quoted else held.rfind(b"\n") + 1
        if end:
            yield held[:end]
            held = held[end:]
        elif len(held) > _MOST * room:
            raise UnreadableFileError(
                f"{path}: no record ends within {len(held)} bytes after {held[:40]!r}",
                "close the quotes that are opened there, or write a line a row",
            )
    if held:
        yield held


def _last_record_end(data: bytes) -> int:
    """Behind the last line feed that lies outside quotes; 0 when there is none."""
    end = data.rfind(b"\n") + 1
    odd = data.count(b'"', 0, end) % 2
    while end and odd:
        before = data.rfind(b"\n", 0, end - 1) + 1
        odd ^= data.count(b'"', before, end) % 2
        end = before
    return end
