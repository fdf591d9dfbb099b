"""The Open Inference Protocol over HTTP, its hot path: from an exchange to a question, and from answers to a reply."""

import time
from collections.abc import Sequence
from typing import Any

from modelway.errors import ModelwayError
from modelway.serving import protocol, replies
from modelway.serving.answer import Answer
from modelway.serving.asking import Asking
from modelway.serving.question import Question, Upto
from modelway.serving.status import status_of
from modelway.serving.wire.exchange import Exchange


class Rest:
    """One for a server; used on the event loop's thread."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def infer(self, exchange: Exchange, model: str, version: str | None) -> None:
        """Ask, or refuse at once."""
        began, label = time.perf_counter(), ""
        try:
            served = self._asking.served(model)
            asked = protocol.parse_request(exchange.body)
            request = asked.id or self._asking.new_id()
            servable = self._asking.choose(served, version, asked.routing_key, asked.first, request)
            label = str(servable.number)
            outputs = replies.chosen_outputs(servable.manifest, asked.outputs)
            rows = protocol.read_rows(asked, servable.required, servable.optional)
        except ModelwayError as error:
            self._refuse(exchange, self._asking.known(model), label, error, began)
            return
        context = (exchange, outputs)
        self._asking.ask(
            Question(request, served, servable, rows, began, self._reply, self._fail, context, version is not None),
            len(exchange.body),
        )

    def _reply(self, question: Question, answers: Sequence[Answer], upto: Upto) -> None:
        exchange, outputs = question.context
        body = replies.format_answers(question.servable, question.request, answers, upto, outputs)
        exchange.respond(200, body)
        self._asking.measure(question.model, str(question.servable.number), 200, question.began)

    def _fail(self, question: Question, error: ModelwayError) -> None:
        exchange: Any = question.context[0]
        self._refuse(exchange, question.model, str(question.servable.number), error, question.began)

    def _refuse(self, exchange: Exchange, model: str, label: str, error: ModelwayError, began: float) -> None:
        status = status_of(error)
        exchange.respond(status, replies.format_error(error))
        self._asking.measure(model, label, status, began)
