"""CSV and its kin: delimiter and encoding are found, then polars reads, and pandas what polars refuses."""

import csv
import io
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from modelway.errors import UnreadableFileError
from modelway.files import sniff
from modelway.files.header import repaired
from modelway.files.kinds import Kind
from modelway.files.pandas import read_with_pandas
from modelway.files.raw import as_utf8
from modelway.files.texts import Seen, decimal_comma, seen

SAMPLE = 1 << 18
"""Bytes at the beginning that tell delimiter and header."""


@dataclass(frozen=True)
class Layout:
    """The delimiter and the names of the columns, as the header gives them ("" where it gives none)."""

    separator: str
    heads: tuple[str, ...]


def read_delimited(path: Path, data: bytes, text: Collection[str] = ()) -> pl.DataFrame:
    """The table; raises UnreadableFileError naming the line that breaks it."""
    frame, layout = read_texts(path, as_utf8(data))
    known = {name: seen(frame[name]) for name in frame.columns}
    return read_as(frame, kinds_of(known, layout, text))


def kinds_of(known: Mapping[str, Seen], layout: Layout, text: Collection[str]) -> dict[str, Kind]:
    """What each column becomes, by what is known of all its values; one without a name and a value is left out."""
    comma = layout.separator != "," and decimal_comma(known.values())
    kept = [
        name for head, name in zip(layout.heads, known, strict=True) if head.strip() or not known[name].blank
    ]  # a delimiter at the end of each line makes such a column
    return {name: Kind(pl.String()) if name in text else known[name].kind(comma) for name in kept}


def read_as(frame: pl.DataFrame, kinds: Mapping[str, Kind]) -> pl.DataFrame:
    """Raises ChangedError for a value that is not of its column's kind."""
    return pl.DataFrame([kind.read(frame[name]) for name, kind in kinds.items()])


def read_texts(path: Path, data: bytes, layout: Layout | None = None) -> tuple[pl.DataFrame, Layout]:
    """All columns as the text that is there, of UTF-8 data that begin with the header; `layout`: as it is known to be."""
    data, layout = _laid_out(path, data, layout)
    _demand_whole_end(path, data, layout.separator, len(layout.heads))
    frame = _with_polars(data, layout.separator, len(layout.heads))
    heads = list(layout.heads)
    if frame is None:
        heads, frame = read_with_pandas(path, data, layout.separator)
    frame = frame.rename(dict(zip(frame.columns, repaired(heads), strict=True)))
    return frame, Layout(layout.separator, tuple(heads))


def layout_of(path: Path, data: bytes) -> Layout:
    """By the beginning of the data, SAMPLE bytes or more."""
    return _laid_out(path, data, None)[1]


def _laid_out(path: Path, data: bytes, layout: Layout | None) -> tuple[bytes, Layout]:
    data, separator = _prepared(data)
    if layout is not None:
        return data, layout
    sample = data[:SAMPLE].decode("utf-8", errors="ignore")
    if len(data) > SAMPLE:
        sample = sample.rpartition("\n")[0] or sample
    separator = separator or sniff.delimiter(sample, path)
    return data, Layout(separator, tuple(sniff.header(sample, separator)))


def _prepared(data: bytes) -> tuple[bytes, str]:
    """Without blank lines before and after, with \\n as line end; and the delimiter if the first line declares it."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\n" not in data[:SAMPLE]:
            data = data.replace(b"\r", b"\n")
    data = re.sub(rb"^(?:[ \t]*\n)+", b"", data)
    declared = re.match(rb'"?sep=([,;|\t])"?[ \t]*\n', data)
    return (data[declared.end() :], declared[1].decode()) if declared else (data, "")


def _with_polars(data: bytes, separator: str, width: int) -> pl.DataFrame | None:
    """All columns as text; None for what polars may read otherwise than others do: open quotes, blank lines, ragged rows."""
    if b"\n\n" in data:
        body = data.rstrip(b"\n") + b"\n"
        if b'"' in data and b"\n\n" in body:
            return None
        data = re.sub(rb"\n\n+", b"\n", body)
    if data.count(b'"') % 2:
        return None
    try:
        frame = pl.read_csv(io.BytesIO(data), separator=separator, infer_schema=False, raise_if_empty=False)
    except pl.exceptions.PolarsError:
        return None
    return frame if frame.width == width else None


def _demand_whole_end(path: Path, data: bytes, separator: str, width: int) -> None:
    """A last line without its end and with too few fields was cut off."""
    lines = data.count(b"\n")
    if data.endswith(b"\n") or lines == 0:
        return
    last = data[data.rfind(b"\n") + 1 :].decode("utf-8", errors="replace")
    if data.count(b'"') % 2 == 0 and '"' not in last and len(next(csv.reader([last], delimiter=separator), [])) < width:
        raise UnreadableFileError(
            f"{path}, line {lines + 1}: the file is torn: it ends within a row, after {last[-40:]!r}",
            "copy the file again; or, if the last line is a remark, remove it",
        )
