"""An honest client: requests are due at times drawn beforehand, and a late answer makes none of them wait unseen.

A process of its own, so that it can have a core of its own: `python -m benchmarks.open_loop JSON`. Latency counts from when a
request was due, whether a connection was free then or not (no coordinated omission).
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httptools
import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.environment import ROOT

CORE = ("taskset", "-c", "1")
_VERSION = b'"model_version":"'


@dataclass(frozen=True)
class Asked:
    """`models` are asked with a probability that falls with their place (Zipf, exponent 1.1); `bodies` are files, in turn."""

    url: str
    models: Sequence[str]
    bodies: Sequence[str]
    rate: float
    seconds: float
    out: str
    connections: int = 64
    seed: int = 1
    zipf: float = 1.1


@dataclass(frozen=True)
class Told:
    """By request: when it was due (`time.time()`), seconds to its answer (NaN: none), status, version."""

    due: NDArray[np.float64]
    took: NDArray[np.float64]
    status: NDArray[np.int64]
    version: NDArray[np.int64]

    @property
    def failed(self) -> int:
        return int((self.status != 200).sum())

    def p(self, quantile: float, between: tuple[float, float] | None = None) -> float:
        """Seconds; of the answers to what was due in an interval, or of all."""
        wanted = self.status == 200
        if between is not None:
            wanted &= (self.due >= between[0]) & (self.due < between[1])
        return float(np.quantile(self.took[wanted], quantile))


def begin(asked: Asked) -> "subprocess.Popen[str]":
    """The client, at work."""
    command = [*CORE, sys.executable, "-m", "benchmarks.open_loop", json.dumps(asdict(asked))]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)


def end(client: "subprocess.Popen[str]", asked: Asked) -> Told:
    """What it saw; raises RuntimeError when it failed."""
    if client.wait(asked.seconds + 120) != 0:
        raise RuntimeError("the open-loop client failed")
    with np.load(asked.out) as kept:
        return Told(kept["due"], kept["took"], kept["status"], kept["version"])


def ask(asked: Asked) -> Told:
    """From beginning to end."""
    return end(begin(asked), asked)


class _Line(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, crowd: "_Crowd") -> None:
        self._crowd, self._number, self._body = crowd, -1, b""
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._crowd.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._crowd.free:
            self._crowd.free.remove(self)
        if self._number >= 0:
            self._crowd.told(self._number, 0, b"")

    def send(self, number: int, request: bytes) -> None:
        self._number = number
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        number, body = self._number, self._body
        self._number, self._body = -1, b""
        self._crowd.told(number, self._parser.get_status_code(), body)
        self._crowd.free.append(self)


class _Crowd:
    def __init__(self, asked: Asked) -> None:
        random = np.random.default_rng(asked.seed)
        count = int(asked.rate * asked.seconds)
        self.due = np.cumsum(random.exponential(1 / asked.rate, count))
        weights = np.arange(1, len(asked.models) + 1) ** -asked.zipf
        self._models = random.choice(len(asked.models), count, p=weights / weights.sum()).tolist()
        bodies = [Path(name).read_bytes() for name in asked.bodies]
        host = urlsplit(asked.url).netloc
        self._heads = [
            f"POST /v2/models/{model}/infer HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n".encode()
            for model in asked.models
        ]
        self._bodies = [b"content-length: %d\r\n\r\n%b" % (len(body), body) for body in bodies]
        self.free: deque[_Line] = deque()
        self.took, self.status = np.full(count, np.nan), np.zeros(count, int)
        self.version, self._left = np.zeros(count, int), count
        self._began = 0.0

    async def run(self, asked: Asked) -> float:
        place, loop = urlsplit(asked.url), asyncio.get_running_loop()
        for _ in range(asked.connections):
            await loop.create_connection(lambda: _Line(self), place.hostname, place.port)
        self._began, wall = time.perf_counter(), time.time()
        due, number, count = self.due.tolist(), 0, len(self.due)
        until = asked.seconds + 30
        while self._left and (now := time.perf_counter() - self._began) < until:
            while number < count and due[number] <= now and self.free:
                request = self._heads[self._models[number]] + self._bodies[number % len(self._bodies)]
                self.free.popleft().send(number, request)
                number += 1
            await asyncio.sleep(0)  # a timer is too coarse for the next request; the core is this client's own
        return wall

    def told(self, number: int, status: int, body: bytes) -> None:
        self.took[number] = time.perf_counter() - self._began - self.due[number]
        self.status[number] = status
        self._left -= 1
        place = body.find(_VERSION)
        if place >= 0:
            self.version[number] = int(body[place + len(_VERSION) : body.index(b'"', place + len(_VERSION))])


def main() -> None:
    import uvloop

    asked = Asked(**json.loads(sys.argv[1]))
    crowd = _Crowd(asked)
    began = uvloop.run(crowd.run(asked))
    np.savez(asked.out, due=began + crowd.due, took=crowd.took, status=crowd.status, version=crowd.version)


if __name__ == "__main__":
    main()
