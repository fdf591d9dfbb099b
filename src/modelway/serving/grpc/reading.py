"""A ModelInferRequest becomes the same frame of a question that HTTP makes of JSON.

Values come in `raw_input_contents`, or each tensor's in the one field of its `contents` that is its datatype's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from modelway.errors import DataError
from modelway.serving.columns import DATATYPES
from modelway.serving.grpc.inference_pb2 import ModelInferRequest, RequestFrame
from modelway.serving.grpc.layout import Layout
from modelway.serving.protocol import Asked, demand_few, identity, timeout_of
from modelway.serving.raw import finite, text_of

FIELDS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where the values of a datatype lie among a tensor's contents."""
_SHARED_MEMORY, _CLASSIFICATION = "shared_memory_region", "classification"
_MOST = 500
"""Layouts that are kept; one is as large as a request without its values."""
_LONGEST, _OBJECTS = 128 * 1024, 256
"""Bytes of the longest that is kept, and those of the objects that each of its tensors is made of, however short its name."""
_Tensor = ModelInferRequest.InferInputTensor
_Output = ModelInferRequest.InferRequestedOutputTensor


def parse_frame(body: bytes) -> Any:
    """The message, its tensors closed; raises DataError for bytes that are none."""
    return parsed(RequestFrame, body, "ModelInferRequest")


class Reading:
    """Reads frames, and keeps what their tensors were: most requests differ in their values alone."""

    def __init__(self) -> None:
        self._layouts: dict[tuple[bytes, ...], Layout] = {}
        self._outputs: dict[tuple[bytes, ...], tuple[str, ...] | None] = {(): None}

    def asked(self, frame: Any) -> Asked:
        """The frame with its tensors' values; raises DataError naming the input."""
        name = identity(frame.id)
        routing_key, timeout = _parameters(frame.parameters) if frame.parameters else ("", None)
        demand_few("inputs", frame.inputs)
        inputs, outputs = tuple(frame.inputs), self._names(tuple(frame.outputs))
        raw = frame.raw_input_contents
        if not raw and inputs:
            return Asked(name, routing_key, _with_contents(inputs), outputs, timeout)
        layout = self._layout(inputs)
        if len(raw) != len(inputs):
            raise DataError(
                f"raw_input_contents: {len(raw)} of them for {len(inputs)} inputs",
                "send one for each input, in their order, or none and each input's contents",
            )
        if layout.single:
            return Asked(name, routing_key, {}, outputs, timeout, scalars=layout.scalars(raw))
        return Asked(name, routing_key, layout.tensors(raw), outputs, timeout)

    def _layout(self, inputs: tuple[bytes, ...]) -> Layout:
        found = self._layouts.get(inputs)
        if found is None:
            found = Layout.of([(t.name, t.datatype, tuple(t.shape)) for t in _without_contents(inputs)])
            _keep(self._layouts, inputs, found)
        return found

    def _names(self, outputs: tuple[bytes, ...]) -> tuple[str, ...] | None:
        if outputs in self._outputs:
            return self._outputs[outputs]
        demand_few("outputs", outputs)
        asked = [parsed(_Output, output) for output in outputs]
        for output in asked:
            _demand_plain(f"output {output.name!r}", output.parameters)
        names = tuple({output.name: None for output in asked})
        _keep(self._outputs, outputs, names)
        return names


def _keep(kept: dict[tuple[bytes, ...], Any], key: tuple[bytes, ...], value: Any) -> None:
    if sum(map(len, key)) + _OBJECTS * len(key) > _LONGEST:
        return
    if len(kept) >= _MOST:
        kept.pop(next(iter(kept)))
    kept[key] = value


def parsed(kind: Any, body: bytes, name: str = "") -> Any:
    """A message of this kind; raises DataError, which calls it `name`, for bytes that are none."""
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise DataError(
            f"the message is no {name or kind.DESCRIPTOR.name}: {error}",
            "send what inference.proto says, package inference",
        ) from error


def _parameters(parameters: Any) -> tuple[str, float | None]:
    """The caller's name, and seconds after which an answer is of no use."""
    timeout = parameters["timeout"].int64_param if "timeout" in parameters else None
    return _routing_key(parameters["routing_key"]) if "routing_key" in parameters else "", timeout_of(timeout)


def _routing_key(given: Any) -> str:
    kind = given.WhichOneof("parameter_choice")
    if kind not in ("string_param", "int64_param", "uint64_param"):
        raise DataError("parameters.routing_key: no text", "send a string_param that names the caller")
    return str(getattr(given, kind))


def _opened(inputs: Sequence[bytes]) -> list[Any]:
    names, tensors = set[str](), [parsed(_Tensor, given) for given in inputs]
    for place, tensor in enumerate(tensors):
        if tensor.name in names:
            raise DataError(f"inputs[{place}]: {tensor.name!r} is given twice", "send each input once")
        names.add(tensor.name)
        if tensor.parameters:
            _demand_plain(f"input {tensor.name!r}", tensor.parameters)
    return tensors


def _without_contents(inputs: Sequence[bytes]) -> list[Any]:
    tensors = _opened(inputs)
    for tensor in tensors:
        if tensor.HasField("contents"):
            raise DataError(
                f"input {tensor.name!r}: contents beside raw_input_contents", "send all inputs raw, or all in contents"
            )
    return tensors


def _with_contents(inputs: Sequence[bytes]) -> dict[str, Mapping[str, Any]]:
    return {
        tensor.name: {
            "datatype": tensor.datatype,
            "shape": tensor.shape[:],
            "data": _contents(tensor.name, tensor.datatype, tensor.contents),
        }
        for tensor in _opened(inputs)
    }


def _contents(name: str, datatype: str, contents: Any) -> list[Any]:
    field = FIELDS.get(datatype)
    if field is None:
        if datatype in DATATYPES:
            raise DataError(f"input {name!r}: {datatype} has no contents", "send it in raw_input_contents")
        raise DataError(f"input {name!r}: datatype is {datatype!r}", f"use one of {', '.join(DATATYPES)}")
    values = getattr(contents, field)[:]
    if not values and (other := next((found.name for found, _ in contents.ListFields()), None)):
        raise DataError(f"input {name!r}: values of {datatype} in {other}", f"send them in {field}")
    if datatype == "BYTES":
        return [text_of(name, index, value) for index, value in enumerate(values)]
    return finite(name, values) if datatype in ("FP32", "FP64") else values


def _demand_plain(what: str, parameters: Any) -> None:
    if _SHARED_MEMORY in parameters:
        raise DataError(f"{what}: shared memory is not supported", "send the values with the request")
    if _CLASSIFICATION in parameters:
        raise DataError(f"{what}: the classification extension is not supported", "read the probability_ outputs")
