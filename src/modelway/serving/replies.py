"""Answers in the protocol's form, both ways; pure.

Outputs: `prediction` (BYTES: the class at the operating point; FP64: the value of a regression), `probability_<class>` (FP64) or,
of a detector of anomalies, `score` (FP64), and `reason` (BYTES; why a row was refused, else ""). A refused row's numbers are null.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from modelway.errors import DataError, ModelwayError
from modelway.records import Manifest
from modelway.serving.answer import Answer
from modelway.serving.matrix_answers import MatrixAnswers
from modelway.serving.servable import PREDICTION, PROBABILITY, REASON, SCORE, Input, Servable, scores_of
from modelway.serving.status import told

PLATFORM = "onnxruntime_onnx"
_DATATYPES = {"float": "FP64", "int": "INT64", "bool": "BOOL"}
_FIX = "\n  fix: "
_MOST_BYTES = 8_000
"""Of an error: a client's text, which is in many of them, may have megabytes."""


def datatype_of(column: Input) -> str:
    """In which a client may send it: dates and times are text."""
    return _DATATYPES.get(column.type, "BYTES")


def chosen_outputs(servable: Servable, wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    """The outputs to send; raises DataError for one that the model does not have."""
    known = servable.outputs
    if wanted is None:
        return known
    for name in wanted:
        if name not in known:
            raise DataError(f"output {name!r} is unknown", f"ask for some of {', '.join(known)}")
    return wanted


def head_of(
    servable: Servable, request: str, answers: Sequence[Answer], upto: Mapping[str, int], outputs: Sequence[str]
) -> dict[str, Any]:
    """The response to an inference request, as an object."""
    manifest = servable.manifest
    return {
        "model_name": manifest.model,
        "model_version": str(servable.number),
        "id": request,
        "parameters": {"digest": servable.digest, "upto": upto},
        "outputs": [output_of(manifest, name, answers) for name in outputs],
    }


def format_answers(
    servable: Servable, request: str, answers: Sequence[Answer], upto: Mapping[str, int], outputs: Sequence[str]
) -> bytes:
    """The response to an inference request."""
    return written(head_of(servable, request, answers, upto, outputs))


def output_of(manifest: Manifest, name: str, answers: Sequence[Answer]) -> dict[str, Any]:
    """One output tensor of answers, its data still Python's, or an array of numbers with NaN for a missing one."""
    if type(answers) is MatrixAnswers:
        return _output_of_all(manifest, name, answers)
    datatype = "BYTES"
    data: list[Any]
    if name == REASON:
        data = [a.reason for a in answers]
    elif name == PREDICTION:
        datatype, data = ("BYTES" if manifest.classes else "FP64"), [a.prediction for a in answers]
    else:
        place = scores_of(manifest).index(name)
        datatype, data = "FP64", [a.scores[place] if a.scores else None for a in answers]
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}


def _output_of_all(manifest: Manifest, name: str, answers: MatrixAnswers) -> dict[str, Any]:
    datatype = "FP64"
    data: Any
    if name == REASON:
        datatype, data = "BYTES", [answers.reasons.get(place, "") for place in range(len(answers))]
    elif name == PREDICTION and manifest.classes:
        datatype, data = "BYTES", np.array(manifest.classes, object)[answers.places].tolist()
        for place in answers.reasons:
            data[place] = None
    else:
        place = 0 if name == PREDICTION else scores_of(manifest).index(name)
        data = np.ascontiguousarray(answers.scores[:, place])
    return {"name": name, "datatype": datatype, "shape": [len(answers)], "data": data}


def written(head: Mapping[str, Any]) -> bytes:
    """A response as JSON; a missing number is null."""
    return orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)


def parse_answers(body: bytes) -> list[dict[str, Any]]:
    """One dict a row: prediction, probabilities (by class), reason, version; None where the reply does not say.

    `score` only where there is one.
    """
    reply = orjson.loads(body)
    version = int(reply["model_version"])
    columns = {output["name"]: output["data"] for output in reply["outputs"]}
    classes = [name.removeprefix(PROBABILITY) for name in columns if name.startswith(PROBABILITY)]
    count = max((len(data) for data in columns.values()), default=0)
    return [
        {
            PREDICTION: columns[PREDICTION][row] if PREDICTION in columns else None,
            "probabilities": {name: columns[PROBABILITY + name][row] for name in classes},
            **({SCORE: columns[SCORE][row]} if SCORE in columns else {}),
            REASON: columns[REASON][row] if REASON in columns else None,
            "version": version,
        }
        for row in range(count)
    ]


def format_error(error: ModelwayError) -> bytes:
    """The protocol's error form, the fix in the same text."""
    return orjson.dumps({"error": told(error, _MOST_BYTES)})


def parse_error(body: bytes) -> tuple[str, str]:
    """Problem and fix of an error reply; what is no such reply is the problem as it stands."""
    try:
        text = orjson.loads(body)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        text = body.decode("utf-8", "replace")[:500]
    problem, _, fix = str(text).partition(_FIX)
    return problem, fix


def format_metadata(servable: Servable, versions: Sequence[int], generation: int) -> bytes:
    """The model's inputs and outputs, as clients discover them; `generation` is that of the route which is followed now."""
    manifest = servable.manifest
    inputs = [
        {
            "name": i.name,
            "datatype": datatype_of(i),
            "shape": [-1],
            "parameters": {"type": i.type, "optional": not i.required},
        }
        for i in servable.inputs
    ]
    outputs = [{"name": n, "datatype": output_of(manifest, n, ())["datatype"], "shape": [-1]} for n in servable.outputs]
    return orjson.dumps(
        {
            "name": manifest.model,
            "versions": [str(number) for number in versions],
            "platform": PLATFORM,
            "inputs": inputs,
            "outputs": outputs,
            "parameters": {"version": str(servable.number), "digest": servable.digest, "generation": generation},
        }
    )
