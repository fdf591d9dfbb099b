"""CSV and its kin: delimiter and encoding are found, then polars reads, and pandas what polars refuses."""

import csv
import io
import re
from collections.abc import Collection
from pathlib import Path

import polars as pl

from modelway.errors import UnreadableFileError
from modelway.files import sniff
from modelway.files.header import repaired, without_empty_unnamed
from modelway.files.pandas import read_with_pandas
from modelway.files.raw import as_utf8
from modelway.files.texts import decimal_comma, trimmed, typed

_SAMPLE = 1 << 18


def read_delimited(path: Path, data: bytes, text: Collection[str] = ()) -> pl.DataFrame:
    """The table; raises UnreadableFileError naming the line that breaks it."""
    data, separator = _prepared(as_utf8(data))
    sample = data[:_SAMPLE].decode("utf-8", errors="ignore")
    if len(data) > _SAMPLE:
        sample = sample.rpartition("\n")[0] or sample
    separator = separator or sniff.delimiter(sample, path)
    names = sniff.header(sample, separator)
    _demand_whole_end(path, data, separator, len(names))
    frame = _with_polars(data, separator, len(names))
    if frame is None:
        names, frame = read_with_pandas(path, data, separator)
    frame = trimmed(frame.rename(dict(zip(frame.columns, repaired(names), strict=True))))
    frame = without_empty_unnamed(frame, names)
    comma = separator != "," and decimal_comma(frame)
    return frame.with_columns(typed(frame[name], comma=comma) for name in frame.columns if name not in text)


def _prepared(data: bytes) -> tuple[bytes, str]:
    """Without blank lines before and after, with \\n as line end; and the delimiter if the first line declares it."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\n" not in data[:_SAMPLE]:
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
