"""The forms in which a client may write a request over HTTP, each with its way of writing the reply.

`Tensors`: the Open Inference Protocol. `Rows`: JSON objects by column name, as people type them. `Invocations`: what
`mlflow models serve` takes and gives (mlflow.org/docs/latest/ml/deployment/deploy-model-locally, "/invocations").
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from modelway.errors import DataError
from modelway.serving import protocol, replies, tensors
from modelway.serving.answer import Answer
from modelway.serving.binary import HEAD_LENGTH, OCTETS, format_binary, parse_binary
from modelway.serving.named import NamedRows, parse_invocations, parse_named, rows_for
from modelway.serving.question import Question, Upto
from modelway.serving.servable import SCORE, Row, Servable
from modelway.serving.wire.exchange import JSON, Exchange, Header

_WHOLE = re.compile(r"0|-?[1-9][0-9]*")
Asked = protocol.Asked | NamedRows


class Written(NamedTuple):
    """A reply's body, and how it is to be labelled."""

    body: bytes
    kind: bytes = JSON
    headers: Sequence[Header] = ()


class Form(ABC):
    """Used on the event loop's thread."""

    @abstractmethod
    def read(self, exchange: Exchange, body: bytes) -> Asked:
        """The request in its frame; raises DataError."""

    @abstractmethod
    def rows(self, asked: Any, servable: Servable) -> Sequence[Row]:
        """The rows for the version that will answer; raises DataError naming column and row."""

    @abstractmethod
    def write(self, question: Question, asked: Any, answers: Sequence[Answer], upto: Upto) -> Written:
        """The reply."""


class Tensors(Form):
    def read(self, exchange: Exchange, body: bytes) -> protocol.Asked:
        head_length = exchange.fields.get(HEAD_LENGTH)
        return protocol.parse_request(body) if head_length is None else parse_binary(body, head_length)

    def rows(self, asked: protocol.Asked, servable: Servable) -> Sequence[Row]:
        replies.chosen_outputs(servable, asked.outputs)
        return tensors.rows_for(asked, servable)

    def write(self, question: Question, asked: protocol.Asked, answers: Sequence[Answer], upto: Upto) -> Written:
        servable = question.servable
        outputs = asked.outputs or servable.outputs
        head = replies.head_of(servable, question.request, answers, upto, outputs)
        if not asked.binary and not asked.binary_of:
            return Written(replies.written(head))
        raw = frozenset(name for name in outputs if asked.binary_of.get(name, asked.binary) is True)
        if not raw:
            return Written(replies.written(head))
        body, length = format_binary(head, raw)
        return Written(body, OCTETS, [(HEAD_LENGTH, b"%d" % length)])


class Rows(Form):
    def read(self, exchange: Exchange, body: bytes) -> NamedRows:
        del exchange
        return parse_named(body)

    def rows(self, asked: NamedRows, servable: Servable) -> Sequence[Row]:
        return rows_for(asked, servable)

    def write(self, question: Question, asked: NamedRows, answers: Sequence[Answer], upto: Upto) -> Written:
        del upto
        servable = question.servable
        told = [_told(servable, answer) for answer in answers]
        head = {"id": question.request, "model": question.model, "version": servable.number}
        return Written(orjson.dumps({**head, **told[0]} if asked.single else {**head, "predictions": told}))


class Invocations(Form):
    def read(self, exchange: Exchange, body: bytes) -> NamedRows:
        return parse_invocations(body, exchange.fields.get(b"content-type", JSON))

    def rows(self, asked: NamedRows, servable: Servable) -> Sequence[Row]:
        return rows_for(asked, servable)

    def write(self, question: Question, asked: NamedRows, answers: Sequence[Answer], upto: Upto) -> Written:
        """A row that is refused has no prediction; when all are, the client hears why."""
        del asked, upto
        if answers and all(answer.status != "ok" for answer in answers):
            raise DataError(answers[0].reason, "send rows that the model's contract accepts: modelway explain MODEL")
        said = _as_learned(question.servable.manifest.classes)
        return Written(orjson.dumps({"predictions": [said.get(a.prediction, a.prediction) for a in answers]}))


@lru_cache(maxsize=1_000)
def _as_learned(classes: tuple[str, ...]) -> dict[Any, Any]:
    """Classes as MLflow's clients get them: numbers and truths as such, where all of a model's classes are so written."""
    if classes and all(_WHOLE.fullmatch(name) for name in classes):
        return {name: int(name) for name in classes}
    return {"true": True, "false": False} if set(classes) == {"true", "false"} else {}


def _told(servable: Servable, answer: Answer) -> dict[str, Any]:
    classes, odd = servable.manifest.classes, servable.manifest.task == "anomaly"
    probabilities = dict(zip(classes, answer.scores, strict=True)) if classes and answer.scores and not odd else None
    return {
        "prediction": answer.prediction,
        **({SCORE: answer.scores[0] if answer.scores else None} if odd else {}),
        **({"probabilities": probabilities} if classes and not odd else {}),
        **({"key": answer.key} if servable.manifest.key else {}),
        "reason": answer.reason,
    }
