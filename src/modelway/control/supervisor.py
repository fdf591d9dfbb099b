"""`modelway up`: the server and the control loops under one supervisor that starts them, revives them and stops them."""

import fcntl
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from modelway.control.children import Child
from modelway.errors import DiskFullError, EngineError, InUseError, ServerError, StateError, of_system
from modelway.metrics.memory import MemoryMetrics
from modelway.monitoring.sinks import ALERT
from modelway.serving.run import bind, pid_in, reserve
from modelway.spec.load import load_stack
from modelway.spec.stack import MOST_WORKERS
from modelway.workspace import Places

PATIENCE = 15.0
_LOOP_PATIENCE = 1.0
"""Seconds for the tick that a control loop is in: it may be killed anywhere, and must not keep anyone waiting."""
RESTARTS = "modelway_server_restarts_total"
_ROOM = 256 * 1024
"""Bytes below which the disk counts as full: logs and alerts then have no room to say so."""


def up(places: Places, announce: Callable[[str], None], *, ready_within: float = 30.0) -> None:
    """Run until SIGINT or SIGTERM; returns with no process left. Raises InUseError when the workspace is up already."""
    stopping = threading.Event()
    with _mapped(places), _locked(places.up_lock), _signals(stopping) as renewing, _bound(places) as sockets:
        stack = load_stack(places.stack)
        servers = [_server(places, number, *sockets) for number in range(stack.serving.workers)]
        loops = [
            Child("control loop", "modelway.control.loop", places.root, places.logs / "control.log")
            for _ in range(stack.control_loops)
        ]
        ingesters = [
            Child("ingester", "modelway.control.ingester", places.root, places.logs / "ingestion.log")
            for _ in range(stack.ingestion.processes)
        ]
        forwarders = [
            Child("forwarder", "modelway.control.forwarder", places.root, places.logs / "forwarding.log")
            for _ in ([stack.events.kafka] if stack.events.kafka else [])
        ]
        first, others = [*servers, loops[0]], [*loops, *ingesters, *forwarders]
        shutil.rmtree(places.figures, ignore_errors=True)
        for number in range(MOST_WORKERS):
            places.worker(number).unlink(missing_ok=True)
        places.heartbeat.unlink(missing_ok=True)
        try:
            for child in first:
                child.start()
            _wait_ready(places, first, stopping, ready_within)
            if not stopping.is_set():
                announce(_address(places))
                for child in (*loops[1:], *ingesters, *forwarders):
                    child.start()
            heard, full, restarts = Heard(places.logs / "control.log"), False, MemoryMetrics()
            while not stopping.wait(0.2):
                before, full = full, _is_full(places.inner)
                if full and not before:
                    announce(f"{places.inner}: the disk is full: free space; what failed for want of it is tried again")
                for alert in heard.alerts():
                    announce(alert)
                if renewing.is_set():
                    renewing.clear()
                    problem = renewed(places, servers, stopping)
                    announce(problem or "the serving processes were renewed")
                    _tell(places, problem)
                for child in (*servers, *others):
                    if child.revive():
                        announce(f"{child.name} had ended and was started again (see {child.log})")
                        if child in servers:
                            _left(places, restarts, servers.index(child))
            announce("stopping …")
        finally:
            for child in (*loops, *ingesters):
                child.ask_to_stop()
            for child in servers:
                child.ask_to_stop()
            for one in filter(None, sockets):
                one.close()  # they take what waits in its queue; nobody else is to wait there in vain
            for child in servers:
                child.stop(PATIENCE)
            for child in forwarders:
                child.ask_to_stop()  # after the server, so that what it answered last is handed on
            for child in (*ingesters, *forwarders):
                child.stop(PATIENCE)
            for child in loops:
                child.stop(_LOOP_PATIENCE)
            for number in range(MOST_WORKERS):
                places.worker(number).unlink(missing_ok=True)


def _left(places: Places, restarts: MemoryMetrics, number: int) -> None:
    """What a process that died was answering is in no log and in no figure of its own: that it died is told by the others."""
    restarts.count(RESTARTS, worker=str(number))
    part = places.figures / ".supervisor.part"
    with suppress(OSError):  # a full disk must not end the supervisor: it is told with the next one
        places.figures.mkdir(exist_ok=True)
        part.write_bytes(restarts.exposition())
        part.replace(places.figures / "supervisor.prom")


def renewed(places: Places, servers: list[Child], stopping: threading.Event, within: float = 30.0) -> str:
    """Put a new process in the place of each serving one, one after the other; what was in the way, "" when nothing was.

    The old one goes when the new one answers, and finishes what it was asked: nobody is refused. One that does not come up leaves
    the old one where it is.
    """
    for number, old in enumerate(servers):
        new = old.successor()
        new.start()
        until = time.monotonic() + within
        while pid_in(places.worker(number)) != (new.process.pid if new.process else 0):
            if stopping.wait(0.02) or new.process is None or new.process.poll() is not None or time.monotonic() > until:
                ended = new.process is not None and new.process.poll() is not None
                new.stop(PATIENCE)
                why = _early_end(new).problem if ended else f"it did not answer within {within:g} s (see {new.log})"
                return f"{new.name} could not be renewed, the old process goes on: {why}"
        servers[number] = new
        old.stop(PATIENCE)
    return ""


