"""The wire alone, in a thread of this process: a listener that echoes, or keeps what it is asked until the test lets it go."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import uvloop

from modelway.serving.run import bind
from modelway.serving.wire.connection import Handle
from modelway.serving.wire.exchange import Exchange
from modelway.serving.wire.heads import Refusal
from modelway.serving.wire.limits import Limits
from modelway.serving.wire.listener import Listener

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}
QUICK = Limits(look=0.02, linger=0.2)
"""For tests: looked at often."""
PATIENCE = 15.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for it, at most PATIENCE seconds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.002)


def quick(**given: Any) -> Limits:
    return replace(QUICK, **given)


@dataclass
class Served:
    """`/later…` is kept until `release`, `/raise` raises, `/big` answers `big` bytes; all else is echoed at once."""

    port: int
    loop: asyncio.AbstractEventLoop
    listening: socket.socket
    big: bytes = b""
    listener: Listener = None  # type: ignore[assignment]
    seen: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    held: list[Exchange] = field(default_factory=list)
    clients: list["Client"] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    """What the event loop was not to be told: faults of the server."""

    def handle(self, exchange: Exchange) -> None:
        self.seen.append((exchange.method, exchange.target, exchange.body))
        if exchange.target.startswith(b"/later"):
            self.held.append(exchange)
        elif exchange.target == b"/raise":
            raise ZeroDivisionError("a fault of the server")
        else:
            self._echo(exchange)

    def release(self) -> None:
        """Answer what is held now."""

        def let_go() -> None:
            held, self.held = self.held, []
            for exchange in held:
                self._echo(exchange)

        self.call(let_go)

    def call(self, work: Callable[[], Any]) -> Any:
        """Done on the loop's thread."""

        async def run() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(PATIENCE)

    def stop(self, within: float = 10.0, quiet: float = 0.0) -> "Future[None]":
        """It has begun to stop."""
        stopped = asyncio.run_coroutine_threadsafe(self.listener.stop(within, quiet), self.loop)
        until(lambda: self.listener.wire.closing)
        return stopped

    def connections(self) -> int:
        return int(self.call(lambda: self.listener.connections))

    def client(self, tls: ssl.SSLContext | None = None) -> "Client":
        """Closed at the end, if not before."""
        self.clients.append(Client(self.port, tls))
        return self.clients[-1]

    def _echo(self, exchange: Exchange) -> None:
        if exchange.target == b"/big":
            exchange.respond(200, self.big)
        else:
            exchange.respond(200, b"%b %b %b" % (exchange.method, exchange.target, exchange.body), b"text/plain")


@contextmanager
def wired(
    limits: Limits = QUICK, *, handle: Handle | None = None, tls: ssl.SSLContext | None = None, loop: str = "uvloop"
) -> Iterator[Served]:
    """A server whose thread has ended when the block has."""
    listening, ready = bind("127.0.0.1", 0), threading.Event()
    served = Served(listening.getsockname()[1], LOOPS[loop](), listening)
    told = asyncio.Event()

    async def run() -> None:
        served.loop.set_exception_handler(lambda _, context: served.failed.append(context))
        served.listener = Listener(listening, handle or served.handle, limits, tls, served.refused.append)
        ready.set()
        await told.wait()
        await served.listener.stop(5, 0)

    thread = threading.Thread(target=lambda: served.loop.run_until_complete(run()))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield served
        served.release()
    finally:
        for client in served.clients:
            client.socket.close()
        served.loop.call_soon_threadsafe(told.set)
        thread.join(20)
        served.loop.close()
        listening.close()
    assert served.failed == [], served.failed


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection, spoken to in bytes; what it waits for comes within PATIENCE seconds."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, *, room: int = 0) -> None:
        self.socket = socket.socket()
        if room:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self._read = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> "Client":
        for piece in pieces:
            self.socket.sendall(piece)
        return self

    def send_while_it_goes(self, piece: bytes, times: int) -> None:
        """Until it is done, or the other side has cut the connection."""
        with contextlib.suppress(OSError):
            for _ in range(times):
                self.socket.sendall(piece)

    def reset(self) -> None:
        """Go, and let the other side know: a connection that is merely closed looks like one that is half closed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def flood(self, piece: bytes) -> None:
        """Until it is cut, which raises; at most PATIENCE seconds."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.socket.sendall(piece)

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reply(self, *, head: bool = False) -> Reply:
        """The next answer; one that is not well formed fails the test."""
        while b"\r\n\r\n" not in self._read:
            got = self.socket.recv(65536)
            assert got, f"the connection ended within an answer's head: {self._read!r}"
            self._read += got
        top, _, self._read = self._read.partition(b"\r\n\r\n")
        line, *lines = top.decode("ascii").split("\r\n")
        version, status, phrase = line.split(" ", 2)
        assert (version, bool(phrase)) == ("HTTP/1.1", True), line
        pairs = [one.split(": ", 1) for one in lines]
        headers = dict(pairs)
        assert len(headers) == len(pairs), f"a header came twice: {lines}"
        if int(status) < 200 or int(status) in (204, 304):
            assert "content-length" not in headers
            return Reply(int(status), headers, b"")
        size = 0 if head else int(headers["content-length"])
        while len(self._read) < size:
            got = self.socket.recv(1 << 20)
            assert got, "the connection ended within an answer's body"
            self._read += got
        body, self._read = self._read[:size], self._read[size:]
        return Reply(int(status), headers, body)

    def replies(self) -> list[Reply]:
        """All answers until the other side ends the connection."""
        found = []
        while self._read or self._more():
            found.append(self.reply())
        return found

    def ended(self) -> bool:
        """Whether the other side ends the connection with nothing more on it; a reset is a failure."""
        return not self._read and self.socket.recv(1) == b""

    def silent(self) -> bool:
        """Whether nothing has come so far."""
        self.socket.settimeout(0.05)
        try:
            return not self._read and not self._more()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def _more(self) -> bool:
        got = self.socket.recv(65536)
        self._read += got
        return bool(got)


def get(target: str = "/", *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {target} HTTP/{version}", "Host: a", *headers, "", ""]).encode("latin-1")


def post(body: bytes, target: str = "/", *headers: str, version: str = "1.1") -> bytes:
    length = f"Content-Length: {len(body)}"
    return "\r\n".join([f"POST {target} HTTP/{version}", "Host: a", length, *headers, "", ""]).encode("latin-1") + body


def chunked(*pieces: bytes, target: str = "/", trailer: bytes = b"") -> bytes:
    """A POST in chunks."""
    head = f"POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n" + trailer + b"\r\n"
