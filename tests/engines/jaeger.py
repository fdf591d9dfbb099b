"""A Jaeger of the tests: one that runs already, or the all-in-one program where it was built (`jaeger-all-in-one`)."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from modelway.testing.tracing import Arrived
from tests.engines.java import Program, free_ports
from tests.support.running import until


@dataclass(frozen=True)
class Jaeger:
    """Where it takes traces (OTLP over HTTP), and where it is asked for them."""

    takes: str
    asked: str

    def arrived(self, trace: str, number: int) -> Sequence[Arrived]:
        """The spans of a trace, once there are so many."""
        found: list[Any] = []

        def there() -> bool:
            reply = httpx.get(f"{self.asked}/api/traces/{trace}", timeout=10)
            found[:] = reply.json()["data"][0]["spans"] if reply.status_code == 200 else []
            return len(found) >= number

        until(there)
        return [_arrived(one) for one in found]

    def services(self) -> list[str]:
        return list(httpx.get(f"{self.asked}/api/services", timeout=10).json()["data"] or [])


@contextmanager
def jaeger_started() -> Iterator[Jaeger | None]:
    """None where there is neither an address in MODELWAY_TEST_JAEGER (TAKES,ASKED) nor a program."""
    if told := os.environ.get("MODELWAY_TEST_JAEGER"):
        yield Jaeger(*told.split(","))
        return
    home = Path(os.environ.get("ENGINES_HOME", Path.home() / ".cache" / "engines"))
    program = shutil.which("jaeger-all-in-one", path=f"{os.environ['PATH']}:{home / 'bin'}")
    if program is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="jaeger"))
    names = (
        "collector.otlp.http.host-port", "collector.otlp.grpc.host-port", "query.http-server.host-port", "admin.http.host-port",
        "query.grpc-server.host-port", "collector.grpc-server.host-port", "collector.http-server.host-port")  # fmt: skip
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    ready = f"http://127.0.0.1:{ports['admin.http.host-port']}/"
    words = [f"--{name}=127.0.0.1:{port}" for name, port in ports.items()]
    started = Program(
        [program, "--collector.otlp.enabled=true", *words], folder / "log", lambda: _answers(ready), folder
    )
    started.start()
    try:
        yield Jaeger(f"http://127.0.0.1:{ports[names[0]]}", f"http://127.0.0.1:{ports[names[2]]}")
    finally:
        started.kill()  # it has nothing to lose, and would wait for its clients
        shutil.rmtree(folder)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _arrived(span: Any) -> Arrived:
    began = span["startTime"] * 1_000
    about = {tag["key"]: tag["value"] for tag in span["tags"]}
    parent = next((one["spanID"] for one in span["references"] if one["refType"] == "CHILD_OF"), "")
    named = span["traceID"], span["spanID"], parent, span["operationName"]
    return Arrived(*named, began, began + span["duration"] * 1_000, about, about.get("error") is True)
