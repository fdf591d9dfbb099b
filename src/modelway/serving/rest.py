"""Inference over HTTP, the hot path: from an exchange to a question, and from answers to a reply."""

import time
from collections.abc import Sequence
from functools import partial

from modelway.errors import ModelwayError
from modelway.serving import replies
from modelway.serving.answer import Answer
from modelway.serving.asking import Asking
from modelway.serving.forms import Asked, Form
from modelway.serving.models import VERSION_HEADER, ColdError
from modelway.serving.packed import packed, unpacked
from modelway.serving.question import Question, Upto
from modelway.serving.status import status_of
from modelway.serving.wire.exchange import Exchange

_RETRY = (b"retry-after", b"1")
_VERSION = VERSION_HEADER.encode()
Context = tuple[Exchange, Form, Asked]


class Rest:
    """One for a server; used on the event loop's thread. `largest`: bytes of a body, unpacked."""

    def __init__(self, asking: Asking, largest: int) -> None:
        self._asking, self._largest = asking, largest

    def infer(self, form: Form, exchange: Exchange, model: str, version: str | None) -> None:
        """Ask, or refuse at once."""
        began, label, body = time.perf_counter(), "", exchange.body
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
                lambda error: self._refuse(exchange, model, "", error, began),
            )
            return
        except ModelwayError as error:
            self._refuse(exchange, self._asking.known(model), label, error, began)
            return
        context: Context = (exchange, form, asked)
        until = None if asked.timeout is None else began + asked.timeout
        question = Question(request, served, servable, rows, began, self._reply, self._fail, context)
        question.named, question.until, question.caller = version is not None, until, asked.routing_key
        self._asking.ask(question, len(body))

    def _reply(self, question: Question, answers: Sequence[Answer], upto: Upto) -> None:
        exchange, form, asked = question.context
        try:
            body, kind, headers = form.write(question, asked, answers, upto)
        except ModelwayError as error:  # the form has no way to say this
            self._fail(question, error)
            return
        body, encoding = packed(body, exchange.fields)
        exchange.respond(200, body, kind, [*headers, (b"content-encoding", encoding)] if encoding else headers)
        self._asking.measure(question.model, str(question.servable.number), 200, question.began)

    def _fail(self, question: Question, error: ModelwayError) -> None:
        self._refuse(question.context[0], question.model, str(question.servable.number), error, question.began)

    def _refuse(self, exchange: Exchange, model: str, label: str, error: ModelwayError, began: float) -> None:
        status = status_of(error)
        headers = [_RETRY] if status in (429, 503) else ()
        exchange.respond(status, replies.format_error(error), headers=headers)
        self._asking.measure(model, label, status, began)
