"""The server's process: binds, loads, says where it answers, serves, and ends without losing what it was asked."""

import asyncio
import errno
import json
import os
import signal
import socket
import ssl
import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from modelway.errors import ServerError
from modelway.serving.answering import Answering
from modelway.serving.app import make_app
from modelway.serving.asking import Asking, Server
from modelway.serving.front import Front
from modelway.serving.models import keep_looking
from modelway.serving.rest import Rest
from modelway.serving.wire.asgi import answering
from modelway.serving.wire.limits import DEFAULT, Limits
from modelway.serving.wire.listener import Listener

_LOOK_SECONDS = 0.1
"""How often the routes are looked at."""
_QUEUE = 2048
"""Connections that may wait to be taken."""
_GRACE_SECONDS = 10
"""How long requests under way, and then those in shadow, have to end."""
_APART = 8
"""Threads for what takes long, or asks the log."""


def serve(
    server: Server,
    listening: socket.socket,
    host: str,
    *,
    says: Path,
    fsync_ms: float,
    limits: Limits = DEFAULT,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Answer on a socket that was bound to `host`, until SIGTERM or SIGINT; `says` holds {"url", "pid"} while it is ready."""
    stop = threading.Event()
    try:
        with _runner() as runner:
            told = runner.run(_told())
            server.models.look()
            looking = keep_looking(server.models, _LOOK_SECONDS, stop)
            server.shadow.start()
            url = address(listening, host, "https" if tls else "http")
            try:
                runner.run(_until(told, server, listening, says, url, fsync_ms, limits, tls))
            finally:
                _remove_own(says)
                stop.set()
                server.shadow.drain(_GRACE_SECONDS)
                server.log.flush()
                looking.join(_GRACE_SECONDS)
    finally:
        listening.close()


def _runner() -> asyncio.Runner:
    """uvloop's loop where it is to be had: about twice as fast as Python's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _told() -> asyncio.Event:
    """Set when a signal came; one that comes while models are loaded is heard when they are."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    return told


async def _until(
    told: asyncio.Event,
    server: Server,
    listening: socket.socket,
    says: Path,
    url: str,
    fsync_ms: float,
    limits: Limits,
    tls: ssl.SSLContext | None,
) -> None:
    with ThreadPoolExecutor(_APART, "apart") as pool:
        listener = listen(server, listening, pool, limits, tls)
        flushing = asyncio.create_task(server.log.keep_flushing(fsync_ms))
        _write(says, {"url": url, "pid": os.getpid()})
        try:
            await told.wait()
        finally:
            await listener.stop(_GRACE_SECONDS)
            flushing.cancel()
            with suppress(asyncio.CancelledError):
                await flushing


def listen(
    server: Server,
    listening: socket.socket,
    pool: Executor,
    limits: Limits = DEFAULT,
    tls: ssl.SSLContext | None = None,
) -> Listener:
    """From now on the running loop answers; `pool` does what takes long."""
    models = server.models
    asking = Asking(server, Answering(server.log, server.shadow, server.clock, server.metrics, pool))
    rest = Rest(asking, limits.body)
    front = Front(rest, lambda: sorted(models.table.models), answering(make_app(server)))
    return Listener(listening, front, limits, tls)


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


def address(listening: socket.socket, host: str, scheme: str = "http") -> str:
    """Where a client of this machine finds the server."""
    port = listening.getsockname()[1]
    near = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"{scheme}://[{near}]:{port}" if ":" in near else f"{scheme}://{near}:{port}"


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
