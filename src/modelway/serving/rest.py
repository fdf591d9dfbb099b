"""Inference over HTTP, the hot path: from an exchange to a question, and from answers to a reply."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

from modelway.errors import ModelwayError
from modelway.serving import replies
from modelway.serving.answer import Answer
from modelway.serving.asking import Asking
from modelway.serving.forms import Asked, Form, Written
from modelway.serving.models import VERSION_HEADER, ColdError, Served
from modelway.serving.packed import packed, unpacked
from modelway.serving.question import Question, Upto
from modelway.serving.servable import Row, Servable
from modelway.serving.traced import Traced
from modelway.serving.wire.exchange import Exchange
from modelway.tracing.context import TRACEPARENT, TRACERESPONSE

_RETRY, _REQUEST = (b"retry-after", b"1"), b"modelway-request"
_LONGEST = 200
_VERSION = VERSION_HEADER.encode()
_LARGE, _MANY = 256 * 1024, 2_000
"""Bytes of a body, and rows of a reply, beyond which they are read and written in a thread."""
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
            if len(body) > _LARGE:
                self._apart(form, exchange, model, version, served, began, traced)
                return
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
        self._ask((exchange, form, asked), served, servable, request, rows, version, began, traced)

    def _apart(
        self,
        form: Form,
        exchange: Exchange,
        model: str,
        version: str | None,
        served: Served,
        began: float,
        traced: Traced | None,
    ) -> None:
        """A large body is read in a thread: others get their answers meanwhile."""

        def read() -> tuple[Asked, Servable, str, Sequence[Row]]:
            encoding, body = exchange.fields.get(b"content-encoding"), exchange.body
            asked = form.read(exchange, unpacked(body, encoding, self._largest) if encoding else body)
            request = asked.id or self._asking.new_id()
            servable = self._asking.choose(served, version, asked.routing_key, asked.first, request)
            return asked, servable, request, form.rows(asked, servable)

        def go_on(made: "asyncio.Future[tuple[Asked, Servable, str, Sequence[Row]]]") -> None:
            try:
                asked, servable, request, rows = made.result()
            except ModelwayError as error:
                self._refuse(exchange, "", self._asking.known(model), "", error, began, traced)
                return
            self._ask((exchange, form, asked), served, servable, request, rows, version, began, traced)

        self._asking.apart(read, go_on)

    def _ask(
        self,
        context: Context,
        served: Served,
        servable: Servable,
        request: str,
        rows: Sequence[Row],
        version: str | None,
        began: float,
        traced: Traced | None,
    ) -> None:
        exchange, _, asked = context
        until = None if asked.timeout is None else began + asked.timeout
        question = Question(request, served, servable, rows, began, self._reply, self._fail, context)
        question.named, question.until, question.caller = version is not None, until, asked.routing_key
        if traced is not None:
            traced.asked, question.traced = time.perf_counter(), traced
        self._asking.ask(question, len(exchange.body))

    def _reply(self, question: Question, answers: Sequence[Answer], upto: Upto) -> None:
        exchange, form, asked = question.context
        if len(question.rows) > _MANY:
            self._asking.apart(
                lambda: _packed(form.write(question, asked, answers, upto), exchange), partial(self._send, question)
            )
            return
        try:
            written, encoding = _packed(form.write(question, asked, answers, upto), exchange)
        except ModelwayError as error:  # the form has no way to say this
            self._fail(question, error)
            return
        self._respond(question, written, encoding)

    def _send(self, question: Question, made: "asyncio.Future[tuple[Written, bytes]]") -> None:
        """What a thread has written."""
        try:
            written, encoding = made.result()
        except ModelwayError as error:
            self._fail(question, error)
            return
        self._respond(question, written, encoding)

    def _respond(self, question: Question, written: Written, encoding: bytes) -> None:
        body, kind, headers = written
        if encoding:
            headers = [*headers, (b"content-encoding", encoding)]
        if question.traced is not None:
            headers = [*headers, (TRACERESPONSE, question.traced.response)]
        question.context[0].respond(200, body, kind, headers)
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


def _packed(written: Written, exchange: Exchange) -> tuple[Written, bytes]:
    """The reply as this client takes it, and its encoding."""
    body, encoding = packed(written.body, exchange.fields)
    return (written._replace(body=body) if encoding else written), encoding
