"""Inference over HTTP, the hot path: from an exchange to a question, and from answers to a reply."""

import time
from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

from modelway.errors import ModelwayError
from modelway.serving import replies
from modelway.serving.answer import Answer
from modelway.serving.asking import Asking
from modelway.serving.forms import Asked, Form
from modelway.serving.models import VERSION_HEADER, ColdError
from modelway.serving.packed import packed, unpacked
from modelway.serving.question import Question, Upto
from modelway.serving.traced import Traced
from modelway.serving.wire.exchange import Exchange
from modelway.tracing.context import TRACEPARENT, TRACERESPONSE

_RETRY, _REQUEST = (b"retry-after", b"1"), b"modelway-request"
_LONGEST = 200
_VERSION = VERSION_HEADER.encode()
Context = tuple[Exchange, Form, Asked]


class Rest:
    """One for a server; used on the event loop's thread. `largest`: bytes of a body, unpacked."""

    def __init__(self, asking: Asking, largest: int) -> None:
        self._asking, self._largest, self._telemetry, self._begin = asking, largest, asking.telemetry, asking.begin

    def infer(self, form: Form, exchange: Exchange, model: str, version: str | None) -> None:
        """Ask, or refuse at once."""
        began, label, request, body, traced = time.perf_counter(), "", "", exchange.body, None
        if self._begin is not None and (trace := self._begin(exchange.fields.get(TRACEPARENT), exchange.headers)):
            traced = Traced(trace, began)
        if version is None and (named := exchange.fields.get(_VERSION)):
            version = named.decode("latin-1")
        try:
            served = self._asking.served(model)
            if encoding := exchange.fields.get(b"content-encoding"):
                body = unpacked(body, encoding, self._largest)
            asked = form.read(exchange, body)
            request = asked.id or self._asking.new_id()
            servable = self._asking.choose(served, version, asked.routing_key, asked.first, request)
            label = str(servable.number)
            rows = form.rows(asked, servable)
        except ColdError:
            self._asking.warm(
                model,
                partial(self.infer, form, exchange, model, version),
                lambda error: self._refuse(exchange, request, model, "", error, began, traced),
            )
            return
        except ModelwayError as error:
            self._refuse(exchange, request, self._asking.known(model), label, error, began, traced)
            return
        context: Context = (exchange, form, asked)
        until = None if asked.timeout is None else began + asked.timeout
        question = Question(request, served, servable, rows, began, self._reply, self._fail, context)
        question.named, question.until, question.caller = version is not None, until, asked.routing_key
        if traced is not None:
            traced.asked, question.traced = time.perf_counter(), traced
        self._asking.ask(question, len(body))

    def _reply(self, question: Question, answers: Sequence[Answer], upto: Upto) -> None:
        exchange, form, asked = question.context
        try:
            body, kind, headers = form.write(question, asked, answers, upto)
        except ModelwayError as error:  # the form has no way to say this
            self._fail(question, error)
            return
        body, encoding = packed(body, exchange.fields)
        if encoding:
            headers = [*headers, (b"content-encoding", encoding)]
        if question.traced is not None:
            headers = [*headers, (TRACERESPONSE, question.traced.response)]
        exchange.respond(200, body, kind, headers)
        self._telemetry.answered(question)

    def _fail(self, question: Question, error: ModelwayError) -> None:
        model, label = question.model, str(question.servable.number)
        self._refuse(question.context[0], question.request, model, label, error, question.began, question.traced)

    def _refuse(
        self,
        exchange: Exchange,
        request: str,
        model: str,
        label: str,
        error: ModelwayError,
        began: float,
        traced: Traced | None,
    ) -> None:
        request = request or self._asking.new_id()
        status = self._telemetry.refused(request, model, label, error, began, traced)
        headers = [(_REQUEST, quote(request[:_LONGEST]).encode())]
        if status in (429, 503):
            headers.append(_RETRY)
        if traced is not None:
            headers.append((TRACERESPONSE, traced.response))
        exchange.respond(status, replies.format_error(error), headers=headers)
