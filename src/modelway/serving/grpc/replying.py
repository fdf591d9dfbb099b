"""Answers become a ModelInferResponse, raw where the request was raw; pure.

What does not change from request to request is serialised once: the bytes of two messages, one behind the other, are one message
that holds both (Protocol Buffers, "Encoding": last one wins, repeated fields are joined).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from modelway.serving.answer import Answer
from modelway.serving.grpc.inference_pb2 import InferParameter, ModelInferResponse
from modelway.serving.grpc.reading import FIELDS
from modelway.serving.raw import write_raw
from modelway.serving.replies import output_of
from modelway.serving.servable import Servable

_Head = tuple[str, int, tuple[str, ...], int]
_MOST = 1_000
"""Heads that are kept."""


class Replies:
    """Keeps the heads of replies, by version, outputs and rows."""

    def __init__(self) -> None:
        self._heads: dict[_Head, bytes] = {}

    def format(
        self,
        servable: Servable,
        request: str,
        answers: Sequence[Answer],
        upto: Mapping[str, int],
        outputs: tuple[str, ...],
        raw: bool,
    ) -> bytes:
        """The response to an inference request, serialised."""
        columns = [output_of(servable.manifest, name, answers) for name in outputs]
        if not raw:
            made = _head(servable, columns)
            for output, column in zip(made.outputs, columns, strict=True):
                getattr(output.contents, FIELDS[column["datatype"]]).extend(_values(column))
            made.MergeFrom(_tail(request, upto))
            return bytes(made.SerializeToString())
        key = (servable.digest, servable.number, outputs, len(answers))
        head = self._heads.get(key)
        if head is None:
            if len(self._heads) >= _MOST:
                self._heads.clear()
            head = self._heads[key] = _head(servable, columns).SerializeToString()
        tail = _tail(request, upto)
        tail.raw_output_contents.extend([write_raw(c["name"], c["datatype"], c["data"]) for c in columns])
        return head + bytes(tail.SerializeToString())


def _head(servable: Servable, columns: Sequence[Mapping[str, Any]]) -> Any:
    made = ModelInferResponse(model_name=servable.manifest.model, model_version=str(servable.number))
    made.parameters["digest"].string_param = servable.digest
    for column in columns:
        made.outputs.add(name=column["name"], datatype=column["datatype"], shape=column["shape"])
    return made


def _tail(request: str, upto: Mapping[str, int]) -> Any:
    if not upto:
        return ModelInferResponse(id=request)
    told = InferParameter(string_param=orjson.dumps(upto).decode())
    return ModelInferResponse(id=request, parameters={"upto": told})


def _values(column: Mapping[str, Any]) -> list[Any]:
    if column["datatype"] == "BYTES":
        return [("" if value is None else value).encode() for value in column["data"]]
    data = column["data"]
    return data.tolist() if isinstance(data, np.ndarray) else [math.nan if value is None else value for value in data]
