"""One row over HTTP on one core: the server with all that it does, beside MLServer, uvicorn, and the least that Python can do."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks import servers
from benchmarks.bank import MODEL
from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.machine import load as load_of_machine
from benchmarks.measure import Spread
from benchmarks.report import alone
from benchmarks.rivals.environment import ROOT, MissingRivalError, pin
from benchmarks.rivals.session import open_session
from benchmarks.servers import Server
from benchmarks.serving_cost import NOTE, costs
from benchmarks.serving_model import COLUMNS, Served, loads, released
from benchmarks.wrk import Load, Shot, fire, there

MATRIX, NAMED, BINARY = "modelway, matrix", "modelway, columns", "modelway, binary"
ML, ASGI, LEAST = "MLServer, matrix", "uvicorn, matrix", "prototype, matrix"
CLIENTS = (1, 16)
MANY, MANY_CLIENTS = 1_000, 4
Shots = Mapping[tuple[str, int], Sequence[Shot]]


@dataclass(frozen=True)
class Contestant:
    """A server, and the form in which it is asked."""

    server: Server
    load: Load


def measure(quick: bool) -> Result:
    """All servers stand at once and are asked in turn, so that what else the machine does falls on all alike."""
    title = "one row over HTTP, one core"
    if not there():
        return Result(title, (), ("No figures: wrk, taskset and two cores are needed (apt install wrk util-linux).",))
    rows, rounds, seconds = (1_000, 1, 1) if quick else (6_000, 3, 5)
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        served = released(folder, rows)
        asked = loads(folder, MANY)
        field = _field(stack, served, asked, folder, notes)
        for who, one in field.items():
            _agree(who, one, served.graph)
        sweep = _Sweep(served.bank / ".modelway" / "events" / f"{MODEL}_predictions")
        busy: list[float] = []
        shots = _rounds(field, rounds, seconds, sweep, busy)
        octets, ones = sweep.octets, _counted(field[MATRIX].server)
        crowd, bare = _crowds(Contestant(field[MATRIX].server, asked["many"]), served, folder, rounds, seconds, sweep)
        ours = [
            n
            for (who, _), found in shots.items()
            if who in (MATRIX, NAMED, BINARY)
            for n in (s.requests for s in found)
        ]
        counted = _counted(field[MATRIX].server)
        told = costs(served, asked["matrix"], folder, 4 * rounds, max(1, seconds // 2))
    if counted < sum(ours):
        raise AssertionError(f"the metrics count {counted} requests of {sum(ours)}")
    figures = [*_figures(shots), *_goals(shots), *_many(crowd, bare), *told]
    notes = [
        f"{rounds} rounds of {seconds} s each, in turn, medians; wrk on the other core, 64 different rows in turn; rates are of "
        f"answers with status 200; one of each server was checked for its numbers. Load meanwhile {min(busy)}–{max(busy)}.",
        "All run the same graph (30 columns, 100 trees of LightGBM, exported by Modelway) on one thread of the same ONNX Runtime. "
        "Ours routes, validates, counts, and hands every prediction to its log before it answers "
        f"(about {octets / ones:,.0f} bytes of log a row); rivals do none of these. The control loop (log to lake) is not running.",
        "MLServer: parallel_workers 0, debug off. uvicorn: uvloop, httptools, one raw ASGI function, orjson. The prototype is the "
        "limit: a protocol on httptools, one run for all that wait, no routing, log, metrics or limits; one request at a time.",
        "µs: the processor's time of the server's process a request, all threads; it holds on a busy machine too. Beside it how "
        "much of its core it had: well below 100 %, the client or other work was the limit, not the server, and p99 is mostly the "
        "wait for a core. Requests by processor second are about what the rates come to where a server has a core to itself and is "
        "never idle (hence the same goal). Ratios are taken round by round.",
        NOTE,
        *notes,
    ]
    return Result(title, tuple(figures), tuple(notes), dict([pin("mlserver").split(" ")]) if ML in field else {})


def _field(
    stack: ExitStack, served: Served, asked: Mapping[str, Load], folder: Path, notes: list[str]
) -> dict[str, Contestant]:
    ours = stack.enter_context(servers.ours(served.bank, folder / "ours.log"))
    found = {MATRIX: Contestant(ours, asked["matrix"]), NAMED: Contestant(ours, asked["columns"])}
    found[BINARY] = Contestant(ours, asked["binary"])
    try:
        theirs = stack.enter_context(servers.mlserver(served.graph, folder / "mlserver.log"))
        found[ML] = Contestant(theirs, asked["matrix"])
    except MissingRivalError as error:
        notes.append(f"No figure: {error}")
    for name, start in ((ASGI, servers.asgi), (LEAST, servers.prototype)):
        server = stack.enter_context(start(served.graph, folder / f"{start.__name__}.log"))
        found[name] = Contestant(server, asked["matrix"])
    return found


def _agree(who: str, one: Contestant, graph: Path) -> None:
    """The first request's answer is the graph's."""
    load = one.load
    headers = {"content-type": load.kind} | ({"inference-header-content-length": str(load.head)} if load.head else {})
    body = load.files[0].read_bytes()
    answer = httpx.post(one.server.url + load.path, content=body, headers=headers)
    answer.raise_for_status()
    given = np.array(_values(load, body)).reshape(1, len(COLUMNS))
    wanted = open_session(str(graph)).run(["scores"], {"numbers": given})[0][0]
    if not np.allclose(_scores(answer), wanted, rtol=0, atol=1e-12):
        raise AssertionError(f"{who}: {_scores(answer)} is not {wanted}")


def _values(load: Load, body: bytes) -> Any:
    if load.head:
        return np.frombuffer(body[load.head :])
    return [tensor["data"] for tensor in json.loads(body)["inputs"]]


def _scores(answer: httpx.Response) -> Any:
    length = int(answer.headers.get("inference-header-content-length", 0))
    if length:
        return np.frombuffer(answer.content[length:])
    found = [tensor for tensor in answer.json()["outputs"] if tensor["datatype"] == "FP64"]
    return [value for tensor in found for value in tensor["data"]]


@dataclass
class _Sweep:
    """Takes away what the log has closed: nobody takes it to the lake here, and it would fill the disk.

    `octets`: how much that was.
    """

    place: Path
    octets: int = 0

    def __call__(self) -> None:
        *closed, _ = sorted(self.place.glob("*.log"))
        for one in closed:
            self.octets += one.stat().st_size
            one.unlink()


def _rounds(
    field: Mapping[str, Contestant], rounds: int, seconds: int, sweep: _Sweep, busy: list[float]
) -> dict[tuple[str, int], list[Shot]]:
    shots: dict[tuple[str, int], list[Shot]] = {}
    for number in range(rounds + 1):
        for clients in CLIENTS:
            for who, one in field.items():
                shot = fire(one.server.url, one.server.pid, one.load, clients, seconds if number else 1)
                sweep()
                if number:  # the first round warms up
                    shots.setdefault((who, clients), []).append(shot)
                    busy.append(load_of_machine())
    return shots


def _crowds(
    one: Contestant, served: Served, folder: Path, rounds: int, seconds: int, sweep: _Sweep
) -> tuple[list[Shot], list[dict[str, float]]]:
    """Many rows a request, and the bare graph on the same rows, in turn."""
    rows = folder / "rows.f64"
    rows.write_bytes(one.load.files[0].read_bytes()[one.load.head :])
    asked = {"graph": str(served.graph), "rows": str(rows), "columns": len(COLUMNS), "seconds": seconds}
    command = [*servers.CORE, sys.executable, "-m", "benchmarks.rivals.bare_run", json.dumps(asked)]
    fire(one.server.url, one.server.pid, one.load, MANY_CLIENTS, 1)
    shots, bare = [], []
    for _ in range(rounds):
        shots.append(fire(one.server.url, one.server.pid, one.load, MANY_CLIENTS, seconds))
        sweep()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        bare.append(json.loads(done.stdout.splitlines()[-1]))
    return shots, bare


def _counted(server: Server) -> int:
    """Requests that our metrics know of."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("modelway_request_seconds_count"))


