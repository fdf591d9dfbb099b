"""Rows of numbers as one matrix: a request for many rows stays the array that it came as, from the socket to the graph and the log.

What is no such request (few rows, other values, an error) is read row by row, with equal answers (a property test).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from modelway.serving.servable import Row
from modelway.serving.status import TooLargeError

LEAST = 16
"""Rows from which a matrix is worth while."""
MOST_VALUES = 500_000
"""Of a request whose rows are answered one by one: each takes about 500 bytes of memory."""
_FLOATS = frozenset({"FP64", "FP32", "FP16", "BF16"})
_WHOLE = frozenset({f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)})
_NUMBERS = frozenset({float, int, type(None)})
_TEXTS = frozenset({str, type(None)})
_EXACT = 2**53


@dataclass(frozen=True, slots=True, eq=False)
class Matrix(Sequence[Row]):
    """`numbers` [N][n] in the order of `names`, NaN where one is missing; `texts`: what else came, by column."""

    names: tuple[str, ...]
    numbers: NDArray[np.float64]
    texts: Mapping[str, Sequence[str | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | Sequence[Row]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        values = [None if value != value else value for value in self.numbers[place].tolist()]
        return {
            **dict(zip(self.names, values, strict=True)),
            **{name: said[place] for name, said in self.texts.items()},
        }

    def __iter__(self) -> Iterator[Row]:
        return (self[place] for place in range(len(self)))


def matrix_of(
    tensors: Mapping[str, Mapping[str, Any]], required: Sequence[str], optional: Sequence[str]
) -> Matrix | None:
    """The rows of tensors whose `required` columns are numbers, and all others text; None: read them one by one.

    The numbers are in a tensor a column, of shape [N] or [N, 1], or in a single one of shape [N, n].
    """
    if not _many(next(iter(tensors.values()), {}).get("shape")):
        return None
    beside = {name: _texts(tensors[name]) for name in optional if name in tensors}
    whole = [name for name in tensors if name not in beside]
    if len(whole) == 1 and len(required) > 1 and whole[0] not in required:
        numbers = _numbers(tensors[whole[0]], len(required))
    else:
        columns = [_numbers(tensors[name], 1) if name in tensors else None for name in required]
        there = [column for column in columns if column is not None]
        if not there or len(there) < len(columns) or len({len(column) for column in there}) > 1:
            return None
        numbers = np.concatenate(there, axis=1)
    if numbers is None:
        return None
    texts = {name: values for name, values in beside.items() if values is not None and len(values) == len(numbers)}
    return Matrix(tuple(required), numbers, texts) if len(texts) == len(beside) else None


def matrix_of_rows(rows: Sequence[Any], required: Sequence[str], optional: Sequence[str]) -> Matrix | None:
    """The rows of objects by name, which all have the `required` columns as numbers and the same others as text; None: read them
    one by one."""
    if len(rows) < LEAST or len(required) < 2 or not all(type(row) is dict for row in rows):
        return None
    beside = [name for name in optional if name in rows[0]]
    width = len(required) + len(beside)
    if any(len(row) != width for row in rows):
        return None
    get = itemgetter(*required)
    try:
        values = [get(row) for row in rows]
        texts = {name: [row[name] for row in rows] for name in beside}
    except KeyError:
        return None
    numbers = _array(list(map(list, values)), "FP64", len(required))
    if numbers is None or np.isinf(numbers).any() or not all(_TEXTS.issuperset(map(type, t)) for t in texts.values()):
        return None
    return Matrix(tuple(required), numbers, texts)


def demand_few(rows: int, columns: int) -> None:
    """Raises TooLargeError where so many rows are more than can be answered one by one."""
    most = max(1, MOST_VALUES // max(1, columns))
    if rows > most:
        raise TooLargeError(f"{rows:,} rows, and this model answers at most {most:,} at once", "send them in parts")


def _many(shape: Any) -> bool:
    return type(shape) is list and bool(shape) and type(shape[0]) is int and shape[0] >= LEAST


def _numbers(tensor: Mapping[str, Any], width: int) -> NDArray[np.float64] | None:
    """The values [N][width]; None where a closer look is needed."""
    datatype, shape, data = tensor.get("datatype"), tensor.get("shape"), tensor.get("data")
    if not isinstance(shape, list) or not _many(shape) or "parameters" in tensor:
        return None
    if shape[1:] != [width] and not (width == 1 and len(shape) == 1):
        return None
    made = data if isinstance(data, np.ndarray) else _array(data, datatype, width)
    if made is None or made.size != shape[0] * width:
        return None
    if datatype in _WHOLE and made.dtype.kind != "f" and bool(((made >= _EXACT) | (made <= -_EXACT)).any()):
        return None  # a double would lose digits
    numbers = made.astype(np.float64, copy=False).reshape(shape[0], width)
    return None if np.isinf(numbers).any() else numbers


def _array(data: Any, datatype: Any, width: int) -> NDArray[np.float64] | None:
    """The values of JSON."""
    if not isinstance(data, list) or not data or datatype not in _FLOATS:
        return None
    rows = data if isinstance(data[0], list) else [data]
    if not all(type(row) is list and (row is data or len(row) == width) for row in rows):
        return None
    if not all(_NUMBERS.issuperset(map(type, row)) for row in rows):
        return None
    try:
        made = np.array(data, np.float64)
    except (OverflowError, ValueError):  # more digits than a double has; lists among values
        return None
    return None if (np.abs(made) >= _EXACT).any() else made  # JSON may have written a whole number with all its digits


def _texts(tensor: Mapping[str, Any]) -> Sequence[str | None] | None:
    shape, data = tensor.get("shape"), tensor.get("data")
    good = tensor.get("datatype") == "BYTES" and isinstance(data, list) and shape == [len(data)]
    return data if good and _TEXTS.issuperset(map(type, data or ())) else None
