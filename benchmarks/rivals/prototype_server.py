"""The limit, no server to use: a protocol on httptools, uvloop, orjson, and one shared `run` for all requests that wait.

It routes nothing, counts nothing, logs nothing, limits nothing, and trusts its client: one request at a time on a connection.
"""

import asyncio
import sys
from typing import Any

import httptools
import numpy as np
import orjson
import uvloop

from benchmarks.rivals.session import open_session

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


class Shared:
    """What waits is answered together in the loop's next turn: nobody waits for company."""

    def __init__(self, graph: str, loop: asyncio.AbstractEventLoop) -> None:
        self._session, self._loop = open_session(graph), loop
        self._waiting: list[tuple[asyncio.Transport, list[float]]] = []

    def ask(self, transport: asyncio.Transport, row: list[float]) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append((transport, row))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        rows = np.array([row for _, row in waiting])
        scores = self._session.run(["scores"], {"numbers": rows})[0].tolist()
        for (transport, _), found in zip(waiting, scores, strict=True):
            output = {"name": "scores", "datatype": "FP64", "shape": [1, len(found)], "data": found}
            write(transport, orjson.dumps({"model_name": "loans", "model_version": "1", "outputs": [output]}))


class Connection(asyncio.Protocol):
    """A connection."""

    def __init__(self, shared: Shared) -> None:
        self._shared, self._parser = shared, httptools.HttpRequestParser(self)
        self._body = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        if body:
            self._shared.ask(self._transport, orjson.loads(body)["inputs"][0]["data"])
        else:
            write(self._transport, b'{"ready":true}')


def write(transport: asyncio.Transport, body: bytes) -> None:
    """An answer."""
    transport.write(HEAD % len(body) + body)


async def serve(graph: str, port: int) -> None:
    """Until it is ended."""
    loop = asyncio.get_running_loop()
    shared = Shared(graph, loop)
    server = await loop.create_server(lambda: Connection(shared), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
