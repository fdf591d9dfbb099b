"""The server's process: binds, loads, says where it answers, serves, and ends without losing what it was asked."""

import asyncio
import errno
import json
import os
import signal
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from modelway.errors import ServerError
from modelway.serving.access import Access
from modelway.serving.answering import Answering
from modelway.serving.app import make_app
from modelway.serving.asking import Asking, Server
from modelway.serving.front import Front
from modelway.serving.gauges import Gauges, watch_connections
from modelway.serving.guarded import Guarded, knows
from modelway.serving.measured import WIRE_REFUSALS
from modelway.serving.models import Models, keep_looking
from modelway.serving.rest import Rest
from modelway.serving.wire.asgi import answering
from modelway.serving.wire.heads import Refusal
from modelway.serving.wire.limits import DEFAULT, Limits
from modelway.serving.wire.listener import Listener

_LOOK_SECONDS = 0.1
"""How often the routes are looked at."""
_QUEUE = 2048
"""Connections that may wait to be taken."""
_GRACE_SECONDS = 10
"""How long requests under way, and then those in shadow, have to end."""
_APART, _LOADING = 8, 4
"""Threads for what takes long, or asks the log; and for models that somebody waits for."""
_POLL_SECONDS = 0.01
OTHER_PORT = "set another port in stack.yaml, serving: {port: 8081}, or 0 for a free one"
OTHER_GRPC_PORT = "set another port in stack.yaml, serving: {grpc: {port: 8002}}, or 0 for a free one"


@dataclass(frozen=True, slots=True)
class GrpcPort:
    """Where gRPC is answered; 0 is a free port. `shared`: several processes listen there, the kernel shares out who connects.

    `credentials`: gRPC's, for TLS (see `grpc/secure.py`).
    """

    number: int
    shared: bool = False
    credentials: Any = None


@dataclass(frozen=True, slots=True)
class Doors:
    """Where clients come in: a socket that was bound to `host` for HTTP, with `tls` or without, and a port for gRPC.

    `access`: who may; None: everybody.
    """

    listening: socket.socket
    host: str
    tls: ssl.SSLContext | None = None
    grpc: GrpcPort | None = None
    limits: Limits = DEFAULT
    access: Access | None = None

    @property
    def url(self) -> str:
        return address(self.listening, self.host, "https" if self.tls else "http")


def serve(server: Server, doors: Doors, *, says: Path, fsync_ms: float, alone: bool = True) -> None:
    """Answer until SIGTERM or SIGINT.

    Its doors are open while models are still being loaded, if nobody else answers there (`alone`).
    `says` holds {"url", "pid"}, and "grpc" where gRPC is answered, while it is ready. Raises ServerError when its port is taken.
    """
    stop = threading.Event()
    try:
        with _runner() as runner:
            told = runner.run(_told())
            server.models.look(0.0)
            looking = keep_looking(server.models, _LOOK_SECONDS, stop)
            server.shadow.start()
            try:
                runner.run(_until(told, server, doors, says, fsync_ms, alone))
            finally:
                _remove_own(says)
                stop.set()
                server.shadow.drain(_GRACE_SECONDS)
                server.log.flush()
                looking.join(_GRACE_SECONDS)
    finally:
        doors.listening.close()


def _runner() -> asyncio.Runner:
    """uvloop's loop where it is to be had: about twice as fast as Python's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _told() -> asyncio.Event:
    """Set when a signal came."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    return told


