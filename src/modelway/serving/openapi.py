"""The protocol over HTTP as an OpenAPI 3.1 document, made of one table of operations; pure.

spec.openapis.org/oas/v3.1.1
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelway.serving.columns import DATATYPES
from modelway.serving.protocol import LONGEST_ID, MOST_TENSORS

Schema = Mapping[str, Any]
PATH = "/openapi.json"
REFUSED: Mapping[int, str] = {
    400: "It cannot be read, or does not fit the model.",
    401: "Tokens are asked for here, and none that holds was sent.",
    403: "The token has another role.",
    404: "No such path, model or version.",
    405: "Not done by a client.",
    408: "It comes too slowly.",
    413: "The body is too large.",
    414: "The path is too long.",
    415: "The body is packed in a way that is not read here.",
    417: "Another expectation than 100-continue.",
    429: "More is asked than can be answered in time; nothing was computed.",
    431: "The headers are too large.",
    503: "The model cannot answer now, or the prediction log cannot be written.",
    504: "The client's time-out was over, or will be before its turn.",
}
"""Statuses that come with an error's text."""
_WIRE, _TOKEN = (400, 408, 413, 414, 417, 431), (401, 403)
_FOUND, _INFERENCE = (404, 503), (404, 415, 429, 503, 504)
_AGAIN = frozenset({429, 503})
_JSON, _TEXT, _CSV, _OCTETS = "application/json", "text/plain", "text/csv", "application/octet-stream"
_LENGTH, _WHICH = "Inference-Header-Content-Length", "Modelway-Version"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; `answers` and `takes` by media type. `open`: no token is ever asked for."""

    name: str
    method: str
    path: str
    summary: str
    answers: Mapping[str, Schema]
    takes: Mapping[str, Schema] = field(default_factory=dict)
    refused: Sequence[int] = ()
    unwell: Mapping[str, Schema] | None = None
    """What comes with 503, where that is an answer and no error."""
    headers: Sequence[str] = ()
    needs_body: bool = True
    open: bool = False


def document(version: str) -> dict[str, Any]:
    """The whole document; `version` is the server's."""
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Modelway: the Open Inference Protocol V2, and beside it", "version": version},
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "responses": {f"Refused{status}": _refusal(status) for status in REFUSED},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    refused = sorted({*_WIRE, *one.refused, *(() if one.open else _TOKEN)})
    answers: dict[str, Any] = {"200": _answer("What was asked for.", one.answers)}
    answers |= {str(status): {"$ref": f"#/components/responses/Refused{status}"} for status in refused}
    if one.unwell is not None:
        answers["503"] = _answer("Not all is well.", one.unwell)
    made: dict[str, Any] = {"operationId": one.name, "summary": one.summary, "responses": answers}
    if parameters := [*_in_path(one.path), *map(_header, one.headers)]:
        made["parameters"] = parameters
    if one.takes:
        made["requestBody"] = {"required": one.needs_body, "content": _content(one.takes)}
    if not one.open:
        made["security"] = [{}, {"token": []}]
    return made


def _answer(description: str, content: Mapping[str, Schema]) -> dict[str, Any]:
    return {"description": description, "content": _content(content)}


