"""One client's connection: its requests are handed on one at a time, in order, and answered likewise; what takes too long ends."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, cast

import orjson

from modelway.serving.wire.exchange import CLOSE, FAILED, JSON, Exchange, Header, response
from modelway.serving.wire.heads import Refusal
from modelway.serving.wire.limits import Limits
from modelway.serving.wire.reader import Reader
from modelway.serving.wire.sluice import Sluice

Handle = Callable[[Exchange], None]
_TURN = 32
"""Requests of one connection that are handed on at one turn of the loop: the next client waits as long as these take."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_log = logging.getLogger("modelway.serving")


@dataclass(slots=True)
class Wire:
    """What all connections of one server share."""

    handle: Handle
    limits: Limits
    time: float
    """Seconds, at the last look: asking the loop for each request costs more than the precision is worth."""
    gone: Callable[[], None] = lambda: None
    """Called when a connection has ended."""
    knows: Callable[[Mapping[bytes, bytes]], bool] | None = None
    """Whether these headers' sender may send a large body; None: everybody may."""
    refused: Callable[[Refusal], None] = lambda refusal: None
    """Called for each request that is refused before it is one."""
    connections: set["Connection"] = field(default_factory=set)
    hosts: set[bytes | None] = field(default_factory=set)
    """Host headers that were looked at and are valid."""
    date: bytes = b""
    closing: bool = False
    """Each answer is the last of its connection."""
    small: int = 0
    """Bytes of a body that anybody may send."""

    def __post_init__(self) -> None:
        self.small = min(self.limits.body, self.limits.stranger_body)

    def look(self, now: float) -> None:
        """To be called every `limits.look` seconds."""
        self.date = b"date: %b\r\n" % formatdate(usegmt=True).encode()
        for connection in list(self.connections):
            connection.judge(self.time)  # the last look's time: nobody is judged for what he may not have taken
        self.time = now


