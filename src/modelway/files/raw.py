"""A file's bytes: unpacked, told apart by their content, and text as UTF-8."""

import codecs
import contextlib
import gzip
import zlib
from enum import Enum
from pathlib import Path

from modelway.errors import NotFoundError, UnreadableFileError

_PIECE = 1 << 22
_ODD_BYTES = bytes(set(range(32)) - set(b"\t\n\r\f\x1a\x1b"))
_KNOWN = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "save the sheet as CSV, or unpack the archive"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV"),
    b"%PDF": ("a PDF document", "bring the table as CSV, Parquet or NDJSON"),
    b"BZh": ("packed with bzip2", "unpack it with bunzip2, or pack it with gzip"),
    b"\xfd7zXZ": ("packed with xz", "unpack it with unxz, or pack it with gzip"),
    b"\x28\xb5\x2f\xfd": ("packed with zstd", "unpack it with unzstd, or pack it with gzip"),
    b"SQLite format 3": ("a SQLite database", "write the table to CSV or Parquet"),
    b"ARROW1": ("an Arrow file", "write the table to Parquet"),
}


class Form(Enum):
    DELIMITED = "delimited text"
    JSON = "JSON"
    PARQUET = "Parquet"


def read_bytes(path: Path) -> bytes:
    """The content, unpacked when it is gzip. Raises NotFoundError, UnreadableFileError."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"{path} does not exist", f"check the path; it is looked for from {Path.cwd()}") from error
    except IsADirectoryError as error:
        raise UnreadableFileError(f"{path} is a folder", "name one data file in it") from error
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror}", "check who may read the file") from error
    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(path, data)
    if not data.strip(b"\x00 \t\r\n" + codecs.BOM_UTF8):
        raise UnreadableFileError(f"{path} is empty ({len(data)} bytes)", "bring a file with a header line and rows")
    return data


def form_of(path: Path, data: bytes) -> Form:
    """What the content is, whatever the file is called. Raises UnreadableFileError for what is no table."""
    if data.startswith(b"PAR1"):
        return Form.PARQUET
    for magic, (kind, fix) in _KNOWN.items():
        if data.startswith(magic):
            raise UnreadableFileError(f"{path} is {kind}, not a table that can be read", fix)
    endings = {ending.lower() for ending in path.suffixes}
    if endings & {".parquet", ".pq"}:
        raise UnreadableFileError(
            f"{path} is not Parquet: it does not start with PAR1 at byte 0", "write the file again, or call it .csv"
        )
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        _demand_text(path, data)
    start = data[:4096].removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"{") or (start.startswith(b"[") and ".json" in endings):
        return Form.JSON
    if endings & {".ndjson", ".jsonl", ".json"}:
        raise UnreadableFileError(
            f"{path}, line 1: {_shown(start)} does not start a JSON object",
            "write one JSON object a line, or call the file .csv",
        )
    return Form.DELIMITED


ENCODINGS = ("utf-8", "cp1252", "latin-1")
"""Text is in the first of these in which all of it can be read."""


def as_utf8(data: bytes) -> bytes:
    """Text as UTF-8 without BOM: UTF-8 and UTF-16 as they say, anything else as Windows-1252 (and so Latin-1)."""
    for mark, name in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return data.decode(name, errors="replace").encode()
    data = data.removeprefix(codecs.BOM_UTF8)
    for encoding in ENCODINGS[:-1]:
        with contextlib.suppress(UnicodeDecodeError):
            return recoded(data, encoding)
    return recoded(data, ENCODINGS[-1])


def recoded(data: bytes, encoding: str) -> bytes:
    """As UTF-8; raises UnicodeDecodeError when the data are in another encoding."""
    if encoding != "utf-8":
        return data.decode(encoding).encode()
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), _PIECE):  # the decoded text of a large file is never held
        decoder.decode(data[start : start + _PIECE], final=start + _PIECE >= len(data))
    return data


def _unpacked(path: Path, data: bytes) -> bytes:
    fix = "copy the file again: it is not whole"
    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise UnreadableFileError(f"{path} is torn: its gzip data end early, after byte {len(data)}", fix) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableFileError(f"{path} is damaged: its gzip data cannot be unpacked ({error})", fix) from error


def _demand_text(path: Path, data: bytes) -> None:
    sample = data[:65536]
    odd = len(sample) - len(sample.translate(None, _ODD_BYTES))
    if odd:
        place = next(i for i, byte in enumerate(sample) if byte in _ODD_BYTES)
        raise UnreadableFileError(
            f"{path} is not text: byte {place} is 0x{sample[place]:02x}",
            "bring the table as CSV, Parquet or NDJSON",
        )


def _shown(start: bytes) -> str:
    return repr(start[:30].decode("utf-8", errors="replace"))
