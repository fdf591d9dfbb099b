"""A small world in replayed time around a real workspace: rows and labels arrive, a stand-in answers, the loop ticks.

The stand-in computes what the server would (same code, same events), with nothing that differs from time to time, so that
two drives of the same world can be compared to the last byte.
"""

import hashlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from modelway import lifecycle
from modelway.events.log import NewEvent
from modelway.flow.holding import hold, holder_name
from modelway.flow.serving import loader
from modelway.records import Trigger, plain
from modelway.registry import versions
from modelway.serving.answer import answer_rows
from modelway.serving.log import prediction_events
from modelway.serving.routes import choose
from modelway.state import champions, ledger, runs
from modelway.state.replay_clock import replay_time, set_replay_time
from modelway.workspace import Workspace, create_workspace, open_workspace

MODEL = "flow"
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS_A_DAY = 40
DAYS = 8
SPEC = """\
model: flow
task: binary
data:
  source: payments
  key: id
  event_time: at
  target: fraud
  positive: "1"
  entities: [card]
  labels: {source: outcomes}
contract:
  amount: {type: float, min: 0, nulls: 0}
  card: {type: string, nulls: 0}
features:
  spent: {of: amount, stat: sum, by: card, window: 2d}
training: {min_rows: 100, seed: 3}
gates:
  - {metric: log_loss, against: champion, margin: 0.2}
release: {shadow: 30 requests, canary: [50%, 100%], promote_on: losses, guard: {loss_margin: 0.2}}
monitoring: {every: 1d, drift: {window: 40, min_rows: 35}, alerts: [file]}
retraining: {on: [new_labels 130], cooldown: 3d, at_most: 1 per 30d}
"""
CODE = """\
from sklearn.linear_model import LogisticRegression


def build(params):
    return LogisticRegression(C=1.0)
"""


def payments(day: int) -> list[dict[str, Any]]:
    """The rows of a day, each with its outcome under `fraud`."""
    rng = np.random.default_rng(day + 100)
    amounts = np.round(rng.gamma(2.0, 1.0, ROWS_A_DAY), 3)
    fraud = rng.random(ROWS_A_DAY) < 1 / (1 + np.exp(-3 * (amounts - 2)))
    at = START + day * DAY
    return [
        {
            "id": f"{day}-{n}",
            "at": (at + n * timedelta(seconds=1)).isoformat(),
            "amount": float(amounts[n]),
            "card": f"c{n % 7}",
            "fraud": int(fraud[n]),
        }
        for n in range(ROWS_A_DAY)
    ]


def founded(root: Path) -> None:
    """A workspace with a first champion, trained on the days before the world begins."""
    create_workspace(root, "serving: {port: 0}\n").close()
    project = root / "models" / MODEL
    project.mkdir(parents=True)
    (project / "modelway.yaml").write_text(SPEC)
    (project / "model.py").write_text(CODE)
    workspace = open_workspace(root)
    set_replay_time(workspace.database, START - 10 * DAY)
    workspace.close()
    workspace = open_workspace(root)
    try:
        for day in range(-10, 0):
            set_replay_time(workspace.database, START + (day + 1) * DAY)
            _send(workspace, day)
            _send_outcomes(workspace, day)
        run = lifecycle.open_run(workspace, MODEL, Trigger("manual", "the first champion", "ann"))
        version = lifecycle.run(workspace, run)
        assert version.accepted, version.validation.verdicts
        lifecycle.release(workspace, MODEL, version.number, "ann", "the first champion")
        _tick(workspace)
    finally:
        workspace.close()


def drive(root: Path) -> None:
    """Live through all days; called again after a kill, it goes on with the day that was not finished."""
    workspace = open_workspace(root)
    done = root / "days"
    try:
        for day in range(int(done.read_text()) if done.exists() else 0, DAYS):
            _begin(workspace, root, day)
            _tick(workspace)
            beside = root / "days.part"
            beside.write_text(str(day + 1))
            beside.replace(done)
    finally:
        workspace.close()


