"""Requests without end while everything happens to the server: `python -m benchmarks.soak [REQUESTS]`, a million by default.

A real `modelway up` with two serving processes. Clients ask over HTTP on kept connections, and over gRPC, one request after the
other, while serving processes are killed (signal 9), ended (SIGTERM) and renewed, and releases go to the end and are rolled back.
What fails, other than the requests in flight in a process that is killed, is counted; then the lake is compared with the answers.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import polars as pl

from benchmarks.broken_models import MODEL, until, up
from benchmarks.figures import Result, Target, figure
from benchmarks.report import keep, load, machine, show
from benchmarks.sound import COLUMNS, founded, pushed
from modelway import lifecycle
from modelway.flow.feeding import ingest
from modelway.rollout import store
from modelway.serving.grpc import inference_pb2 as messages
from modelway.serving.log import prediction_topic
from modelway.workspace import Workspace

_HTTP, _GRPC = 16, 4
"""Clients of each kind: each has one connection and one request under way."""
_SETTLED = 2.0
"""Seconds after a kill in which a connection that breaks was the killed process's."""
_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_RETRIES = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
                },
            }
        ]
    }
)
"""What gRPC's own clients do by themselves when they are told to: the docs give it."""
_STACK = "serving: {port: 0, workers: 2, grpc: {port: 0}}\ntick_seconds: 0.2\n"
_RELEASE = "{shadow: 50 requests, canary: [50%, 100%], promote_on: errors, watch: 5s, guard: {errors: 0.05}}"
_PATIENT = "monitoring: {slo: {longest_wait_ms: 30000}}\n"
"""A busy machine is no matter here: nobody is refused because he would wait too long."""


