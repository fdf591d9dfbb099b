"""The Open Inference Protocol, V2, as bytes: requests and answers, both ways; pure.

One tensor a raw column, of shape [N] or [N, 1], all with the same N; `null` is a missing value. Every refusal names the
input, the index, what was expected and what was found.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from modelway.errors import DataError
from modelway.serving.matrix import matrix_of
from modelway.serving.raw import listed
from modelway.serving.servable import Row
from modelway.serving.wording import kind, shown

LONGEST_ID = 200
MOST_TENSORS = 10_000
"""Of one request, in and out."""
_INTEGERS = {
    **{f"INT{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
_FLOATS = ("FP64", "FP32", "FP16", "BF16")
DATATYPES = (*_FLOATS, *_INTEGERS, "BOOL", "BYTES")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose tensors are not yet read: which of them matter depends on the version that will answer."""

    id: str
    routing_key: str
    tensors: Mapping[str, Mapping[str, Any]]
    outputs: tuple[str, ...] | None
    timeout: float | None = None
    """Seconds after which the client has no use for an answer."""
    binary: bool = False
    """Whether outputs go as raw bytes, unless one says otherwise."""
    binary_of: Mapping[str, bool] = field(default_factory=dict)
    """What the outputs that were named say of themselves."""
    scalars: Mapping[str, Any] | None = None
    """The values instead of the tensors, where each of these is of shape [1] and its value known to be of its datatype."""

    def first(self, name: str) -> Any:
        """The first row's value of a column, unchecked; None when there is none."""
        if self.scalars is not None:
            return self.scalars.get(name)
        data = self.tensors.get(name, {}).get("data")
        if isinstance(data, np.ndarray):
            return data[0].item() if data.size else None
        while isinstance(data, list) and data:
            data = data[0]
        return None if isinstance(data, list | dict) else data


def parse_request(body: bytes) -> Asked:
    """The request in its frame; raises DataError for what is no request at all."""
    return asked_of(parse_object(body))


def parse_object(body: bytes, fix: str = "") -> dict[str, Any]:
    """A JSON object; raises DataError for anything else."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise DataError(f"the body is not JSON: {error}", fix or _JSON_FIX) from error
    if not isinstance(given, dict):
        raise DataError(f"the body is {kind(given)}, expected an object", fix or _EXAMPLE)
    return given


def asked_of(given: Mapping[str, Any]) -> Asked:
    """The request in an object; raises DataError for what is no request at all."""
    if given.keys() == _INPUTS_ALONE:
        return Asked("", "", _tensors(given["inputs"]), None)
    parameters = _parameters("parameters", given)
    outputs = _outputs(given.get("outputs"))
    return Asked(
        id=identity(given.get("id")),
        routing_key=_routing(parameters.get("routing_key")),
        tensors=_tensors(given.get("inputs")),
        outputs=None if outputs is None else tuple(outputs),
        timeout=timeout_of(parameters.get("timeout")),
        binary=parameters.get("binary_data_output") is True,
        binary_of={} if outputs is None else {name: said for name, said in outputs.items() if said is not None},
    )


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
        columns[name] = _column(name, asked.tensors[name])
    for name in optional:
        if name in asked.tensors:
            columns[name] = _column(name, asked.tensors[name])
    if not columns:
        raise _none_known(optional)
    first, *others = columns
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
    if len(tensors) == shape[0] == 1 and isinstance(data, list) and _at_once(tensor, data, width):
        return [dict(zip(required, data, strict=True))]
    if isinstance(data, np.ndarray):
        data = listed(name, data)
    if isinstance(data, list) and data and isinstance(data[0], list):
        if not all(isinstance(row, list) and len(row) == width for row in data):
            raise DataError(f"input {name!r}: a row has not {width} values", "make shape and data agree")
        data = [value for row in data for value in row]
    rows = shape[0] if type(shape[0]) is int and shape[0] >= 0 else -1
    values = _column(name, {**tensor, "shape": [rows * width], "data": data})
    made = [dict(zip(required, values[start : start + width], strict=True)) for start in range(0, len(values), width)]
    for other in optional:
        if other in tensors:
            column = _column(other, tensors[other])
            _demand_as_many(other, column, name, made)
            for row, value in zip(made, column, strict=True):
                row[other] = value
    return made


def _at_once(tensor: Mapping[str, Any], data: list[Any], count: int) -> bool:
    """Whether so many values of the tensor are plainly of its datatype."""
    datatype = tensor.get("datatype")
    if len(data) != count or type(datatype) is not str or "parameters" in tensor:
        return False
    return _AT_ONCE.get(datatype, _NOTHING).issuperset(map(type, data))


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
        if type(value) not in _AT_ONCE.get(datatype, _NOTHING) or "parameters" in tensor:
            return None
        row[name] = value
    return row or None


def format_request(
    columns: Mapping[str, Sequence[Any]],
    *,
    id: str = "",  # noqa: A002 - the protocol's own word
    routing_key: str = "",
    outputs: Sequence[str] | None = None,
) -> bytes:
    """A request for columns of equal length; a value that is none of None, bool, int, float and str goes as its text."""
    made: dict[str, Any] = {"inputs": [_tensor(name, values) for name, values in columns.items()]}
    if id:
        made["id"] = id
    if routing_key:
        made["parameters"] = {"routing_key": routing_key}
    if outputs is not None:
        made["outputs"] = [{"name": name} for name in outputs]
    return orjson.dumps(made)


def _parameters(name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = given.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise DataError(f"{name}: {kind(parameters)}, expected an object", 'write {"parameters": {}}, or leave it out')
    return parameters


def _routing(given: Any) -> str:
    if given is not None and not isinstance(given, str | int):
        raise DataError(f"parameters.routing_key: {kind(given)}, expected text", "send a text that names the caller")
    return "" if given is None else str(given)


def timeout_of(given: Any) -> float | None:
    """Seconds; a client writes microseconds, as Triton's do, and 0 is none."""
    if given is None or given == 0:
        return None
    if type(given) is not int or given < 0:
        raise DataError(
            f"parameters.timeout: {shown(given)}, expected microseconds", 'write for example "timeout": 50000'
        )
    return given / 1e6