def begin(root: Path, day: int) -> None:
    """A day of the world in which loops of their own tick."""
    workspace = open_workspace(root)
    try:
        _begin(workspace, root, day)
    finally:
        workspace.close()


def tick(root: Path) -> None:
    """One loop among several: tries until it has had its turn."""
    workspace, until = open_workspace(root), time.monotonic() + 120
    try:
        while not _tick(workspace):
            assert time.monotonic() < until
    finally:
        workspace.close()


def _begin(workspace: Workspace, root: Path, day: int) -> None:
    now = START + (day + 1) * DAY
    if (replay_time(workspace.database) or START) < now:
        set_replay_time(workspace.database, now)
    sent = root / f"sent-{day}"
    if not sent.exists():
        _send(workspace, day)
        _answer(workspace, day)
        _send_outcomes(workspace, day - 1)
        sent.touch()


def _tick(workspace: Workspace) -> bool:
    """Whether the lease was to be had."""
    with hold(workspace, f"model/{MODEL}", holder_name()) as lease:
        if lease is not None:
            lifecycle.tend(workspace, MODEL, lease)
        return lease is not None


def _send(workspace: Workspace, day: int) -> None:
    rows = [{k: v for k, v in row.items() if k != "fraud"} for row in payments(day)]
    workspace.log.append("payments", [NewEvent(row["id"], orjson.dumps(row)) for row in rows])


def _send_outcomes(workspace: Workspace, day: int) -> None:
    if day < 0 and workspace.traffic.routes():
        return  # sent when the workspace was founded
    rows = [
        {"key": row["id"], "label": row["fraud"], "at": (START + (day + 1) * DAY).isoformat()} for row in payments(day)
    ]
    workspace.log.append("outcomes", [NewEvent(row["key"], orjson.dumps(row)) for row in rows])


def _answer(workspace: Workspace, day: int) -> None:
    """Each row is a request of its own, answered as the routes say, and by the other version in shadow."""
    route = workspace.traffic.routes()[MODEL]
    load, now = loader(workspace), workspace.clock.now()
    numbers = [int(n) for n in route.shares] + ([route.shadow] if route.shadow else [])
    known = {n: load(route.manifests[str(n)], MODEL, n) for n in numbers}
    for servable in known.values():
        servable.upto()
    for row in payments(day):
        request = f"r-{row['id']}"
        asked = {k: v for k, v in row.items() if k != "fraud"}
        mine = choose(route, request)
        for number in dict.fromkeys([mine, *([route.shadow] if route.shadow else [])]):
            servable = known[number]
            answers = answer_rows(servable, [f"{request}/0"], [asked], now)
            shadow = number == route.shadow and number != mine
            events = prediction_events(servable, request, answers, served=now, ms=1.0, upto={}, shadow=shadow)
            workspace.log.append(f"{MODEL}_predictions", events, durable=False)


def outcome(root: Path) -> dict[str, Any]:
    """All that must be the same however often the loop was killed."""
    workspace = open_workspace(root)
    try:
        database = workspace.database
        with database.read() as connection:
            champion = champions.champion(connection, MODEL)
        count = ledger.verify(database)
        entries = ledger.history(database)
        tables = {}
        for name in workspace.lake.tables():
            rows = workspace.lake.read(name)
            keys = sorted(set(rows["_key"].to_list()))
            tables[name] = (len(keys), hashlib.sha256("|".join(keys).encode()).hexdigest())
        return {
            "versions": [(v.number, v.digest, v.run, v.accepted) for v in versions.all_versions(database, MODEL)],
            "champion": champion,
            "runs": sorted((r.id, r.state) for r in runs.recent(database, MODEL, 100)),
            "ledger": [(e.action, e.who, e.subject, e.reason, plain(e.data)) for e in entries],
            "entries": count,
            "tables": tables,
            "routes": {m: (dict(r.shares), r.shadow) for m, r in workspace.traffic.routes().items()},
        }
    finally:
        workspace.close()
