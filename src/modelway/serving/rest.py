"""Inference over HTTP, the hot path: from an exchange to a question, and from answers to a reply."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(slots=True, eq=False)
class Arrival:
    """A request that came, with what is found out about it."""

    form: Form
    exchange: Exchange
    model: str
    version: str | None
    """That the client names."""
    began: float
    """`time.perf_counter()` when its last byte was there."""
    traced: Traced | None
    request: str = ""
    """Its name; "" while it has none."""
    label: str = ""
    """The version that is to answer, as metrics name it; "" while that is open."""
    asked: Asked | None = None


class Rest:
    """One for a server; used on the event loop's thread. `largest`: bytes of a body, unpacked."""

    def __init__(self, asking: Asking, largest: int) -> None:
        self._asking, self._largest, self._telemetry, self._begin = asking, largest, asking.telemetry, asking.begin

    def infer(self, form: Form, exchange: Exchange, model: str, version: str | None) -> None:
        """Ask, or refuse at once."""
        began, traced = time.perf_counter(), None
        if self._begin is not None and (trace := self._begin(exchange.fields.get(TRACEPARENT), exchange.headers)):
            traced = Traced(trace, began)
        if version is None and (named := exchange.fields.get(_VERSION)):
            version = named.decode("latin-1")
        arrival = Arrival(form, exchange, model, version, began, traced)
        try:
            served = self._asking.served(model)
            if len(exchange.body) > _LARGE:
                self._apart(arrival, served)
                return
            servable, rows = self._read(arrival, served)
        except ColdError:
            self._asking.warm(
                model, partial(self.infer, form, exchange, model, version), partial(self._refuse, arrival)
            )
            return
        except ModelwayError as error:
            self._refuse(arrival, error)
            return
        self._ask(arrival, served, servable, rows)

    def _read(self, arrival: Arrival, served: Served) -> tuple[Servable, Sequence[Row]]:
        """Who is to answer, and the rows for it; raises DataError, NotFoundError."""
        exchange, asking = arrival.exchange, self._asking
        body = exchange.body
        if encoding := exchange.fields.get(b"content-encoding"):
            body = unpacked(body, encoding, self._largest)
        arrival.asked = asked = arrival.form.read(exchange, body)
        arrival.request = asked.id or asking.new_id()
        servable = asking.choose(served, arrival.version, asked.routing_key, asked.first, arrival.request)
        arrival.label = str(servable.number)
        return servable, arrival.form.rows(asked, servable)

    def _apart(self, arrival: Arrival, served: Served) -> None:
        """A large body is read in a thread: others get their answers meanwhile."""

        def go_on(made: "asyncio.Future[tuple[Servable, Sequence[Row]]]") -> None:
            try:
                servable, rows = made.result()
            except ModelwayError as error:
                self._refuse(arrival, error)
                return
            self._ask(arrival, served, servable, rows)

        self._asking.apart(partial(self._read, arrival, served), go_on)

    def _ask(self, arrival: Arrival, served: Served, servable: Servable, rows: Sequence[Row]) -> None:
        began, asked, traced = arrival.began, arrival.asked, arrival.traced
        assert asked is not None  # it was read
        until = None if asked.timeout is None else began + asked.timeout
        question = Question(arrival.request, served, servable, rows, began, self._reply, self._fail, arrival)
        question.named, question.until, question.caller = arrival.version is not None, until, asked.routing_key
        if traced is not None:
            traced.asked, question.traced = time.perf_counter(), traced
        self._asking.ask(question, len(arrival.exchange.body))

    def _reply(self, question: Question, answers: Sequence[Answer], upto: Upto) -> None:
        arrival: Arrival = question.context
        exchange, form, asked = arrival.exchange, arrival.form, arrival.asked
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
        question.context.exchange.respond(200, body, kind, headers)
        self._telemetry.answered(question)

    def _fail(self, question: Question, error: ModelwayError) -> None:
        self._refuse(question.context, error)

    def _refuse(self, arrival: Arrival, error: ModelwayError) -> None:
        request = arrival.request or self._asking.new_id()
        known = arrival.model if arrival.label else self._asking.known(arrival.model)
        status = self._telemetry.refused(request, known, arrival.label, error, arrival.began, arrival.traced)
        headers = [(_REQUEST, quote(request[:_LONGEST]).encode())]
        if status in (429, 503):
            headers.append(_RETRY)
        if arrival.traced is not None:
            headers.append((TRACERESPONSE, arrival.traced.response))
        arrival.exchange.respond(status, replies.format_error(error), headers=headers)


def _packed(written: Written, exchange: Exchange) -> tuple[Written, bytes]:
    """The reply as this client takes it, and its encoding."""
    body, encoding = packed(written.body, exchange.fields)
    return (written._replace(body=body) if encoding else written), encoding
