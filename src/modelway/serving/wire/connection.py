"""One client's connection: what it sends becomes exchanges, handed on one at a time, in order; answers go back likewise.

RFC 9112. A message that could be read in two ways (both lengths, a broken chunk) is refused by the parser, which is strict.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, cast

import httptools
import orjson

from modelway.serving.wire.exchange import JSON, Exchange, Header, response
from modelway.serving.wire.limits import Limits

Handle = Callable[[Exchange], None]
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(slots=True)
class Wire:
    """What all connections of one server share; `now` is the loop's clock in seconds."""

    handle: Handle
    limits: Limits
    now: Callable[[], float]
    connections: set["Connection"] = field(default_factory=set)
    date: bytes = b""
    closing: bool = False
    """Each answer is the last of its connection."""

    def tick(self) -> None:
        """To be called every second: the date that answers bear."""
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What is answered instead of a request that cannot be read; nothing can be read behind it."""

    status: int
    problem: str
    fix: str


class Connection(asyncio.Protocol):
    """Made by the event loop for each client."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Exchange | _Refusal] = deque()
        self._busy: Exchange | None = None
        self._reading = self._paused = self._full = self._ended = self._deaf = False
        self._lingering = self._handing_on = False
        self._url, self._headers, self._pieces = b"", list[Header](), list[bytes]()
        self._fields: dict[bytes, bytes] = {}
        self._head_done = False
        self._size = self._chunk = 0
        self.began = self.heard = wire.now()
        self.written = 0.0
        self.lost = False

    # -- the event loop's side ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._wire.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.lost = True
        self._waiting.clear()
        self._wire.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.heard = self._wire.now()
        if self._deaf:
            return
        self._chunk = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._no_upgrade()
        except httptools.HttpParserError as error:
            self._refuse(_Refusal(400, f"no request in HTTP/1.1: {error}", "send what RFC 9112 allows"))
        if self._reading:
            self._size += len(data)
            if not self._head_done and self._size > self._wire.limits.head:
                self._refuse(_head_too_large(self._wire.limits))

    def eof_received(self) -> bool:
        """The client sends no more; it may still read what it has asked for."""
        self._ended = self._deaf = True
        return not self.secure and (self._busy is not None or bool(self._waiting))

    def pause_writing(self) -> None:
        self._full = True
        self.written = self._wire.now()
        self._flow()

    def resume_writing(self) -> None:
        self._full = False
        self._flow()
        self._next()

    # -- the parser's side -------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url, self._headers, self._pieces, self._head_done = b"", [], [], False
        self._reading, self._size, self.began = True, 0, self._wire.now()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._head_done, self._size, self.began = True, 0, self._wire.now()
        fields = self._fields = dict(self._headers)
        limits = self._wire.limits
        if self._too_much(limits):
            self._refuse(_head_too_large(limits))
        elif len(self._headers) > limits.headers:
            self._refuse(_Refusal(431, f"{len(self._headers)} headers", f"send at most {limits.headers}"))
        elif len(self._url) > limits.target:
            self._refuse(_Refusal(414, "the path is too long", f"use at most {limits.target:,} bytes"))
        elif (length := fields.get(b"content-length")) is not None and int(length) > limits.body:
            self._refuse(_too_large(limits))
        elif (expected := fields.get(b"expect")) is not None:
            self._expected(expected)

    def on_body(self, body: bytes) -> None:
        if self._deaf:
            return
        self._pieces.append(body)
        if len(self._pieces) > 1 and sum(map(len, self._pieces)) > self._wire.limits.body:
            self._refuse(_too_large(self._wire.limits))
        elif len(self._pieces) > 64:
            self._pieces = [b"".join(self._pieces)]

    def on_message_complete(self) -> None:
        self._reading = False
        if self._deaf:
            return
        pieces, parser = self._pieces, self._parser
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        exchange = Exchange(
            self, parser.get_method(), self._url, self._headers, self._fields, body, parser.should_keep_alive()
        )
        self._size = 0
        if self._busy is None and not self._waiting and not self._full:
            self._busy = exchange
            self._wire.handle(exchange)
            return
        self._waiting.append(exchange)
        self._flow()

    # -- the server's side -------------------------------------------------------------------------------------------------

    def answer(self, exchange: Exchange, status: int, body: bytes, kind: bytes, headers: Sequence[Header]) -> None:
        """Called by the exchange that is being answered."""
        self._busy = None
        if self.lost or self._transport is None:
            return
        close = not exchange.keep_alive or self._wire.closing or (self._ended and not self._waiting)
        head = exchange.method == b"HEAD"
        self._transport.write(response(status, body, kind, headers, date=self._wire.date, close=close, head=head))
        if close:
            self._close()
            return
        self.began = self._wire.now()
        if self._waiting:
            self._next()

    @property
    def secure(self) -> bool:
        return self._transport is not None and self._transport.get_extra_info("sslcontext") is not None

    @property
    def peer(self) -> tuple[str, int] | None:
        found = self._transport.get_extra_info("peername") if self._transport else None
        return (str(found[0]), int(found[1])) if found else None

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: no request half read, none waiting or being answered."""
        return not (self._reading or self._waiting or self._busy)

    def close_idle(self) -> None:
        if self.idle:
            self._close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def judge(self, now: float) -> None:
        """Called every second or so: what takes too long ends."""
        limits, transport = self._wire.limits, self._transport
        if transport is None:
            return
        if self._lingering:
            if now - self.heard > limits.linger or now - self.began > 5 * limits.linger:
                transport.abort()
        elif (self._full or transport.is_closing()) and now - self.written > limits.write_pause:
            transport.abort()
        elif self._reading and not self._paused:
            self._judge_reading(now, limits)
        elif self.idle and now - max(self.began, self.heard) > limits.idle:
            transport.close()

    def _judge_reading(self, now: float, limits: Limits) -> None:
        took = now - self.began
        if not self._head_done:
            if took > limits.head_within:
                self._refuse(_Refusal(408, "the headers took too long", f"send them within {limits.head_within:g} s"))
        elif now - self.heard > limits.body_pause or (
            took > limits.body_pause and self._size < limits.body_rate * took
        ):
            self._refuse(
                _Refusal(408, "the body took too long", f"send at least {limits.body_rate:,.0f} bytes a second")
            )

    def _expected(self, expected: bytes) -> None:
        if expected.lower() != b"100-continue":
            self._refuse(_Refusal(417, "an unknown expectation", "expect 100-continue, or nothing"))
        elif self._transport is not None and self._busy is None and not self._waiting:
            self._transport.write(_CONTINUE)

    def _refuse(self, refusal: _Refusal) -> None:
        """The last answer of this connection; those before it come first."""
        if self._deaf:
            return
        self._deaf, self._reading, self._pieces = True, False, []
        self._waiting.append(refusal)
        if self._busy is None:
            self._next()

    def _next(self) -> None:
        """Whoever waits is handed on, when nobody is being answered and the client takes what it is sent."""
        if self._handing_on:  # called by an answer that came at once
            return
        self._handing_on = True
        while self._waiting and self._busy is None and not self._full and not self.lost:
            first = self._waiting.popleft()
            if isinstance(first, _Refusal):
                self._tell(first)
            else:
                self._busy = first
                self._wire.handle(first)
        self._handing_on = False
        self._flow()

    def _tell(self, refusal: _Refusal) -> None:
        if self._transport is None:
            return
        body = orjson.dumps({"error": f"{refusal.problem}\n  fix: {refusal.fix}"})
        self._transport.write(response(refusal.status, body, JSON, (), date=self._wire.date, close=True))
        if self._ended or self.secure:
            self._close()
        else:  # closed at once, the refusal would be lost with what the client still sends
            self._transport.write_eof()
            self._lingering, self.heard = True, self._wire.now()
            self.began = self.heard

    def _close(self) -> None:
        if self._transport is not None:
            self._deaf, self.written = True, self._wire.now()
            self._waiting.clear()
            self._transport.close()

    def _no_upgrade(self) -> None:
        """The request is answered in this protocol; what follows it would be the other one's."""
        self._deaf = True
        last = self._waiting[-1] if self._waiting else self._busy
        if isinstance(last, Exchange):
            last.keep_alive = False
        else:
            self._close()

    def _too_much(self, limits: Limits) -> bool:
        if self._size + self._chunk <= limits.head:
            return False
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers) > limits.head

    def _flow(self) -> None:
        """Read on only while what is read can be answered."""
        transport: Any = self._transport
        pause = self._full or len(self._waiting) >= self._wire.limits.pipelined
        if transport is None or pause == self._paused or transport.is_closing():
            return
        self._paused = pause
        (transport.pause_reading if pause else transport.resume_reading)()


def _head_too_large(limits: Limits) -> _Refusal:
    return _Refusal(431, "the headers are too large", f"send at most {limits.head:,} bytes")


def _too_large(limits: Limits) -> _Refusal:
    return _Refusal(413, f"the body is larger than {limits.body:,} bytes", "send fewer rows in one request")
