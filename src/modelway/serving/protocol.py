"""The Open Inference Protocol, V2, as bytes: a request in its frame, both ways; pure. Its rows are read by `tensors.py`.

One tensor a raw column, of shape [N] or [N, 1], all with the same N; `null` is a missing value. Every refusal names the
input, the index, what was expected and what was found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from modelway.errors import DataError
from modelway.serving.wording import as_text, kind, shown

LONGEST_ID = 200
MOST_TENSORS = 10_000
"""Of one request, in and out."""
_INPUTS_ALONE = {"inputs": None}.keys()


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
            value = data.flat[0].item() if data.size else None
            return None if value != value else value
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


_EXAMPLE = 'write {"inputs": [{"name": "amount", "datatype": "FP64", "shape": [1], "data": [12.5]}]}'
_JSON_FIX = "send JSON in UTF-8; JSON knows no NaN and no Infinity: write null for a missing value"