def _figures(shots: Shots) -> Iterator[Figure]:
    for (who, clients), found in sorted(shots.items(), key=lambda item: item[0][1]):
        many = f"{who}, {clients} client{'s' if clients > 1 else ''}"
        busy = Spread.of([one.busy for one in found]).median
        yield figure(f"{many}: rate", Spread.of([one.rate for one in found]), "requests/s", note=_failed(found))
        yield figure(f"{many}: p99", Spread.of([one.p99 for one in found]).times(1e3), "ms")
        yield figure(f"{many}: processor", _cpu(found).times(1e6), "µs", note=f"{busy:.0%} of its core")


def _failed(found: Sequence[Shot]) -> str:
    failed = sum(one.failed for one in found)
    return f"{failed:,} more were refused or broke" if failed else ""


def _cpu(found: Sequence[Shot]) -> Spread:
    return Spread.of([one.cpu for one in found])


def _goals(shots: Shots) -> Iterator[Figure]:
    """Ours against each, at the most clients, round by round: what else the machine does falls on both of a round."""
    clients = max(CLIENTS)
    goals = {ML: (Target(at_least=20), Target(at_most=0.1)), ASGI: (Target(at_least=3), None), LEAST: (None, None)}
    for mine in (MATRIX, NAMED, BINARY):
        for rival, (rate, p99) in goals.items():
            if (rival, clients) not in shots:
                continue
            pairs = list(zip(shots[mine, clients], shots[rival, clients], strict=True))
            name, held = f"{mine} ÷ {rival.split(',')[0]}", mine != NAMED  # by name says more than a rival is asked
            yield figure(f"{name}: rate", Spread.of([a.rate / b.rate for a, b in pairs]), "×", rate if held else None)
            each = Spread.of([b.cpu / a.cpu for a, b in pairs])
            yield figure(f"{name}: requests by processor second", each, "×", rate if held else None)
            if p99:
                found = Spread.of([a.p99 / b.p99 for a, b in pairs])
                yield figure(f"{name}: p99", found, "×", p99 if held else None)


def _many(crowd: Sequence[Shot], bare: Sequence[Mapping[str, float]]) -> Iterator[Figure]:
    pairs = list(zip(crowd, bare, strict=True))
    name, goal = f"{MANY:,} rows binary, {MANY_CLIENTS} clients", Target(at_least=0.8)
    yield figure(f"{name}: rate", Spread.of([one.rate for one in crowd]), "requests/s", note=_failed(crowd))
    yield figure(f"{name}: processor", _cpu(crowd).times(1e6), "µs")
    yield figure(f"bare session.run, {MANY:,} rows: rate", Spread.of([one["rate"] for one in bare]), "calls/s")
    yield figure(
        f"bare session.run, {MANY:,} rows: processor", Spread.of([one["cpu"] for one in bare]).times(1e6), "µs"
    )
    yield figure(f"{name} ÷ bare session.run: rate", Spread.of([a.rate / b["rate"] for a, b in pairs]), "×", goal)
    each = Spread.of([b["cpu"] / a.cpu for a, b in pairs])
    yield figure(f"{name} ÷ bare session.run: requests by processor second", each, "×", goal)


if __name__ == "__main__":
    alone("serving_speed", measure)
