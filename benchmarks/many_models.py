"""Many models in one process: memory, loading, latency when requests are spread over a thousand of them, and a new version."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np

from benchmarks.bank import MODEL
from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.machine import user_environment
from benchmarks.measure import Spread
from benchmarks.open_loop import Asked, Told, ask, begin, end
from benchmarks.report import alone
from benchmarks.rivals.environment import ROOT
from benchmarks.servers import CORE
from benchmarks.serving_model import loads, released
from benchmarks.wrk import Load, fire, there
from modelway.records import Manifest, Route, dumps
from modelway.records import loads as read
from modelway.workspace import Workspace, open_workspace

MANY, REGISTERED, LIMIT_MB = 1_000, 10_000, 1_000
_LIMIT = 300.0


@dataclass(frozen=True)
class Running:
    """A serving process; `ready`: seconds from its start until every model answered, `memory`: bytes that it held then."""

    url: str
    pid: int
    first: float
    ready: float
    memory: int


def measure(quick: bool) -> Result:
    """Each part in a process of its own, on core 0; the client on core 1."""
    title = "many models in one process"
    if not there():
        return Result(title, (), ("No figures: wrk, taskset and two cores are needed (apt install wrk util-linux).",))
    rows, many, registered, seconds = (1_000, 50, 200, 2) if quick else (6_000, MANY, REGISTERED, 20)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        served = released(folder, rows)
        load = loads(folder, 10)["matrix"]
        workspace = open_workspace(served.bank)
        try:
            figures = [
                *_spread(workspace, load, folder, many, seconds, 1 if quick else 3),
                *_published(workspace, load, folder, seconds * 2),
                *_on_demand(workspace, load, registered, 200 if quick else 3_000),
            ]
        finally:
            workspace.close()
    notes = (
        "Every model is the one of the serving benchmark (30 columns, 100 trees) under another name, with a session of its own; "
        "requests are spread by Zipf's law with exponent 1.1. Routing, checks, metrics and the prediction log are on.",
        "Latencies are those of an open loop: requests are due at random times at half of the capacity that wrk found just before, "
        "and latency counts from when one was due.",
        f"On demand: serving.memory {LIMIT_MB} MB, each model asked once in random order, so that nearly every request finds "
        "its model cold; then the held memory's peak as the kernel says it (VmHWM).",
    )
    return Result(title, tuple(figures), notes)


def _spread(workspace: Workspace, load: Load, folder: Path, many: int, seconds: int, rounds: int) -> Iterator[Figure]:
    names = [f"m{number:05d}" for number in range(many)]
    digest = _digest(workspace)
    _route(workspace, {names[0]: digest})
    with _serving(workspace, names[:1]) as alone_:
        one = alone_
        capacity = fire(one.url, one.pid, replace(load, path=f"/v2/models/{names[0]}/infer"), 16, 3).rate
        rate = capacity / 2
        single = [_told(one.url, names[:1], load, rate, seconds, folder) for _ in range(rounds)]
    _route(workspace, _named(workspace, names))
    with _serving(workspace, names) as all_:
        crowd = [_told(all_.url, names, load, rate, seconds, folder) for _ in range(rounds)]
    yield figure(f"{many:,} models: all ready", all_.ready, "s", Target(at_most=10))
    yield figure(f"{many:,} models: the first answers", all_.first, "s")
    yield figure("a model: memory", (all_.memory - one.memory) / (many - 1) / 1e6, "MB", Target(at_most=1))
    yield figure("one model, half of capacity: rate", rate, "requests/s")
    yield figure("one model: p99", _p99(single), "ms", note=_failed(single))
    yield figure(f"{many:,} models, Zipf: p99", _p99(crowd), "ms", note=_failed(crowd))
    ratios = Spread.of([a.p(0.99) / b.p(0.99) for a, b in zip(crowd, single, strict=True)])
    yield figure(f"{many:,} models ÷ one: p99", ratios, "×", Target(at_most=1.3))


def _published(workspace: Workspace, load: Load, folder: Path, seconds: int) -> Iterator[Figure]:
    """A new version while a client asks at half of capacity."""
    digest, other = _digest(workspace), _renamed(workspace, "published", 2)
    name = "published"
    _route(workspace, {name: digest})
    with _serving(workspace, [name]) as one:
        rate = fire(one.url, one.pid, replace(load, path=f"/v2/models/{name}/infer"), 16, 3).rate / 2
        asked = _asked(one.url, [name], load, rate, seconds, folder)
        client = begin(asked)
        time.sleep(seconds / 2)
        moment = time.time()
        workspace.traffic.apply(Route(name, {"2": 1.0}, {"2": other}))
        told = end(client, asked)
    seen = told.due[told.version == 2]
    around = (moment - 5, moment + 5)
    quiet = (told.due[0] + 1, moment - 5)
    yield figure("a new version: first answer of it", float(seen.min() - moment), "s", Target(at_most=1))
    yield figure("a new version: failed requests", told.failed, "requests", Target(at_most=0))
    ratio = told.p(0.99, around) / told.p(0.99, quiet)
    yield figure("a new version: p99 of the 10 s around ÷ before", ratio, "×", Target(at_most=1.5))


def _on_demand(workspace: Workspace, load: Load, registered: int, requests: int) -> Iterator[Figure]:
    names = [f"m{number:05d}" for number in range(registered)]
    _route(workspace, _named(workspace, names))
    stack = workspace.places.stack
    before = stack.read_text()
    stack.write_text(before.replace("serving: {", f"serving: {{memory: {LIMIT_MB}, "))
    body, order = load.files[0].read_bytes(), np.random.default_rng(5).permutation(registered)[:requests]
    took = []
    try:
        with _serving(workspace, ()) as one, httpx.Client(base_url=one.url, timeout=60) as client:
            for place in order.tolist():
                started = time.perf_counter()
                answer = client.post(f"/v2/models/{names[place]}/infer", content=body)
                took.append(time.perf_counter() - started)
                answer.raise_for_status()
            peak = _status(one.pid, "VmHWM")
            evicted = _metric(client, "modelway_evictions_total")
    finally:
        stack.write_text(before)
    yield figure(f"{registered:,} registered: memory at its most", peak / 1e6, "MB", Target(at_most=LIMIT_MB))
    yield figure("a cold model's first request: p50", float(np.quantile(took, 0.5)) * 1e3, "ms")
    limit = Target(at_most=100)
    yield figure("a cold model's first request: p99", float(np.quantile(took, 0.99)) * 1e3, "ms", limit)
    note = f"of {len(took):,}, with {evicted:,.0f} evictions"
    yield figure("a cold model's first request: the worst", max(took) * 1e3, "ms", limit, note)


def _digest(workspace: Workspace) -> str:
    return _renamed(workspace, MODEL, 1)


def _renamed(workspace: Workspace, name: str, number: int) -> str:
    """The released version under another name, as an artefact; `number` makes another artefact of an equal one."""
    from modelway.registry import versions
    from modelway.state import champions

    with workspace.database.read() as connection:
        champion = champions.champion(connection, MODEL)
    manifest = read(Manifest, workspace.artifacts.get(versions.get(workspace.database, MODEL, champion or 1).digest))
    spec = json.loads(workspace.artifacts.get(manifest.spec)) | {"model": name}
    kept = workspace.artifacts.put(dumps(spec) + b" " * (number - 1))
    return workspace.artifacts.put(dumps(replace(manifest, model=name, spec=kept)))


def _named(workspace: Workspace, names: Sequence[str]) -> dict[str, str]:
    return {name: _renamed(workspace, name, 1) for name in names}


def _route(workspace: Workspace, digests: dict[str, str]) -> None:
    """All at once: a route by itself costs a sync of the disk."""
    routes = {name: Route(name, {"1": 1.0}, {"1": digest}) for name, digest in digests.items()}
    workspace.places.routes.write_bytes(dumps(routes))


@contextmanager
def _serving(workspace: Workspace, names: Sequence[str]) -> Iterator[Running]:
    """Until the block ends; `names` must be ready first."""
    places = workspace.places
    places.server.unlink(missing_ok=True)
    for topic in places.inner.glob("events/*_predictions/*.log"):
        topic.unlink()
    command = [*CORE, sys.executable, "-m", "modelway.control.serve", str(places.root)]
    started = time.perf_counter()
    with (places.logs / "many_models.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=user_environment(), stdout=log, stderr=log)
        try:
            yield _when_ready(workspace, names, process, started)
        finally:
            process.terminate()
            process.wait(60)


def _when_ready(
    workspace: Workspace, names: Sequence[str], process: "subprocess.Popen[bytes]", started: float
) -> Running:
    first = None
    while time.perf_counter() - started < _LIMIT and process.poll() is None:
        time.sleep(0.02)
        if not workspace.places.server.is_file():
            continue
        url = str(json.loads(workspace.places.server.read_text())["url"])
        with httpx.Client(base_url=url, timeout=10) as client:
            ready = all(client.get(f"/v2/models/{name}/ready").status_code == 200 for name in names[:1])
            first = first or (time.perf_counter() - started if ready else None)
            ready &= client.get("/v2/health/ready").status_code == 200
            if ready and all(client.get(f"/v2/models/{name}/ready").status_code == 200 for name in names[-1:]):
                took = time.perf_counter() - started
                return Running(url, process.pid, first or took, took, _status(process.pid, "VmRSS"))
    raise TimeoutError((workspace.places.logs / "many_models.log").read_text()[-400:])


def _asked(url: str, names: Sequence[str], load: Load, rate: float, seconds: float, folder: Path) -> Asked:
    return Asked(url, list(names), [str(file) for file in load.files], rate, seconds, str(folder / "told.npz"))


def _told(url: str, names: Sequence[str], load: Load, rate: float, seconds: float, folder: Path) -> Told:
    ask(_asked(url, names, load, rate, 3, folder))  # warms up
    return ask(_asked(url, names, load, rate, seconds, folder))


def _p99(told: Sequence[Told]) -> Spread:
    return Spread.of([one.p(0.99) for one in told]).times(1e3)


def _failed(told: Sequence[Told]) -> str:
    failed = sum(one.failed for one in told)
    return f"{failed:,} failed" if failed else ""


def _status(pid: int, name: str) -> int:
    """Bytes, as the kernel says."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024


def _metric(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    alone("many_models", measure)
