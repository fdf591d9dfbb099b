"""Broken versions pushed in random order at a server that answers: `python -m benchmarks.broken_models [--quick]`.

A real `modelway up`, with its control loop and its releases. Clients ask 20 times a second, whatever becomes of their
requests (open loop). Each push is registered as accepted, as if every gate had been fooled, and released. Told apart by the
prediction log: whose each request was, and what became of it.
"""

import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.broken import ESTIMATORS, GRAPHS, estimator, turning
from benchmarks.figures import Figure, Result, Target, figure
from benchmarks.measure import Spread
from benchmarks.sound import COLUMNS, MODEL, founded, manifest_of, registered
from modelway import lifecycle
from modelway.records import Fit, PythonModel, Release, dumps
from modelway.rollout import store
from modelway.serving.log import prediction_topic
from modelway.serving.onnxruntime import open_session
from modelway.state import runs
from modelway.workspace import Workspace

RATE = 20
_BOUND = 120.0
_RELEASE = "{shadow: 20 requests, canary: [25%, 100%], promote_on: errors, guard: {latency: 50%}}"


@dataclass(frozen=True)
class Push:
    """A kind of broken version; `after`: how many rows it answers well before."""

    kind: str
    form: str
    after: int = 0

    @property
    def name(self) -> str:
        late = f", after {self.after} rows" if self.after else ""
        return f"{self.kind} ({self.form}{late})"


SLOW = Push("100 times as slow", "graph")
KINDS = (
    *(Push(kind, "graph") for kind in GRAPHS),
    SLOW,
    *(Push(kind, "Python", after) for kind in ESTIMATORS for after in (0, 60)),
)


