"""A tensor's values as raw bytes, both ways: little-endian, row after row, as both edges of the Open Inference Protocol use them.

A missing number is NaN here and None among the values; bytes know no other missing value. BYTES: each text in UTF-8 behind its
length in 4 bytes. BF16: the upper half of an FP32 (Triton's datatype, no part of the protocol itself).
"""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelway.errors import DataError
from modelway.serving.wording import shown

_FLOATS = {"FP16": "e", "FP32": "f", "FP64": "d"}
_WHOLE = {
    **{"INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q"},
    **{"UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q"},
}
CODES: Mapping[str, str] = {**_FLOATS, **_WHOLE, "BOOL": "B"}
"""Datatypes as `struct` writes them."""
WIDTHS: Mapping[str, int] = {**{name: struct.calcsize(f"<{code}") for name, code in CODES.items()}, "BF16": 2}
"""Bytes of one value; BYTES has no width."""
_DTYPES = {name: np.dtype(f"<{code}") for name, code in CODES.items()}
_SHORT = 16
"""Values up to which `struct` is quicker than an array."""
_LENGTH = struct.Struct("<I")
_NO_MISSING = "send a floating-point datatype, where NaN says that a value is missing"


Values = list[Any] | NDArray[Any]
"""A tensor's values; many numbers stay an array."""


def count_of(name: str, shape: Any) -> int:
    """The values of a tensor of this shape; raises DataError for a shape that is no column's and no matrix's.

    Looked at before it is multiplied: a million sizes have a product of as many digits.
    """
    good = isinstance(shape, list | tuple) and len(shape) in (1, 2) and all(type(n) is int and n >= 0 for n in shape)
    if not good:
        raise DataError(f"input {name!r}: shape is {shown(shape)}", "one tensor is one column: use [N] or [N, 1]")
    return math.prod(shape)


def read_raw(name: str, datatype: str, count: int, buffer: bytes | memoryview) -> Values:
    """The `count` values of the tensor `name`; raises DataError naming it when the bytes are no such values."""
    if datatype == "BYTES":
        return _read_texts(name, count, buffer)
    width = WIDTHS.get(datatype)
    if width is None:
        raise DataError(f"input {name!r}: datatype is {datatype!r}", f"use one of {', '.join((*WIDTHS, 'BYTES'))}")
    if len(buffer) != count * width:
        raise DataError(
            f"input {name!r}: {len(buffer)} bytes, expected {count * width} for {count} values of {datatype}",
            "make shape, datatype and bytes agree",
        )
    if datatype == "BF16":
        wide = (np.frombuffer(buffer, "<u2").astype("<u4") << 16).view("<f4")
        return wide if count > _SHORT else listed(name, wide)
    if count <= _SHORT:
        return _few(name, datatype, count, buffer)
    values = np.frombuffer(buffer, _DTYPES[datatype])
    return _booleans(name, values.tolist()) if datatype == "BOOL" else values


def listed(name: str, values: Values) -> list[Any]:
    """The values as JSON would have given them, None where a number is missing; raises DataError for an infinite one."""
    if isinstance(values, list):
        return values
    made: list[Any] = values.tolist()
    return made if values.dtype.kind != "f" or np.isfinite(values).all() else _missing_as_none(name, made)


def _few(name: str, datatype: str, count: int, buffer: bytes | memoryview) -> list[Any]:
    values = list(struct.unpack(f"<{count}{CODES[datatype]}", buffer))
    if datatype in _FLOATS:
        return finite(name, values)
    return _booleans(name, values) if datatype == "BOOL" else values


def finite(name: str, values: list[Any]) -> list[Any]:
    """The numbers, with None where one is missing (NaN); raises DataError for an infinite one, as JSON knows none."""
    return values if all(map(math.isfinite, values)) else _missing_as_none(name, values)


