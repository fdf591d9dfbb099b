"""The servers that are compared: each a process on core 0, with an address, ready before it is asked."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from benchmarks.bank import MODEL
from benchmarks.machine import user_environment
from benchmarks.rivals import environment as rivals
from benchmarks.rivals.environment import ROOT, MissingRivalError, pin

CORE = ("taskset", "-c", "0")
_READY_SECONDS = 90.0


@dataclass(frozen=True)
class Server:
    """A process that answers."""

    name: str
    url: str
    pid: int
    grpc: str = ""


@contextmanager
def ours(bank: Path, log: Path, without: str = "", name: str = "modelway") -> Iterator[Server]:
    """The bare serving process on a workspace: routing, metrics and prediction log as under `modelway up`, or `without` one."""
    told = bank / ".modelway" / "server.json"
    told.unlink(missing_ok=True)

    def url() -> str:
        return str(json.loads(told.read_text())["url"]) if told.is_file() else ""

    words = ["benchmarks.plainer_server", str(bank), without] if without else ["modelway.control.serve", str(bank)]
    command = [sys.executable, "-m", *words]
    with _running(name, command, {}, url, f"/v2/models/{MODEL}/ready", log) as server:
        yield server


@contextmanager
def collector(log: Path) -> Iterator[Server]:
    """What takes traces, on the client's core."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.collector", str(port)]
    with _running(
        "collector", command, {}, lambda: f"http://127.0.0.1:{port}", "/", log, ("taskset", "-c", "1")
    ) as one:
        yield one


@contextmanager
def asgi(graph: Path, log: Path) -> Iterator[Server]:
    """uvicorn, from our own environment."""
    with _told_port("uvicorn", "benchmarks.rivals.asgi_server", graph, log) as server:
        yield server


@contextmanager
def prototype(graph: Path, log: Path) -> Iterator[Server]:
    """The least that a Python server can do."""
    with _told_port("prototype", "benchmarks.rivals.prototype_server", graph, log) as server:
        yield server


@contextmanager
def mlserver(graph: Path, log: Path) -> Iterator[Server]:
    """MLServer with an ONNX Runtime runtime (it has none of its own); raises MissingRivalError."""
    program = rivals.python_of("mlserver").with_name("mlserver")
    models = log.parent / "mlserver"
    (models / MODEL).mkdir(parents=True, exist_ok=True)
    settings = {"name": MODEL, "implementation": "benchmarks.rivals.mlserver_runtime.Onnx"}
    settings |= {"parameters": {"uri": str(graph), "version": "1"}}
    (models / MODEL / "model-settings.json").write_text(json.dumps(settings))
    http, grpc, metrics = (str(free_port()) for _ in range(3))
    environment = {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": http,
        "MLSERVER_GRPC_PORT": grpc,
        "MLSERVER_METRICS_PORT": metrics,
        "MLSERVER_METRICS_DIR": str(models),
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
        "PYTHONPATH": str(ROOT),
    }
    command = [str(program), "start", str(models)]
    ready = f"/v2/models/{MODEL}/ready"
    try:
        with _running("MLServer", command, environment, lambda: f"http://127.0.0.1:{http}", ready, log) as server:
            yield replace(server, grpc=f"127.0.0.1:{grpc}")
    except TimeoutError as error:
        raise MissingRivalError(f"{pin('mlserver')} did not start: {error}") from error


@contextmanager
def grpc_echo(reply: int, log: Path) -> Iterator[Server]:
    """grpcio's own server; each answer has `reply` bytes."""
    port = free_port()
    command = [*CORE, sys.executable, "-m", "benchmarks.rivals.grpc_echo", str(port), str(reply)]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=user_environment(), stdout=out, stderr=out)
        try:
            until = time.monotonic() + _READY_SECONDS
            while not _listens(port) and process.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            yield Server("echo", "", process.pid, f"127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def _told_port(name: str, module: str, graph: Path, log: Path) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", module, str(graph), str(port)]
    with _running(name, command, {}, lambda: f"http://127.0.0.1:{port}", "/ready", log) as server:
        yield server


@contextmanager
def _running(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    url: Callable[[], str],
    ready: str,
    log: Path,
    core: Sequence[str] = CORE,
) -> Iterator[Server]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*core, *command], cwd=ROOT, env={**user_environment(), **environment}, stdout=out, stderr=out
        )
        try:
            yield Server(name, _ready(process, url, ready, log), process.pid)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ready(process: "subprocess.Popen[bytes]", url: Callable[[], str], path: str, log: Path) -> str:
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        place = url()
        try:
            if place and httpx.get(place + path, timeout=2).status_code == 200:
                return place
        except httpx.TransportError:
            pass  # not yet
        time.sleep(0.05)
    raise TimeoutError(f"not ready: {log.read_text()[-400:]}")


def free_port() -> int:
    """A port on loopback that nobody has now."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])
