"""The rows of a request's tensors, with the columns that the version wants which will answer; pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelway.errors import DataError
from modelway.serving.columns import AT_ONCE, NOTHING, at_once, column_of
from modelway.serving.composed import Composed
from modelway.serving.matrix import demand_few, matrix_of
from modelway.serving.protocol import Asked
from modelway.serving.raw import listed
from modelway.serving.servable import Row, Servable


def rows_for(asked: Asked, servable: Servable) -> Sequence[Row]:
    """The rows for the version that will answer. Raises DataError naming input and index."""
    rows = read_rows(asked, servable.required, servable.optional)
    if servable.plain is None or type(servable.run) is Composed:  # which sees each row by itself, also of a matrix
        demand_few(len(rows), len(servable.inputs))
    return rows


def read_rows(asked: Asked, required: Sequence[str], optional: Sequence[str] = ()) -> Sequence[Row]:
    """The rows, with the columns that are wanted; others are kept out unread. Raises DataError naming input and index."""
    if asked.scalars is not None:
        return [_row_of(asked.scalars, required, optional)]
    if (matrix := matrix_of(asked.tensors, required, optional)) is not None:
        return matrix
    wide = len(required) > 1 and len(asked.tensors) <= 1 + len(optional)
    if wide and (found := _matrix(asked.tensors, required, optional)) is not None:
        return found
    if (row := _one_row(asked.tensors, required)) is not None and not any(name in asked.tensors for name in optional):
        return [row]
    columns: dict[str, list[Any]] = {}
    for name in required:
        if name not in asked.tensors:
            raise _missing(name, asked.tensors, required)
        columns[name] = column_of(name, asked.tensors[name])
    for name in optional:
        if name in asked.tensors:
            columns[name] = column_of(name, asked.tensors[name])
    if not columns:
        raise _none_known(optional)
    first, *others = columns
    demand_few(len(columns[first]), len(columns))
    for name in others:
        _demand_as_many(name, columns[name], first, columns[first])
    names = tuple(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _row_of(given: Mapping[str, Any], required: Sequence[str], optional: Sequence[str]) -> dict[str, Any]:
    try:
        row = {name: given[name] for name in required}
    except KeyError as error:
        raise _missing(error.args[0], given, required) from None
    for name in optional:
        if name in given:
            row[name] = given[name]
    if not row:
        raise _none_known(optional)
    return row


def _matrix(
    tensors: Mapping[str, Mapping[str, Any]], required: Sequence[str], optional: Sequence[str]
) -> list[dict[str, Any]] | None:
    """The rows of a tensor [N, n] with all `required` columns, in their order, and of optional ones beside it; None when there is
    none."""
    name, *others = tensors if len(tensors) == 1 else [name for name in tensors if name not in optional] or ("",)
    tensor, width = tensors.get(name, {}), len(required)
    shape = tensor.get("shape")
    if others or type(shape) is not list or len(shape) != 2 or shape[1] != width or name in required:
        return None
    data = tensor.get("data")
    if len(tensors) == shape[0] == 1 and isinstance(data, list) and at_once(tensor, data, width):
        return [dict(zip(required, data, strict=True))]
    if isinstance(data, np.ndarray):
        data = listed(name, data)
    if isinstance(data, list) and data and isinstance(data[0], list):
        if not all(isinstance(row, list) and len(row) == width for row in data):
            raise DataError(f"input {name!r}: a row has not {width} values", "make shape and data agree")
        data = [value for row in data for value in row]
    rows = shape[0] if type(shape[0]) is int and shape[0] >= 0 else -1
    values = column_of(name, {**tensor, "shape": [rows * width], "data": data})
    demand_few(rows, width)
    made = [dict(zip(required, values[start : start + width], strict=True)) for start in range(0, len(values), width)]
    for other in optional:
        if other in tensors:
            column = column_of(other, tensors[other])
            _demand_as_many(other, column, name, made)
            for row, value in zip(made, column, strict=True):
                row[other] = value
    return made


def _demand_as_many(name: str, column: Sequence[Any], first: str, rows: Sequence[Any]) -> None:
    if len(column) != len(rows):
        raise DataError(
            f"input {name!r} has {len(column)} rows, but {first!r} has {len(rows)}",
            "send all inputs with as many rows",
        )


def _one_row(tensors: Mapping[str, Mapping[str, Any]], required: Sequence[str]) -> dict[str, Any] | None:
    """The row of a request for one, when all its values are plainly of their datatypes; None: look closer."""
    row: dict[str, Any] = {}
    for name in required:
        tensor = tensors.get(name)
        if tensor is None:
            return None
        datatype, shape, data = tensor.get("datatype"), tensor.get("shape"), tensor.get("data")
        if shape != [1] or type(data) is not list or len(data) != 1 or type(datatype) is not str:
            return None
        value = data[0]
        if type(value) not in AT_ONCE.get(datatype, NOTHING) or "parameters" in tensor:
            return None
        row[name] = value
    return row or None


def _listed(what: str, names: Mapping[str, Any]) -> str:
    return f"{what}: {', '.join(list(names)[:20]) or 'none'}{', …' if len(names) > 20 else ''}"


def _missing(name: str, given: Mapping[str, Any], required: Sequence[str]) -> DataError:
    return DataError(
        f"input {name!r} is missing ({_listed('given', given)})",
        f"send {name!r}, with null where a value is missing; needed are {', '.join(required)}",
    )


def _none_known(optional: Sequence[str]) -> DataError:
    return DataError("inputs: none of them is known", f"send the inputs {', '.join(optional)}")