def _missing_as_none(name: str, values: Sequence[float]) -> list[Any]:
    for index, value in enumerate(values):
        if math.isinf(value):
            raise DataError(
                f"input {name!r}, index {index}: infinite", "send finite numbers, and NaN where a value is missing"
            )
    return [value if value == value else None for value in values]


def _booleans(name: str, values: Sequence[int]) -> list[Any]:
    for index, value in enumerate(values):
        if value > 1:
            raise DataError(f"input {name!r}, index {index}: byte {value} is no BOOL", "send 0 or 1 in one byte")
    return [value == 1 for value in values]


def _read_texts(name: str, count: int, buffer: bytes | memoryview) -> list[Any]:
    data, place, texts = bytes(buffer), 0, list[Any]()
    if count * _LENGTH.size > len(data):
        raise DataError(
            f"input {name!r}: {len(data)} bytes cannot hold {count} texts",
            "send each text in UTF-8 behind its length in 4 bytes, little-endian",
        )
    for index in range(count):
        start = place + _LENGTH.size
        end = start + _LENGTH.unpack_from(data, place)[0] if start <= len(data) else start
        if end > len(data):
            raise DataError(
                f"input {name!r}, index {index}: the bytes end within the text",
                "send each text in UTF-8 behind its length in 4 bytes, little-endian",
            )
        texts.append(text_of(name, index, data[start:end]))
        place = end
    if place != len(data):
        raise DataError(
            f"input {name!r}: {len(data) - place} bytes after the last of {count} texts", "make shape and bytes agree"
        )
    return texts


def text_of(name: str, index: int, given: bytes) -> str:
    """One text; raises DataError for bytes that are no UTF-8."""
    try:
        return given.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"input {name!r}, index {index}: no UTF-8: {error.reason}", "send text in UTF-8") from error


def write_raw(name: str, datatype: str, values: Sequence[Any] | NDArray[Any]) -> bytes:
    """The values as bytes: None is NaN, and "" among texts. Raises DataError for what the datatype cannot hold."""
    if isinstance(values, np.ndarray):
        return np.ascontiguousarray(values, _DTYPES[datatype]).tobytes()
    if datatype == "BYTES":
        texts = [("" if value is None else value).encode() for value in values]
        return b"".join([part for text in texts for part in (_LENGTH.pack(len(text)), text)])
    if datatype in _FLOATS or datatype == "BF16":
        return _write_floats(name, datatype, [math.nan if value is None else value for value in values])
    code = CODES.get(datatype)
    if code is None:
        raise DataError(f"{name!r}: datatype is {datatype!r}", f"use one of {', '.join((*WIDTHS, 'BYTES'))}")
    if None in values:
        raise DataError(f"{name!r}: a value is missing, and {datatype} has no place for that", _NO_MISSING)
    try:
        return struct.pack(f"<{len(values)}{code}", *values)
    except struct.error as error:
        raise DataError(f"{name!r}: a value is no {datatype}: {error}", "use a wider datatype") from error


def _write_floats(name: str, datatype: str, values: Sequence[float]) -> bytes:
    if datatype == "FP64":
        return struct.pack(f"<{len(values)}d", *values)
    with np.errstate(over="ignore", invalid="ignore"):
        given = np.array(values, np.float64)
        narrow = given.astype(_DTYPES["FP32" if datatype == "BF16" else datatype])
        bits = _upper_half(narrow) if datatype == "BF16" else narrow
        kept = (bits.astype("<u4") << 16).view("<f4") if datatype == "BF16" else narrow
    if not np.array_equal(np.isfinite(given), np.isfinite(kept)):
        raise DataError(f"{name!r}: a value is beyond what {datatype} holds", "use FP64")
    return bits.tobytes()


def _upper_half(values: NDArray[Any]) -> NDArray[Any]:
    """BF16 of FP32, rounded to the nearest, ties to even."""
    bits = values.view("<u4").astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(values), 0x7FC0, rounded).astype("<u2")
