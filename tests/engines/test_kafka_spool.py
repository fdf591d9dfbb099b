"""Predictions while the brokers are away: answered, kept on disk, handed on later, and in the table once, on a real broker.

`MODELWAY_CHAOS=full` makes the long version: brokers away for five minutes.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import orjson
import pytest

from modelway.clock import WallClock
from modelway.errors import EventLogError
from modelway.events.kafka import KafkaEventLog
from modelway.events.log import NewEvent
from modelway.events.spool import Spool, SpoolingEventLog
from modelway.flow.feeding import roads
from modelway.flow.figures import LAG_EVENTS, ROWS, SPOOL_EVENTS
from modelway.flow.reporting import open_alerts, spool_status, status
from modelway.ingest.batch import ingest_batch
from modelway.ingest.source import APP
from modelway.testing.events import EventLogChecks
from modelway.testing.metrics import Sample, parse_exposition, sample
from modelway.workspace import Workspace, open_workspace
from tests.engines.streams import ingester, standing, stream_workspace
from tests.engines.test_kafka_ingestion import until
from tests.support.projects import bank, ok, records
from tests.support.running import address, up
from tests.support.spooling import Forwarded

pytestmark = [pytest.mark.engines, pytest.mark.timeout(3_600)]
FULL = os.environ.get("MODELWAY_CHAOS") == "full"
TOPIC = "pay_predictions"
POINTS = (
    "spool.before-handing",
    "log.before-write",
    "log.after-write",
    "spool.after-handing",
    "spool.after-recording",
    "log.before-remove",
    "log.after-remove",
)


@pytest.fixture
def log(kafka: str, tmp_path: Path) -> Iterator[SpoolingEventLog]:
    prefix = f"t{uuid.uuid4().hex[:10]}."
    onward = KafkaEventLog({"bootstrap.servers": kafka}, WallClock(), prefix=prefix, partitions=1)
    found = Forwarded(Spool(tmp_path / "spool", WallClock(), 10**8, segment_bytes=2_000), onward)
    yield found
    found.close()


class TestSpoolBeforeKafka(EventLogChecks): ...


def prediction(number: int) -> NewEvent:
    """As the server writes it."""
    told = {"request": f"r{number}", "index": 0, "version": 1, "digest": "d", "served": "2026-01-01T00:00:00Z"}
    row = {"amount": number, "note": "x" * 200}
    return NewEvent(f"r{number}/0/1", orjson.dumps({**told, "status": "ok", "row": row, "scores": [0.5]}))


class Requests(threading.Thread):
    """A server that answers: each request's event is in the log before the answer; a call that fails ends it."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(daemon=True)
        self.workspace, self.enough, self.count = workspace, threading.Event(), 0
        self.slowest = 0.0

    def run(self) -> None:
        while not self.enough.wait(0.002):
            began = time.perf_counter()
            self.workspace.request_log.append(TOPIC, [prediction(self.count)], durable=False)
            self.slowest = max(self.slowest, time.perf_counter() - began)
            self.count += 1

    def end(self) -> int:
        self.enough.set()
        self.join(30)
        assert not self.is_alive()
        self.workspace.request_log.flush()
        return self.count