def identity(given: Any) -> str:
    """A request's own name; "" when it has none."""
    if given is None:
        return ""
    if not isinstance(given, str):
        raise DataError(f"id: {kind(given)}, expected text", 'write for example "id": "42"')
    if len(given) > LONGEST_ID:
        raise DataError(f"id: {len(given)} characters", f"use at most {LONGEST_ID}")
    return given


def _tensors(given: Any) -> dict[str, Mapping[str, Any]]:
    if not isinstance(given, list):
        found = "missing" if given is None else f"{kind(given)}, expected a list"
        raise DataError(f"inputs: {found}", _EXAMPLE)
    demand_few("inputs", given)
    tensors: dict[str, Mapping[str, Any]] = {}
    for place, tensor in enumerate(given):
        if not isinstance(tensor, dict):
            raise DataError(f"inputs[{place}]: {kind(tensor)}, expected an object", _EXAMPLE)
        name = tensor.get("name")
        if not isinstance(name, str):
            raise DataError(f"inputs[{place}].name: {kind(name)}, expected text", _EXAMPLE)
        if name in tensors:
            raise DataError(f"inputs[{place}]: {name!r} is given twice", "send each input once")
        tensors[name] = tensor
    return tensors


def demand_few(what: str, given: Sequence[Any]) -> None:
    """Raises DataError for more tensors than one request may name."""
    if len(given) > MOST_TENSORS:
        raise DataError(f"{what}: {len(given):,} of them", f"send at most {MOST_TENSORS:,}")


def _outputs(given: Any) -> dict[str, bool | None] | None:
    """The outputs that are wanted, with what each says of raw bytes; None: all."""
    if given is None:
        return None
    if not isinstance(given, list):
        raise DataError(
            f"outputs: {kind(given)}, expected a list", 'write for example "outputs": [{"name": "prediction"}]'
        )
    demand_few("outputs", given)
    for place, output in enumerate(given):
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise DataError(
                f"outputs[{place}]: expected an object with a name", 'write for example {"name": "prediction"}'
            )
    said = {output["name"]: _parameters(f"outputs[{place}].parameters", output) for place, output in enumerate(given)}
    return {name: parameters.get("binary_data") for name, parameters in said.items()} or None


def _column(name: str, tensor: Mapping[str, Any]) -> list[Any]:
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
    if _AT_ONCE.get(datatype, _NOTHING).issuperset(map(type, data)):
        return data
    for index, value in enumerate(data):
        if value is not None and not proper(value):
            raise DataError(
                f"input {name!r}, index {index}: expected {expected} ({datatype}), found {shown(value)}",
                "send values of the tensor's datatype, null where one is missing; text is BYTES",
            )
    return [None if value is None else int(value) for value in data] if datatype in _INTEGERS else data


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


_INPUTS_ALONE = {"inputs": None}.keys()
_NOTHING: frozenset[type] = frozenset()
_AT_ONCE: Mapping[str, frozenset[type]] = {
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


def _tensor(name: str, values: Sequence[Any]) -> dict[str, Any]:
    datatype = datatype_of(values)
    data = [None if v is None else as_text(v) for v in values] if datatype == "BYTES" else list(values)
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}


def datatype_of(values: Sequence[Any]) -> str:
    """The narrowest datatype that loses nothing; text for what JSON cannot carry as a number."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "BOOL"
    if kinds == {int} and all(v is None or -(2**63) <= v < 2**63 for v in values):
        return "INT64"
    if kinds == {float} and all(v is None or abs(v) <= _LARGEST for v in values):
        return "FP64"
    return "BYTES"


_LARGEST = 1.7976931348623157e308


def as_text(value: Any) -> str:
    """A value as text: times as ISO 8601, booleans as JSON writes them, whole numbers without a fraction."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _listed(what: str, names: Mapping[str, Any]) -> str:
    return f"{what}: {', '.join(list(names)[:20]) or 'none'}{', …' if len(names) > 20 else ''}"


def _missing(name: str, given: Mapping[str, Any], required: Sequence[str]) -> DataError:
    return DataError(
        f"input {name!r} is missing ({_listed('given', given)})",
        f"send {name!r}, with null where a value is missing; needed are {', '.join(required)}",
    )


def _none_known(optional: Sequence[str]) -> DataError:
    return DataError("inputs: none of them is known", f"send the inputs {', '.join(optional)}")


_EXAMPLE = 'write {"inputs": [{"name": "amount", "datatype": "FP64", "shape": [1], "data": [12.5]}]}'
_JSON_FIX = "send JSON in UTF-8; JSON knows no NaN and no Infinity: write null for a missing value"