async def _until(told: asyncio.Event, server: Server, doors: Doors, says: Path, fsync_ms: float, alone: bool) -> None:
    if not alone:
        await _loaded(server.models, told)
    with ThreadPoolExecutor(_APART, "apart") as pool:
        asking, limits = asking_of(server, pool), doors.limits
        said: dict[str, object] = {"url": doors.url, "pid": os.getpid()}
        stops = list[Callable[[float], Awaitable[None]]]()
        if (grpc := doors.grpc) is not None:
            from modelway.serving.grpc.listener import open_listener

            second = await open_listener(
                asking,
                doors.host,
                grpc.number,
                limits,
                shared=grpc.shared,
                credentials=grpc.credentials,
                access=doors.access,
                fix=OTHER_GRPC_PORT,
            )
            said["grpc"] = f"{near(doors.host)}:{second.port}"
            stops.append(second.stop)
        stops.append(listen(asking, doors.listening, limits, doors.tls, doors.access).stop)
        flushing = asyncio.create_task(server.log.keep_flushing(fsync_ms))
        try:
            await _loaded(server.models, told)
            if not told.is_set():
                _write(says, said)
            await told.wait()
        finally:
            await asyncio.gather(*[stop(_GRACE_SECONDS) for stop in stops])
            flushing.cancel()
            with suppress(asyncio.CancelledError):
                await flushing


async def _loaded(models: Models, told: asyncio.Event) -> None:
    """Wait until all that is released is loaded, or cannot be; or a signal came."""
    while not (models.table.looked or models.table.problems.get("*") or told.is_set()):
        await asyncio.sleep(_POLL_SECONDS)


def asking_of(server: Server, pool: Executor) -> Asking:
    """What all edges of the running loop share; `pool` does what takes long."""
    loading, traces = ThreadPoolExecutor(_LOADING, "loading"), server.tracing is not None
    answering = Answering(server.log, server.shadow, server.clock, server.metrics, pool, traces=traces)
    asking = Asking(server, answering, loading, ThreadPoolExecutor(1, "large"))
    server.metrics.watch(Gauges(server.metrics, asking).look)
    return asking


def listen(
    asking: Asking,
    listening: socket.socket,
    limits: Limits = DEFAULT,
    tls: ssl.SSLContext | None = None,
    access: Access | None = None,
) -> Listener:
    """From now on the running loop answers HTTP."""
    server = asking.server
    app = make_app(server, guarded=access is not None)
    front = Front(Rest(asking, limits.body), server.models.names, answering(app))

    def refused(refusal: Refusal) -> None:
        server.metrics.count(WIRE_REFUSALS, status=str(refusal.status), reason=refusal.reason)

    if access is None:
        made = Listener(listening, front, limits, tls, refused)
    else:
        guarded = Guarded(front, access, app.routes)
        made = Listener(listening, guarded, limits, tls, refused, partial(knows, access))
    watch_connections(server.metrics, made)
    return made


def bind(host: str, port: int, fix: str = OTHER_PORT) -> socket.socket:
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
        raise ServerError(f"{host}:{port}: {what}", fix) from error


def reserve(host: str, port: int) -> socket.socket:
    """A port of gRPC, 0 for a free one, kept for the processes that share it: it takes no connections itself.

    Raises ServerError when anybody else has it: those who share are told apart by their user alone, and two servers of one user
    would get each other's calls.
    """
    bind(host, port, OTHER_GRPC_PORT).close()
    kept = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    kept.bind((host, port))
    return kept


def address(listening: socket.socket, host: str, scheme: str = "http") -> str:
    """Where a client of this machine finds the server."""
    return f"{scheme}://{near(host)}:{listening.getsockname()[1]}"


def near(host: str) -> str:
    """The host as a client of this machine writes it."""
    name = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{name}]" if ":" in name else name


def pid_in(says: Path) -> int:
    """The server that said where it answers; −1 where none has."""
    try:
        return int(json.loads(says.read_text())["pid"])
    except (FileNotFoundError, json.JSONDecodeError):
        return -1


def _write(path: Path, said: dict[str, object]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    beside.write_text(json.dumps(said))
    beside.replace(path)


def _remove_own(path: Path) -> None:
    """Another server may have taken the place meanwhile."""
    if pid_in(path) == os.getpid():
        path.unlink(missing_ok=True)
