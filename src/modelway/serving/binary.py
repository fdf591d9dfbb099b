"""The protocol's binary tensor extension: a JSON head, and behind it the raw bytes of the tensors that say so, in their order.

github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelway.errors import DataError
from modelway.serving import protocol
from modelway.serving.protocol import Asked
from modelway.serving.raw import count_of, read_raw, write_raw
from modelway.serving.replies import written

HEAD_LENGTH = b"inference-header-content-length"
OCTETS = b"application/octet-stream"
_SIZE = "binary_data_size"
_DIGITS = 18
"""Of a length: Python refuses to read thousands of them."""


def parse_binary(body: bytes, head_length: bytes) -> Asked:
    """A request whose JSON is its first bytes, as many as the header says; raises DataError."""
    if not head_length.isdigit() or len(head_length) > _DIGITS or int(head_length) > len(body):
        raise DataError(
            f"Inference-Header-Content-Length: {head_length.decode('latin-1')!r} of a body of {len(body)} bytes",
            "send the length of the JSON part in bytes",
        )
    split = int(head_length)
    given = protocol.parse_object(body[:split], "check Inference-Header-Content-Length: it counts the JSON's bytes")
    inputs = given.get("inputs")
    if isinstance(inputs, list):
        given["inputs"] = _filled(inputs, memoryview(body)[split:])
    elif len(body) > split:
        raise DataError("there are raw bytes, and no inputs", "name them in inputs")
    return protocol.asked_of(given)


def _filled(inputs: Sequence[Any], raw: memoryview) -> list[Any]:
    """The tensors with their values in place of the bytes."""
    place, made = 0, []
    for tensor in inputs:
        parameters = tensor.get("parameters") if isinstance(tensor, dict) else None
        size = parameters.get(_SIZE) if isinstance(parameters, dict) else None
        if size is None:
            made.append(tensor)
            continue
        name = str(tensor.get("name"))
        if type(size) is not int or size < 0 or place + size > len(raw):
            raise DataError(
                f"input {name!r}: {_SIZE} is {size!r}, and {len(raw) - place} bytes are left",
                "send as many bytes as all tensors say together",
            )
        made.append(_read(name, tensor, raw[place : place + size]))
        place += size
    if place < len(raw):
        raise DataError(f"{len(raw) - place} bytes behind the last tensor", f"make {_SIZE} and the bytes agree")
    return made


def _read(name: str, tensor: Mapping[str, Any], raw: memoryview) -> dict[str, Any]:
    datatype = tensor.get("datatype")
    values = read_raw(name, str(datatype), count_of(name, tensor.get("shape")), raw)
    kept = {key: value for key, value in tensor.items() if key != "parameters"}
    return kept | {"data": values, **({"datatype": "FP32"} if datatype == "BF16" else {})}


def format_binary(head: Mapping[str, Any], binary: frozenset[str]) -> tuple[bytes, int]:
    """A response whose outputs named in `binary` go as raw bytes behind the JSON; and the JSON's length."""
    outputs, raw = [], []
    for output in head["outputs"]:
        if output["name"] not in binary:
            outputs.append(output)
            continue
        octets = write_raw(output["name"], output["datatype"], output["data"])
        raw.append(octets)
        told = {key: value for key, value in output.items() if key != "data"}
        outputs.append({**told, "parameters": {_SIZE: len(octets)}})
    text = written({**head, "outputs": outputs})
    return b"".join([text, *raw]), len(text)
