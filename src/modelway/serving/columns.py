"""One tensor becomes a column: its values, checked against its datatype and shape; pure."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from modelway.errors import DataError
from modelway.serving.raw import listed
from modelway.serving.wording import kind, shown

_INTEGERS = {
    **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
_FLOATS = ("FP64", "FP32", "FP16", "BF16")
DATATYPES = (*_FLOATS, *_INTEGERS, "BOOL", "BYTES")


def column_of(name: str, tensor: Mapping[str, Any]) -> list[Any]:
    """The values of the tensor `name`, of shape [N] or [N, 1]; raises DataError naming it and the index."""
    datatype = tensor.get("datatype")
    if not isinstance(datatype, str) or datatype not in _READ:
        found = repr(datatype) if isinstance(datatype, str) else kind(datatype)
        raise DataError(f"input {name!r}: datatype is {found}", f"use one of {', '.join(DATATYPES)}")
    if isinstance(tensor.get("parameters"), dict) and "binary_data_size" in tensor["parameters"]:
        raise DataError(
            f"input {name!r}: raw bytes, and no header says where they begin",
            "send Inference-Header-Content-Length, or the values as JSON in data",
        )
    data = _flat(name, tensor, _rows(name, tensor.get("shape")))
    proper, expected = _READ[datatype]
    if AT_ONCE.get(datatype, NOTHING).issuperset(map(type, data)):
        return data
    for index, value in enumerate(data):
        if value is not None and not proper(value):
            raise DataError(
                f"input {name!r}, index {index}: expected {expected} ({datatype}), found {shown(value)}",
                "send values of the tensor's datatype, null where one is missing; text is BYTES",
            )
    return [None if value is None else int(value) for value in data] if datatype in _INTEGERS else data


def at_once(tensor: Mapping[str, Any], data: list[Any], count: int) -> bool:
    """Whether so many values of the tensor are plainly of its datatype."""
    datatype = tensor.get("datatype")
    if len(data) != count or type(datatype) is not str or "parameters" in tensor:
        return False
    return AT_ONCE.get(datatype, NOTHING).issuperset(map(type, data))


def _rows(name: str, shape: Any) -> tuple[int, bool]:
    """How many rows, and whether each is a list of one."""
    good = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
    if not good or len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise DataError(f"input {name!r}: shape is {shown(shape)}", "one tensor is one column: use [N] or [N, 1]")
    return shape[0], len(shape) == 2


def _flat(name: str, tensor: Mapping[str, Any], rows: tuple[int, bool]) -> list[Any]:
    data, (count, nested) = tensor.get("data"), rows
    if isinstance(data, np.ndarray):
        data = listed(name, data)
    if not isinstance(data, list):
        raise DataError(f"input {name!r}: data is {kind(data)}, expected a list", f"send a list of {count} values")
    if nested and data and all(isinstance(value, list) and len(value) == 1 for value in data):
        data = [value[0] for value in data]
    if len(data) != count:
        raise DataError(f"input {name!r}: shape says {count} rows, data holds {len(data)}", "make shape and data agree")
    return data


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool)


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    def proper(value: Any) -> bool:
        return _is_number(value) and value == (whole := int(value)) and low <= whole <= high and _exact(value)

    return proper


def _exact(value: float) -> bool:
    """Whole numbers beyond 2**53 that came as floating point are no longer what the sender wrote."""
    return isinstance(value, int) or abs(value) <= 2**53


NOTHING: frozenset[type] = frozenset()
AT_ONCE: Mapping[str, frozenset[type]] = {
    **dict.fromkeys(_FLOATS, frozenset({float, int, type(None)})),
    "BYTES": frozenset({str, type(None)}),
    "BOOL": frozenset({bool, type(None)}),
}
"""Types of values that need no closer look."""
_READ: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(_FLOATS, (_is_number, "a number")),
    **{name: (_whole(*span), f"a whole number from {span[0]} to {span[1]}") for name, span in _INTEGERS.items()},
    "BOOL": (_is_bool, "true or false"),
    "BYTES": (_is_text, "text"),
}