@dataclass
class Seen:
    """What the clients saw; used under `lock`."""

    wanted: int
    over: bool = False
    """Whether all has happened that was to happen: the clients go on until then, however many requests that takes."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    begun: int = 0
    answered: list[str] = field(default_factory=list)
    failed: list[tuple[float, str, str]] = field(default_factory=list)
    """When, over what, and how."""

    def next(self) -> str:
        """The name of another request; "" when there were enough."""
        with self.lock:
            if self.over and self.begun >= self.wanted:
                return ""
            self.begun += 1
            return f"s{self.begun}"

    def good(self, name: str) -> None:
        with self.lock:
            self.answered.append(name)

    def bad(self, over: str, how: str) -> None:
        with self.lock:
            self.failed.append((time.monotonic(), over, how))

    @property
    def done(self) -> int:
        return len(self.answered) + len(self.failed)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("requests", type=int, nargs="?", default=1_000_000)
    asked, before = parser.parse_args(), load()
    result = run(asked.requests, rounds=max(1, asked.requests // 25_000))
    show(result)
    keep("soak", result, {**machine(), "load_before": before, "load_after": load()})


def run(requests: int, rounds: int) -> Result:
    """So many requests, and so many rounds of all that may happen."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "bank"
        workspace = founded(root, _STACK, _RELEASE, _PATIENT)
        try:
            with up(root) as url:
                until(lambda: _ready(url), "nothing is released")
                seen, happened, kills = Seen(requests), Counter[str](), list[float]()
                began = time.monotonic()
                threads = _clients(url, str(json.loads((root / ".modelway/server.json").read_text())["grpc"]), seen)
                trouble = _Trouble(root, workspace, seen, happened, kills)
                try:
                    for number in range(rounds):
                        trouble.round(number, requests * (number + 1) // rounds)
                finally:
                    seen.over = True
                for thread in threads:
                    thread.join()
                seconds = time.monotonic() - began
            ingest(workspace, workspace.spec(MODEL))
            return _told(workspace, seen, happened, kills, seconds)
        finally:
            workspace.close()


def _ready(url: str) -> bool:
    """Whether any process answers for the model: each time on a connection of its own."""
    return all(httpx.get(f"{url}/v2/models/{MODEL}/ready").status_code == 200 for _ in range(20))


def _clients(url: str, address: str, seen: Seen) -> list[threading.Thread]:
    found = urlsplit(url)
    assert found.hostname
    assert found.port
    host, port = found.hostname, found.port
    jobs: list[Callable[[], None]] = [lambda: asyncio.run(_over_http(host, port, seen))]
    jobs += [lambda: _over_grpc(address, seen) for _ in range(_GRPC)]
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    return threads


async def _over_http(host: str, port: int, seen: Seen) -> None:
    await asyncio.gather(*[_ask_on(host, port, seen) for _ in range(_HTTP)])


async def _ask_on(host: str, port: int, seen: Seen) -> None:
    """One client: a connection is kept until the server says that it closes it, or it breaks."""
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    while name := seen.next():
        try:
            if reader is None or writer is None:
                reader, writer = await asyncio.open_connection(host, port)
            writer.write(_question(name))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            lower = head.lower()
            size = int(lower.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            await asyncio.wait_for(reader.readexactly(size), 30)
        except (OSError, EOFError, TimeoutError) as error:
            seen.bad("HTTP", type(error).__name__)
            if writer is not None:
                writer.close()
            reader = writer = None
            continue
        if head.startswith(b"HTTP/1.1 200 "):
            seen.good(name)
        else:
            seen.bad("HTTP", head.split(b"\r\n", 1)[0].decode())
        if b"connection: close" in lower:
            writer.close()
            reader = writer = None
    if writer is not None:
        writer.close()


def _question(name: str) -> bytes:
    tensor = {"name": "rows", "datatype": "FP64", "shape": [1, len(COLUMNS)], "data": [1.0] * len(COLUMNS)}
    body = json.dumps({"id": name, "inputs": [tensor]}).encode()
    head = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nhost: soak\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _over_grpc(address: str, seen: Seen) -> None:
    options = [("grpc.service_config", _RETRIES), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(address, options=options) as channel:
        method = channel.unary_unary(_METHOD)
        while name := seen.next():
            asked = messages.ModelInferRequest(model_name=MODEL, id=name)
            tensor = asked.inputs.add(name="rows", datatype="FP64", shape=[1, len(COLUMNS)])
            tensor.contents.fp64_contents.extend([1.0] * len(COLUMNS))
            try:
                method(asked.SerializeToString(), timeout=30)
            except grpc.RpcError as error:
                seen.bad("gRPC", error.code().name)
            else:
                seen.good(name)


@dataclass
class _Trouble:
    root: Path
    workspace: Workspace
    seen: Seen
    happened: Counter[str]
    kills: list[float]

    def round(self, number: int, upto: int) -> None:
        """One of each, under load, then wait until so many requests were done."""
        there = self.seen.done
        until(lambda: self.seen.done > there + 200, "the clients stand still", 600)
        self._kill(number % 2, signal.SIGKILL)
        self._kill((number + 1) % 2, signal.SIGTERM)
        self._modelway("renew")
        self.happened["renewals of both"] += 1
        made = pushed(self.workspace, f"soak-{number}")
        lifecycle.release(self.workspace, MODEL, made, "ann", "a soak")
        until(lambda: self._is_over(made), "the release does not end", 600)
        latest = store.latest(self.workspace.database, MODEL)
        if latest is None or latest.state != "full":
            raise RuntimeError(f"a sound version was not released: {latest}")
        self.happened["releases to the end"] += 1
        self._modelway("rollback", MODEL, "--reason", "a soak")
        self.happened["rollbacks"] += 1
        until(lambda: self.seen.done >= upto, "the clients stand still", 36_000)

    def _is_over(self, made: int) -> bool:
        latest = store.latest(self.workspace.database, MODEL)
        return latest is not None and latest.version == made and latest.state not in ("waiting", "shadow", "canary")

    def _kill(self, worker: int, how: signal.Signals) -> None:
        place = self.root / f".modelway/server{f'-{worker}' if worker else ''}.json"
        until(lambda: len(self._pids()) == 2, "two serving processes do not answer")
        pid = int(json.loads(place.read_text())["pid"])
        if how is signal.SIGKILL:
            self.kills.append(time.monotonic())
        os.kill(pid, how)
        until(lambda: len(self._pids()) == 2 and pid not in self._pids(), f"process {worker} did not come again", 120)
        self.happened["kills (signal 9)" if how is signal.SIGKILL else "ends (SIGTERM)"] += 1

    def _pids(self) -> set[int]:
        found = set[int]()
        for place in (self.root / ".modelway/server.json", self.root / ".modelway/server-1.json"):
            try:
                found.add(int(json.loads(place.read_text())["pid"]))
            except (FileNotFoundError, json.JSONDecodeError):
                continue
        return found

    def _modelway(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "modelway", *words], cwd=self.root, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")


def _told(workspace: Workspace, seen: Seen, happened: Counter[str], kills: list[float], seconds: float) -> Result:
    killed = [one for one in seen.failed if one[1] == "HTTP" and _broke(one, kills)]
    others = [one for one in seen.failed if one not in killed]
    rows = (
        workspace.lake.scan(workspace.lake.version(prediction_topic(MODEL)))  # type: ignore[arg-type]
        .filter(~pl.col("shadow"))
        .select("request", "version")
        .collect()
    )
    answered = pl.DataFrame({"request": seen.answered})
    missing = answered.join(rows, "request", how="anti").height
    twice = rows.filter(rows.is_duplicated()).unique()
    doubled = answered.join(twice, "request", how="semi").height
    figures = [
        figure("requests", seen.begun, "", note=f"{_HTTP} clients over HTTP, {_GRPC} over gRPC"),
        figure("answered", len(seen.answered), ""),
        figure("in flight in a process that was killed", len(killed), "", Target(at_most=_HTTP * len(kills))),
        figure("failed otherwise", len(others), "", Target(at_most=0), _ways(others)),
        figure("answered and missing in the lake", missing, "", Target(at_most=0)),
        figure("answered and doubled in the lake", doubled, "", Target(at_most=0)),
        *(figure(name, count, "") for name, count in sorted(happened.items())),
        figure("requests a second, of clients and server together", seen.begun / seconds, "/s"),
    ]
    return Result("a soak: requests while everything happens to the server", tuple(figures), _NOTES)


def _broke(one: tuple[float, str, str], kills: list[float]) -> bool:
    at, _, how = one
    return not how.startswith("HTTP/") and any(0 <= at - kill <= _SETTLED for kill in kills)


def _ways(failed: list[tuple[float, str, str]]) -> str:
    return ", ".join(f"{count} × {over} {how}" for (over, how), count in Counter(one[1:] for one in failed).items())


_NOTES = (
    "`modelway up` with `serving.workers: 2`; clients in the same machine, each with one request under way. A request counts as in "
    "flight in a killed process when its connection broke within two seconds of the kill; all else that was not answered with 200 "
    "failed.",
    "gRPC's clients have a retry policy for UNAVAILABLE and CANCELLED (five attempts), as the page on gRPC gives it; ids make a "
    "second attempt one row. Nobody is refused for want of time (`longest_wait_ms`). Rows of answered requests are looked for in "
    "the predictions table by request; two of one request and version are a double.",
)


if __name__ == "__main__":
    main()