class Connection(asyncio.Protocol):
    """One for each client, from when it was taken; whoever makes one that comes to nothing takes it out of `wire.connections`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._reader = Reader(self, wire)
        self._transport: asyncio.Transport | Sluice | None = None
        self._waiting: deque[Exchange | Refusal] = deque()
        self._busy: Exchange | None = None
        self._full = self._paused = self._handing_on = self._owes_continue = self._to_go_on = False
        self._turns = _TURN
        self._ended = False
        """The client sends no more."""
        self._deaf = False
        """What it sends is not read any more."""
        self._lingering = False
        """It has its last answer, and is given time to see it."""
        self._since = self._moved = wire.time
        self._unsent = 0
        self.lost = self.secure = False
        self.when_lost: Callable[[], None] | None = None
        """Asked for by the exchange under way."""
        wire.connections.add(self)

    # -- what the event loop calls -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        given = cast("asyncio.Transport", transport)
        self.secure = given.get_extra_info("sslcontext") is not None
        self._transport = Sluice(given) if self.secure else given

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.lost = self._deaf = True
        self._waiting.clear()
        self._transport = None
        self._reader.end()
        self._wire.connections.discard(self)
        if self.when_lost and self._busy:
            self.when_lost()
        self._wire.gone()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._reader.heard = self._wire.time
        else:
            self._turns = _TURN
            self._reader.feed(data)

    def eof_received(self) -> bool:
        """The client may still read what it has asked for. (TLS cannot be half closed here.)"""
        self._ended = self._deaf = True
        return not self.secure and (self._busy is not None or bool(self._waiting))

    def pause_writing(self) -> None:
        self._full = True
        if isinstance(self._transport, Sluice):
            self._transport.pause()
        self._flow()

    def resume_writing(self) -> None:
        self._full = False
        if isinstance(self._transport, Sluice):
            self._transport.resume()
        self._next()

    # -- what the reader calls ---------------------------------------------------------------------------------------------

    def take(self, exchange: Exchange) -> None:
        """A request, whole."""
        if self._deaf:
            return
        if self._busy is None and not self._waiting and not self._full and self._turns:
            self._turns -= 1
            self._hand(exchange)
            return
        self._waiting.append(exchange)
        self._owes_continue = False
        if self._busy is None and not self._full:
            self._next_turn()
        self._flow()

    def refuse(self, refusal: Refusal) -> None:
        """The last answer of this connection; those before it come first."""
        if self._deaf:
            return
        self._deaf = True
        self._wire.refused(refusal)
        self._waiting.append(refusal)
        if self._busy is None and not self._to_go_on:
            self._next()

    def expected(self) -> None:
        """The client asks whether to send its body; it is told when its turn has come."""
        self._owes_continue = True
        if self._busy is None and not self._waiting:
            self._say_continue()

    # -- what the server calls ---------------------------------------------------------------------------------------------

    def answer(self, exchange: Exchange, status: int, body: bytes, kind: bytes, headers: Sequence[Header]) -> None:
        """Called by the exchange that is being answered."""
        transport, persistence = self._transport, exchange.persistence
        if (self._wire.closing or self._ended) and not self._waiting:
            persistence = CLOSE
        made = response(
            status,
            body,
            kind,
            headers,
            date=self._wire.date,
            persistence=persistence,
            head=exchange.method == b"HEAD",
        )
        exchange.answered, self._busy = True, None
        if self.lost or transport is None:
            return
        transport.write(made)
        if persistence is CLOSE:
            self._finish(refused=False)
            return
        self._since = self._wire.time
        if self._waiting:
            self._next()
        elif self._owes_continue:
            self._say_continue()

    @property
    def peer(self) -> tuple[str, int] | None:
        found: Any = self._transport.get_extra_info("peername") if self._transport else None
        return (str(found[0]), int(found[1])) if found else None

    @property
    def since(self) -> float:
        """When it was opened, or had its last answer."""
        return self._since

    @property
    def idle(self) -> bool:
        """Whether it is open and nothing is under way: no request half read, none waiting or being answered, no last answer."""
        under_way = self._reader.reading or self._waiting or self._busy or self._lingering
        return self._transport is not None and not under_way

    def close_idle(self) -> None:
        if self.idle and self._transport is not None:
            self._deaf = self._lingering = True
            self._since = self._reader.heard = self._wire.time
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def judge(self, now: float) -> None:
        """Called at every look: what takes too long ends."""
        limits, transport = self._wire.limits, self._transport
        if transport is None or self.lost:
            return
        unsent = transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._moved = unsent, self._wire.time
            self._since = self._reader.heard = self._wire.time
        elif unsent:
            if now - self._moved > limits.write_pause:
                transport.abort()
        elif self._lingering:
            if now - self._reader.heard > limits.linger or now - self._since > 5 * limits.linger:
                transport.abort()
        elif self._reader.reading:
            if not (self._paused or self._owes_continue or self._deaf):
                self._reader.judge(now)
        elif now - self._since > limits.idle:
            self.close_idle()

    # ----------------------------------------------------------------------------------------------------------------------

    def _hand(self, exchange: Exchange) -> None:
        self._busy = exchange
        try:
            self._wire.handle(exchange)
        except Exception:  # noqa: BLE001 - the edge of the process: the client must get an answer, and the log the traceback
            _log.exception("%s %s", exchange.method, exchange.target)
            if not exchange.answered:
                exchange.respond(500, FAILED)

    def _next(self) -> None:
        """Whoever waits is handed on, when nobody is being answered and the client takes what it is sent."""
        if self._handing_on:  # called by an answer that came at once
            return
        self._handing_on, left = True, _TURN
        while self._waiting and self._busy is None and not self._full and not self.lost:
            if not left:
                self._next_turn()
                break
            left -= 1
            first = self._waiting.popleft()
            if isinstance(first, Refusal):
                self._tell(first)
            else:
                self._hand(first)
        self._handing_on = False
        self._flow()

    def _next_turn(self) -> None:
        """Go on when others have had theirs."""
        if not self._to_go_on:
            self._to_go_on = True
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._to_go_on = False
        self._next()

    def _tell(self, refusal: Refusal) -> None:
        if self._transport is None:
            return
        body = orjson.dumps({"error": f"{refusal.problem}\n  fix: {refusal.fix}"})
        self._transport.write(response(refusal.status, body, JSON, (), date=self._wire.date, persistence=CLOSE))
        self._finish(refused=True)

    def _say_continue(self) -> None:
        self._owes_continue = False
        if self._transport is not None and not self._deaf:
            self._transport.write(_CONTINUE)
            self._reader.wait_anew()

    def _finish(self, *, refused: bool) -> None:
        """The last answer is written. What the client still sends is read for a while: else the kernel would cut the answer."""
        transport = self._transport
        if transport is None:
            return
        self._deaf = True
        self._waiting.clear()
        if self._ended or (self.secure and not refused):
            transport.close()
            return
        self._lingering = True
        self._since = self._reader.heard = self._wire.time
        if not isinstance(transport, Sluice):  # TLS has no half-closed connections here
            transport.write_eof()
        self._flow()

    def _flow(self) -> None:
        """Read on only while what is read can be answered; behind the last answer, all is read."""
        transport = self._transport
        pause = not self._lingering and (self._full or len(self._waiting) >= self._wire.limits.pipelined)
        if transport is None or self._ended or pause == self._paused or transport.is_closing():
            return
        self._paused = pause
        if pause:
            transport.pause_reading()
        else:
            self._reader.wait_anew()
            transport.resume_reading()
