"""An ASGI application behind the wire: for whatever is not on the hot path. Answers are sent whole.

asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from modelway.serving.wire.connection import Handle
from modelway.serving.wire.exchange import FAILED, TEXT, Exchange

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]
_OWN = frozenset({b"content-type", b"content-length", b"date", b"connection", b"transfer-encoding"})
"""Headers that the wire writes itself."""
_log = logging.getLogger("modelway.serving")


def answering(app: App) -> Handle:
    """The application as what handles exchanges; an exception of it is logged, and answered with 500."""
    running: set[asyncio.Task[None]] = set()

    def handle(exchange: Exchange) -> None:
        task = asyncio.get_running_loop().create_task(_answer(app, exchange))
        running.add(task)
        task.add_done_callback(running.discard)

    return handle


async def _answer(app: App, exchange: Exchange) -> None:
    status, headers, pieces = 500, list[tuple[bytes, bytes]](), list[bytes]()
    asked, gone = False, asyncio.Event()

    async def receive() -> Message:
        nonlocal asked
        if asked:
            if not exchange.gone:
                exchange.when_gone(gone.set)
                await gone.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": exchange.body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], [(name.lower(), value) for name, value in message.get("headers", ())]
        elif message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))

    try:
        await app(_scope(exchange), receive, send)
        kind = next((value for name, value in headers if name == b"content-type"), TEXT)
        kept = [header for header in headers if header[0] not in _OWN]
        exchange.respond(status, b"".join(pieces), kind, kept)
    except Exception:  # noqa: BLE001 - the edge of the process: the client must get an answer, and the log the traceback
        _log.exception("%s %s", exchange.method, exchange.target)
        if not exchange.answered:
            exchange.respond(500, FAILED)


def _scope(exchange: Exchange) -> Message:
    path, _, query = exchange.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": exchange.method.decode("latin-1").upper(),
        "scheme": "https" if exchange.secure else "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": list(exchange.headers),
        "client": exchange.peer,
        "server": None,
    }
