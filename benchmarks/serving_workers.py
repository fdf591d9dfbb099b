"""Two serving processes behind one socket, beside one: what the second core is worth."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.bank import MODEL
from benchmarks.figures import Result, Target, figure
from benchmarks.machine import user_environment
from benchmarks.measure import Spread
from benchmarks.report import alone
from benchmarks.rivals.environment import ROOT
from benchmarks.serving_model import loads, released
from benchmarks.wrk import Shot, fire, processor, there
from modelway.serving.run import address, bind
from modelway.workspace import Places

CLIENTS = 32
_READY_SECONDS = 60.0


def measure(quick: bool) -> Result:
    """In turn, each with processes of its own."""
    title = "two serving processes, one socket"
    if not there():
        return Result(title, (), ("No figures: wrk, taskset and two cores are needed (apt install wrk util-linux).",))
    rows, rounds, seconds = (1_000, 1, 1) if quick else (6_000, 5, 4)
    one, two, shares = list[Shot](), list[Shot](), list[float]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        served = released(folder, rows)
        load = loads(folder, 1)["matrix"]
        stack = served.bank / "stack.yaml"
        for workers, shots in ((1, one), (2, two)):
            stack.write_text(f"serving: {{host: 127.0.0.1, port: 0, workers: {workers}}}\n")
            with _running(served.bank, workers, folder) as (url, pids):
                for number in range(rounds + 1):
                    before = [processor(pid) for pid in pids]
                    shot = fire(url, pids[0], load, CLIENTS, seconds if number else 1)
                    spent = [processor(pid) - was for pid, was in zip(pids, before, strict=True)]
                    if number:
                        shots.append(_whole(shot, sum(spent)))
                        shares += [min(spent) / max(spent)] if workers == 2 else []
    worth = [2 * a.cpu / b.cpu for a, b in zip(one, two, strict=True)]
    figures = (
        figure("one process: processor a request", Spread.of([s.cpu for s in one]).times(1e6), "µs"),
        figure("two processes: processor a request, both together", Spread.of([s.cpu for s in two]).times(1e6), "µs"),
        figure(
            "two processes ÷ one: requests, each with a core to itself", Spread.of(worth), "×", Target(at_least=1.8)
        ),
        figure("the less busy of the two ÷ the busier: processor", Spread.of(shares), "×"),
    )
    notes = (
        f"{rounds} rounds of {seconds} s, {CLIENTS} clients, which share the two cores with the servers: so the worth of a second "
        "core is reckoned from processor time. Twice the time of one process's request by that of two processes is how many times "
        "as many requests two cores answer where clients are elsewhere.",
    )
    return Result(title, figures, notes)


def _whole(shot: Shot, cpu: float) -> Shot:
    return Shot(shot.requests, shot.failed, shot.rate, shot.p50, shot.p99, cpu / shot.requests, shot.busy)


@contextmanager
def _running(bank: Path, workers: int, folder: Path) -> Iterator[tuple[str, list[int]]]:
    """As the supervisor starts them: they inherit one socket."""
    listening = bind("127.0.0.1", 0)
    url, descriptor = address(listening, "127.0.0.1"), listening.fileno()
    processes = []
    with (folder / "workers.log").open("ab") as log:
        for number in range(workers):
            Places(bank).worker(number).unlink(missing_ok=True)
            command = [sys.executable, "-m", "modelway.control.serve", str(bank), str(number), str(descriptor)]
            pin = ("taskset", "-c", str(number))
            processes.append(
                subprocess.Popen(
                    [*pin, *command],
                    cwd=ROOT,
                    env=user_environment(),
                    stdout=log,
                    stderr=log,
                    pass_fds=[descriptor],
                )
            )
    try:
        _await(bank, workers, folder)
        yield url, [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)
        listening.close()


def _await(bank: Path, workers: int, folder: Path) -> None:
    places, until = Places(bank), time.monotonic() + _READY_SECONDS
    while time.monotonic() < until:
        said = [places.worker(number) for number in range(workers)]
        if all(one.is_file() for one in said):
            url = json.loads(said[0].read_text())["url"]
            if httpx.get(f"{url}/v2/models/{MODEL}/ready").status_code == 200:
                return
        time.sleep(0.05)
    raise TimeoutError((folder / "workers.log").read_text()[-400:])


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    alone("serving_workers", measure)
