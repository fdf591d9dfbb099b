"""The server's process: binds, loads, says where it answers, serves, and ends without losing what it was asked."""

import asyncio
import errno
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from modelway.errors import ServerError
from modelway.serving.app import App, Server, make_app
from modelway.serving.models import keep_looking

if TYPE_CHECKING:
    import uvicorn

_LOOK_SECONDS = 0.1
"""How often the routes are looked at."""
_QUEUE = 2048
"""Connections that may wait to be taken."""
_GRACE_SECONDS = 10
"""How long requests under way, and then those in shadow, have to end."""


def serve(server: Server, host: str, port: int, *, says: Path, fsync_ms: float) -> None:
    """Answer until SIGTERM or SIGINT; `says` holds {"url", "pid"} while this server is ready.

    A `port` of 0 takes a free one. Raises ServerError when the address cannot be bound.
    """
    listening = bind(host, port)
    stop = threading.Event()
    try:
        with _signals_after_uvicorn() as told:
            server.models.look()
            looking = keep_looking(server.models, _LOOK_SECONDS, stop)
            server.shadow.start()
            _write(says, {"url": address(listening, host), "pid": os.getpid()})
            try:
                asyncio.run(_until_told(server, make_app(server), listening, fsync_ms, told))
            finally:
                _remove_own(says)
                stop.set()
                server.shadow.drain(_GRACE_SECONDS)
                server.log.flush()
                looking.join(_GRACE_SECONDS)
    finally:
        listening.close()


async def _until_told(
    server: Server, app: App, listening: socket.socket, fsync_ms: float, told: threading.Event
) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    running = uvicorn.Server(config)
    beside = [
        asyncio.create_task(server.log.keep_flushing(fsync_ms)),
        asyncio.create_task(_end_when(told, running)),
    ]
    try:
        await running.serve(sockets=[listening])
    finally:
        for task in beside:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _end_when(told: threading.Event, running: "uvicorn.Server") -> None:
    """A signal that came before uvicorn listened to signals counts too."""
    while not told.is_set():
        await asyncio.sleep(_LOOK_SECONDS)
    running.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on: those that come before the server is ready wait in its queue.

    The protocol is named: asyncio switches Nagle's algorithm off (40 ms an answer) only where it is.
    """
    listening = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_QUEUE)
        return listening
    except OSError as error:
        listening.close()
        what = "address already in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise ServerError(
            f"{host}:{port}: {what}", "set another port in stack.yaml, serving: {port: 8081}, or 0 for a free one"
        ) from error


def address(listening: socket.socket, host: str) -> str:
    """Where a client of this machine finds the server."""
    port = listening.getsockname()[1]
    near = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{near}]:{port}" if ":" in near else f"http://{near}:{port}"


@contextmanager
def _signals_after_uvicorn() -> Iterator[threading.Event]:
    """Set when a signal came before uvicorn listens; uvicorn raises the one that ended it once more, when it was obeyed."""
    told = threading.Event()
    before = {number: signal.signal(number, lambda *_: told.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write(path: Path, said: dict[str, object]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    beside.write_text(json.dumps(said))
    beside.replace(path)


def _remove_own(path: Path) -> None:
    """Another server may have taken the place meanwhile."""
    try:
        if json.loads(path.read_text()).get("pid") == os.getpid():
            path.unlink()
    except (FileNotFoundError, json.JSONDecodeError):
        return
