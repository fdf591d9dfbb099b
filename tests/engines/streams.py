"""A workspace on Kafka with one model's stream, producers that know what they sent, and a count of what arrived."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path

import orjson
import polars as pl
import sqlalchemy as sa

from modelway.events.log import NewEvent
from modelway.flow.streaming import GROUP
from modelway.ingest.source import APP
from modelway.state.schema import alerts
from modelway.workspace import Workspace, create_workspace

SPEC = """
model: pay
task: binary
data: {source: payments, key: id, event_time: at, target: fraud, doubles_within: 2d}
contract:
  id: {type: string, nulls: 0}
  customer: {type: string}
  amount: {type: float, min: 0, nulls: 0}
  number: {type: int, min: 0, nulls: 0}
  at: {type: datetime, nulls: 0}
  fraud: {type: int, in: [0, 1]}
"""


def stream_workspace(
    root: Path, kafka: str, *, partitions: int = 4, processes: int = 1, every: str = "200ms", **options: str
) -> Workspace:
    """Its topics carry a name of their own on the broker."""
    prefix = f"s{uuid.uuid4().hex[:10]}."
    more = "".join(f", {name}: {value}" for name, value in options.items())
    workspace = create_workspace(
        root,
        f'events: {{kafka: {{bootstrap: "{kafka}", prefix: "{prefix}", partitions: {partitions}{more}}}}}\n'
        f"ingestion: {{processes: {processes}, every: {every}, rows: 20000}}\n",
    )
    place = workspace.places.project("pay")
    place.mkdir()
    (place / "modelway.yaml").write_text(SPEC)
    return workspace


def payment(number: int, **changed: object) -> bytes:
    """Ten numbers a customer: the order within a customer can be told from them."""
    row = {
        "id": f"p{number}",
        "customer": f"c{number % 97}",
        "amount": number % 50 + 0.25,
        "number": number,
        "fraud": 0,
    }
    return orjson.dumps({**row, "at": f"2026-01-{1 + number % 28:02d}T00:00:00Z", **changed})


def events(numbers: Iterable[int]) -> list[NewEvent]:
    return [NewEvent(f"c{n % 97}", payment(n)) for n in numbers]


def ingester(root: Path, **environment: str) -> "subprocess.Popen[bytes]":
    """A process of its own. What it says goes to a file beside the workspace: a pipe that nobody reads would stop it."""
    with (root.parent / "ingesters.log").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "modelway.control.ingester", str(root)],
            env={**os.environ, **environment},
            stdout=said,
            stderr=said,
        )


class Ingesters:
    """Starts ingesting processes; those that still run when the test ends are killed."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, root: Path, **environment: str) -> "subprocess.Popen[bytes]":
        self._started.append(ingester(root, **environment))
        return self._started[-1]

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """As a supervisor stops it."""
        process.terminate()
        assert process.wait(timeout=60) in (0, -signal.SIGTERM)  # told before it could listen

    def kill_all(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.wait()


def standing(workspace: Workspace, *topics: str) -> str:
    """What a person would look at when rows do not arrive: positions and ends, the group's members, alerts, the logs' ends."""
    from confluent_kafka.admin import AdminClient

    kafka = workspace.stack.events.kafka
    assert kafka is not None
    told = [f"{t}: table {workspace.lake.positions(t, APP)}, topic {workspace.log.ends(t)}" for t in topics]
    group = f"{kafka.prefix}{GROUP}"
    found = (
        AdminClient({"bootstrap.servers": kafka.bootstrap}).describe_consumer_groups([group])[group].result(timeout=10)
    )
    told.append(f"{group}: {found.state}")
    for member in found.members:
        held = sorted(f"{p.topic}/{p.partition}" for p in member.assignment.topic_partitions)
        told.append(f"  {member.group_instance_id} {member.member_id}: {held}")
    with workspace.database.read() as connection:
        told += [str(dict(row)) for row in connection.execute(sa.select(alerts)).mappings()]
    for place in [*workspace.places.root.parent.glob("*.log"), *workspace.places.inner.rglob("*.log")]:
        told.append(f"{place.name}:\n{place.read_text(errors='replace')[-3_000:]}")
    return "\n".join(told)


def arrived(workspace: Workspace) -> pl.DataFrame:
    """The table as it stands; empty before it does."""
    if workspace.lake.version("payments") is None:
        return pl.DataFrame(schema={"number": pl.Int64})
    return workspace.lake.read("payments")


def demand_exactly(workspace: Workspace, count: int) -> None:
    """All numbers once, and of each customer in order of the log."""
    rows = arrived(workspace)
    assert rows.height == count, f"{rows.height} rows of {count}"
    assert rows["number"].n_unique() == count
    ordered = rows.sort("_partition", "_offset").group_by("customer", maintain_order=True).agg("number")
    assert all(numbers == sorted(numbers) for numbers in ordered["number"].to_list())
    assert rows.group_by("customer").agg(pl.col("_partition").n_unique())["_partition"].max() == 1
