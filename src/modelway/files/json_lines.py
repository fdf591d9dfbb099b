"""NDJSON, or one JSON array of objects: a key that is missing in a line is a missing value."""

import io
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from modelway.errors import UnreadableFileError
from modelway.files.header import repaired
from modelway.files.raw import as_utf8
from modelway.files.settled import settled

_LONG = re.compile(rb"\d{19}")


def read_json(path: Path, data: bytes, text: Collection[str] = ()) -> pl.DataFrame:
    """The objects as rows; columns in the order in which their keys first come. Raises UnreadableFileError with the line."""
    data = as_utf8(data)
    frame = None if data.lstrip().startswith(b"[") else _with_polars(data)
    if frame is None:
        frame = _one_by_one(path, data)
    frame = frame.rename(dict(zip(frame.columns, repaired(frame.columns), strict=True)))
    return settled(frame, text)


def _with_polars(data: bytes) -> pl.DataFrame | None:
    """None for what must be looked at line by line: broken lines, values of several types, blank lines."""
    if b"\n\n" in data.rstrip(b"\n") or data.startswith(b"\n") or b"\n\r" in data:
        return None
    try:
        frame = pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return None
    plain = all(dtype in (pl.Int64, pl.Float64, pl.Boolean, pl.String) for dtype in frame.dtypes)
    if not plain or frame.height != data.rstrip().count(b"\n") + 1 or _has_long_numbers(frame):
        return None
    return frame


def _has_long_numbers(frame: pl.DataFrame) -> bool:
    """Whether digits may have been lost: whole numbers beyond 64 bits are read as doubles."""
    return any((frame[name].abs() >= 2**63).any() for name, dtype in frame.schema.items() if dtype == pl.Float64)


def _one_by_one(path: Path, data: bytes) -> pl.DataFrame:
    columns: dict[str, list[Any]] = {}
    height = 0
    for height, row in enumerate(_objects(path, data), start=1):
        for name, value in row.items():
            column = columns.setdefault(name, [])
            column.extend([None] * (height - 1 - len(column)))
            column.append(value)
    for column in columns.values():
        column.extend([None] * (height - len(column)))
    return pl.DataFrame([_series(name, values) for name, values in columns.items()])


def _objects(path: Path, data: bytes) -> Iterator[dict[str, Any]]:
    if data.lstrip().startswith(b"["):
        yield from _of_array(path, data)
        return
    for number, line in enumerate(io.BytesIO(data), start=1):
        if not line.strip():
            continue
        try:
            row = _decoded(line)
        except ValueError as error:
            raise UnreadableFileError(
                f"{path}, line {number}: not JSON ({error})", "write one whole JSON object a line; the file may be torn"
            ) from error
        if not isinstance(row, dict):
            raise UnreadableFileError(f"{path}, line {number}: not a JSON object", "write one JSON object a line")
        yield row


def _of_array(path: Path, data: bytes) -> list[dict[str, Any]]:
    try:
        rows = _decoded(data)
    except ValueError as error:
        raise UnreadableFileError(f"{path}: not JSON ({error})", "copy the file again; it may be torn") from error
    if not all(isinstance(row, dict) for row in rows):
        raise UnreadableFileError(f"{path}: not an array of JSON objects", "write one JSON object a line")
    return list(rows)


def _decoded(text: bytes) -> Any:
    """By Python's own reader where orjson refuses what others write (NaN), or would lose digits of a whole number."""
    if _LONG.search(text):
        return json.loads(text)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


def _series(name: str, values: list[Any]) -> pl.Series:
    """Numbers alone are numbers, truth values alone truth values; all else is text, JSON text for what is no string."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int} and all(value is None or abs(value) < 2**63 for value in values):
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, float} and kinds != {int}:
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    text = [
        value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values
    ]
    return pl.Series(name, text, dtype=pl.String)