def forwarder(root: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """A process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "modelway.control.forwarder", str(root)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@contextmanager
def running(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """Until the end of the block; it must live until then."""
    try:
        yield process
        assert process.poll() is None
        process.terminate()
        _, said = process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGTERM), said.decode()[-2_000:]
    finally:
        process.kill()
        process.communicate()


def sent(workspace: Workspace) -> int:
    """Events in the topic; 0 while the brokers cannot say."""
    try:
        return sum(workspace.log.ends(TOPIC).values())
    except EventLogError:
        return 0


def waiting(workspace: Workspace) -> int:
    return spool_status(workspace)["waiting"].get(TOPIC, {"events": 0})["events"]


def megabytes(process: "subprocess.Popen[bytes]") -> float:
    """What it holds in memory now."""
    told = Path(f"/proc/{process.pid}/status").read_text()
    return int(told.split("VmRSS:")[1].split()[0]) / 1_000


def demand_once(workspace: Workspace, count: int) -> None:
    """All that was answered stands in the table, once, and in the order in which it was answered."""

    until(lambda: sum(workspace.lake.positions(TOPIC, APP).values()) == sent(workspace))
    rows = workspace.lake.read(TOPIC)
    assert (rows.height, rows["request"].n_unique()) == (count, count)
    arrivals = rows.sort("_partition", "_offset").group_by("_partition", maintain_order=True).agg("_arrived")
    assert all(times == sorted(times) for times in arrivals["_arrived"].to_list())


def test_brokers_that_are_away_cost_no_request_no_memory_and_no_event(broker, tmp_path):
    workspace = stream_workspace(tmp_path / "bank", broker.address, patience="2s", spool_megabytes="500")
    root, requests = workspace.places.root, Requests(workspace)
    requests.start()
    with running(forwarder(root)) as hands, running(ingester(root)):
        until(lambda: sent(workspace) > 200)
        broker.program.kill()
        try:
            before = requests.count
            until(lambda: waiting(workspace) > 2_500)  # more than is handed on at once
            time.sleep(3)
            held = megabytes(hands)
            time.sleep(300 if FULL else 10)
            told = status(workspace)
            assert told["spool"]["waiting"][TOPIC]["events"] > 1_500
            assert told["spool"]["waiting"][TOPIC]["seconds"] > 5
            assert all(one["lag_rows"] is None for one in told["topics"].values())
            until(lambda: any("wait on this machine's disk" in a.text for a in open_alerts(workspace, "pay")))
            assert requests.count - before > 1_500
            assert requests.slowest < 1.0
            assert megabytes(hands) < held + 30
        finally:
            broker.program.start()
        until(lambda: waiting(workspace) < 100)
        count = requests.end()
        until(lambda: not waiting(workspace))
        until(lambda: not any(alert.cause.startswith("spool") for alert in open_alerts(workspace, "pay")))
        demand_once(workspace, count)
        until(lambda: spool_status(workspace)["bytes"] == 0)
    workspace.close()


def test_a_forwarder_killed_at_every_named_point_loses_and_doubles_nothing(kafka, tmp_path):
    workspace = stream_workspace(tmp_path / "bank", kafka)
    root, requests = workspace.places.root, Requests(workspace)
    requests.start()
    with running(ingester(root)):
        for point in POINTS:
            for occurrence in (1,) if "remove" in point else (1, 3):
                process = forwarder(root, MODELWAY_KILL_AT=f"{point}:{occurrence}")
                _, said = process.communicate(timeout=60)
                assert process.returncode == -signal.SIGKILL, (point, said.decode())
        with running(forwarder(root)):
            count = requests.end()
            until(lambda: not waiting(workspace))
            assert sent(workspace) > count, "no kill fell between handing and recording: this shows nothing"
            demand_once(workspace, count)
    workspace.close()


def test_what_waited_longer_than_the_table_remembers_in_memory_is_known_as_a_double(kafka, tmp_path):
    """The same events again after others that arrived much later were brought in."""
    workspace = stream_workspace(tmp_path / "bank", kafka)
    source = next(one for one in roads(workspace, workspace.spec("pay")) if one.topic == TOPIC)
    known, then = workspace.known(source.topic, source.doubles_within), datetime(2026, 1, 1, tzinfo=UTC)
    for day in (0, 90, 0):
        moment = then + timedelta(days=day)
        sent = [prediction(1_000 * day + n) for n in range(10)]
        workspace.log.append(TOPIC, [NewEvent(e.key, e.value, arrived=moment) for e in sent])
        ingest_batch(workspace.log, workspace.lake, source, known)
    assert workspace.lake.read(TOPIC).height == 20
    workspace.close()


def test_modelway_up_answers_while_the_brokers_are_away(broker, tmp_path):
    """The whole of it: server, forwarder and ingester under one supervisor, and clients who notice nothing."""
    prefix = f"u{uuid.uuid4().hex[:10]}."
    kafka = f'events: {{kafka: {{bootstrap: "{broker.address}", prefix: "{prefix}", patience: 2s}}}}\n'
    root = bank(tmp_path, stack=f"{kafka}ingestion: {{processes: 1, every: 200ms}}\n")
    ok("run", "loans", cwd=root)
    ok("release", "loans", cwd=root)

    def ask(number: int) -> None:
        named = {"income": ("FP64", 2_000.0 + number), "debt": ("FP64", 100.0), "job": ("BYTES", "office")}
        inputs = [{"name": n, "shape": [1], "datatype": kind, "data": [v]} for n, (kind, v) in named.items()]
        asked = {"id": f"q{number}", "inputs": [*inputs, {**LOAN, "data": [f"L{number}"]}]}
        began = time.perf_counter()
        answer = client.post("/v2/models/loans/infer", json=asked)
        took.append(time.perf_counter() - began)
        assert answer.status_code == 200, answer.text

    took: list[float] = []
    with up(root) as process, httpx.Client(base_url=str(address(root))) as client:
        until(lambda: records(root, "status")["models"]["loans"]["champion"] == 1)
        for number in range(50):
            ask(number)
        broker.program.kill()
        try:
            took.clear()
            for number in range(50, 1_050):
                ask(number)
                time.sleep(0.005)
            told = records(root, "status")["spool"]["waiting"]["loans_predictions"]
            assert told["events"] >= 1_000
            assert "waiting for the brokers" in ok("status", cwd=root)
            until(lambda: figures(client).get(sample(SPOOL_EVENTS, topic="loans_predictions"), 0) >= 1_000)
            assert sample(LAG_EVENTS, topic="loans_predictions") not in figures(client)
            assert sorted(took)[990] < 0.5
        finally:
            broker.program.start()
        workspace = open_workspace(root)
        until(lambda: not spool_status(workspace)["waiting"])
        until(lambda: landed(workspace) >= 1_050, tell=lambda: standing(workspace, "loans_predictions"))
        for name, labels, value in (
            (SPOOL_EVENTS, {}, 0),
            (ROWS, {"outcome": "accepted"}, 1_050),
            (LAG_EVENTS, {}, 0),  # not shown before a look at which the brokers answer again
        ):
            wanted = sample(name, topic="loans_predictions", **labels)
            until(lambda wanted=wanted, value=value: figures(client).get(wanted) == value)
        rows = workspace.lake.read("loans_predictions")
        assert set(rows["request"]) == {f"q{n}" for n in range(1_050)}
        assert rows.height == 1_050
        workspace.close()
        assert process.poll() is None


def figures(client: httpx.Client) -> Mapping[Sample, float]:
    return parse_exposition(client.get("/metrics").content)


def landed(workspace: Workspace) -> int:
    made = workspace.lake.version("loans_predictions") is not None
    return workspace.lake.read("loans_predictions").height if made else 0


LOAN = {"name": "loan_id", "shape": [1], "datatype": "BYTES"}