def _tell(places: Places, problem: str) -> None:
    """What came of a renewal, for who asked for it."""
    with suppress(OSError):  # a full disk must not end the supervisor: who asked is told that nothing was heard
        part = places.renewed.with_suffix(".part")
        part.write_text(problem)
        part.replace(places.renewed)


def renew(places: Places, within: float = 60.0) -> int:
    """Ask the supervisor of a workspace for new serving processes, and wait for them; how many. Raises StateError, ServerError."""
    standing = {number: pid for number in range(MOST_WORKERS) if (pid := pid_in(places.worker(number))) > 0}
    try:
        with places.up_lock.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        held = False
    except (BlockingIOError, FileNotFoundError) as error:
        held = isinstance(error, BlockingIOError)
    if not held or not standing:
        raise StateError("nothing is up in this workspace", "modelway up")
    places.renewed.unlink(missing_ok=True)
    os.kill(int(places.up_lock.read_text()), signal.SIGHUP)
    until = time.monotonic() + within
    while not places.renewed.exists():
        if time.monotonic() > until:
            raise ServerError(f"not renewed within {within:g} s", f"see {places.logs}")
        time.sleep(0.05)
    if problem := places.renewed.read_text():
        raise ServerError(problem, f"mend that, and `modelway renew` again; see {places.logs}")
    return len(standing)


def _server(places: Places, number: int, listening: socket.socket, grpc: socket.socket | None) -> Child:
    name = "server" if number == 0 else f"server {number}"
    log = places.logs / ("server.log" if number == 0 else f"server-{number}.log")
    descriptor = listening.fileno()
    words = (str(number), str(descriptor), *([str(grpc.getsockname()[1])] if grpc else []))
    return Child(name, "modelway.control.serve", places.root, log, words, (descriptor,))


@contextmanager
def _bound(places: Places) -> Iterator[tuple[socket.socket, socket.socket | None]]:
    """The socket of all serving processes, open as long as this one: whoever connects while they are renewed waits in its queue.

    And the one that keeps the port of gRPC. Raises ServerError when a port is taken, before anything is started.
    """
    serving = load_stack(places.stack).serving
    with ExitStack() as opened:
        listening = opened.enter_context(bind(serving.host, serving.port))
        grpc = opened.enter_context(reserve(serving.host, serving.grpc.port)) if serving.grpc else None
        yield listening, grpc


class Heard:
    """The lines of the control loop's log that are meant for the terminal: alerts, from now on."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._read = log.stat().st_size

    def alerts(self) -> list[str]:
        """Those that were written since the last time; a line that is not ended yet waits."""
        if self._log.stat().st_size <= self._read:
            return []
        with self._log.open("rb") as file:
            file.seek(self._read)
            new, _, _ = file.read().rpartition(b"\n")
        self._read += len(new) + 1 if new else 0
        return [line for line in new.decode(errors="replace").splitlines() if line.startswith(ALERT)]


def _address(places: Places) -> str:
    return str(json.loads(places.server.read_text())["url"])


def _wait_ready(places: Places, children: list[Child], stopping: threading.Event, within: float) -> None:
    waited = 0.0
    said = [places.heartbeat, *(places.worker(number) for number in range(len(children) - 1))]
    while not all(place.exists() for place in said) and not stopping.wait(0.05):
        waited += 0.05
        for child in children:
            if child.process and child.process.poll() is not None:
                raise _early_end(child)
        if waited > within:
            raise ServerError(f"not ready after {within:g} s", f"see {places.logs}")


def _early_end(child: Child) -> EngineError:
    told = child.log.read_text(errors="replace").strip().splitlines()
    if _is_full(child.log.parent):
        return DiskFullError(
            f"{child.log.parent}: the disk is full, the {child.name} cannot start", "free space on that disk"
        )
    lines = [line for line in told if not line.strip().startswith("fix:")]
    last = lines[-1] if lines else "it said nothing"
    if "address" in last and "in use" in last:
        return ServerError(last, "set another port in stack.yaml, serving: {port: 8081}, or 0 for a free one")
    return ServerError(f"the {child.name} ended at its start: {last}", f"see {child.log}")


def _is_full(place: Path) -> bool:
    return shutil.disk_usage(place).free < _ROOM


@contextmanager
def _mapped(places: Places) -> Iterator[None]:
    """A full disk and a folder that this user cannot write are said as such."""
    try:
        yield
    except OSError as error:
        inside = not error.filename or Path(os.fsdecode(error.filename)).is_relative_to(places.inner)
        if (known := of_system(error, places.inner if inside else None)) is None:
            raise
        raise known from error


@contextmanager
def _signals(stopping: threading.Event) -> Iterator[threading.Event]:
    """SIGINT and SIGTERM end it; the event is set by SIGHUP, which asks for new serving processes."""
    renewing = threading.Event()
    before = {s: signal.signal(s, lambda *_: stopping.set()) for s in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: renewing.set())
    try:
        yield renewing
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a+") as lock:
        _take(lock, path)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _take(lock: IO[str], path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        raise InUseError(
            f"this workspace is up already (process {lock.read().strip()})",
            f"use it as it is, or stop that process first ({path})",
        ) from error