def _refusal(status: int) -> dict[str, Any]:
    made = _answer(REFUSED[status], {_JSON: _ref("Error")})
    if status in _AGAIN:
        made["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return made


def _content(given: Mapping[str, Schema]) -> dict[str, Any]:
    return {kind: {"schema": schema} for kind, schema in given.items()}


def _in_path(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in names
    ]


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "schema": _HEADERS[name]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _list(of: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": of, **more}


_NAME: Schema = {"type": "string"}
_YES: Schema = {"type": "boolean"}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_SHAPE, _DATATYPE = _list(_WHOLE, minItems=1, maxItems=2), {"enum": list(DATATYPES)}
_VALUE: Schema = {"type": ["number", "string", "boolean", "null"]}
_ANY: Schema = {"type": "object"}
_MANY: Mapping[str, Any] = {"maxItems": MOST_TENSORS}
_OUTPUT = _object({"name": _NAME}, {"parameters": _object({}, {"binary_data": _YES})})
_ABOUT_ONE: Mapping[str, Schema] = {"name": _NAME, "datatype": _DATATYPE, "shape": _list({"type": "integer"})}
_PREDICTED: Mapping[str, Schema] = {"prediction": _VALUE, "reason": _NAME}
_PREDICTED_TOO: Mapping[str, Schema] = {
    "key": _NAME,
    "score": {"type": ["number", "null"], "description": "Of a detector of anomalies: how odd the row is."},
    "probabilities": {"type": ["object", "null"], "additionalProperties": {"type": "number"}},
}
_ROWS: Schema = {
    **_object({"rows": _list(_ref("Row"), minItems=1)}, {"_id": _NAME, "_routing_key": _NAME}),
    "additionalProperties": False,
}
_HEAD: Mapping[str, Schema] = {"id": _NAME, "model": _NAME, "version": {"type": "integer"}}
_PROPER = {"maxLength": LONGEST_ID, "type": "string"}
_HEADERS: Mapping[str, Schema] = {
    _LENGTH: {"type": "integer", "minimum": 0, "description": "Bytes of the JSON; the tensors' bytes are behind it."},
    "Content-Encoding": {"enum": ["gzip", "deflate", "identity"]},
    _WHICH: {"type": "string", "description": "A version's number, or what it is now: champion, challenger, former."},
    "modelway-model": {"type": "string", "description": "Which model is meant, where several are served."},
}
_SCHEMAS: Mapping[str, Schema] = {
    "Error": _object(
        {"error": {"type": "string", "description": "What is wrong, and in a line of its own what to do."}}
    ),
    "Tensor": _object(
        {"name": _NAME, "shape": _SHAPE, "datatype": _DATATYPE},
        {"data": {"type": "array"}, "parameters": _object({}, {"binary_data_size": _WHOLE})},
    ),
    "InferRequest": _object(
        {"inputs": _list(_ref("Tensor"), minItems=1, **_MANY)},
        {
            "id": _PROPER,
            "parameters": _object(
                {},
                {
                    "routing_key": _NAME,
                    "timeout": {**_WHOLE, "description": "Microseconds that the client waits."},
                    "binary_data_output": _YES,
                },
            ),
            "outputs": _list(_OUTPUT, **_MANY),
        },
    ),
    "InferResponse": _object(
        {
            "model_name": _NAME,
            "model_version": _NAME,
            "id": _NAME,
            "parameters": _object({"digest": _NAME, "upto": {"type": "object", "additionalProperties": _WHOLE}}),
            "outputs": _list(_ref("Tensor")),
        }
    ),
    "Row": {
        "type": "object",
        "additionalProperties": _VALUE,
        "description": "Values by column; _id and _routing_key too.",
    },
    "Rows": {"anyOf": [_ref("Row"), _list(_ref("Row"), minItems=1), _ROWS]},
    "Predicted": {
        "anyOf": [
            _object({**_HEAD, **_PREDICTED}, _PREDICTED_TOO),
            _object({**_HEAD, "predictions": _list(_object(_PREDICTED, _PREDICTED_TOO))}),
        ]
    },
    "Invocation": {
        "oneOf": [
            _object({"dataframe_split": _object({"columns": _list(_NAME), "data": _list(_list(_VALUE))})}),
            _object({"dataframe_records": _list(_ref("Row"))}),
            _object({"instances": {"type": "array"}}),
            _object({"inputs": {"type": ["array", "object"]}}),
        ]
    },
    "Predictions": _object({"predictions": _list(_VALUE)}),
    "Model": _object(
        {
            "name": _NAME,
            "versions": _list(_NAME),
            "platform": _NAME,
            "inputs": _list(_object({**_ABOUT_ONE, "parameters": _object({"type": _NAME, "optional": _YES})})),
            "outputs": _list(_object(_ABOUT_ONE)),
            "parameters": _object({"version": _NAME, "digest": _NAME, "generation": {"type": "integer"}}),
        }
    ),
    "Server": _object({"name": _NAME, "version": _NAME, "extensions": _list(_NAME)}),
    "Ready": _object(
        {"ready": _YES}, {"problems": {"type": "object", "additionalProperties": _NAME}, "shadow_waiting": _WHOLE}
    ),
    "Listed": _object({"name": _NAME, "version": _NAME, "state": {"enum": ["READY", "UNAVAILABLE"]}, "reason": _NAME}),
}
_MODEL, _VERSION, _REPOSITORY = "/v2/models/{model}", "/versions/{version}", "/v2/repository"
_PLAIN: Mapping[str, Schema] = {_TEXT: _NAME}


def _json(name: str) -> Mapping[str, Schema]:
    return {_JSON: _ref(name)}


def _inference(name: str, path: str) -> Operation:
    octets: Mapping[str, Schema] = {_OCTETS: {"type": "string", "contentMediaType": _OCTETS}}
    answers, takes = {**_json("InferResponse"), **octets}, {**_json("InferRequest"), **octets}
    return Operation(
        name,
        "post",
        path,
        "Tensors in, tensors out",
        answers,
        takes,
        _INFERENCE,
        headers=(_LENGTH, _WHICH, "Content-Encoding"),
    )


def _rows(name: str, path: str) -> Operation:
    return Operation(
        name,
        "post",
        path,
        "Rows by column name",
        _json("Predicted"),
        _json("Rows"),
        _INFERENCE,
        headers=(_WHICH, "Content-Encoding"),
    )


def _invocation(name: str, path: str, *headers: str) -> Operation:
    return Operation(
        name,
        "post",
        path,
        "The forms of `mlflow models serve`",
        _json("Predictions"),
        {**_json("Invocation"), _CSV: _NAME},
        _INFERENCE,
        headers=(*headers, _WHICH, "Content-Encoding"),
    )


OPERATIONS: Sequence[Operation] = (
    Operation("live", "get", "/v2/health/live", "Whether the server runs", {_JSON: _object({"live": _YES})}, open=True),
    Operation(
        "ready",
        "get",
        "/v2/health/ready",
        "Whether every released model answers",
        _json("Ready"),
        unwell=_json("Ready"),
        open=True,
    ),
    Operation("ping", "get", "/ping", "The same for MLflow's clients", _PLAIN, unwell=_PLAIN, open=True),
    Operation("health", "get", "/health", "The same for MLflow's clients", _PLAIN, unwell=_PLAIN, open=True),
    Operation("server", "get", "/v2", "The server itself", _json("Server")),
    Operation("version", "get", "/version", "The server's version", _PLAIN),
    Operation("metrics", "get", "/metrics", "Figures in Prometheus' text format", _PLAIN, refused=(404,)),
    Operation("document", "get", PATH, "This document", {_JSON: _ANY}),
    *(
        Operation(name + suffix, "get", path + more, summary, answers, refused=_FOUND)
        for suffix, path in (("", _MODEL), ("_of_version", _MODEL + _VERSION))
        for name, more, summary, answers in (
            ("model", "", "What goes in and comes out", _json("Model")),
            ("model_ready", "/ready", "Whether it answers", {_JSON: _object({"name": _NAME, "ready": _YES})}),
        )
    ),
    _inference("infer", f"{_MODEL}/infer"),
    _inference("infer_of_version", f"{_MODEL}{_VERSION}/infer"),
    _rows("predict", "/predict/{model}"),
    _rows("predict_of_version", f"/predict/{{model}}{_VERSION}"),
    _invocation("invocations_of_model", "/mlflow/{model}/invocations"),
    _invocation("invocations", "/invocations", "modelway-model"),
    Operation(
        "index",
        "post",
        f"{_REPOSITORY}/index",
        "What is in memory",
        {_JSON: _list(_ref("Listed"))},
        {_JSON: _object({}, {"ready": _YES})},
        needs_body=False,
    ),
    Operation(
        "load", "post", f"{_REPOSITORY}/models/{{model}}/load", "Whether it is loaded", {_JSON: _ANY}, refused=_FOUND
    ),
    Operation(
        "unload",
        "post",
        f"{_REPOSITORY}/models/{{model}}/unload",
        "Always refused: what is released is not unloaded by a client",
        {_JSON: _ANY},
        refused=(*_FOUND, 405),
    ),
)
