"""NDJSON, or one JSON array of objects: a key that is missing in a line is a missing value."""

import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from modelway.errors import UnreadableFileError
from modelway.files.header import repaired
from modelway.files.kinds import ChangedError
from modelway.files.raw import as_utf8
from modelway.files.settled import settled

_LONG = re.compile(rb"\d{19}")
_NUMBER = r"^-?\d+(\.\d+)?([eE][+-]?\d+)?$"
_DOUBLE = rb"\s*:\s*-?\d+[.eE]"
_NAMES = {int: "int", float: "float", bool: "bool"}
_KINDS: dict[Any, frozenset[str]] = {
    pl.Null: frozenset(),
    pl.Int64: frozenset(["int"]),
    pl.Float64: frozenset(["float"]),
    pl.Boolean: frozenset(["bool"]),
    pl.String: frozenset(["text"]),
}


@dataclass(frozen=True)
class Types:
    """By key, in the order in which the keys first come: what its values are (int, long, float, bool, text).

    `loose`: somewhere polars does not read what stands there as JSON says it, so that all is read object by object.
    """

    kinds: Mapping[str, frozenset[str]]
    loose: bool = False

    @property
    def schema(self) -> dict[str, pl.DataType]:
        return {name: _dtype(kinds) for name, kinds in self.kinds.items()}

    @property
    def names(self) -> dict[str, str]:
        """What each key is called as a column."""
        return dict(zip(self.kinds, repaired(list(self.kinds)), strict=True))

    def hold(self, name: str, kinds: frozenset[str]) -> bool:
        """Whether such values change nothing."""
        known = self.kinds.get(name)
        return known is not None and _dtype(known | kinds) == _dtype(known)

    def more(self, other: "Types") -> "Types":
        kinds = dict(self.kinds)
        for name, found in other.kinds.items():
            kinds[name] = kinds.get(name, frozenset()) | found
        mixed = any(_mixed(one) for one in kinds.values())
        return Types(kinds, self.loose or other.loose or mixed)


def read_json(path: Path, data: bytes, text: Collection[str] = ()) -> pl.DataFrame:
    """The objects as rows; columns in the order in which their keys first come. Raises UnreadableFileError with the line."""
    frame, types = objects(path, as_utf8(data))
    return settled(frame.rename(types.names), text)


def objects(path: Path, data: bytes) -> tuple[pl.DataFrame, Types]:
    """A column a key, with the types as JSON has them, of UTF-8 data."""
    frame = None if data.lstrip().startswith(b"[") else _with_polars(data)
    if frame is None:
        columns = _columns(path, data)
        types = Types({name: _kinds(values) for name, values in columns.items()}, loose=True)
        return _frame(columns, types), types
    frame = frame.select(_keys(data, frame.width))
    types = Types({name: _KINDS[dtype] for name, dtype in frame.schema.items()})
    return frame.cast({name: pl.Int64 for name, dtype in frame.schema.items() if dtype == pl.Null}), types


def objects_as(path: Path, data: bytes, types: Types) -> pl.DataFrame:
    """Objects of a file whose types are known. Raises ChangedError when they are of others."""
    if types.loose:
        columns = _columns(path, data)
        if not all(types.hold(name, _kinds(values)) for name, values in columns.items()):
            raise ChangedError("an object with other keys or values")
        return _frame(columns, types)
    frame = _with_polars(data, types.schema)
    if frame is None:
        raise ChangedError("an object with other values")
    return frame


def _keys(data: bytes, count: int) -> list[str]:
    """So many keys in the order in which they first come: polars has another one where some are missing."""
    found: dict[str, None] = {}
    for line in io.BytesIO(data):
        if len(found) == count:
            break
        found |= dict.fromkeys(_decoded(line))
    return list(found)


def _with_polars(data: bytes, schema: dict[str, pl.DataType] | None = None) -> pl.DataFrame | None:
    """None for what must be looked at line by line: broken lines, values of several types, blank lines."""
    if b"\n\n" in data.rstrip(b"\n") or data.startswith(b"\n") or b"\n\r" in data:
        return None
    try:
        frame = pl.read_ndjson(io.BytesIO(data), schema=schema, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return None
    plain = all(dtype in _KINDS for dtype in frame.dtypes)
    if not plain or frame.height != data.rstrip().count(b"\n") + 1 or _has_long_numbers(frame):
        return None
    return None if _has_doubles_in_text(frame, data) else frame


def _has_long_numbers(frame: pl.DataFrame) -> bool:
    """Whether digits may have been lost: whole numbers beyond 64 bits are read as doubles."""
    return any((frame[name].abs() >= 2**63).any() for name, dtype in frame.schema.items() if dtype == pl.Float64)


def _has_doubles_in_text(frame: pl.DataFrame, data: bytes) -> bool:
    """Polars writes 1.0 and 1e3 as 1 and 1000 where other values of the column are text."""
    texts = (name for name, dtype in frame.schema.items() if dtype == pl.String)
    suspect = [name for name in texts if frame[name].str.contains(_NUMBER).any()]
    written = {json.dumps(name, ensure_ascii=escaped) for name in suspect for escaped in (True, False)}
    return any(re.search(re.escape(name.encode()) + _DOUBLE, data) for name in written)


def _columns(path: Path, data: bytes) -> dict[str, list[Any]]:
    """The values by key, as long as there are objects."""
    columns: dict[str, list[Any]] = {}
    height = 0
    for height, row in enumerate(_objects(path, data), start=1):
        for name, value in row.items():
            column = columns.setdefault(name, [])
            column.extend([None] * (height - 1 - len(column)))
            column.append(value)
    for column in columns.values():
        column.extend([None] * (height - len(column)))
    return columns


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


def _kinds(values: list[Any]) -> frozenset[str]:
    """`long` beside `int`: beyond 64 bits."""
    kinds = {_NAMES.get(type(value), "text") for value in values if value is not None}
    if "int" in kinds and any(type(value) is int and abs(value) >= 2**63 for value in values):
        kinds.add("long")
    return frozenset(kinds)


def _dtype(kinds: frozenset[str]) -> pl.DataType:
    """Numbers alone are numbers, truth values alone truth values; all else is text."""
    if kinds <= {"int"}:
        return pl.Int64()
    if "float" in kinds and kinds <= {"int", "long", "float"}:
        return pl.Float64()
    return pl.Boolean() if kinds == {"bool"} else pl.String()


def _mixed(kinds: frozenset[str]) -> bool:
    """What polars refuses, or writes in another way."""
    return {"text", "float"} <= kinds or ("bool" in kinds and "text" not in kinds and len(kinds) > 1)


def _frame(columns: dict[str, list[Any]], types: Types) -> pl.DataFrame:
    """JSON text for what is no string in a column of text."""
    height = len(next(iter(columns.values()), []))
    made = []
    for name, dtype in types.schema.items():
        values = columns.get(name, [None] * height)
        if dtype == pl.String:
            values = [
                value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                for value in values
            ]
        elif dtype == pl.Float64:
            values = [None if value is None else float(value) for value in values]
        made.append(pl.Series(name, values, dtype=dtype))
    return pl.DataFrame(made)