def drawn(pushes: int, seed: int) -> list[Push]:
    """Each kind as often as any other (or once more), in random order."""
    draw = random.Random(seed)
    order = [push for _ in range(-(-pushes // len(KINDS))) for push in draw.sample(KINDS, len(KINDS))]
    return order[:pushes]


class Clients:
    """Asks `RATE` times a second; by request what came: a status, or the name of what broke."""

    def __init__(self, url: str) -> None:
        self.came: dict[str, str] = {}
        self._url, self._stop = url, threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    @contextmanager
    def going(self) -> Iterator["Clients"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()

    async def _run(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=30) as client:
            began, tasks = time.monotonic(), set[asyncio.Task[None]]()
            for number in range(10**9):
                if self._stop.is_set():
                    break
                task = asyncio.create_task(self._ask(client, f"b{number}"))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                await asyncio.sleep(max(0.0, began + (number + 1) / RATE - time.monotonic()))
            await asyncio.gather(*tasks)

    async def _ask(self, client: httpx.AsyncClient, name: str) -> None:
        tensors = [{"name": column, "datatype": "FP64", "shape": [1], "data": [1.0]} for column in COLUMNS]
        try:
            reply = await client.post(f"/v2/models/{MODEL}/infer", json={"id": name, "inputs": tensors})
            self.came[name] = str(reply.status_code)
        except httpx.HTTPError as error:
            self.came[name] = type(error).__name__


@contextmanager
def up(root: Path) -> Iterator[str]:
    """`modelway up`; where it answers."""
    with (root / "up.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "modelway", "up"], cwd=root, stdout=log, stderr=log)
        try:
            said = root / ".modelway/server.json"
            until(lambda: said.exists() or process.poll() is not None, "`modelway up` is not ready")
            if process.poll() is not None:
                raise RuntimeError((root / "up.log").read_text())
            yield json.loads(said.read_text())["url"]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def measure(quick: bool) -> Result:
    return run(len(KINDS) if quick else 100, seed=6)


def run(pushes: int, seed: int) -> Result:
    """Push so many, and tell what became of them."""
    order = drawn(pushes, seed)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "bank"
        workspace = founded(root, "serving: {port: 0}\ntick_seconds: 0.2\n", _RELEASE)
        try:
            with up(root) as url:
                until(lambda: httpx.get(f"{url}/v2/models/{MODEL}/ready").status_code == 200, "nothing is released")
                clients = Clients(url)
                with clients.going():
                    until(lambda: list(clients.came.values()).count("200") > 5 * RATE, "nothing is answered")
                    slow = _turns(workspace)
                    ends = [_pushed(workspace, number, push, slow) for number, push in enumerate(order, 1)]
            return _told(order, ends, clients.came, _events(workspace))
        finally:
            workspace.close()


def _turns(workspace: Workspace) -> int:
    """Of a graph that takes 100 times what a request takes now, in the middle."""
    took = median(event["ms"] for event in _events(workspace) if not event["shadow"]) / 1000
    one, began = open_session(turning(len(COLUMNS), 100_000), "calibration"), time.perf_counter()
    one([[1.0] * len(COLUMNS)], [[]])
    return int(100_000 * min(100 * took, 0.9) / (time.perf_counter() - began))


def _pushed(workspace: Workspace, number: int, push: Push, slow: int) -> Release:
    """Register and release it, and wait until its release is over."""
    run_id = f"push-{number:04d}"
    if push.form == "Python":
        pickled = workspace.artifacts.put(estimator(push.kind, push.after))
        sound = manifest_of(workspace, b"")
        model = PythonModel(pickled, sound.columns, "binary", 2, 1.0, 512)
        manifest = replace(sound, graph=workspace.artifacts.put(dumps(model)), form="python")
        made = registered(workspace, run_id, manifest)
        fit = Fit(pickled, {}, 0, 0.0, "", "")
        runs.keep_step(workspace.database, run_id, "train", dumps(fit).decode(), 0.0, None)
    else:
        graph = turning(len(COLUMNS), slow) if push is SLOW else GRAPHS[push.kind](len(COLUMNS))
        made = registered(workspace, run_id, manifest_of(workspace, graph))
    lifecycle.release(workspace, MODEL, made, "ann", push.name)

    def over() -> bool:
        latest = store.latest(workspace.database, MODEL)
        return latest is not None and latest.version == made and latest.state not in ("waiting", "shadow", "canary")

    try:
        until(over, push.name, _BOUND)
    except TimeoutError:
        lifecycle.rollback(workspace, MODEL, "ann", "it was not rolled back in time")
    latest = store.latest(workspace.database, MODEL)
    assert latest is not None
    sys.stderr.write(f"{number:4} {push.name}: {latest.state}, {latest.reason}\n")
    if latest.state == "full":
        raise RuntimeError(f"{push.name} is champion")
    return latest


def _events(workspace: Workspace) -> list[dict[str, Any]]:
    log, topic = workspace.log, prediction_topic(MODEL)
    here, found = dict[int, int](), list[dict[str, Any]]()
    while events := log.read(topic, here, 10_000):
        found += [json.loads(event.value) for event in events]
        here |= {event.partition: event.offset + 1 for event in events}
    return found


def until(condition: Callable[[], object], what: str, bound: float = 60.0) -> None:
    """Wait for a condition; raises TimeoutError with `what`."""
    end = time.monotonic() + bound
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.05)


def _told(
    order: Sequence[Push], ends: Sequence[Release], came: dict[str, str], events: Sequence[dict[str, Any]]
) -> Result:
    live = {event["request"]: event for event in events if not event["shadow"]}
    champion = [event for event in live.values() if event["version"] == 1]
    broken = {name: status for name, status in came.items() if status != "200"}
    others = Counter(
        f"{status}, {'of no version' if name not in live else 'of the champion'}"
        for name, status in broken.items()
        if live.get(name, {"version": 1})["version"] == 1
    )
    seconds = dict[str, list[float]]()
    for push, end in zip(order, ends, strict=True):
        theirs = [event for event in events if event["version"] == end.version]
        bad = [event for event in theirs if event["status"] != "ok" or (push is SLOW and not event["shadow"])]
        first = min((datetime.fromisoformat(event["served"]) for event in bad), default=end.started)
        seconds.setdefault(push.name, []).append(
            (end.moved - first.replace(tzinfo=first.tzinfo or UTC)).total_seconds()
        )
    all_seconds = [one for some in seconds.values() for one in some]
    by_hand = sum(end.reason == "it was not rolled back in time" for end in ends)
    passed = sum(end.state == "full" for end in ends)
    unwell = sum(event["status"] != "ok" for event in champion)
    hurt = Counter(live[name]["version"] for name in broken if name in live and live[name]["version"] != 1)
    figures = [
        figure("pushed", len(order), ""),
        figure("became champion", passed, "", Target(at_most=0)),
        figure("not rolled back by itself", by_hand, "", Target(at_most=0)),
        figure("requests", len(came), ""),
        figure("of the champion: answered", len(champion), ""),
        figure(
            "of the champion: failed", unwell + sum(others.values()), "", Target(at_most=0), str(dict(others) or "")
        ),
        figure("of a broken version in its canary: failed", len(broken) - sum(others.values()), ""),
        figure("failed before it was rolled back, the most", max(hurt.values(), default=0), ""),
        figure("from its first bad answer to the rollback", Spread.of(all_seconds), "s", Target(at_most=30)),
        figure("the longest", max(all_seconds), "s", Target(at_most=30)),
        *(_by_kind(name, some) for name, some in sorted(seconds.items())),
    ]
    return Result("broken versions, released", tuple(figures), _NOTES)


def _by_kind(name: str, seconds: Sequence[float]) -> Figure:
    return figure(name, Spread.of(seconds), "s")


_NOTES = (
    "A real `modelway up` with one serving process; 20 requests a second, open loop; `release: {shadow: 20 requests, canary: [25%, "
    "100%], promote_on: errors, guard: {latency: 50%}}`, all else by default. Registered by hand as if every gate had been fooled.",
    "Seconds are from the moment of a version's first bad answer, in shadow or to a client, to its release's end; for the slow one "
    "from its first answer to a client, since nobody's latency in shadow is a client's.",
    "A client's request that fails counts as the broken version's only if the log says that this version was asked; all others are "
    "the champion's.",
)


if __name__ == "__main__":
    from benchmarks.report import alone

    alone("broken_models", measure)
